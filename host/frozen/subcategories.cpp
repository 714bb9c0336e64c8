#include "host/frozen/subcategories.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <cmath>

#include "registry/error.h"

namespace dnc {
namespace {

// How many samples of each class are in each cluster, float64 [clusters, classes].
torch::Tensor contingency(const torch::Tensor& cluster_of, const torch::Tensor& class_of,
                          int64_t clusters, int64_t classes) {
  return torch::bincount(cluster_of * classes + class_of, {}, clusters * classes)
      .view({clusters, classes})
      .to(torch::kFloat64);
}

int64_t count_of(const torch::Tensor& labels) { return labels.max().item<int64_t>() + 1; }

// Of shares that sum to 1, in nats.
double entropy(const torch::Tensor& shares) {
  return -torch::xlogy(shares, shares).sum().item<double>();
}

}  // namespace

torch::Tensor majority_classes(const torch::Tensor& cluster_of, const torch::Tensor& class_of,
                               int64_t clusters) {
  const auto counts = contingency(cluster_of, class_of, clusters, count_of(class_of));
  const auto [most, best] = counts.max(1);
  return best.masked_fill(most.eq(0), -1);
}

double normalised_mutual_information(const torch::Tensor& first, const torch::Tensor& second) {
  const auto joint = contingency(first, second, count_of(first), count_of(second)) /
                     static_cast<double>(first.size(0));
  const double one = entropy(joint.sum(1)), other = entropy(joint.sum(0));
  if (one == 0 && other == 0) return 1;
  const double information = one + other - entropy(joint);
  return std::max(0.0, information) / ((one + other) / 2);
}

ClusterScores score_clusters(const torch::Tensor& train_clusters,
                             const torch::Tensor& train_classes, const torch::Tensor& test_clusters,
                             const torch::Tensor& test_classes) {
  const auto clusters = std::max(count_of(train_clusters), count_of(test_clusters));
  const auto hits = [&](const torch::Tensor& class_of_cluster) {
    const auto found = class_of_cluster.index_select(0, test_clusters);
    return found.eq(test_classes).to(torch::kFloat64).mean().item<double>();
  };
  ClusterScores scores;
  scores.accuracy = hits(majority_classes(train_clusters, train_classes, clusters));
  scores.purity = hits(majority_classes(test_clusters, test_classes, clusters));
  scores.nmi = normalised_mutual_information(test_clusters, test_classes);
  return scores;
}

torch::Tensor coarse_of_fine(const torch::Tensor& coarse, const torch::Tensor& fine,
                             const std::vector<std::string>& names,
                             const std::vector<std::string>& coarse_names) {
  auto found = torch::full({static_cast<int64_t>(names.size())}, -1, torch::kLong);
  auto* group = found.data_ptr<int64_t>();
  const auto coarse_labels = coarse.contiguous(), fine_labels = fine.contiguous();
  for (int64_t i = 0; i < fine.size(0); ++i) {
    const auto label = fine_labels.const_data_ptr<int64_t>()[i];
    const auto own = coarse_labels.const_data_ptr<int64_t>()[i];
    if (group[label] < 0) group[label] = own;
    if (group[label] == own) continue;
    const auto coarse_name = [&](int64_t at) { return coarse_names.at(static_cast<size_t>(at)); };
    throw DataError(fmt::format(
        "--fine: '{}' lies in '{}' and in '{}' (sample {}): the data with fine labels must be the "
        "same samples in the same order, and each fine class must lie in one coarse class",
        names.at(static_cast<size_t>(label)), coarse_name(group[label]), coarse_name(own), i));
  }
  return found;
}

}  // namespace dnc
