#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/data/image_decoder.h"
#include "host/serve/batcher.h"
#include "host/serve/image_explainer.h"
#include "host/serve/metrics.h"
#include "host/serve/open_inference.h"

namespace dnc::serve {

/// A request, whatever brought it here.
struct Request {
  std::string method{};  // "GET", "POST"
  std::string path{};    // decoded, without the query
  std::map<std::string, std::string> query{};
  std::optional<std::string> header_length{};  // Inference-Header-Content-Length
  std::string body{};                          // of multipart/form-data, its first part
};

struct Response {
  int status = 200;
  std::string type = "application/json";
  std::string body{};
  std::vector<std::pair<std::string, std::string>> headers{};
};

struct ServiceOptions {
  BatcherOptions batcher{};
  int64_t max_pixels = 25'000'000;  // of an image, and of all images of a request together
  int64_t max_body = 16 << 20;      // bytes
  std::chrono::milliseconds timeout{30'000};
  int64_t top_k = 5;
};

/// What the server answers: the Open Inference Protocol, images, metrics and the page. It knows no
/// sockets. Thread-safe; handle() waits for the network and never throws.
class Service {
 public:
  /// The model and the explainer stay the caller's. Without an explainer nothing is explained.
  Service(InferenceModel& model, const ServiceOptions& options, ImageExplainer* explainer);

  Response handle(const Request& request);

  /// From now on not ready; requests are still answered.
  void begin_stop() { ready_ = false; }
  const Metrics& metrics() const { return metrics_; }
  const ServiceOptions& options() const { return options_; }

 private:
  using Clock = Batcher::Clock;

  Response route(const Request& request, std::string& endpoint);
  Response route_model(const Request& request, std::vector<std::string> parts,
                       std::string& endpoint);
  Response infer(const Request& request);
  Response predict(const Request& request, Clock::time_point deadline, bool explain);
  Image decode(const Request& request) const;
  nlohmann::ordered_json prediction(const Image& image, int64_t top_k, Clock::time_point deadline);

  InferenceModel& model_;
  const ServiceOptions options_;
  ImageExplainer* explainer_;
  ImageDecoder decoder_;
  Metrics metrics_;
  std::atomic<bool> ready_ = true;
  Batcher batcher_;  // last: its threads end first
};

}  // namespace dnc::serve
