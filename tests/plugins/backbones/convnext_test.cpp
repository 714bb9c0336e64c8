#include <gtest/gtest.h>

#include <string>

#include "plugins/backbones/convnext/network.h"
#include "tests/plugins/backbones/backbone_golden.h"
#include "tests/plugins/component.h"

namespace dnc {
namespace {

using Output = ConvNext::Output;

const std::vector<int64_t> kImages = {2, 3, 75, 70};

ConvNext::Options small_net(Output output = Output::kPooled) {
  ConvNext::Options options;
  options.width = 8;
  options.depths = {1, 2, 3, 1};
  options.layer_scale = 1;
  options.stochastic_depth = 0;
  options.output = output;
  if (output == Output::kMap) options.out_stages = {0, 1, 2, 3};
  return options;
}

// Float64 on both sides; forward within 1e-5, gradients within 1e-4 of the largest value.
TEST(ConvNext, PooledOutputMatchesTorchvision) {
  ConvNext net(small_net());
  expect_golden(Golden::load("modern_backbones.txt"), "convnext", net, kImages);
}

TEST(ConvNext, MapsMatchTorchvisionWithANormForEach) {
  ConvNext net(small_net(Output::kMap));
  expect_golden(Golden::load("modern_backbones.txt"), "convnext_map", net, kImages);
}

TEST(ConvNext, HasTorchvisionsNumberOfParameters) {
  expect_parameter_counts<ConvNext>(Golden::load("modern_backbones.txt"), "convnext");
}

TEST(ConvNext, HasTorchvisionsNamesAndShapesInItsOrder) {
  const auto golden = Golden::load("modern_backbones.txt");
  expect_state(golden, "convnext", ConvNext(small_net()));
  expect_state(golden, "convnext_map", ConvNext(small_net(Output::kMap)));
}

TEST(ConvNext, GivesTheMapsThatShapesPromise) {
  ConvNext net(small_net(Output::kMap));
  expect_shapes(net, 64, 64);
  expect_shapes(net, 32, 96);
}

TEST(ConvNext, GivesPooledOutputsAsOnePixel) {
  auto options = small_net();
  options.out_stages = {1, 3};
  ConvNext net(options);
  const auto outputs = net.forward(torch::zeros({2, 3, 64, 96}));
  ASSERT_EQ(outputs.size(), 2);
  EXPECT_EQ(outputs[0].sizes().vec(), (std::vector<int64_t>{2, 16, 1, 1}));
  EXPECT_EQ(outputs[1].sizes().vec(), (std::vector<int64_t>{2, 64, 1, 1}));
}

TEST(ConvNext, BuildsNoStageAfterTheLastThatIsAskedFor) {
  auto options = small_net(Output::kMap);
  ConvNext whole(options);
  options.out_stages = {0, 2};
  ConvNext net(options);
  EXPECT_FALSE(net.named_parameters().contains("features.6.0.weight"));
  EXPECT_FALSE(net.named_parameters().contains("norm.weight"));
  expect_maps_of(whole, net, {0, 2}, kImages);
}

TEST(ConvNext, GivesAnImageTheSameWhateverTheBatch) {
  for (const auto output : {Output::kPooled, Output::kMap}) {
    ConvNext net(small_net(output));
    expect_images_apart(net, {3, 3, 75, 70});
  }
}

TEST(ConvNext, SkipsBlocksAtRandomInTrainingOnly) {
  auto options = small_net(Output::kMap);
  options.stochastic_depth = 0.5;
  ConvNext net(options);
  expect_random_in_training_only(net, {4, 3, 32, 32});
}

TEST(ConvNext, FrozenStagesDoNotLearn) {
  auto options = small_net(Output::kMap);
  const std::vector<int64_t> shape = {2, 3, 64, 64};
  options.out_stages = {3};
  std::vector<std::string> frozen;
  for (const int64_t stages : {-1, 0, 2}) {
    options.frozen_stages = stages;
    ConvNext net(options);
    if (stages == 0) frozen = {"features.0."};
    if (stages == 2) frozen = {"features.0.", "features.1.", "features.2.", "features.3."};
    expect_frozen(net, frozen, shape);
  }
}

TEST(ConvNext, IsTracedForAnySize) {
  ConvNext net(small_net(Output::kMap));
  expect_traced(net, {1, 3, 64, 64}, {3, 3, 75, 70});
}

TEST(ConvNext, KeepsChannelsLast) {
  ConvNext net(small_net(Output::kMap));
  net.eval();
  const auto images = golden_values("images", kImages);
  const auto expected = net.forward(images).front();
  const auto map = net.forward(images.contiguous(torch::MemoryFormat::ChannelsLast)).front();
  EXPECT_TRUE(map.is_contiguous(torch::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(is_close(map, expected, 1e-5));
}

TEST(ConvNext, StartsWithSmallLayerScalesAndDeviation002) {
  torch::manual_seed(1);
  ConvNext::Options options;
  options.out_stages = {1};
  const ConvNext net(options);
  for (const auto& item : net.named_parameters()) {
    const auto& value = item.value();
    if (value.dim() == 3) {
      EXPECT_TRUE((value == 1e-6f).all().item<bool>()) << item.key();
    } else if (value.dim() > 1) {
      EXPECT_NEAR(value.std().item<double>(), 0.02, 0.001) << item.key();
    }
  }
}

TEST(ConvNext, RefusesImagesThatAreTooSmall) {
  ConvNext net(small_net());
  try {
    net.forward(torch::zeros({1, 3, 64, 31}));
    FAIL() << "took an image of 64x31";
  } catch (const c10::Error& error) {
    EXPECT_STREQ(error.what_without_backtrace(),
                 "ConvNeXt: images must have at least 32 pixels each way, got [1, 3, 64, 31]");
  }
}

TEST(ConvNext, TakesOptionsUnderOpenMmlabNames) {
  const auto net = build_component<Backbone, ConvNext>(
      "{type: T, arch: base, depths: [1, 1, 1, 1], out_indices: [2, 3], drop_path_rate: 0.4, "
      "layer_scale_init_value: 0.5, output: map, frozen_stages: 1, with_cp: true}");
  const auto shapes = net->shapes();
  ASSERT_EQ(shapes.size(), 2);
  EXPECT_EQ(shapes[0].channels, 512);
  EXPECT_EQ(shapes[0].stride, 16);
  EXPECT_EQ(shapes[1].channels, 1024);
  EXPECT_EQ(shapes[1].stride, 32);
}

TEST(ConvNext, RefusesWrongOptions) {
  EXPECT_EQ((build_error<Backbone, ConvNext>("type: T\nout_stages: [1, 0]\n")),
            "test.yaml:2:13: 'out_stages' must name each stage once, from fine to coarse");
  EXPECT_EQ((build_error<Backbone, ConvNext>("type: T\nstochastic_depth: 1\n")),
            "test.yaml:2:19: 'stochastic_depth' must be at least 0 and below 1, not 1");
  EXPECT_EQ((build_error<Backbone, ConvNext>("type: T\ndepths: [3, 3]\n")),
            "test.yaml:2:9: 'depths' must have 4 items, one a stage, not 2");
  EXPECT_NE((build_error<Backbone, ConvNext>("type: T\nsize: atto\n")), "");
}

}  // namespace
}  // namespace dnc
