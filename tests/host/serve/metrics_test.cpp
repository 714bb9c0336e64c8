#include "host/serve/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace dnc::serve {
namespace {

using testing::HasSubstr;

TEST(Durations, PercentilesAreWithinTwoPointTwoPercent) {
  Durations durations;
  for (int i = 1; i <= 1000; ++i) durations.add(i * 1e-4);
  EXPECT_EQ(durations.count(), 1000);
  EXPECT_NEAR(durations.sum(), 50.05, 1e-6);
  for (const double share : {0.01, 0.5, 0.9, 0.99, 1.0}) {
    EXPECT_NEAR(durations.percentile(share), share * 0.1, share * 0.1 * 0.0222) << share;
  }
}

TEST(Durations, TakeWhatIsBeyondTheirRange) {
  Durations durations;
  EXPECT_EQ(durations.percentile(0.5), 0) << "of none";
  durations.add(0);
  EXPECT_LT(durations.percentile(1), 2e-6);
  durations.add(1e9);
  EXPECT_GT(durations.percentile(1), 1000);
}

TEST(Metrics, AreCountedByEndpointAndStatus) {
  Metrics metrics;
  metrics.add_request("infer", 200, 0.002);
  metrics.add_request("infer", 200, 0.004);
  metrics.add_request("infer", 400, 9);
  metrics.add_request("predict", 503, 9);
  metrics.add_batch(1, 0.001, 0);
  metrics.add_batch(6, 0.003, 0.001);
  metrics.set_waiting(5);
  const auto text = metrics.prometheus();
  EXPECT_THAT(text, HasSubstr("dnc_requests_total{endpoint=\"infer\",code=\"200\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("dnc_requests_total{endpoint=\"infer\",code=\"400\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("dnc_request_seconds_count{endpoint=\"infer\"} 2\n"))
      << "errors take no time of the network";
  EXPECT_THAT(text, HasSubstr("dnc_request_seconds_sum{endpoint=\"infer\"} 0.006\n"));
  EXPECT_THAT(text, HasSubstr("dnc_batch_images_bucket{le=\"1\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("dnc_batch_images_bucket{le=\"8\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("dnc_batch_images_bucket{le=\"+Inf\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("dnc_batch_images_sum 7\n"));
  EXPECT_THAT(text, HasSubstr("dnc_queue_images 5\n"));
  const auto summary = metrics.summary();
  EXPECT_THAT(summary, HasSubstr("infer: 3 requests, 1 of them refused; median "));
  EXPECT_THAT(summary, HasSubstr("predict: 1 requests, 1 of them refused\n"));
  EXPECT_THAT(summary, HasSubstr("network: 2 batches of 3.5 images on average"));
}

}  // namespace
}  // namespace dnc::serve
