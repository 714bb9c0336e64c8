#pragma once

#include "registry/backbone.h"

namespace dnc {

/// Feature maps to the embeddings that a Head classifies: [N, D] for images, [N, D, h, w] for
/// pixels. Its constructor finds the maps' channels and strides in Context::features.
class DNC_EXPORT DecodeHead : public torch::nn::Module {
 public:
  ~DecodeHead() override;
  virtual torch::Tensor forward(const Features& features) = 0;
  /// D
  virtual int64_t channels() const = 0;
};

}  // namespace dnc
