#pragma once

#include <memory>
#include <string>
#include <vector>

#include "plugins/backbones/common/norm.h"
#include "plugins/decode_heads/common/projection.h"
#include "registry/context.h"
#include "registry/decode_head.h"
#include "registry/fields.h"

namespace dnc {

/// What all decode heads for pixels have, with the names and defaults of mmseg's BaseDecodeHead.
struct PixelHeadOptions {
  std::vector<int64_t> in_index;     // of the backbone's maps; negative ones count from the last
  std::vector<int64_t> in_channels;  // of these maps, if the config repeats them
  int64_t channels = 512;            // D
  double dropout = 0.1;
  bool align_corners = false;
  NormOptions norm;
  ProjectionOptions projection;
  void fields(Fields& f);
};

/// The same for a head of one map.
struct OneMapHeadOptions : PixelHeadOptions {
  enum class InputTransform {
    kSingle,        // one map, as it is
    kResizeConcat,  // several, resized to the first of them, their channels behind each other
  };
  InputTransform input_transform = InputTransform::kSingle;
  void fields(Fields& f);
};

/// What all decode heads for pixels do: they take some of the backbone's maps, drop channels in
/// training (mmseg has this dropout before its classifier, `conv_seg`, which is the Linear head
/// here), and project what is left where they are told to.
class PixelHead : public DecodeHead {
 public:
  int64_t channels() const override {
    return projection_ ? projection_->channels() : options_.channels;
  }

 protected:
  enum class Takes { kOneMap, kSeveralMaps };

  /// For what takes the maps as they are. Throws OptionError where in_index names maps that the
  /// backbone does not have or not as many as are taken, where in_channels differs from the
  /// backbone's, and where the data has labels for images, not for pixels.
  PixelHead(const PixelHeadOptions& options, const Context& context, Takes takes);
  /// For what takes one map, perhaps made of several.
  PixelHead(const OneMapHeadOptions& options, const Context& context);

  /// Of each map that select() gives.
  const std::vector<int64_t>& in_channels() const { return in_channels_; }
  /// Of the map that select_one() gives.
  int64_t in_channels_of_one() const;
  /// The maps that in_index names. Throws Error where each has a single pixel: then the backbone
  /// gives pooled features, or images are too small.
  Features select(const Features& features) const;
  /// The map that in_index names, or those that it names as one.
  torch::Tensor select_one(const Features& features) const;
  torch::Tensor resize(const torch::Tensor& x, const torch::Tensor& target) const;
  /// The embeddings of what the decode head has made of its maps, [N, `channels`, H, W]: without
  /// some of the channels in training, and projected.
  torch::Tensor embed(const torch::Tensor& x) const;
  const NormOptions& norm() const { return options_.norm; }

 private:
  std::vector<size_t> indices(const std::vector<FeatureShape>& maps, bool several) const;

  PixelHeadOptions options_;
  std::vector<size_t> index_;  // in the backbone's maps
  std::vector<int64_t> in_channels_;
  std::shared_ptr<Projection> projection_;  // or null
};

}  // namespace dnc
