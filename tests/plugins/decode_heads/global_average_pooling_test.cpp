#include <gtest/gtest.h>

#include "plugins/decode_heads/global_average_pooling/network.h"
#include "registry/error.h"
#include "tests/golden/golden.h"
#include "tests/plugins/component.h"
#include "tests/plugins/traced.h"

namespace dnc {
namespace {

Context two_maps() {
  Context context;
  context.features = {{2, 4}, {3, 8}};
  return context;
}

TEST(GlobalAveragePooling, TakesTheMeanOfTheLastMap) {
  GlobalAveragePooling head(two_maps());
  EXPECT_EQ(head.channels(), 3);
  const auto last = golden_values("map", {2, 3, 4, 5});
  const auto embeddings = head.forward({golden_values("fine", {2, 2, 8, 10}), last});
  ASSERT_EQ(embeddings.sizes(), (std::vector<int64_t>{2, 3}));
  for (int64_t n = 0; n < 2; ++n) {
    for (int64_t c = 0; c < 3; ++c) {
      double sum = 0;
      for (int64_t i = 0; i < 20; ++i) sum += last[n][c].flatten()[i].item<double>();
      EXPECT_NEAR(embeddings[n][c].item<double>(), sum / 20, 1e-6);
    }
  }
}

TEST(GlobalAveragePooling, TakesChannelsLastMaps) {
  GlobalAveragePooling head(two_maps());
  const auto map = golden_values("map", {2, 3, 4, 5});
  EXPECT_TRUE(is_close(head.forward({map.contiguous(torch::MemoryFormat::ChannelsLast)}),
                       head.forward({map}), 1e-6));
}

TEST(GlobalAveragePooling, HasNoParameters) {
  EXPECT_TRUE(GlobalAveragePooling(two_maps()).parameters().empty());
}

TEST(GlobalAveragePooling, IsTracedForAnySize) {
  GlobalAveragePooling head(two_maps());
  const auto forward = [&](const torch::Tensor& map) { return head.forward({map}); };
  const auto traced = trace(forward, torch::zeros({1, 3, 7, 7}));
  const auto map = golden_values("map", {4, 3, 2, 5});
  EXPECT_TRUE(is_close(traced(map), forward(map), 1e-6));
}

TEST(GlobalAveragePooling, RefusesDataWithLabelsForPixels) {
  Context context;
  context.features = {{8, 4}};
  context.task = Task::kPixels;
  EXPECT_THROW(GlobalAveragePooling{context}, OptionError);
}

TEST(GlobalAveragePooling, RefusesAMapOfOtherChannels) {
  GlobalAveragePooling head(two_maps());
  EXPECT_THROW(head.forward({torch::zeros({2, 2, 4, 4})}), c10::Error);
  EXPECT_THROW(head.forward({torch::zeros({2, 3})}), c10::Error);
  EXPECT_THROW(GlobalAveragePooling{Context()}, c10::Error);
}

TEST(GlobalAveragePooling, IsBuiltFromAConfigThatRepeatsTheChannels) {
  EXPECT_EQ(
      (build_component<DecodeHead, GlobalAveragePooling>("{type: T, in_channels: 3}", two_maps())
           ->channels()),
      3);
  EXPECT_NE(
      (build_error<DecodeHead, GlobalAveragePooling>("{type: T, in_channels: 4}", two_maps())), "");
}

}  // namespace
}  // namespace dnc
