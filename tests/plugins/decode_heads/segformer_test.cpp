#include <gtest/gtest.h>

#include "plugins/decode_heads/segformer/network.h"
#include "tests/plugins/component.h"
#include "tests/plugins/decode_heads/decode_head_golden.h"

namespace dnc {
namespace {

Segformer::Options narrow() {
  Segformer::Options options;
  options.channels = 8;
  options.dropout = 0;
  return options;
}

// The reference mixes after resizing.
TEST(Segformer, MatchesReference) {
  Segformer head(narrow(), pixel_context());
  expect_decode_head("segformer", head);
}

TEST(Segformer, MatchesReferenceWithNearestPixels) {
  auto options = narrow();
  options.interpolate_mode = Segformer::Interpolation::kNearest;
  Segformer head(options, pixel_context());
  expect_decode_head("segformer_nearest", head);
}

TEST(Segformer, GivesAnEmbeddingForEachPixelOfTheFinestMap) {
  Segformer head(narrow(), pixel_context());
  expect_pixel_head(head, 0);
}

TEST(Segformer, IsBuiltFromAnMmsegConfig) {
  const auto head = build_component<DecodeHead, Segformer>(
      "{type: T, in_channels: [6, 8, 12, 16], in_index: [0, 1, 2, 3], channels: 24, "
      "dropout_ratio: 0.1, norm_cfg: {type: SyncBN}, align_corners: false}",
      pixel_context());
  EXPECT_EQ(head->named_parameters()["fusion_conv.conv.weight"].sizes().vec(),
            (std::vector<int64_t>{24, 4 * 24, 1, 1}));
  EXPECT_EQ((build_component<DecodeHead, Segformer>("{type: T}", pixel_context())->channels()),
            256);
}

TEST(Segformer, RefusesABackboneOfOneMap) {
  auto context = pixel_context();
  context.features = {{16, 32}};
  EXPECT_NE((build_error<DecodeHead, Segformer>("type: T\n", context)), "");
  EXPECT_NE((build_error<DecodeHead, Segformer>("type: T\nin_index: 3\n", pixel_context())), "");
  EXPECT_NE(
      (build_error<DecodeHead, Segformer>("type: T\ninterpolate_mode: area\n", pixel_context())),
      "");
}

}  // namespace
}  // namespace dnc
