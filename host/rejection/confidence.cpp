#include "host/rejection/confidence.h"

#include <torch/torch.h>

namespace dnc {

std::vector<ConfidenceScore> confidence_scores(Model& model) {
  std::vector<ConfidenceScore> scores;
  if (model.prototypes()) {
    scores.push_back({"similarity", "cosine to the nearest sub-centroid of all classes"});
  }
  scores.push_back({"probability", "share of the class with the largest one (softmax)"});
  scores.push_back({"energy", "log-sum-exp of the class scores"});
  return scores;
}

torch::Tensor confidences(Model& model, const Model::Output& output) {
  // Products in full precision, whatever the network runs in.
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  const auto scores = output.scores.to(torch::kFloat64);
  std::vector<torch::Tensor> rows;
  if (auto* head = model.prototypes()) {
    const auto points = head->project(output.embeddings).to(torch::kFloat64);
    const auto prototypes = head->prototypes().flatten(0, 1).to(points.device(), torch::kFloat64);
    rows.push_back(points.matmul(prototypes.t()).amax(1));
  }
  rows.push_back(scores.softmax(1).amax(1));
  rows.push_back(scores.logsumexp(1));
  return torch::stack(rows).cpu();
}

}  // namespace dnc
