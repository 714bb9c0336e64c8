#include "host/serve/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "host/report/format.h"

namespace dnc::serve {
namespace {

constexpr std::array<double, 3> kQuantiles{0.5, 0.9, 0.99};

// Upper bounds of the buckets of batch sizes.
constexpr std::array<int64_t, 8> kBatchBounds{1, 2, 4, 8, 16, 32, 64, 128};

std::string help(const char* name, const char* type, const char* text) {
  return fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, text);
}

// A summary's lines; `labels` is empty or 'endpoint="infer"'.
std::string summary_lines(const char* name, const std::string& labels, const Durations& durations) {
  std::string text;
  for (const double quantile : kQuantiles) {
    text += fmt::format("{}{{{}{}quantile=\"{}\"}} {:.9g}\n", name, labels,
                        labels.empty() ? "" : ",", quantile, durations.percentile(quantile));
  }
  const auto braces = labels.empty() ? "" : "{" + labels + "}";
  text += fmt::format("{0}_sum{1} {2:.9g}\n{0}_count{1} {3}\n", name, braces, durations.sum(),
                      durations.count());
  return text;
}

std::string milliseconds(double seconds) { return report::significant(seconds * 1000, 3) + " ms"; }

}  // namespace

void Durations::add(double seconds) {
  const double octaves = std::log2(std::max(seconds, kSmallest) / kSmallest);
  const auto bucket = std::clamp(static_cast<int>(octaves * kSteps), 0, kBuckets - 1);
  buckets_[static_cast<size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  nanoseconds_.fetch_add(std::llround(seconds * 1e9), std::memory_order_relaxed);
  count_.fetch_add(1, std::memory_order_relaxed);
}

double Durations::percentile(double share) const {
  const auto wanted = std::max(1.0, std::ceil(share * static_cast<double>(count())));
  int64_t seen = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i].load(std::memory_order_relaxed);
    // The middle of the bucket, as factors go.
    if (static_cast<double>(seen) >= wanted) {
      return kSmallest * std::exp2((static_cast<double>(i) + 0.5) / kSteps);
    }
  }
  return 0;
}

void Metrics::add_request(const std::string& endpoint, int status, double seconds) {
  const std::scoped_lock lock(mutex_);
  auto& counted = endpoints_[endpoint];
  ++counted.by_status[status];
  if (status < 400) counted.durations.add(seconds);
}

void Metrics::add_batch(int64_t images, double seconds, double waited) {
  const std::scoped_lock lock(mutex_);  // whoever reads sees all of it or nothing
  forwards_.add(seconds);
  waits_.add(waited);
  images_ += images;
  ++batch_sizes_[images];
}

std::string Metrics::prometheus() const {
  const std::scoped_lock lock(mutex_);
  auto text = help("dnc_requests_total", "counter", "Answered requests.");
  for (const auto& [name, endpoint] : endpoints_) {
    for (const auto& [status, count] : endpoint.by_status) {
      text += fmt::format("dnc_requests_total{{endpoint=\"{}\",code=\"{}\"}} {}\n", name, status,
                          count);
    }
  }
  text += help("dnc_request_seconds", "summary",
               "From the last byte of a request to its answer, where that is no error.");
  for (const auto& [name, endpoint] : endpoints_) {
    text += summary_lines("dnc_request_seconds", "endpoint=\"" + name + "\"", endpoint.durations);
  }
  text += help("dnc_queue_seconds", "summary", "How long the first request of a batch waited.");
  text += summary_lines("dnc_queue_seconds", "", waits_);
  text += help("dnc_forward_seconds", "summary", "One pass of the network over a batch.");
  text += summary_lines("dnc_forward_seconds", "", forwards_);
  text += help("dnc_batch_images", "histogram", "Images of a batch.");
  const auto up_to = [&](int64_t bound) {
    int64_t count = 0;
    for (const auto& [size, number] : batch_sizes_) count += size <= bound ? number : 0;
    return count;
  };
  for (const auto bound : kBatchBounds) {
    text += fmt::format("dnc_batch_images_bucket{{le=\"{}\"}} {}\n", bound, up_to(bound));
  }
  text += fmt::format("dnc_batch_images_bucket{{le=\"+Inf\"}} {}\n", forwards_.count());
  text += fmt::format("dnc_batch_images_sum {}\ndnc_batch_images_count {}\n", images_.load(),
                      forwards_.count());
  text += help("dnc_queue_images", "gauge", "Images that wait for the network now.");
  text += fmt::format("dnc_queue_images {}\n", waiting_.load());
  return text;
}

std::string Metrics::summary() const {
  const std::scoped_lock lock(mutex_);
  std::string text;
  for (const auto& [name, endpoint] : endpoints_) {
    int64_t all = 0, refused = 0;
    for (const auto& [status, count] : endpoint.by_status) {
      all += count;
      refused += status >= 400 ? count : 0;
    }
    text += fmt::format("{}: {} requests", name, report::grouped(static_cast<double>(all)));
    if (refused > 0) {
      text += fmt::format(", {} of them refused", report::grouped(static_cast<double>(refused)));
    }
    if (endpoint.durations.count() > 0) {
      const auto& d = endpoint.durations;
      text += fmt::format("; median {}, p90 {}, p99 {}", milliseconds(d.percentile(0.5)),
                          milliseconds(d.percentile(0.9)), milliseconds(d.percentile(0.99)));
    }
    text += "\n";
  }
  const auto batches = forwards_.count();
  if (batches == 0) return text;
  text += fmt::format(
      "network: {} batches of {} images on average; median {}, p99 {}; waited before: median {}\n",
      report::grouped(static_cast<double>(batches)),
      report::fixed(static_cast<double>(images_.load()) / static_cast<double>(batches), 1),
      milliseconds(forwards_.percentile(0.5)), milliseconds(forwards_.percentile(0.99)),
      milliseconds(waits_.percentile(0.5)));
  return text;
}

}  // namespace dnc::serve
