#include "host/frozen/subcategories.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <string>

#include "registry/error.h"
#include "tests/golden/golden.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

torch::Tensor labels(const std::vector<int64_t>& values) {
  return torch::tensor(values, torch::kLong);
}

// Whole numbers below `count`, as tests/golden/separation.py makes them.
torch::Tensor golden_labels(const std::string& name, int64_t count) {
  return ((golden_values(name, {200}) + 1) / 2 * count).floor().to(torch::kLong);
}

TEST(NormalisedMutualInformation, MatchesScikitLearn) {
  const auto golden = Golden::load("separation.txt");
  for (const auto& [name, groups, clusters] :
       {std::tuple{"a", 5, 8}, std::tuple{"b", 3, 3}, std::tuple{"c", 4, 1}}) {
    const auto prefix = std::string("nmi/") + name;
    const auto classes = golden_labels(prefix + "/labels", groups);
    const auto noise = golden_labels(prefix + "/clusters", clusters);
    const auto mixed = golden_values(prefix + "/mix", {200}).gt(0);
    const auto found = torch::where(mixed, classes.remainder(clusters), noise);
    EXPECT_NEAR(normalised_mutual_information(classes, found), golden[prefix].item<double>(), 1e-12)
        << name;
    EXPECT_NEAR(normalised_mutual_information(found, classes), golden[prefix].item<double>(), 1e-12)
        << "either way round";
  }
}

TEST(NormalisedMutualInformation, OfTheSameDivisionIsOneAndOfNothingZero) {
  EXPECT_NEAR(normalised_mutual_information(labels({0, 0, 1, 2}), labels({2, 2, 0, 1})), 1, 1e-12);
  EXPECT_NEAR(normalised_mutual_information(labels({0, 0, 1, 1}), labels({0, 1, 0, 1})), 0, 1e-12);
  EXPECT_EQ(normalised_mutual_information(labels({0, 0}), labels({0, 0})), 1);
}

TEST(ScoreClusters, TakesTheClassOfMostTrainingSamples) {
  // Cluster 0 is of class 1 in training, but of class 0 in the test; cluster 2 had no training.
  const auto scores = score_clusters(labels({0, 0, 0, 1, 1}), labels({1, 1, 0, 2, 2}),
                                     labels({0, 0, 0, 1, 2}), labels({0, 0, 1, 2, 1}));
  EXPECT_DOUBLE_EQ(scores.accuracy, 2.0 / 5);
  EXPECT_DOUBLE_EQ(scores.purity, 4.0 / 5);
}

TEST(MajorityClasses, AreTheFirstOfEquallyManyAndNoneOfNothing) {
  const auto found = majority_classes(labels({0, 0, 2, 2, 2}), labels({3, 1, 0, 2, 2}), 4);
  EXPECT_TRUE(torch::equal(found, labels({1, -1, 2, -1})));
}

TEST(CoarseOfFine, FindsTheGroupsAndRefusesOtherSamples) {
  const std::vector<std::string> fine{"cat", "dog", "car", "bus"}, coarse{"animal", "vehicle"};
  EXPECT_TRUE(torch::equal(coarse_of_fine(labels({0, 1, 0, 0}), labels({0, 2, 1, 0}), fine, coarse),
                           labels({0, 0, 1, -1})));
  EXPECT_EQ(message_of<DataError>([&] {
              coarse_of_fine(labels({0, 1, 1}), labels({0, 2, 0}), fine, coarse);
            }),
            "--fine: 'cat' lies in 'animal' and in 'vehicle' (sample 2): the data with fine labels "
            "must be the same samples in the same order, and each fine class must lie in one "
            "coarse class");
}

}  // namespace
}  // namespace dnc
