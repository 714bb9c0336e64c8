#pragma once

#include "registry/context.h"
#include "registry/decode_head.h"

namespace dnc {

/// The mean of the last map over its pixels: [N, C, H, W] to [N, C].
class GlobalAveragePooling final : public DecodeHead {
 public:
  /// Throws OptionError where the data has labels for pixels.
  explicit GlobalAveragePooling(const Context& context);

  torch::Tensor forward(const Features& features) override;
  int64_t channels() const override { return channels_; }

 private:
  int64_t channels_;
};

}  // namespace dnc
