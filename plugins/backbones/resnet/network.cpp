#include "plugins/backbones/resnet/network.h"

#include <map>
#include <string>

#include "registry/error.h"

namespace dnc {
namespace {

ResidualLayout layout_of(const ResNet::Options& options) {
  static const std::map<int64_t, std::vector<int64_t>> kBlocks = {{18, {2, 2, 2, 2}},
                                                                  {34, {3, 4, 6, 3}},
                                                                  {50, {3, 4, 6, 3}},
                                                                  {101, {3, 4, 23, 3}},
                                                                  {152, {3, 8, 36, 3}}};
  const auto blocks = kBlocks.find(options.depth);
  if (blocks == kBlocks.end()) {
    throw OptionError("depth",
                      "must be 18, 34, 50, 101 or 152, not " + std::to_string(options.depth));
  }
  ResidualLayout layout;
  if (options.stem == ResNet::Stem::kImageNet) {
    layout.stem_kernel = 7;
    layout.stem_stride = 2;
    layout.stem_pooling = true;
  }
  layout.block.bottleneck = options.depth >= 50;
  layout.block.width = options.width;
  layout.blocks = blocks->second;
  layout.out_stages = options.out_stages;
  layout.zero_init_residual = options.zero_init_residual;
  return layout;
}

}  // namespace

void ResNet::Options::fields(Fields& f) {
  f("depth", depth, "Number of layers: 18, 34, 50, 101 or 152.");
  f.choice("stem", stem, {{"imagenet", Stem::kImageNet}, {"cifar", Stem::kCifar}},
           "First layers: 7x7 of stride 2 and max pooling (imagenet), or 3x3 of stride 1 for small "
           "images (cifar).");
  f("width", width, "Channels of the stem and of the first stage's 3x3 convolutions.")
      .between(1, 1024)
      .alias("base_channels");
  f("out_stages", out_stages,
    "Stages whose maps are returned, 0 to 3, fine to coarse; those after the last are not built.")
      .between(0, 3)
      .length(1, 4)
      .alias("out_indices");
  f("frozen_stages", frozen_stages,
    "What does not learn, running statistics included: -1 nothing, 0 the stem, 1 to 4 the stem and "
    "as many stages.")
      .between(-1, 4);
  f("norm_eval", norm_eval,
    "Norms use their running statistics in training too, and leave them as they are.");
  f("zero_init_residual", zero_init_residual,
    "Start the last norm of each block at 0, so that a block begins as its shortcut. Off as in "
    "torchvision; mmcls has it on.");
}

ResNet::ResNet(const Options& options)
    : ResidualNetwork(layout_of(options)),
      frozen_stages_(options.frozen_stages),
      norm_eval_(options.norm_eval) {
  freeze();
}

void ResNet::train(bool on) {
  ResidualNetwork::train(on);
  freeze();
}

void ResNet::freeze() {
  if (norm_eval_) {
    for (const auto& module : modules(/*include_self=*/false)) {
      if (auto* norm = module->as<Norm>()) norm->eval();
    }
  }
  if (frozen_stages_ < 0) return;
  std::vector<torch::nn::Module*> frozen = {conv1().get(), bn1().get()};
  for (const auto& stage : stages()) {
    if (std::ssize(frozen) == 2 + frozen_stages_) break;
    frozen.push_back(stage.get());
  }
  for (auto* module : frozen) {
    module->eval();
    for (auto& parameter : module->parameters()) parameter.requires_grad_(false);
  }
}

}  // namespace dnc
