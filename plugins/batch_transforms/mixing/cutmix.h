#pragma once

#include <vector>

#include "plugins/batch_transforms/mixing/mixing.h"

namespace dnc {

/// In each image a rectangle is replaced by the same part of its partner (Yun et al., "CutMix:
/// Regularization Strategy to Train Strong Classifiers with Localizable Features", ICCV 2019). Its
/// area is 1 - share of the image, its centre anywhere; what lies beyond the edge is cut off, and
/// the share of the labels is that of the pixels that are left.
class CutMix final : public Mixing {
 public:
  CutMix(const Options& options, const Context& context) : Mixing(options, context) {}

 private:
  Mix draw(double share, int64_t height, int64_t width, Random& random) const override;
  torch::Tensor mix(const torch::Tensor& images, const std::vector<Mix>& mixes) const override;
};

/// The rectangle about a pixel for a share, cut off at the edges, and the share that it leaves; as
/// in the paper's code and in torchvision.
Mix cut(double share, int64_t height, int64_t width, int64_t y, int64_t x);

/// Images [N, 3, H, W] with the boxes of their partners; one Mix for all, or N.
torch::Tensor paste(const torch::Tensor& images, const std::vector<Mix>& mixes);

}  // namespace dnc
