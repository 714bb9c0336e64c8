#include "plugins/backbones/common/gradient_checkpointing.h"

#include <ATen/autocast_mode.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "plugins/backbones/convnext/network.h"
#include "plugins/backbones/resnet/network.h"
#include "plugins/backbones/swin_transformer/network.h"
#include "plugins/backbones/vision_transformer/network.h"
#include "tests/golden/golden.h"

namespace dnc {
namespace {

/// Counts the bytes that the CPU's allocator hands out and takes back on this thread.
class CountedBytes final : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t bytes, size_t, size_t, c10::Device) override {
    now += bytes;
    peak = std::max(peak, now);
  }
  bool memoryProfilingEnabled() const override { return true; }

  int64_t now = 0;
  int64_t peak = 0;
};

/// What a training step leaves, by name.
struct Step {
  std::map<std::string, torch::Tensor> results;  // outputs, gradients, buffers
  int64_t kept = 0;                              // bytes after the forward pass
  int64_t peak = 0;                              // bytes at most
};

template <typename Net>
Step train_step(const typename Net::Options& options, at::IntArrayRef shape) {
  torch::manual_seed(1);
  Net net(options);
  net.train();
  auto images = golden_values("images", shape).requires_grad_();
  Step step;
  const auto bytes = std::make_shared<CountedBytes>();
  {
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, bytes);
    auto out = net.forward(images).back();
    step.kept = bytes->now;
    step.results["out"] = out.detach().clone();
    (out * golden_values("probe", out.sizes())).sum().backward();
    step.peak = bytes->peak;
  }
  step.results["images"] = images.grad();
  step.results["random numbers after it"] = torch::rand({4});
  for (const auto& item : net.named_parameters()) step.results[item.key()] = item.value().grad();
  for (const auto& item : net.named_buffers()) step.results[item.key()] = item.value();
  return step;
}

/// Whether a step with checkpointed blocks has the same results, bit for bit, in less memory.
template <typename Net>
void expect_same_in_less(typename Net::Options options, at::IntArrayRef shape) {
  options.checkpoint_blocks = false;
  const auto plain = train_step<Net>(options, shape);
  options.checkpoint_blocks = true;
  const auto checkpointed = train_step<Net>(options, shape);
  ASSERT_EQ(plain.results.size(), checkpointed.results.size());
  for (const auto& [name, tensor] : plain.results) {
    const auto& other = checkpointed.results.at(name);
    ASSERT_EQ(tensor.defined(), other.defined()) << name;
    if (!tensor.defined()) continue;
    EXPECT_TRUE(torch::equal(tensor, other)) << name;
  }
  EXPECT_LT(checkpointed.kept, plain.kept / 2);
  EXPECT_LT(checkpointed.peak, plain.peak);
}

ResNet::Options resnet() {
  ResNet::Options options;
  options.depth = 50;
  options.width = 16;
  return options;
}

SwinTransformer::Options swin() {
  SwinTransformer::Options options;
  options.embed_dims = 24;
  options.depths = {2, 2, 3, 2};
  options.heads = {2, 3, 4, 6};
  options.window = 4;
  options.stochastic_depth = 0.5;
  return options;
}

TEST(GradientCheckpointing, ResNetTrainsTheSameInLessMemory) {
  expect_same_in_less<ResNet>(resnet(), {4, 3, 64, 64});
}

TEST(GradientCheckpointing, ResNetWithStochasticDepthTrainsTheSameInLessMemory) {
  auto options = resnet();
  options.stochastic_depth = 0.5;
  expect_same_in_less<ResNet>(options, {4, 3, 64, 64});
}

TEST(GradientCheckpointing, SwinTransformerTrainsTheSameInLessMemory) {
  expect_same_in_less<SwinTransformer>(swin(), {4, 3, 75, 52});
}

TEST(GradientCheckpointing, VisionTransformerTrainsTheSameInLessMemory) {
  VisionTransformer::Options options;
  options.embed_dims = 24;
  options.depth = 6;
  options.heads = 3;
  options.patch = 8;
  options.image_size = 32;
  options.stochastic_depth = 0.5;
  expect_same_in_less<VisionTransformer>(options, {4, 3, 45, 32});
}

TEST(GradientCheckpointing, ConvNextTrainsTheSameInLessMemory) {
  ConvNext::Options options;
  options.width = 16;
  options.depths = {2, 2, 3, 2};
  options.layer_scale = 1;
  options.stochastic_depth = 0.5;
  expect_same_in_less<ConvNext>(options, {4, 3, 75, 70});
}

// The first block that learns gets an input that wants no gradient.
TEST(GradientCheckpointing, BlocksLearnBehindFrozenStages) {
  auto of_resnet = resnet();
  of_resnet.frozen_stages = 1;
  expect_same_in_less<ResNet>(of_resnet, {4, 3, 64, 64});
  auto of_swin = swin();
  of_swin.frozen_stages = 1;
  expect_same_in_less<SwinTransformer>(of_swin, {4, 3, 75, 52});
}

TEST(GradientCheckpointing, TheSecondRunSeesTheSameAutocast) {
  at::autocast::set_autocast_dtype(torch::kCPU, torch::kBFloat16);
  const auto step = [](bool checkpoint_blocks) {
    torch::manual_seed(1);
    auto options = swin();
    options.checkpoint_blocks = checkpoint_blocks;
    SwinTransformer net(options);
    at::autocast::set_autocast_enabled(torch::kCPU, true);
    auto out = net.forward(golden_values("images", {2, 3, 32, 32})).back();
    at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(torch::kCPU, false);
    out.sum().backward();
    EXPECT_FALSE(at::autocast::is_autocast_enabled(torch::kCPU));
    EXPECT_TRUE(at::autocast::is_autocast_cache_enabled());
    return net.named_parameters()["features.1.0.attn.qkv.weight"].grad();
  };
  EXPECT_TRUE(torch::equal(step(false), step(true)));
}

TEST(GradientCheckpointing, GradientsOfSeveralMapsAreTheSameButForRounding) {
  const auto gradient = [](bool checkpoint_blocks) {
    torch::manual_seed(1);
    auto options = resnet();
    options.out_stages = {0, 1, 2, 3};
    options.checkpoint_blocks = checkpoint_blocks;
    ResNet net(options);
    auto loss = torch::zeros({});
    for (const auto& map : net.forward(golden_values("images", {2, 3, 64, 64}))) {
      loss = loss + (map * golden_values("probe", map.sizes())).sum();
    }
    loss.backward();
    return net.named_parameters()["layer1.0.conv1.weight"].grad();
  };
  EXPECT_TRUE(is_close(gradient(true), gradient(false), 1e-4));
}

TEST(GradientCheckpointing, KeepsNothingWithoutGradients) {
  auto options = swin();
  options.checkpoint_blocks = true;
  SwinTransformer net(options);
  net.eval();
  const torch::NoGradGuard no_grad;
  EXPECT_FALSE(net.forward(golden_values("images", {1, 3, 32, 32})).back().requires_grad());
}

TEST(GradientCheckpointing, RefusesSecondDerivatives) {
  struct Square : torch::nn::Module {
    Square() { weight = register_parameter("weight", torch::ones({1})); }
    torch::Tensor weight;
  };
  Square square;
  const auto x = torch::ones({3}).requires_grad_();
  const auto y = checkpoint(
      square, [&](const torch::Tensor& in) { return in * in * square.weight; }, x);
  try {
    torch::autograd::grad({y.sum()}, {x}, {}, /*retain_graph=*/true, /*create_graph=*/true);
    FAIL() << "gave a gradient that cannot be differentiated";
  } catch (const c10::Error& error) {
    EXPECT_STREQ(error.what_without_backtrace(),
                 "a checkpointed block has no second derivatives; turn off checkpoint_blocks");
  }
  const auto gradient = torch::autograd::grad({y.sum()}, {x, square.weight});
  EXPECT_TRUE(torch::equal(gradient[0], torch::full({3}, 2.0)));
  EXPECT_TRUE(torch::equal(gradient[1], torch::full({1}, 3.0)));
}

}  // namespace
}  // namespace dnc
