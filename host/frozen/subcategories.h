#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace dnc {

/// How well clusters fit classes, without any training on the classes.
struct ClusterScores {
  double accuracy = 0;  // share of the test samples whose cluster's class is theirs; a cluster has
                        // the class of most training samples in it (of equally many the first)
  double purity = 0;    // the same with the class of most test samples in it
  double nmi = 0;       // normalised mutual information, see below
};

/// Clusters int64 [n] and classes int64 [n], both from 0, of training samples, and the same of test
/// samples [m]. A test sample in a cluster without training samples is a miss. There is at least
/// one of each.
ClusterScores score_clusters(const torch::Tensor& train_clusters,
                             const torch::Tensor& train_classes, const torch::Tensor& test_clusters,
                             const torch::Tensor& test_classes);

/// The class of most samples in each of `clusters` clusters, int64; of equally many the first, -1
/// for a cluster without samples.
torch::Tensor majority_classes(const torch::Tensor& cluster_of, const torch::Tensor& class_of,
                               int64_t clusters);

/// Mutual information of two divisions of the same n samples, over the mean of their entropies: 1
/// where they are the same but for names, 0 where one says nothing of the other. 1 for two
/// divisions into one part (as scikit-learn).
double normalised_mutual_information(const torch::Tensor& first, const torch::Tensor& second);

/// Which coarse class each fine class lies in, int64 [fine]; -1 for one without samples. `coarse`
/// and `fine` are labels int64 [n] of the same samples. Throws DataError where a fine class lies in
/// two: then the two data sets are not the same samples in the same order. `names` are those of the
/// fine classes.
torch::Tensor coarse_of_fine(const torch::Tensor& coarse, const torch::Tensor& fine,
                             const std::vector<std::string>& names,
                             const std::vector<std::string>& coarse_names);

}  // namespace dnc
