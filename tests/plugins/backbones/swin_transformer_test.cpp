#include <gtest/gtest.h>

#include <future>
#include <string>

#include "plugins/backbones/swin_transformer/network.h"
#include "tests/plugins/backbones/backbone_golden.h"
#include "tests/plugins/component.h"

namespace dnc {
namespace {

// Maps of 19x13, 10x7, 5x4 (a single window one way) and 3x2 (both ways).
const std::vector<int64_t> kImages = {2, 3, 75, 52};

SwinTransformer::Options small_net() {
  SwinTransformer::Options options;
  options.embed_dims = 24;
  options.depths = {2, 2, 3, 2};
  options.heads = {2, 3, 4, 6};
  options.window = 4;
  options.stochastic_depth = 0;
  options.out_stages = {0, 1, 2, 3};
  return options;
}

// Float64 on both sides; forward within 1e-5, gradients within 1e-4 of the largest value.
TEST(SwinTransformer, MatchesTorchvision) {
  SwinTransformer net(small_net());
  expect_golden(Golden::load("modern_backbones.txt"), "swin", net, kImages);
}

TEST(SwinTransformer, MatchesMmsegWithANormForEachMapAndShiftsInASingleWindow) {
  auto options = small_net();
  options.norm_each = true;
  options.shift_single_window = true;
  SwinTransformer net(options);
  expect_golden(Golden::load("modern_backbones.txt"), "swin_norm_each_shift", net, kImages);
}

TEST(SwinTransformer, HasTorchvisionsNumberOfParameters) {
  expect_parameter_counts<SwinTransformer>(Golden::load("modern_backbones.txt"), "swin");
}

TEST(SwinTransformer, HasTorchvisionsNamesAndShapesInItsOrder) {
  const auto golden = Golden::load("modern_backbones.txt");
  auto options = small_net();
  expect_state(golden, "swin", SwinTransformer(options));
  options.norm_each = true;
  expect_state(golden, "swin_norm_each", SwinTransformer(options));
}

TEST(SwinTransformer, GivesTheMapsThatShapesPromise) {
  SwinTransformer net(small_net());
  expect_shapes(net, 64, 64);
  expect_shapes(net, 33, 90);
  expect_shapes(net, 64, 64);
  expect_shapes(net, 1, 1);
}

TEST(SwinTransformer, GivesManyThreadsWhatItGivesOne) {
  torch::manual_seed(7);
  SwinTransformer net(small_net());
  net.eval();
  const auto forward = [&](const torch::Tensor& images) {
    const torch::NoGradGuard no_grad;
    return net.forward(images).back();
  };
  std::vector<torch::Tensor> images, expected;
  for (const int64_t size : {32, 48, 80, 96}) {
    images.push_back(torch::rand({1, 3, size, size + 16}));
    expected.push_back(forward(images.back()));
  }
  std::vector<std::future<bool>> threads;
  for (size_t i = 0; i < images.size(); ++i) {
    threads.push_back(std::async(std::launch::async, [&, i] {
      for (int round = 0; round < 40; ++round) {
        if (!torch::allclose(forward(images[i]), expected[i])) return false;
      }
      return true;
    }));
  }
  for (auto& thread : threads) EXPECT_TRUE(thread.get());
}

TEST(SwinTransformer, BuildsNoStageAfterTheLastThatIsAskedFor) {
  auto options = small_net();
  SwinTransformer whole(options);
  options.out_stages = {0, 2};
  SwinTransformer net(options);
  EXPECT_FALSE(net.named_parameters().contains("features.6.norm.weight"));
  EXPECT_FALSE(net.named_parameters().contains("norm.weight"));
  expect_maps_of(whole, net, {0, 2}, kImages);
}

TEST(SwinTransformer, GivesTheSameForAnySizeSeenBefore) {
  SwinTransformer net(small_net());
  net.eval();
  const auto images = golden_values("images", {1, 3, 40, 64});
  const auto before = net.forward(images).back();
  net.forward(golden_values("images", {1, 3, 64, 40}));
  EXPECT_TRUE(torch::equal(net.forward(images).back(), before));
}

TEST(SwinTransformer, TrainsOnASizeFirstSeenInInferenceMode) {
  SwinTransformer net(small_net());
  const auto images = golden_values("images", {1, 3, 40, 64});
  {
    const c10::InferenceMode inference;
    net.forward(images);
  }
  net.forward(images).back().sum().backward();
  for (const auto& item : net.named_parameters()) {
    EXPECT_TRUE(item.value().grad().defined()) << item.key();
  }
}

TEST(SwinTransformer, GivesAnImageTheSameWhateverTheBatch) {
  auto options = small_net();
  options.stochastic_depth = 0.9;
  SwinTransformer net(options);
  expect_images_apart(net, {3, 3, 75, 52});
}

TEST(SwinTransformer, SkipsBlocksAtRandomInTrainingOnly) {
  auto options = small_net();
  options.stochastic_depth = 0.5;
  SwinTransformer net(options);
  expect_random_in_training_only(net, {4, 3, 32, 32});
}

TEST(SwinTransformer, FrozenStagesDoNotLearn) {
  auto options = small_net();
  const auto frozen = [&](int64_t stages) {
    options.frozen_stages = stages;
    return SwinTransformer(options);
  };
  const std::vector<int64_t> shape = {2, 3, 32, 32};
  auto nothing = frozen(-1);
  expect_frozen(nothing, {}, shape);
  auto embedding = frozen(0);
  expect_frozen(embedding, {"features.0."}, shape);
  options.norm_each = true;
  options.out_stages = {0, 3};
  auto two = frozen(2);
  expect_frozen(
      two, {"features.0.", "features.1.", "features.2.", "features.3.", "features.4.", "norm0."},
      shape);
}

TEST(SwinTransformer, FrozenBlocksAreNotSkippedAtRandom) {
  auto options = small_net();
  options.stochastic_depth = 0.5;
  options.frozen_stages = 4;
  SwinTransformer net(options);
  expect_frozen(net, {"features.", "norm"}, {2, 3, 32, 32});
  const auto images = golden_values("images", {4, 3, 32, 32});
  EXPECT_TRUE(torch::equal(net.forward(images).back(), net.forward(images).back()));
}

TEST(SwinTransformer, IsTracedForAnyNumberOfImages) {
  SwinTransformer net(small_net());
  expect_traced(net, {1, 3, 75, 52}, {3, 3, 75, 52});
}

TEST(SwinTransformer, TakesChannelsLastImages) {
  SwinTransformer net(small_net());
  net.eval();
  const auto images = golden_values("images", kImages);
  const auto map = net.forward(images.contiguous(torch::MemoryFormat::ChannelsLast)).back();
  EXPECT_TRUE(is_close(map, net.forward(images).back(), 1e-5));
}

TEST(SwinTransformer, DrawsLinearLayersAndPositionsWithDeviation002) {
  torch::manual_seed(1);
  SwinTransformer::Options options;
  options.out_stages = {0, 1};
  const SwinTransformer net(options);
  for (const auto& item : net.named_parameters()) {
    const auto& value = item.value();
    if (value.dim() == 2 && value.numel() > 1000) {
      EXPECT_NEAR(value.std().item<double>(), 0.02, 0.001) << item.key();
    } else if (value.dim() == 1 && item.key() != "features.0.0.bias") {
      const double expected =
          item.key().find("norm") != std::string::npos || item.key() == "features.0.2.weight";
      const bool bias = item.key().find("bias") != std::string::npos;
      EXPECT_TRUE((value == (bias ? 0.0 : expected)).all().item<bool>()) << item.key();
    }
  }
}

TEST(SwinTransformer, TakesOptionsUnderOpenMmlabNames) {
  const auto net = build_component<Backbone, SwinTransformer>(
      "{type: T, arch: tiny, embed_dims: 16, num_heads: [1, 2, 4, 8], window_size: 5, "
      "drop_path_rate: 0.3, out_indices: [1, 3], frozen_stages: 1, with_cp: true}");
  const auto shapes = net->shapes();
  ASSERT_EQ(shapes.size(), 2);
  EXPECT_EQ(shapes[0].channels, 32);
  EXPECT_EQ(shapes[0].stride, 8);
  EXPECT_EQ(shapes[1].channels, 128);
  EXPECT_EQ(shapes[1].stride, 32);
  EXPECT_EQ(net->named_parameters()["features.5.0.attn.relative_position_bias_table"].sizes().vec(),
            (std::vector<int64_t>{81, 4}));
}

TEST(SwinTransformer, RefusesWrongOptions) {
  EXPECT_NE((build_error<Backbone, SwinTransformer>("type: T\nfrozen_stages: 5\n")), "");
  EXPECT_EQ((build_error<Backbone, SwinTransformer>("type: T\nheads: [3, 6, 7, 24]\n")),
            "test.yaml:2:8: 'heads' must divide the 384 channels of stage 2, not 7");
  EXPECT_EQ((build_error<Backbone, SwinTransformer>("type: T\nout_stages: [3, 3]\n")),
            "test.yaml:2:13: 'out_stages' must name each stage once, from fine to coarse");
  EXPECT_EQ((build_error<Backbone, SwinTransformer>("type: T\ndepths: [2, 2, 6]\n")),
            "test.yaml:2:9: 'depths' must have 4 items, one a stage, not 3");
  EXPECT_EQ((build_error<Backbone, SwinTransformer>("type: T\nheads: [4]\n")),
            "test.yaml:2:8: 'heads' must have 4 items, one a stage, not 1");
  EXPECT_NE((build_error<Backbone, SwinTransformer>("type: T\nstochastic_depth: 1\n")), "");
  EXPECT_NE((build_error<Backbone, SwinTransformer>("type: T\nsize: huge\n")), "");
}

}  // namespace
}  // namespace dnc
