#pragma once

#include <chrono>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>

#include "host/explain/explainer.h"

namespace dnc::serve {

/// Explains images of requests, one at a time. Thread-safe.
class ImageExplainer {
 public:
  using Clock = std::chrono::steady_clock;

  /// As for Explainer. The run stays the caller's.
  ImageExplainer(OpenedRun& run, ExplainOptions options, std::optional<PrototypeSamples> samples);

  /// What `dnc-host explain` writes of an image (docs/explain.md), with its pictures as data URIs:
  /// "picture" beside what it shows, and "sheet" for all on one; and what cannot be explained under
  /// "notes". Throws DataError for a damaged image, and RequestError with 503 where others are
  /// explained until the deadline.
  nlohmann::ordered_json explain(const Image& image, Clock::time_point deadline);

 private:
  std::timed_mutex mutex_;  // guards the explainer
  Explainer explainer_;
  report::Explanation about_;  // the model, without images
};

/// A picture as a "data:image/png;base64,..." URI.
std::string data_uri(const Image& picture);

}  // namespace dnc::serve
