#pragma once

#include <torch/types.h>

#include <functional>

#include "host/data/loader.h"
#include "host/experiment.h"
#include "host/model.h"
#include "registry/communicator.h"
#include "registry/prototypes.h"

namespace dnc {

/// For each of the C * K prototypes of a head the M samples of its own class that are nearest to
/// it, the nearest first. Of a model for pixels a sample is as near as the nearest location of its
/// embedding map. On the CPU.
struct NearestSamples {
  torch::Tensor samples;       // int64 [C, K, M], in the data set; -1 where there is none
  torch::Tensor similarities;  // float32 [C, K, M], cosines; -infinity where there is none
  torch::Tensor places;        // float32 [C, K, M, 2], y and x of the middle of the location, as
                               // shares of the network's input, 0 to 1; of an image 0.5
  torch::Tensor points;        // float32 [C, K, M, D], as Prototypes::project() makes them

  bool found(int64_t label, int64_t index) const;
};

/// Goes over points in any order of batches and keeps the nearest.
class NearestSearch {
 public:
  /// Points on the prototypes' device.
  struct Points {
    torch::Tensor values;   // [R, D], of length 1; those that are not finite are left out
    torch::Tensor labels;   // int64 [R]; kIgnoredLabel is left out
    torch::Tensor samples;  // int64 [R]
    torch::Tensor places;   // float32 [R, 2]
    bool several = false;   // a sample may have several of them; then all of it are in one batch
  };

  /// `prototypes` [C, K, D] of length 1; keeps `count` (M) for each of them.
  NearestSearch(const torch::Tensor& prototypes, int64_t count);
  void add(const Points& batch);
  /// What was found so far.
  NearestSamples result() const;

 private:
  void merge(int64_t label, const Points& batch, const torch::Tensor& similarities,
             const torch::Tensor& rows);

  torch::Tensor prototypes_;  // float32
  int64_t count_;
  NearestSamples found_;  // on the prototypes' device
};

/// What the locations of a batch are to a search: of images each embedding [N, D], of pixels each
/// of the embedding maps [N, D, h, w], with the labels brought to their size by the nearest.
NearestSearch::Points points_of_batch(Prototypes& head, const torch::Tensor& embeddings,
                                      const Batch& batch);

/// What all ranks have found, each in its part of the data, on every rank. Of equally near samples
/// the first in the data set counts as nearer.
NearestSamples gather_nearest(const NearestSamples& found, torch::Device device,
                              Communicator& communicator);

/// One pass of a loader over a data set, in evaluation mode and exact: each location is compared
/// with all prototypes of its class. Labels of pixels are brought to the size of the embeddings by
/// the nearest, as in training. The model's head has prototypes. `progress` gets (batches done,
/// batches in all).
NearestSamples find_nearest_samples(Model& model, Loader& loader, torch::Device device,
                                    Precision precision, int64_t count,
                                    const std::function<void(int64_t, int64_t)>& progress);

}  // namespace dnc
