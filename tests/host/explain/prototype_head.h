#pragma once

#include <torch/torch.h>

#include <utility>
#include <vector>

#include "registry/head.h"
#include "registry/prototypes.h"

namespace dnc {

/// A head with prototypes [C, K, D] that stay: the score of a class is ten times the cosine to its
/// nearest one.
struct PrototypeHead final : Head, Prototypes {
  explicit PrototypeHead(torch::Tensor points) : points(std::move(points)) {}

  torch::Tensor forward(const torch::Tensor& embeddings) override {
    const auto last = torch::nn::functional::normalize(
        embeddings.movedim(1, -1), torch::nn::functional::NormalizeFuncOptions().dim(-1));
    return 10 * torch::einsum("...d,ckd->...ck", {last, points}).amax(-1).movedim(-1, 1);
  }
  torch::Tensor prototypes() const override { return points.clone(); }
  torch::Tensor project(const torch::Tensor& embeddings) override {
    return torch::nn::functional::normalize(embeddings,
                                            torch::nn::functional::NormalizeFuncOptions().dim(1));
  }
  torch::Tensor mass() const override {
    return torch::full({points.size(0), points.size(1)}, 1.0 / static_cast<double>(points.size(1)));
  }
  void set_prototypes(const torch::Tensor&, const torch::Tensor&, const torch::Tensor&) override {}
  std::vector<std::pair<std::string, double>> figures() const override { return {}; }

  torch::Tensor points;
};

/// Random points of length 1.
inline torch::Tensor unit_points(std::vector<int64_t> sizes) {
  return torch::nn::functional::normalize(torch::randn(sizes),
                                          torch::nn::functional::NormalizeFuncOptions().dim(-1));
}

}  // namespace dnc
