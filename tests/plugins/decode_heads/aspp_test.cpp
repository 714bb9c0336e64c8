#include <gtest/gtest.h>

#include "plugins/decode_heads/aspp/network.h"
#include "tests/plugins/component.h"
#include "tests/plugins/decode_heads/decode_head_golden.h"

namespace dnc {
namespace {

template <typename Head>
typename Head::Options narrow(const std::vector<int64_t>& dilations) {
  typename Head::Options options;
  options.channels = 8;
  options.dropout = 0;
  options.dilations = dilations;
  return options;
}

TEST(Aspp, MatchesReference) {
  Aspp head(narrow<Aspp>({1, 2, 3, 4}), pixel_context());
  expect_decode_head("aspp", head);
}

// DeepLabHead of deeplabv3_resnet50, under our names; its dropout is off on both sides.
TEST(Aspp, MatchesTorchvision) {
  auto options = narrow<Aspp>({1, 2, 3});
  options.channels = 256;
  options.layout = Aspp::Layout::kTorchvision;
  options.project_dropout = 0;
  Aspp head(options, pixel_context());
  expect_decode_head("torchvision_deeplabv3", head);
}

TEST(Aspp, DropsValuesBehindTheProjectionInTrainingOnly) {
  auto options = narrow<Aspp>({1, 2});
  options.layout = Aspp::Layout::kTorchvision;
  Aspp head(options, pixel_context());
  fill(head);
  const auto maps = golden_maps();
  const auto is_random = [&] { return !torch::equal(head.forward(maps), head.forward(maps)); };
  EXPECT_TRUE(is_random());
  head.eval();
  EXPECT_FALSE(is_random());
}

TEST(Aspp, GivesAnEmbeddingForEachPixelOfItsMap) {
  Aspp head(narrow<Aspp>({1, 2, 3}), pixel_context());
  expect_pixel_head(head, 3);
}

TEST(Aspp, HasMmsegsDefaults) {
  const auto head = build_component<DecodeHead, Aspp>("{type: T, channels: 8}", pixel_context());
  const auto parameters = head->named_parameters();
  EXPECT_EQ(parameters["aspp_modules.0.conv.weight"].size(2), 1);
  EXPECT_EQ(parameters["aspp_modules.3.conv.weight"].size(2), 3);
  EXPECT_FALSE(parameters.contains("aspp_modules.4.conv.weight"));
  EXPECT_EQ(parameters["bottleneck.conv.weight"].sizes().vec(),
            (std::vector<int64_t>{8, 5 * 8, 3, 3}));
}

TEST(Aspp, RefusesWrongOptions) {
  EXPECT_EQ((build_error<DecodeHead, Aspp>("type: T\ndilations: [1, 0]\n", pixel_context())),
            "test.yaml:2:16: 'dilations.1' must be from 1 to 1024, not 0");
  EXPECT_NE((build_error<DecodeHead, Aspp>("type: T\nlayout: keras\n", pixel_context())), "");
  EXPECT_NE((build_error<DecodeHead, Aspp>("type: T\nin_index: 9\n", pixel_context())), "");
}

TEST(DepthwiseSeparableAspp, MatchesReference) {
  auto options = narrow<DepthwiseSeparableAspp>({1, 2, 3});
  options.c1_channels = 5;
  DepthwiseSeparableAspp head(options, pixel_context());
  expect_decode_head("separable_aspp", head);
  expect_pixel_head(head, 0);
}

TEST(DepthwiseSeparableAspp, MatchesReferenceWithoutTheFinestMap) {
  auto options = narrow<DepthwiseSeparableAspp>({1, 2});
  options.c1_in_channels = 0;
  DepthwiseSeparableAspp head(options, pixel_context());
  expect_decode_head("separable_aspp_alone", head);
  expect_pixel_head(head, 3);
}

TEST(DepthwiseSeparableAspp, IsBuiltFromAnMmsegConfig) {
  const auto head = build_component<DecodeHead, DepthwiseSeparableAspp>(
      "{type: T, in_channels: 16, in_index: 3, channels: 24, dilations: [1, 12, 24, 36], "
      "c1_in_channels: 6, c1_channels: 12, dropout_ratio: 0.1}",
      pixel_context());
  const auto parameters = head->named_parameters();
  EXPECT_EQ(parameters["c1_bottleneck.conv.weight"].sizes().vec(),
            (std::vector<int64_t>{12, 6, 1, 1}));
  EXPECT_EQ(parameters["sep_bottleneck.0.pointwise_conv.conv.weight"].sizes().vec(),
            (std::vector<int64_t>{24, 36, 1, 1}));
}

TEST(DepthwiseSeparableAspp, RefusesOtherChannelsOfTheFinestMap) {
  EXPECT_EQ((build_error<DecodeHead, DepthwiseSeparableAspp>("type: T\nc1_in_channels: 256\n",
                                                             pixel_context())),
            "test.yaml:2:17: 'c1_in_channels' is 256, but the backbone's first map has 6; leave "
            "the key out");
}

}  // namespace
}  // namespace dnc
