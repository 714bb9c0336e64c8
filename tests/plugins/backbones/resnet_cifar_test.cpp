#include <gtest/gtest.h>

#include <string>

#include "plugins/backbones/resnet_cifar/network.h"
#include "tests/plugins/backbones/backbone_golden.h"
#include "tests/plugins/component.h"
#include "tests/plugins/traced.h"

namespace dnc {
namespace {

const std::vector<int64_t> kImages = {2, 3, 29, 22};

ResNetCifar::Options all_stages(int64_t depth, Shortcut shortcut = Shortcut::kIdentity) {
  ResNetCifar::Options options;
  options.depth = depth;
  options.shortcut = shortcut;
  options.out_stages = {0, 1, 2};
  return options;
}

void expect_reference(int64_t depth, Shortcut shortcut, const std::string& name) {
  const auto golden = Golden::load("backbones.txt");
  ResNetCifar net(all_stages(depth, shortcut));
  EXPECT_EQ(parameter_count(net), golden[name + "/parameters"].item<int64_t>());
  expect_golden(golden, name, net, kImages);
}

// Float64 on both sides; forward within 1e-5, gradients within 1e-4 of the largest value.
TEST(ResNetCifar, Depth8WithIdentityShortcutsMatchesReference) {
  expect_reference(8, Shortcut::kIdentity, "resnet_cifar8_identity");
}

TEST(ResNetCifar, Depth8WithProjectionsMatchesReference) {
  expect_reference(8, Shortcut::kProjection, "resnet_cifar8_projection");
}

TEST(ResNetCifar, Depth20WithIdentityShortcutsMatchesReference) {
  expect_reference(20, Shortcut::kIdentity, "resnet_cifar20_identity");
}

TEST(ResNetCifar, Depth20WithProjectionsMatchesReference) {
  expect_reference(20, Shortcut::kProjection, "resnet_cifar20_projection");
}

// He et al. 2015, table 6, in millions and with the last layer, of 650 parameters.
TEST(ResNetCifar, HasThePapersNumberOfParameters) {
  const std::vector<std::pair<int64_t, double>> table = {
      {20, 0.27}, {32, 0.46}, {44, 0.66}, {56, 0.85}, {110, 1.7}};
  for (const auto& [depth, millions] : table) {
    const double count = static_cast<double>(parameter_count(ResNetCifar(all_stages(depth))) + 650);
    EXPECT_NEAR(count / 1e6, millions, depth == 110 ? 0.05 : 0.0051) << "depth " << depth;
  }
}

TEST(ResNetCifar, GivesTheMapsThatShapesPromise) {
  for (const auto shortcut : {Shortcut::kIdentity, Shortcut::kProjection}) {
    ResNetCifar net(all_stages(8, shortcut));
    expect_shapes(net, 32, 32);
    expect_shapes(net, 28, 28);
    expect_shapes(net, 7, 30);
    expect_shapes(net, 1, 1);
  }
}

TEST(ResNetCifar, GrowsByAnOddNumberOfChannels) {
  auto options = all_stages(8);
  options.width = 5;
  ResNetCifar net(options);
  expect_shapes(net, 9, 9);
}

TEST(ResNetCifar, KeepsChannelsLast) {
  for (const auto shortcut : {Shortcut::kIdentity, Shortcut::kProjection}) {
    ResNetCifar net(all_stages(8, shortcut));
    net.eval();
    const auto images = golden_values("images", kImages);
    const auto expected = net.forward(images);
    const auto maps = net.forward(images.contiguous(torch::MemoryFormat::ChannelsLast));
    for (size_t i = 0; i < maps.size(); ++i) {
      EXPECT_TRUE(maps[i].is_contiguous(torch::MemoryFormat::ChannelsLast)) << "map " << i;
      EXPECT_TRUE(is_close(maps[i], expected[i], 1e-5)) << "map " << i;
    }
  }
}

TEST(ResNetCifar, IsTracedForAnySize) {
  ResNetCifar net(all_stages(8));
  net.eval();
  for (const auto& parameter : net.parameters()) parameter.requires_grad_(false);
  const auto last_map = [&](const torch::Tensor& images) { return net.forward(images).back(); };
  const auto traced = trace(last_map, torch::zeros({1, 3, 28, 28}));
  const auto images = golden_values("images", {3, 3, 29, 22});
  EXPECT_TRUE(is_close(traced(images), last_map(images), 1e-6));
}

TEST(ResNetCifar, IsBuiltFromAConfig) {
  const auto net = build_component<Backbone, ResNetCifar>(
      "{type: T, depth: 14, shortcut: projection, width: 8, out_stages: [0, 2]}");
  const auto shapes = net->shapes();
  ASSERT_EQ(shapes.size(), 2);
  EXPECT_EQ(shapes[0].channels, 8);
  EXPECT_EQ(shapes[0].stride, 1);
  EXPECT_EQ(shapes[1].channels, 32);
  EXPECT_EQ(shapes[1].stride, 4);
  EXPECT_TRUE(net->named_parameters().contains("layer2.0.downsample.0.weight"));
  EXPECT_TRUE(net->named_parameters().contains("layer3.1.conv2.weight"));
  EXPECT_FALSE(net->named_parameters().contains("layer3.2.conv2.weight"));
}

TEST(ResNetCifar, SaysWhichDepthsThereAre) {
  EXPECT_EQ((build_error<Backbone, ResNetCifar>("type: T\ndepth: 18\n")),
            "test.yaml:2:8: 'depth' must be 6n + 2 (8, 14, 20, 32, 44, 56, 110, ...), not 18");
  EXPECT_EQ((build_error<Backbone, ResNetCifar>("type: T\nout_stages: [2, 0]\n")),
            "test.yaml:2:13: 'out_stages' must name each stage once, from fine to coarse");
  EXPECT_NE((build_error<Backbone, ResNetCifar>("type: T\ndepth: 2\n")), "");
}

}  // namespace
}  // namespace dnc
