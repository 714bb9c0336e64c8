#include <gtest/gtest.h>

#include <string>

#include "plugins/backbones/mix_vision_transformer/network.h"
#include "tests/plugins/backbones/backbone_golden.h"
#include "tests/plugins/component.h"

namespace dnc {
namespace {

const std::vector<int64_t> kImages = {2, 3, 75, 52};

MixVisionTransformer::Options small() {
  MixVisionTransformer::Options options;
  options.embed_dims = 8;
  options.depths = {2, 1, 2, 1};
  options.stochastic_depth = 0;
  return options;
}

// Float64 on both sides; forward within 1e-5, gradients within 1e-4 of the largest value.
TEST(MixVisionTransformer, MatchesReference) {
  MixVisionTransformer net(small());
  expect_golden(Golden::load("segmentation_backbones.txt"), "mix_vision_transformer", net, kImages);
}

TEST(MixVisionTransformer, HasMmsegsNamesAndShapesInItsOrder) {
  expect_state(Golden::load("segmentation_backbones.txt"), "mix_vision_transformer",
               MixVisionTransformer(small()));
}

// In millions as in table 1 of Xie et al. 2021, which rounds 3.32 up to 3.4.
TEST(MixVisionTransformer, HasThePublishedNumberOfParameters) {
  const auto golden = Golden::load("segmentation_backbones.txt");
  using Size = MixVisionTransformer::Size;
  const std::tuple<Size, std::string, double> published[] = {
      {Size::kB0, "b0", 3.4},  {Size::kB1, "b1", 13.1}, {Size::kB2, "b2", 24.2},
      {Size::kB3, "b3", 44.0}, {Size::kB4, "b4", 60.8}, {Size::kB5, "b5", 81.4}};
  for (const auto& [size, name, millions] : published) {
    MixVisionTransformer::Options options;
    options.size = size;
    const auto count = parameter_count(MixVisionTransformer(options));
    EXPECT_EQ(count, golden["mix_vision_transformer_" + name + "/parameters"].item<int64_t>());
    EXPECT_NEAR(static_cast<double>(count) / 1e6, millions, 0.1) << name;
  }
}

TEST(MixVisionTransformer, GivesTheMapsThatShapesPromise) {
  MixVisionTransformer net(small());
  expect_shapes(net, 64, 64);
  expect_shapes(net, 33, 51);
  expect_shapes(net, 29, 29);
}

TEST(MixVisionTransformer, BuildsNoStageAfterTheLastThatIsAskedFor) {
  auto options = small();
  MixVisionTransformer whole(options);
  options.out_stages = {0, 2};
  MixVisionTransformer net(options);
  EXPECT_TRUE(net.named_parameters().contains("layers.2.2.weight"));
  EXPECT_FALSE(net.named_parameters().contains("layers.3.2.weight"));
  expect_maps_of(whole, net, {0, 2}, kImages);
}

TEST(MixVisionTransformer, KeepsChannelsLast) {
  MixVisionTransformer net(small());
  net.eval();
  const auto images = golden_values("images", kImages);
  const auto expected = net.forward(images);
  const auto maps = net.forward(images.contiguous(torch::MemoryFormat::ChannelsLast));
  for (size_t i = 0; i < maps.size(); ++i) {
    EXPECT_TRUE(maps[i].is_contiguous(torch::MemoryFormat::ChannelsLast));
    EXPECT_TRUE(is_close(maps[i], expected[i], 1e-5));
  }
}

TEST(MixVisionTransformer, GivesAnImageTheSameWhateverTheBatch) {
  MixVisionTransformer net(small());
  expect_images_apart(net, {3, 3, 75, 52});
}

TEST(MixVisionTransformer, SkipsBlocksAtRandomInTrainingOnly) {
  auto options = small();
  options.stochastic_depth = 0.5;
  MixVisionTransformer net(options);
  expect_random_in_training_only(net, kImages);
}

TEST(MixVisionTransformer, IsTracedForAnyNumberOfImages) {
  MixVisionTransformer net(small());
  expect_traced(net, {1, 3, 75, 52}, {3, 3, 75, 52});
}

TEST(MixVisionTransformer, CheckpointedBlocksGiveTheSameGradients) {
  auto options = small();
  MixVisionTransformer plain(options);
  options.checkpoint_blocks = true;
  MixVisionTransformer checkpointed(options);
  for (auto* net : {&plain, &checkpointed}) {
    fill(*net);
    net->forward(golden_images(kImages)).back().square().sum().backward();
  }
  const auto expected = plain.named_parameters();
  for (const auto& item : checkpointed.named_parameters()) {
    if (!expected[item.key()].grad().defined()) continue;
    EXPECT_TRUE(torch::equal(item.value().grad(), expected[item.key()].grad())) << item.key();
  }
}

TEST(MixVisionTransformer, BeginsAsTheAuthorsDo) {
  torch::manual_seed(1);
  const MixVisionTransformer net({});
  const auto parameters = net.named_parameters();
  const auto deviation = [&](const std::string& name) {
    return parameters[name].std().item<double>();
  };
  EXPECT_NEAR(deviation("layers.3.1.0.attn.attn.in_proj_weight"), 0.02, 1e-3);
  EXPECT_NEAR(deviation("layers.3.1.0.attn.attn.out_proj.weight"), 0.02, 1e-3);
  EXPECT_NEAR(deviation("layers.3.1.0.ffn.layers.0.weight"), std::sqrt(2.0 / 1024), 1e-3);
  EXPECT_NEAR(deviation("layers.3.1.0.ffn.layers.1.weight"), std::sqrt(2.0 / 9), 2e-2);
  EXPECT_NEAR(deviation("layers.1.0.projection.weight"), std::sqrt(2.0 / (64 * 9)), 2e-3);
}

TEST(MixVisionTransformer, TakesOptionsUnderOpenMmlabNames) {
  const auto net = build_component<Backbone, MixVisionTransformer>(
      "{type: T, in_channels: 3, embed_dims: 16, num_layers: [1, 1, 1, 1], num_heads: [1, 2, 4, "
      "8], sr_ratios: [4, 2, 2, 1], out_indices: [1, 3], drop_path_rate: 0.2}");
  const auto shapes = net->shapes();
  ASSERT_EQ(shapes.size(), 2);
  EXPECT_EQ(shapes[0].channels, 32);
  EXPECT_EQ(shapes[0].stride, 8);
  EXPECT_EQ(shapes[1].channels, 128);
  EXPECT_EQ(shapes[1].stride, 32);
  EXPECT_EQ(net->named_parameters()["layers.0.1.0.attn.sr.weight"].size(2), 4);
}

TEST(MixVisionTransformer, RefusesWrongOptions) {
  EXPECT_EQ((build_error<Backbone, MixVisionTransformer>("type: T\ndepths: [2, 2]\n")),
            "test.yaml:2:9: 'depths' must have 4 items, one a stage, not 2");
  EXPECT_EQ((build_error<Backbone, MixVisionTransformer>("type: T\nout_stages: [3, 1]\n")),
            "test.yaml:2:13: 'out_stages' must name each stage once, from fine to coarse");
  EXPECT_NE((build_error<Backbone, MixVisionTransformer>("type: T\nheads: [1, 2]\n")), "");
  EXPECT_NE((build_error<Backbone, MixVisionTransformer>("type: T\nsize: b6\n")), "");
  EXPECT_NE((build_error<Backbone, MixVisionTransformer>("type: T\nreductions: [0, 1, 1, 1]\n")),
            "");
}

TEST(MixVisionTransformer, RefusesImagesThatAreTooSmall) {
  MixVisionTransformer net(small());
  try {
    net.forward(torch::zeros({1, 3, 28, 64}));
    FAIL() << "did not throw";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "MixVisionTransformer: images of 28x64 pixels are too small: stage 0 needs a map "
                 "of 8 pixels each way. Make them larger, or set reductions");
  }
}

}  // namespace
}  // namespace dnc
