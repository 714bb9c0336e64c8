#include <gtest/gtest.h>

#include "plugins/decode_heads/uper/network.h"
#include "tests/plugins/component.h"
#include "tests/plugins/decode_heads/decode_head_golden.h"

namespace dnc {
namespace {

UPer::Options narrow() {
  UPer::Options options;
  options.channels = 8;
  options.dropout = 0;
  return options;
}

TEST(UPer, MatchesReference) {
  UPer head(narrow(), pixel_context());
  expect_decode_head("uper", head);
}

TEST(UPer, MatchesReferenceWithAlignedCorners) {
  auto options = narrow();
  options.pool_scales = {1, 2};
  options.align_corners = true;
  UPer head(options, pixel_context());
  expect_decode_head("uper_align", head);
}

TEST(UPer, GivesAnEmbeddingForEachPixelOfTheFinestMap) {
  UPer head(narrow(), pixel_context());
  expect_pixel_head(head, 0);
}

TEST(UPer, TakesTheMapsThatItsIndexNames) {
  auto options = narrow();
  options.in_index = {1, 3};
  UPer head(options, pixel_context());
  expect_pixel_head(head, 1);
  EXPECT_EQ(head.named_parameters()["lateral_convs.0.conv.weight"].size(1), 8);
  EXPECT_FALSE(head.named_parameters().contains("lateral_convs.1.conv.weight"));
}

TEST(UPer, IsBuiltFromAnMmsegConfig) {
  const auto head = build_component<DecodeHead, UPer>(
      "{type: T, in_channels: [6, 8, 12, 16], in_index: [0, 1, 2, 3], pool_scales: [1, 2, 3, 6], "
      "channels: 24, dropout_ratio: 0.1, norm_cfg: {type: BN}, align_corners: false}",
      pixel_context());
  EXPECT_EQ(head->named_parameters()["fpn_bottleneck.conv.weight"].sizes().vec(),
            (std::vector<int64_t>{24, 4 * 24, 3, 3}));
}

TEST(UPer, RefusesABackboneOfOneMap) {
  auto context = pixel_context();
  context.features = {{16, 32}};
  EXPECT_EQ((build_error<DecodeHead, UPer>("type: T\nchannels: 8\n", context)),
            "test.yaml:1:1: 'in_index' must name at least two maps, not 1; the backbone gives 1 "
            "map; its out_stages says which");
  EXPECT_EQ((build_error<DecodeHead, UPer>("type: T\nin_channels: [6, 8, 12]\n", pixel_context())),
            "test.yaml:2:14: 'in_channels' is 6, 8, 12, but the backbone's maps have 6, 8, 12, 16; "
            "leave the key out");
}

}  // namespace
}  // namespace dnc
