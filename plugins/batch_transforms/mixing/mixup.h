#pragma once

#include <vector>

#include "plugins/batch_transforms/mixing/mixing.h"

namespace dnc {

/// Each image becomes share * image + (1 - share) * partner (Zhang et al., "mixup: Beyond Empirical
/// Risk Minimization", ICLR 2018).
class Mixup final : public Mixing {
 public:
  Mixup(const Options& options, const Context& context) : Mixing(options, context) {}

 private:
  Mix draw(double share, int64_t height, int64_t width, Random& random) const override;
  torch::Tensor mix(const torch::Tensor& images, const std::vector<Mix>& mixes) const override;
};

/// Images [N, 3, H, W] blended with their partners; one Mix for all, or N.
torch::Tensor blend(const torch::Tensor& images, const std::vector<Mix>& mixes);

}  // namespace dnc
