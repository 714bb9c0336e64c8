#pragma once

#include <torch/nn/modules/linear.h>

#include "registry/context.h"
#include "registry/fields.h"
#include "registry/head.h"

namespace dnc {

/// Scores as an affine map of the embedding: [N, D] to [N, classes], and pixel by pixel with the
/// same weights [N, D, h, w] to [N, classes, h, w]. Named and initialised as mmcls's LinearClsHead:
/// fc.weight [classes, D] from normal(0, 0.01), fc.bias 0.
class LinearHead final : public Head {
 public:
  struct Options {
    double dropout = 0;
    void fields(Fields& f);
  };

  LinearHead(const Options& options, const Context& context);

  torch::Tensor forward(const torch::Tensor& embeddings) override;

 private:
  double dropout_;
  torch::nn::Linear fc_{nullptr};
};

}  // namespace dnc
