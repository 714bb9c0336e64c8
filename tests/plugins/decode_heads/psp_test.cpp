#include <gtest/gtest.h>

#include "plugins/decode_heads/psp/network.h"
#include "tests/plugins/component.h"
#include "tests/plugins/decode_heads/decode_head_golden.h"

namespace dnc {
namespace {

Psp::Options narrow() {
  Psp::Options options;
  options.channels = 8;
  options.dropout = 0;
  return options;
}

TEST(Psp, MatchesReference) {
  Psp head(narrow(), pixel_context());
  expect_decode_head("psp", head);
}

TEST(Psp, MatchesReferenceWithAlignedCorners) {
  auto options = narrow();
  options.pool_scales = {1, 3};
  options.align_corners = true;
  Psp head(options, pixel_context());
  expect_decode_head("psp_align", head);
}

TEST(Psp, GivesAnEmbeddingForEachPixelOfItsMap) {
  Psp head(narrow(), pixel_context());
  expect_pixel_head(head, 3);
}

TEST(Psp, IsBuiltFromAnMmsegConfig) {
  const auto head = build_component<DecodeHead, Psp>(
      "{type: T, in_channels: 16, in_index: 3, channels: 24, pool_scales: [1, 2, 3], "
      "dropout_ratio: 0.1}",
      pixel_context());
  EXPECT_EQ(head->named_parameters()["bottleneck.conv.weight"].sizes().vec(),
            (std::vector<int64_t>{24, 16 + 3 * 24, 3, 3}));
  const auto plain = build_component<DecodeHead, Psp>("{type: T}", pixel_context());
  EXPECT_EQ(plain->named_parameters()["bottleneck.conv.weight"].size(1), 16 + 4 * 512);
}

TEST(Psp, SaysWhyOneImageIsTooFewForABatchNorm) {
  Psp head(narrow(), pixel_context());
  fill(head);
  const auto maps = golden_maps(1);
  try {
    head.forward(maps);
    FAIL() << "did not throw";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "a batch norm of the decode head sees one value a channel, of which there is no "
                 "variance: pooling to 1x1 needs at least 2 images a step (data.batch_size over "
                 "train.accumulate), or norm: {type: group}");
  }
  head.eval();
  EXPECT_NO_THROW(head.forward(maps));
  auto options = narrow();
  options.norm.type = NormOptions::Type::kGroup;
  options.norm.groups = 4;
  Psp with_groups(options, pixel_context());
  with_groups.to(torch::kFloat64);
  EXPECT_NO_THROW(with_groups.forward(maps));
}

TEST(Psp, RefusesWrongOptions) {
  EXPECT_EQ((build_error<DecodeHead, Psp>("type: T\npool_scales: [0]\n", pixel_context())),
            "test.yaml:2:15: 'pool_scales.0' must be from 1 to 1024, not 0");
  EXPECT_NE((build_error<DecodeHead, Psp>("type: T\npool_scales: []\n", pixel_context())), "");
  EXPECT_NE((build_error<DecodeHead, Psp>("type: T\nin_index: 9\n", pixel_context())), "");
}

}  // namespace
}  // namespace dnc
