#include "plugins/backbones/hrnet/network.h"

#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/upsample_nearest2d.h>

#include <string>
#include <utility>

#include "plugins/backbones/common/gradient_checkpointing.h"
#include "plugins/backbones/common/stages.h"

namespace dnc {
namespace {

constexpr int64_t kBranches = 4;
constexpr int64_t kFirstStride = 4;
constexpr int64_t kStemChannels = 64;
constexpr int64_t kBottleneckExpansion = 4;

torch::Tensor upsampled(const torch::Tensor& map, const torch::Tensor& target,
                        HrnetUpsampling how) {
  const std::vector<int64_t> size{target.size(2), target.size(3)};
  return how == HrnetUpsampling::kNearest ? at::upsample_nearest2d(map, size)
                                          : at::upsample_bilinear2d(map, size, false);
}

}  // namespace

HrnetModule::HrnetModule(const HrnetModuleOptions& options) : options_(options) {
  const auto& channels = options.channels;
  auto& branches = *register_module("branches", std::make_shared<torch::nn::Module>());
  for (size_t i = 0; i < channels.size(); ++i) {
    StageOptions stage;
    stage.block.in_channels = stage.block.width = stage.block.out_channels = channels[i];
    stage.block.norm = options.norm;
    stage.blocks = options.blocks;
    stage.recompute = options.recompute;
    branches_.push_back(
        branches.register_module(std::to_string(i), std::make_shared<ResidualStage>(stage)));
  }
  auto& fuse = *register_module("fuse_layers", std::make_shared<torch::nn::Module>());
  for (size_t to = 0; to < channels.size(); ++to) {
    auto& layers = *fuse.register_module(std::to_string(to), std::make_shared<torch::nn::Module>());
    auto& into = fuse_layers_.emplace_back(channels.size());
    for (size_t from = 0; from < channels.size(); ++from) {
      if (from != to) into[from] = make_fuse_layer(layers, from, to);
    }
  }
}

std::vector<HrnetModule::Layer> HrnetModule::make_fuse_layer(torch::nn::Module& parent, size_t from,
                                                             size_t to) {
  const auto& channels = options_.channels;
  auto& layer =
      *parent.register_module(std::to_string(from), std::make_shared<torch::nn::Module>());
  const auto add = [&](torch::nn::Module& holder, int64_t out_channels, int64_t kernel,
                       int64_t stride) {
    auto conv =
        holder.register_module("0", convolution(channels[from], out_channels, kernel, stride));
    return Layer{conv, Norm(holder, "1", options_.norm, out_channels)};
  };
  if (from > to) return {add(layer, channels[to], 1, 1)};
  std::vector<Layer> steps;
  for (size_t i = from; i < to; ++i) {
    auto& step =
        *layer.register_module(std::to_string(i - from), std::make_shared<torch::nn::Module>());
    steps.push_back(add(step, i + 1 == to ? channels[to] : channels[from], 3, 2));
  }
  return steps;
}

torch::Tensor HrnetModule::brought(const torch::Tensor& map, size_t from, size_t to) {
  auto x = map;
  auto& layers = fuse_layers_[to][from];
  for (size_t i = 0; i < layers.size(); ++i) {
    x = layers[i].norm(layers[i].conv(x));
    if (i + 1 < layers.size()) x = x.relu_();
  }
  return x;
}

Features HrnetModule::forward(Features maps) {
  for (size_t i = 0; i < maps.size(); ++i) maps[i] = branches_[i]->forward(maps[i]);
  Features fused;
  for (size_t to = 0; to < maps.size(); ++to) {
    auto sum = maps[to];
    for (size_t from = 0; from < maps.size(); ++from) {
      if (from == to) continue;
      auto x = brought(maps[from], from, to);
      if (from > to) x = upsampled(x, sum, options_.upsampling);
      // The first sum makes a new tensor: the map itself is needed for the other sums.
      sum = x.add_(sum);
    }
    fused.push_back(sum.relu_());
  }
  return fused;
}

void Hrnet::Options::fields(Fields& f) {
  f.choice("size", size,
           {{"w18_small", Size::kW18Small},
            {"w18", Size::kW18},
            {"w32", Size::kW32},
            {"w40", Size::kW40},
            {"w48", Size::kW48}},
           "Channels of the finest branch; w18_small has fewer modules and blocks (hr18s of mmseg, "
           "w18_small_v2 of timm).")
      .alias("arch");
  f("width", width, "Channels of the finest branch, instead of the size's.").between(1, 1024);
  f.choice("upsampling", upsampling,
           {{"bilinear", HrnetUpsampling::kBilinear}, {"nearest", HrnetUpsampling::kNearest}},
           "How coarse maps become fine ones: bilinear as in mmseg and the authors' segmentation "
           "code, nearest as in timm and the authors' classification code.");
  f.group("norm", norm, "What follows each convolution.").alias("norm_cfg");
  f("out_stages", out_stages, "Branches whose maps are returned, 0 to 3, fine to coarse.")
      .between(0, kBranches - 1)
      .length(1, kBranches)
      .alias("out_indices");
  checkpoint_field(f, checkpoint_blocks);
}

Hrnet::Hrnet(const Options& options, const Context& context)
    : out_stages_(options.out_stages), norm_(options.norm) {
  norm_.ranks = context.ranks;
  check_out_stages(options.out_stages);
  const bool small = options.size == Size::kW18Small;
  static constexpr int64_t kWidths[] = {18, 18, 32, 40, 48};
  width_ = options.width.value_or(kWidths[static_cast<size_t>(options.size)]);

  const auto stem = [this](const std::string& number, int64_t in_channels) {
    auto conv = register_module("conv" + number, convolution(in_channels, kStemChannels, 3, 2));
    return Transition{conv, Norm(*this, "bn" + number, norm_, kStemChannels)};
  };
  stem_[0] = stem("1", 3);
  stem_[1] = stem("2", kStemChannels);
  StageOptions first;
  first.block.bottleneck = true;
  first.block.norm = norm_;
  first.block.in_channels = first.block.width = kStemChannels;
  first.block.out_channels = kBottleneckExpansion * kStemChannels;
  first.blocks = small ? 2 : 4;
  first.recompute = options.checkpoint_blocks;
  layer1_ = register_module("layer1", std::make_shared<ResidualStage>(first));

  HrnetModuleOptions module;
  module.channels = {width_};
  module.blocks = small ? 2 : 4;
  module.upsampling = options.upsampling;
  module.norm = norm_;
  module.recompute = options.checkpoint_blocks;
  const int64_t modules[] = {1, small ? 3 : 4, small ? 2 : 3};
  for (int64_t i = 0; i < kBranches - 1; ++i) {
    auto& transition = *register_module("transition" + std::to_string(i + 1),
                                        std::make_shared<torch::nn::Module>());
    if (i == 0) {
      auto& finest = *transition.register_module("0", std::make_shared<torch::nn::Module>());
      finest_ = make_transition(finest, first.block.out_channels, width_, 1);
    }
    auto& added =
        *transition.register_module(std::to_string(i + 1), std::make_shared<torch::nn::Module>());
    auto& steps = *added.register_module("0", std::make_shared<torch::nn::Module>());
    const int64_t in_channels = i == 0 ? first.block.out_channels : module.channels.back();
    module.channels.push_back(2 * module.channels.back());
    transitions_.push_back(make_transition(steps, in_channels, module.channels.back(), 2));
    auto& stage =
        *register_module("stage" + std::to_string(i + 2), std::make_shared<torch::nn::Module>());
    auto& stage_modules = stages_.emplace_back();
    for (int64_t j = 0; j < modules[i]; ++j) {
      stage_modules.push_back(
          stage.register_module(std::to_string(j), std::make_shared<HrnetModule>(module)));
    }
  }
  init_convolutions(*this);
}

Hrnet::Transition Hrnet::make_transition(torch::nn::Module& parent, int64_t in_channels,
                                         int64_t out_channels, int64_t stride) const {
  auto conv = parent.register_module("0", convolution(in_channels, out_channels, 3, stride));
  return {conv, Norm(parent, "1", norm_, out_channels)};
}

Features Hrnet::forward(const torch::Tensor& images) {
  auto x = images;
  for (auto& layer : stem_) x = layer.forward(x);
  x = layer1_->forward(x);
  Features maps{finest_.forward(x)};
  for (size_t i = 0; i < stages_.size(); ++i) {
    maps.push_back(transitions_[i].forward(i == 0 ? x : maps.back()));
    for (const auto& module : stages_[i]) maps = module->forward(std::move(maps));
  }
  Features picked;
  for (const auto stage : out_stages_) picked.push_back(maps[stage]);
  return picked;
}

std::vector<FeatureShape> Hrnet::shapes() const {
  std::vector<FeatureShape> shapes;
  for (const auto stage : out_stages_) shapes.push_back({width_ << stage, kFirstStride << stage});
  return shapes;
}

}  // namespace dnc
