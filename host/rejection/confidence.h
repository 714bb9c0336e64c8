#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

#include "host/model.h"

namespace dnc {

/// A number for each image that is high where the model knows such images.
struct ConfidenceScore {
  std::string name;     // "similarity"
  std::string meaning;  // in words
};

/// Those that a model has, the one to use first:
/// - similarity, of a head with prototypes: the cosine to the nearest prototype of all classes;
/// - probability: the largest share of the softmax of the scores s (Hendrycks and Gimpel, ICLR
///   2017);
/// - energy: log sum exp s, the negative free energy at temperature 1 (Liu et al., NeurIPS 2020).
/// The last two need no prototypes; without them probability is first.
std::vector<ConfidenceScore> confidence_scores(Model& model);

/// Those of the images of an output, float64 [S, N] on the CPU. NaN where the scores or the
/// embeddings are not finite.
torch::Tensor confidences(Model& model, const Model::Output& output);

}  // namespace dnc
