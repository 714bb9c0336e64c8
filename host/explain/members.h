#pragma once

#include <torch/types.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "host/explain/nearest_samples.h"

namespace dnc {

/// A training sample, or of pixels a location of one.
struct Member {
  int64_t sample = 0;     // in the data set
  double similarity = 0;  // cosine to the prototype
  double x = 0.5;         // of pixels: where, as a share of the network's input
  double y = 0.5;
};

/// What belongs to a prototype: the points of its class that are nearer to it than to the class's
/// other prototypes.
struct PrototypeMembers {
  int64_t count = 0;
  double distances = 0;          // sum of 1 - cosine over all of them
  std::vector<Member> typical;   // the most central, nearest first
  std::vector<Member> atypical;  // the most distant, farthest first

  /// Mean of 1 - cosine; NaN for none.
  double spread() const;
};

/// Some points of a class, in the order of the data.
struct DrawnPoints {
  torch::Tensor values;          // float32 [n, D], on the CPU
  std::vector<int64_t> indices;  // [n], the prototype that each belongs to
};

struct MemberOptions {
  int64_t shown = 6;   // typical and atypical ones that are kept of each prototype
  int64_t drawn = 64;  // points that are kept of each class, drawn by the seed
  uint64_t seed = 0;
};

/// Goes over the points of a data set, in its order and in any batches, and keeps what belongs to
/// each prototype. Each sample is shown once in a list, by its best location.
class MemberSearch {
 public:
  /// `prototypes` [C, K, D] of length 1.
  MemberSearch(const torch::Tensor& prototypes, const MemberOptions& options);
  void add(const NearestSearch::Points& batch);

  const PrototypeMembers& of(int64_t label, int64_t index) const;
  /// Members of all prototypes of a class.
  int64_t count(int64_t label) const;
  DrawnPoints drawn(int64_t label) const;

 private:
  struct Drawn {
    double ticket = 0;  // the lowest are kept
    int64_t row = 0;    // of all points that were added
    int64_t index = 0;
    torch::Tensor point;  // [D]
  };

  void add_member(int64_t label, int64_t index, const Member& member);
  void draw(int64_t label, int64_t index, const torch::Tensor& point);

  torch::Tensor prototypes_;  // float32
  MemberOptions options_;
  std::vector<PrototypeMembers> members_;  // [C * K]
  std::vector<std::vector<Drawn>> drawn_;  // by class, each a heap with the highest ticket in front
  int64_t rows_ = 0;
};

/// Which prototype of its class each point is nearest to, int64 [R], and the cosine, float32 [R].
/// `values` [R, D] of length 1, `labels` int64 [R] from 0, `prototypes` [C, K, D].
std::pair<torch::Tensor, torch::Tensor> nearest_of_class(const torch::Tensor& values,
                                                         const torch::Tensor& labels,
                                                         const torch::Tensor& prototypes);

}  // namespace dnc
