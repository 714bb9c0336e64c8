#include "plugins/batch_transforms/mixing/mixup.h"

namespace dnc {

Mix Mixup::draw(double share, int64_t, int64_t, Random&) const { return {share, {}}; }

torch::Tensor Mixup::mix(const torch::Tensor& images, const std::vector<Mix>& mixes) const {
  return blend(images, mixes);
}

torch::Tensor blend(const torch::Tensor& images, const std::vector<Mix>& mixes) {
  const auto shares = shares_of(mixes, images.device());
  const auto share = shares.own.view({-1, 1, 1, 1}), rest = shares.partner.view({-1, 1, 1, 1});
  return images.flip(0).mul_(rest).add_(images * share);
}

}  // namespace dnc
