#pragma once

#include <torch/types.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/predict/inference_model.h"

namespace dnc::serve {

// The messages of the Open Inference Protocol, version 2 over HTTP (KServe, Triton), with its
// binary tensor extension. Nothing here knows sockets.

/// What a request may ask for at most.
struct InferLimits {
  int64_t max_images = 32;          // in one request
  int64_t max_pixels = 25'000'000;  // of all its images together
};

/// A request that was understood.
struct InferRequest {
  struct Output {
    std::string name;  // "scores", "classes", "probabilities" or "labels"
    bool binary = false;
  };
  std::string id;        // echoed; may be empty
  torch::Tensor images;  // [N, 3, H, W], uint8, or float32 from 0 to 1
  std::vector<Output> outputs;
};

/// The body of an answer. With binary tensors it is JSON of `header_length` bytes and then their
/// bytes; 0: it is JSON alone.
struct InferReply {
  std::string body;
  size_t header_length = 0;
};

/// Reads the body of a request for inference. `header_length` is the header
/// Inference-Header-Content-Length, which says that binary tensors follow after so many bytes of
/// JSON. Every size is checked before anything is allocated for it. Throws RequestError with 400.
InferRequest parse_infer_request(std::string_view body,
                                 const std::optional<std::string>& header_length,
                                 const InferenceInfo& model, const InferLimits& limits);

/// The answer to it: scores [N, C], of pixels [N, C, h, w], as float32.
InferReply make_infer_reply(const InferRequest& request, const InferenceInfo& model,
                            const torch::Tensor& scores);

/// Answers to GET /v2 and GET /v2/models/NAME.
nlohmann::ordered_json server_metadata();
nlohmann::ordered_json model_metadata(const InferenceInfo& model);

/// {"error": "..."}; bytes that are not UTF-8 are replaced.
std::string error_body(const std::string& message);

}  // namespace dnc::serve
