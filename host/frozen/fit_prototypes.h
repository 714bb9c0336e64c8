#pragma once

#include <vector>

#include "host/experiment.h"
#include "host/frozen/embeddings.h"
#include "host/model.h"

namespace dnc {

struct FitOptions {
  int64_t iterations = 20;  // of the clustering, at most
  double memory = 4;        // GiB for stored embeddings, at most
};

struct FitResult {
  int64_t samples = 0;                 // or pixels, that the prototypes are made of
  int64_t left_out = 0;                // samples that were not drawn, for want of memory
  double mean_cosine = 0;              // of each of these with the nearest prototype of its class
  std::vector<int64_t> empty_classes;  // without a sample: their prototypes stay as they were
  std::vector<BadSample> bad_samples;  // damaged ones, where data.max_bad_samples lets them pass
};

/// Fills the prototypes of a model's head from the data and trains nothing: nearest centroids of a
/// frozen backbone.
///
/// With one prototype a class (K = 1) it becomes the direction of the mean of the class's projected
/// embeddings, in one pass that stores none of them. With more, the embeddings of all samples are
/// stored, N x D x 4 bytes, and each class is clustered by cluster_directions(); where they are
/// more than `memory`, as many samples as fit are drawn by the seed, or of pixels as many of each
/// batch.
///
/// The head's own update() sees the same embeddings, so that the mass of its prototypes and
/// whatever else it keeps is as after training. The model must have prototypes, and is not changed
/// otherwise. `data` comes with the transforms to use. Throws DataError.
FitResult fit_prototypes(Model& model, const Split& data, const ExperimentOptions& options,
                         torch::Device device, const FitOptions& fit,
                         const Progressed& progressed = {});

}  // namespace dnc
