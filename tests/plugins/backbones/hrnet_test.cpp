#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "host/weights/key_map.h"
#include "plugins/backbones/hrnet/network.h"
#include "tests/plugins/backbones/backbone_golden.h"
#include "tests/plugins/component.h"

namespace dnc {
namespace {

const std::vector<int64_t> kOdd = {2, 3, 67, 53};

Hrnet::Options small(HrnetUpsampling upsampling = HrnetUpsampling::kBilinear) {
  Hrnet::Options options;
  options.size = Hrnet::Size::kW18Small;
  options.upsampling = upsampling;
  return options;
}

Hrnet::Options narrow() {
  auto options = small();
  options.width = 4;
  return options;
}

// Float64 on both sides; forward within 1e-5, gradients within 1e-4 of the largest value.
TEST(Hrnet, MatchesTimm) {
  Hrnet net(small(HrnetUpsampling::kNearest));
  expect_golden(Golden::load("segmentation_backbones.txt"), "hrnet_nearest", net, {2, 3, 64, 96});
}

// timm itself refuses sizes that 32 does not divide, and has no bilinear upsampling: there its
// branches are added as mmseg does it.
TEST(Hrnet, MatchesTimmsLayersAtOddSizes) {
  const auto golden = Golden::load("segmentation_backbones.txt");
  Hrnet nearest(small(HrnetUpsampling::kNearest));
  expect_golden(golden, "hrnet_nearest_odd", nearest, kOdd);
  Hrnet bilinear(small());
  expect_golden(golden, "hrnet_bilinear_odd", bilinear, kOdd);
}

TEST(Hrnet, HasTimmsNamesAndShapesInItsOrder) {
  expect_state(Golden::load("segmentation_backbones.txt"), "hrnet", Hrnet(small()));
}

TEST(Hrnet, TakesTheBranchesOfTimmsClassifier) {
  const auto golden = Golden::load("segmentation_backbones.txt");
  const std::vector<std::string> behind = {"incre_modules.0.0.conv1.weight",
                                           "downsamp_modules.2.1.running_mean",
                                           "final_layer.0.weight", "classifier.weight"};
  TensorMap theirs;
  std::vector<std::string> ours;
  for (const auto& name : golden.names("hrnet/state/")) {
    theirs.insert(name, torch::zeros({1}));
    ours.push_back("backbone." + name);
  }
  for (const auto& name : behind) theirs.insert(name, torch::zeros({1}));
  const KeyMaps maps(DNC_SOURCE_DIR "/keymaps");
  const auto* form = maps.recognise(theirs);
  ASSERT_TRUE(form);
  EXPECT_EQ(form->names, std::vector<std::string>{"timm"});
  const auto read = to_ours(theirs, *form, "x");
  EXPECT_EQ(read.tensors.keys(), ours);
  EXPECT_EQ(read.dropped, behind);
  EXPECT_TRUE(read.unknown.empty());
}

TEST(Hrnet, HasTimmsNumberOfParameters) {
  const auto golden = Golden::load("segmentation_backbones.txt");
  using Size = Hrnet::Size;
  for (const auto& [size, name] :
       std::vector<std::pair<Size, std::string>>{{Size::kW18Small, "w18_small"},
                                                 {Size::kW18, "w18"},
                                                 {Size::kW32, "w32"},
                                                 {Size::kW40, "w40"},
                                                 {Size::kW48, "w48"}}) {
    Hrnet::Options options;
    options.size = size;
    EXPECT_EQ(parameter_count(Hrnet(options)),
              golden["hrnet_" + name + "/parameters"].item<int64_t>())
        << name;
  }
}

TEST(Hrnet, GivesTheMapsThatShapesPromise) {
  Hrnet net(narrow());
  expect_shapes(net, 64, 64);
  expect_shapes(net, 33, 51);
  expect_shapes(net, 1, 1);
}

TEST(Hrnet, ReturnsTheBranchesThatAreAskedFor) {
  auto options = narrow();
  Hrnet whole(options);
  options.out_stages = {0, 3};
  Hrnet net(options);
  expect_maps_of(whole, net, {0, 3}, kOdd);
}

TEST(Hrnet, KeepsChannelsLast) {
  Hrnet net(narrow());
  net.eval();
  const auto images = golden_values("images", kOdd);
  const auto expected = net.forward(images);
  const auto maps = net.forward(images.contiguous(torch::MemoryFormat::ChannelsLast));
  for (size_t i = 0; i < maps.size(); ++i) {
    EXPECT_TRUE(maps[i].is_contiguous(torch::MemoryFormat::ChannelsLast));
    EXPECT_TRUE(is_close(maps[i], expected[i], 1e-5));
  }
}

TEST(Hrnet, GivesAnImageTheSameWhateverTheBatch) {
  Hrnet net(narrow());
  expect_images_apart(net, {3, 3, 67, 53});
}

TEST(Hrnet, IsTracedForAnyNumberOfImages) {
  Hrnet net(narrow());
  expect_traced(net, {1, 3, 67, 53}, {3, 3, 67, 53});
}

TEST(Hrnet, TakesOptionsUnderOpenMmlabNames) {
  const auto net = build_component<Backbone, Hrnet>(
      "{type: T, arch: w18_small, out_indices: [1, 2], norm_cfg: {type: SyncBN, requires_grad: "
      "true}, with_cp: true}");
  const auto shapes = net->shapes();
  ASSERT_EQ(shapes.size(), 2);
  EXPECT_EQ(shapes[0].channels, 36);
  EXPECT_EQ(shapes[0].stride, 8);
  EXPECT_EQ(shapes[1].channels, 72);
  EXPECT_EQ(shapes[1].stride, 16);
}

TEST(Hrnet, RefusesWrongOptions) {
  EXPECT_EQ((build_error<Backbone, Hrnet>("type: T\nout_stages: [1, 1]\n")),
            "test.yaml:2:13: 'out_stages' must name each stage once, from fine to coarse");
  EXPECT_NE((build_error<Backbone, Hrnet>("type: T\nsize: w64\n")), "");
  EXPECT_NE((build_error<Backbone, Hrnet>("type: T\nupsampling: bicubic\n")), "");
  EXPECT_EQ((build_error<Backbone, Hrnet>("type: T\nnorm: {type: group}\n")),
            "test.yaml:2:7: 'norm.groups' is 32, which does not divide the 18 channels of a layer");
}

}  // namespace
}  // namespace dnc
