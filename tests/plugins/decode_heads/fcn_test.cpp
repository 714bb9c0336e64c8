#include <gtest/gtest.h>

#include "plugins/decode_heads/fcn/network.h"
#include "tests/plugins/component.h"
#include "tests/plugins/decode_heads/decode_head_golden.h"

namespace dnc {
namespace {

Fcn::Options narrow() {
  Fcn::Options options;
  options.channels = 8;
  options.dropout = 0;
  return options;
}

std::string fcn_error(const std::string& options, const Context& context = pixel_context()) {
  return build_error<DecodeHead, Fcn>("type: T\n" + options + "\n", context);
}

TEST(Fcn, MatchesReference) {
  Fcn head(narrow(), pixel_context());
  expect_decode_head("fcn", head);
}

TEST(Fcn, MatchesReferenceWithLargeDilatedKernels) {
  auto options = narrow();
  options.num_convs = 3;
  options.kernel_size = 5;
  options.dilation = 2;
  Fcn head(options, pixel_context());
  expect_decode_head("fcn_kernel", head);
}

TEST(Fcn, MatchesReferenceWithGroupNorms) {
  auto options = narrow();
  options.norm.type = NormOptions::Type::kGroup;
  options.norm.groups = 2;
  Fcn head(options, pixel_context());
  expect_decode_head("fcn_group", head);
}

TEST(Fcn, MatchesReferenceOverAllMapsAsOne) {
  auto options = narrow();
  options.input_transform = Fcn::Options::InputTransform::kResizeConcat;
  options.num_convs = 1;
  options.kernel_size = 1;
  options.concat_input = false;
  Fcn head(options, pixel_context());
  expect_decode_head("fcn_resize_concat", head);
  expect_pixel_head(head, 0);
}

// FCNHead of fcn_resnet50, under our names.
TEST(Fcn, MatchesTorchvision) {
  auto options = narrow();
  options.num_convs = 1;
  options.concat_input = false;
  options.channels = 4;
  Fcn head(options, pixel_context());
  expect_decode_head("torchvision_fcn", head);
}

TEST(Fcn, MatchesReferenceWithAProjection) {
  auto options = narrow();
  options.projection = {2, 6};
  Fcn head(options, pixel_context());
  expect_decode_head("fcn_projection", head);
  expect_pixel_head(head, 3);
}

TEST(Fcn, ProjectsIntoAsManyChannelsAsGoInUnlessToldOtherwise) {
  const auto head = build_component<DecodeHead, Fcn>(
      "{type: T, channels: 8, projection: {layers: 1}}", pixel_context());
  EXPECT_EQ(head->channels(), 8);
  EXPECT_EQ(head->named_parameters()["projection.0.weight"].sizes().vec(),
            (std::vector<int64_t>{8, 8, 1, 1}));
  EXPECT_TRUE(head->named_parameters().contains("projection.0.bias"));
}

TEST(Fcn, GivesAnEmbeddingForEachPixelOfItsMap) {
  Fcn last(narrow(), pixel_context());
  expect_pixel_head(last, 3);
  auto options = narrow();
  options.in_index = {-3};
  Fcn second(options, pixel_context());
  expect_pixel_head(second, 1);
}

TEST(Fcn, WithoutConvolutionsHandsTheMapOn) {
  auto options = narrow();
  options.num_convs = 0;
  options.concat_input = false;
  options.channels = 16;
  Fcn head(options, pixel_context());
  EXPECT_TRUE(head.parameters().empty());
  const auto maps = golden_maps();
  EXPECT_TRUE(torch::equal(head.forward(maps), maps.back()));
}

TEST(Fcn, DropsChannelsInTrainingOnly) {
  auto options = narrow();
  options.num_convs = 0;
  options.concat_input = false;
  options.channels = 16;
  options.dropout = 0.5;
  Fcn head(options, pixel_context());
  torch::manual_seed(1);
  auto maps = golden_maps();
  maps.back() = torch::ones({50, 16, 3, 2});
  const auto out = head.forward(maps);
  EXPECT_TRUE(((out == 0) | (out == 2)).all().item<bool>());
  EXPECT_TRUE((out == out.slice(2, 0, 1).slice(3, 0, 1)).all().item<bool>());
  EXPECT_NEAR(out.mean().item<double>(), 1, 0.1);
  head.eval();
  EXPECT_TRUE(torch::equal(head.forward(maps), maps.back()));
}

TEST(Fcn, BeginsAsInMmseg) {
  torch::manual_seed(1);
  auto options = narrow();
  options.channels = 64;
  const Fcn head(options, pixel_context());
  const auto parameters = head.named_parameters();
  const auto weight = parameters["convs.1.conv.weight"];
  EXPECT_NEAR(weight.std().item<double>(), std::sqrt(2.0 / (64 * 9)), 1e-3);
  EXPECT_TRUE((parameters["convs.1.bn.weight"] == 1).all().item<bool>());
  EXPECT_TRUE((parameters["convs.1.bn.bias"] == 0).all().item<bool>());
}

TEST(Fcn, HasMmsegsDefaults) {
  const auto head = build_component<DecodeHead, Fcn>("{type: T}", pixel_context());
  EXPECT_EQ(head->channels(), 512);
  const auto parameters = head->named_parameters();
  EXPECT_EQ(parameters["convs.1.conv.weight"].sizes().vec(),
            (std::vector<int64_t>{512, 512, 3, 3}));
  EXPECT_EQ(parameters["conv_cat.conv.weight"].size(1), 16 + 512);
  torch::manual_seed(1);
  const auto maps = golden_maps(20);
  Features single;
  for (const auto& map : maps) single.push_back(map.to(torch::kFloat32));
  const auto dropped = head->forward(single).amax({2, 3}) == 0;
  EXPECT_NEAR(dropped.to(torch::kFloat64).mean().item<double>(), 0.1, 0.02);
}

TEST(Fcn, IsBuiltFromAnMmsegConfig) {
  auto context = pixel_context();
  context.classes.names.resize(19);
  const auto head = build_component<DecodeHead, Fcn>(
      "{type: T, in_channels: 12, in_index: 2, channels: 24, num_convs: 1, concat_input: false, "
      "dropout_ratio: 0.2, num_classes: 19, norm_cfg: {type: SyncBN, requires_grad: true}, "
      "align_corners: false}",
      context);
  EXPECT_EQ(head->named_parameters()["convs.0.conv.weight"].sizes().vec(),
            (std::vector<int64_t>{24, 12, 3, 3}));
  const auto all = build_component<DecodeHead, Fcn>(
      "{type: T, in_channels: [6, 8, 12, 16], in_index: [0, 1, 2, 3], channels: 42, "
      "input_transform: resize_concat, kernel_size: 1, num_convs: 1, concat_input: false}",
      context);
  EXPECT_EQ(all->named_parameters()["convs.0.conv.weight"].sizes().vec(),
            (std::vector<int64_t>{42, 42, 1, 1}));
}

TEST(Fcn, RefusesMapsThatTheBackboneDoesNotGive) {
  EXPECT_EQ(fcn_error("in_index: 4"),
            "test.yaml:2:11: 'in_index' names map 4, but the backbone gives 4 maps; its out_stages "
            "says which");
  EXPECT_EQ(fcn_error("in_index: -5"),
            "test.yaml:2:11: 'in_index' names map -5, but the backbone gives 4 maps; its "
            "out_stages says which");
  EXPECT_EQ(fcn_error("in_index: [0, 1]"),
            "test.yaml:2:11: 'in_index' must name one map, not 2; the backbone gives 4 maps; its "
            "out_stages says which");
  EXPECT_EQ(fcn_error("input_transform: resize_concat\nin_index: [1]"),
            "test.yaml:3:11: 'in_index' must name at least two maps, not 1; the backbone gives 4 "
            "maps; its out_stages says which");
  EXPECT_EQ(fcn_error("input_transform: resize_concat\nin_index: [1, 0]"),
            "test.yaml:3:11: 'in_index' must name each map once, from fine to coarse");
  EXPECT_EQ(fcn_error("input_transform: resize_concat\nin_index: [3, -1]"),
            "test.yaml:3:11: 'in_index' must name each map once, from fine to coarse");
  auto context = pixel_context();
  context.features.resize(1);
  EXPECT_EQ(fcn_error("in_index: 3", context),
            "test.yaml:2:11: 'in_index' names map 3, but the backbone gives 1 map; its out_stages "
            "says which");
}

TEST(Fcn, RefusesWrongOptions) {
  EXPECT_EQ(fcn_error("in_channels: 2048"),
            "test.yaml:2:14: 'in_channels' is 2048, but the backbone's maps have 16; leave the key "
            "out");
  EXPECT_EQ(fcn_error("kernel_size: 2"), "test.yaml:2:14: 'kernel_size' must be odd, not 2");
  EXPECT_EQ(fcn_error("num_convs: 0"),
            "test.yaml:2:12: 'num_convs' 0 needs channels: 16, those of the map, not 512");
  EXPECT_EQ(
      fcn_error("norm: {type: group, groups: 7}"),
      "test.yaml:2:29: 'norm.groups' is 7, which does not divide the 512 channels of a layer");
  EXPECT_NE(fcn_error("dropout: 1"), "");
  EXPECT_EQ(fcn_error("projection: {channels: 64}"),
            "test.yaml:2:24: 'projection.channels' has no use with projection.layers: 0; the "
            "channels of the embeddings are `channels` then");
  EXPECT_NE(fcn_error("projection: {layers: -1}"), "");
  EXPECT_NE(fcn_error("input_transform: multiple_select"), "");
}

TEST(Fcn, RefusesDataWithOneLabelAnImage) {
  auto context = pixel_context();
  context.task = Task::kImages;
  EXPECT_EQ(fcn_error("channels: 8", context),
            "test.yaml:1:7: 'type' is for pixels, but the data has one label an image; there "
            "GlobalAveragePooling is the decode head");
}

TEST(Fcn, RefusesAPooledFeature) {
  Fcn head(narrow(), pixel_context());
  auto maps = golden_maps();
  maps.back() = torch::zeros({2, 16, 1, 1});
  try {
    head.forward(maps);
    FAIL() << "did not throw";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "the decode head is for maps, but each that it takes has a single pixel: the "
                 "backbone gives pooled features (set its output: map), or the images are too "
                 "small for it");
  }
}

TEST(Fcn, RefusesAMapOfOtherChannels) {
  Fcn head(narrow(), pixel_context());
  auto maps = golden_maps();
  maps.back() = maps.front();
  EXPECT_THROW(head.forward(maps), c10::Error);
}

}  // namespace
}  // namespace dnc
