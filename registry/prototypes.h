#pragma once

#include <torch/types.h>

#include <string>
#include <utility>
#include <vector>

#include "registry/export.h"

namespace dnc {

/// A head that classifies by its nearest prototypes can be asked about them. The host finds it by
/// dynamic_cast from Head: explanation, reports and the anchoring to real images need no more.
/// C classes with K prototypes each, in a space of D dimensions.
class DNC_EXPORT Prototypes {
 public:
  virtual ~Prototypes();
  /// [C, K, D], l2-normalised. A copy: changing it changes nothing.
  virtual torch::Tensor prototypes() const = 0;
  /// Embeddings [N, D] to the points that are compared with prototypes, [N, D], l2-normalised.
  virtual torch::Tensor project(const torch::Tensor& embeddings) = 0;
  /// Share of the recent samples of a class that fell to each prototype, [C, K]; rows sum to 1, or
  /// to 0 for a class that was not seen.
  virtual torch::Tensor mass() const = 0;
  /// Replaces prototypes: `classes` and `indices` are int64 [M], `points` [M, D] as project() makes
  /// them.
  virtual void set_prototypes(const torch::Tensor& classes, const torch::Tensor& indices,
                              const torch::Tensor& points) = 0;
  /// Figures about the last updates for logs and reports: ("dead", share of prototypes that got no
  /// sample), ("agreement", share of samples assigned to their nearest prototype), ...
  virtual std::vector<std::pair<std::string, double>> figures() const = 0;
};

}  // namespace dnc
