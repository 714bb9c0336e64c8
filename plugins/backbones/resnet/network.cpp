#include "plugins/backbones/resnet/network.h"

#include <algorithm>
#include <map>
#include <string>

#include "plugins/backbones/common/gradient_checkpointing.h"
#include "plugins/backbones/common/stages.h"
#include "registry/error.h"

namespace dnc {
namespace {

constexpr int64_t kFirstBottleneckDepth = 50;

std::vector<int64_t> blocks_of(int64_t depth) {
  static const std::map<int64_t, std::vector<int64_t>> kBlocks = {{18, {2, 2, 2, 2}},
                                                                  {34, {3, 4, 6, 3}},
                                                                  {50, {3, 4, 6, 3}},
                                                                  {101, {3, 4, 23, 3}},
                                                                  {152, {3, 8, 36, 3}}};
  const auto blocks = kBlocks.find(depth);
  if (blocks == kBlocks.end()) {
    throw OptionError("depth", "must be 18, 34, 50, 101 or 152, not " + std::to_string(depth));
  }
  return blocks->second;
}

ResidualLayout::Stem stem_of(const ResNet::Options& options) {
  ResidualLayout::Stem stem;
  stem.channels = options.stem_channels.value_or(options.width);
  if (options.stem == ResNet::Stem::kImageNet) {
    stem.kernel = 7;
    stem.stride = 2;
    stem.deep = options.deep_stem;
    stem.pooling = true;
    if (stem.deep && stem.channels < 2) {
      throw OptionError("deep_stem", "needs at least 2 channels in the stem");
    }
  } else if (options.deep_stem) {
    throw OptionError("deep_stem", "is for the stem 'imagenet'; 'cifar' is one 3x3 convolution");
  }
  return stem;
}

BlockOptions block_of(const ResNet::Options& options) {
  BlockOptions block;
  block.bottleneck = options.depth >= kFirstBottleneckDepth;
  block.width = options.width;
  block.out_channels = options.width;
  block.stride_in = options.style;
  block.shortcut = options.avg_down ? Shortcut::kPooling : Shortcut::kProjection;
  block.norm = options.norm;
  if (block.bottleneck) {
    block.out_channels *= 4;
    if (options.base_width) block.width = *options.base_width * options.groups;
    block.groups = options.groups;
    if (block.width % block.groups != 0) {
      throw OptionError("groups", "must divide the " + std::to_string(block.width) +
                                      " channels of the 3x3 convolutions, not " +
                                      std::to_string(block.groups) + "; or give base_width");
    }
  } else if (options.groups != 1 || options.base_width) {
    throw OptionError(
        options.base_width ? "base_width" : "groups",
        "is for bottlenecks, of depth 50 and more, not " + std::to_string(options.depth));
  }
  return block;
}

ResidualLayout layout_of(const ResNet::Options& options, const Context& context) {
  ResidualLayout layout;
  layout.blocks = blocks_of(options.depth);
  layout.stem = stem_of(options);
  layout.block = block_of(options);
  layout.block.norm.ranks = context.ranks;
  layout.strides = options.strides;
  layout.dilations = options.dilations;
  layout.contract_dilation = options.contract_dilation;
  layout.out_stages = options.out_stages;
  layout.stochastic_depth = options.stochastic_depth;
  layout.zero_init_residual = options.zero_init_residual;
  layout.recompute = options.checkpoint_blocks;
  return layout;
}

void shape_fields(ResNet::Options& options, Fields& f) {
  using Stem = ResNet::Stem;
  f("depth", options.depth, "Number of layers: 18, 34, 50, 101 or 152.");
  f.choice("stem", options.stem, {{"imagenet", Stem::kImageNet}, {"cifar", Stem::kCifar}},
           "First layers: 7x7 of stride 2 and max pooling (imagenet), or 3x3 of stride 1 for small "
           "images (cifar).");
  f("deep_stem", options.deep_stem,
    "Three 3x3 convolutions in place of the 7x7, the first two of half the channels (v1c, v1d).");
  f("avg_down", options.avg_down,
    "Average pooling in place of the stride of the shortcuts' 1x1 convolutions (v1d).");
  f.choice("style", options.style, {{"pytorch", StrideIn::kMiddle}, {"caffe", StrideIn::kFirst}},
           "Where a bottleneck has its stride: in the 3x3 convolution (pytorch, v1b), or in the "
           "first 1x1 as in the paper (caffe, v1).");
  f("width", options.width,
    "Channels of the stem and of the first stage's 3x3 convolutions; the outputs follow from it.")
      .between(1, 1024)
      .alias("base_channels");
  f("stem_channels", options.stem_channels, "Channels of the stem, instead of 'width'.")
      .between(1, 1024);
  f("groups", options.groups, "Groups of the bottlenecks' 3x3 convolutions (ResNeXt: 32 or 64).")
      .between(1, 1024);
  f("base_width", options.base_width,
    "Channels of each group in the first stage, instead of 'width' over the groups (ResNeXt: 4; "
    "wide networks: 128 in one group).")
      .between(1, 1024)
      .alias("width_per_group");
}

void stage_fields(ResNet::Options& options, Fields& f) {
  f("strides", options.strides, "Stride of each of the four stages.").between(1, 8).length(4, 4);
  f("dilations", options.dilations,
    "Dilation of the 3x3 convolutions of each of the four stages; basic blocks have it in the "
    "first of their two.")
      .between(1, 64)
      .length(4, 4);
  f("contract_dilation", options.contract_dilation,
    "The first block of a stage has half the dilation, as in torchvision and mmseg's configs.");
}

}  // namespace

void ResNet::Options::fields(Fields& f) {
  shape_fields(*this, f);
  stage_fields(*this, f);
  f.group("norm", norm, "What follows each convolution.").alias("norm_cfg");
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
    "Batch norms use their running statistics in training too, and leave them as they are.");
  f("stochastic_depth", stochastic_depth,
    "Share of samples that skip the last block in training, less for earlier blocks. 0.05 in the "
    "procedures A1 and A2 of \"ResNet strikes back\".")
      .at_least(0)
      .below(1)
      .alias("drop_path_rate");
  f("zero_init_residual", zero_init_residual,
    "Start the last norm of each block at 0, so that a block begins as its shortcut. Off as in "
    "torchvision; mmcls has it on.");
  checkpoint_field(f, checkpoint_blocks);
}

ResNet::ResNet(const Options& options, const Context& context)
    : ResidualNetwork(layout_of(options, context)),
      frozen_stages_(options.frozen_stages),
      norm_eval_(options.norm_eval) {
  freeze_parts();
}

void ResNet::train(bool on) {
  ResidualNetwork::train(on);
  freeze_parts();
}

void ResNet::freeze_parts() {
  if (norm_eval_) {
    for (const auto& module : modules(/*include_self=*/false)) {
      if (auto* norm = module->as<torch::nn::BatchNorm2d>()) norm->eval();
    }
  }
  if (frozen_stages_ < 0) return;
  const auto parts = children();  // the stem is the first two: conv1, bn1
  for (int64_t i = 0; i < std::min<int64_t>(std::ssize(parts), 2 + frozen_stages_); ++i) {
    freeze(*parts[i]);
  }
}

}  // namespace dnc
