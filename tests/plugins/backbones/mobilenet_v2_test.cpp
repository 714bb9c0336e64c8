#include <gtest/gtest.h>

#include <string>

#include "plugins/backbones/mobilenet_v2/network.h"
#include "tests/plugins/backbones/backbone_golden.h"
#include "tests/plugins/component.h"

namespace dnc {
namespace {

const std::vector<int64_t> kImages = {2, 3, 67, 53};

MobileNetV2::Options all_stages(double width_multiplier) {
  MobileNetV2::Options options;
  options.width_multiplier = width_multiplier;
  options.out_stages = {0, 1, 2, 3, 4, 5, 6, 7};
  return options;
}

// Float64 on both sides; forward within 1e-5, gradients within 1e-4 of the largest value.
TEST(MobileNetV2, MatchesTorchvision) {
  MobileNetV2 net(all_stages(1));
  expect_golden(Golden::load("modern_backbones.txt"), "mobilenet_v2_1", net, kImages);
}

TEST(MobileNetV2, MatchesTorchvisionWithFewerChannels) {
  MobileNetV2 net(all_stages(0.35));
  expect_golden(Golden::load("modern_backbones.txt"), "mobilenet_v2_0.35", net, kImages);
}

TEST(MobileNetV2, HasTorchvisionsNumberOfParameters) {
  const auto golden = Golden::load("modern_backbones.txt");
  for (const auto& [multiplier, name] :
       std::vector<std::pair<double, std::string>>{{0.35, "0.35"}, {1, "1"}, {1.4, "1.4"}}) {
    EXPECT_EQ(parameter_count(MobileNetV2(all_stages(multiplier))),
              golden["mobilenet_v2_" + name + "/parameters"].item<int64_t>())
        << multiplier;
  }
}

TEST(MobileNetV2, HasTorchvisionsNamesAndShapesInItsOrder) {
  const auto golden = Golden::load("modern_backbones.txt");
  expect_state(golden, "mobilenet_v2_1", MobileNetV2(all_stages(1)));
  expect_state(golden, "mobilenet_v2_0.35", MobileNetV2(all_stages(0.35)));
}

TEST(MobileNetV2, GivesTheMapsThatShapesPromise) {
  MobileNetV2 net(all_stages(0.5));
  expect_shapes(net, 64, 64);
  expect_shapes(net, 33, 51);
  expect_shapes(net, 1, 1);
}

TEST(MobileNetV2, BuildsNoStageAfterTheLastThatIsAskedFor) {
  auto options = all_stages(0.35);
  MobileNetV2 whole(options);
  options.out_stages = {1, 4};
  MobileNetV2 net(options);
  EXPECT_TRUE(net.named_parameters().contains("features.13.conv.3.weight"));
  EXPECT_FALSE(net.named_parameters().contains("features.14.conv.3.weight"));
  expect_maps_of(whole, net, {1, 4}, kImages);
}

TEST(MobileNetV2, KeepsChannelsLast) {
  MobileNetV2 net(all_stages(0.35));
  net.eval();
  const auto images = golden_values("images", kImages);
  const auto expected = net.forward(images).back();
  const auto map = net.forward(images.contiguous(torch::MemoryFormat::ChannelsLast)).back();
  EXPECT_TRUE(map.is_contiguous(torch::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(is_close(map, expected, 1e-5));
}

TEST(MobileNetV2, GivesAnImageTheSameWhateverTheBatch) {
  MobileNetV2 net(all_stages(0.35));
  expect_images_apart(net, {3, 3, 67, 53});
}

TEST(MobileNetV2, IsTracedForAnySize) {
  MobileNetV2 net(all_stages(0.35));
  expect_traced(net, {1, 3, 64, 64}, {3, 3, 67, 53});
}

TEST(MobileNetV2, TakesOptionsUnderOpenMmlabNames) {
  const auto net = build_component<Backbone, MobileNetV2>(
      "{type: T, widen_factor: 1.4, out_indices: [1, 2, 4, 6, 7]}");
  const auto shapes = net->shapes();
  ASSERT_EQ(shapes.size(), 5);
  EXPECT_EQ(shapes[0].channels, 32);
  EXPECT_EQ(shapes[0].stride, 4);
  EXPECT_EQ(shapes[3].channels, 448);
  EXPECT_EQ(shapes[3].stride, 32);
  EXPECT_EQ(shapes[4].channels, 1792);
  const auto narrow = build_component<Backbone, MobileNetV2>("{type: T, width_multiplier: 0.1}");
  EXPECT_EQ(narrow->shapes().at(0).channels, 1280);
}

TEST(MobileNetV2, RefusesWrongOptions) {
  EXPECT_EQ((build_error<Backbone, MobileNetV2>("type: T\nout_stages: [7, 1]\n")),
            "test.yaml:2:13: 'out_stages' must name each stage once, from fine to coarse");
  EXPECT_EQ((build_error<Backbone, MobileNetV2>("type: T\nout_stages: [8]\n")),
            "test.yaml:2:14: 'out_stages.0' must be from 0 to 7, not 8");
  EXPECT_EQ((build_error<Backbone, MobileNetV2>("type: T\nwidth_multiplier: 0\n")),
            "test.yaml:2:19: 'width_multiplier' must be above 0 and at most 16, not 0");
}

}  // namespace
}  // namespace dnc
