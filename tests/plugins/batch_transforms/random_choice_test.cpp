#include "plugins/batch_transforms/random_choice/random_choice.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <array>
#include <cmath>
#include <string>

#include "registry/config.h"
#include "registry/registry.h"
#include "tests/plugins/batch_transforms/batch_testing.h"

namespace dnc {
namespace {

// Writes a number into the images.
struct Paint final : BatchTransform {
  struct Options {
    double value = 1;
    void fields(Fields& f) { f("value", value, "What is written."); }
  };
  explicit Paint(const Options& options) : value(options.value) {}
  void apply(Batch& batch, Random&) const override { batch.images.fill_(value); }
  double value;
};

class RandomChoiceTest : public testing::Test {
 protected:
  RandomChoiceTest() {
    Registrar registrar(registry_, "test");
    registrar.batch_transform<RandomBatchChoice>("RandomChoice", "Under test.");
    registrar.batch_transform<Paint>("Paint", "Paints.");
  }

  std::shared_ptr<BatchTransform> build(const std::string& options) const {
    return registry_.build<BatchTransform>(
        parse_config("{type: RandomChoice, " + options + "}", "test.yaml"), classes_context(2));
  }
  std::string error(const std::string& options) const {
    try {
      build(options);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  }
  // How often what was done to 4000 batches.
  std::array<int, 3> counts(const std::string& options) const {
    const auto transform = build(options);
    std::array<int, 3> counts{};
    for (int step = 0; step < kBatches; ++step) {
      const auto batch = apply(*transform, labelled(torch::zeros({1, 3, 1, 1}), {0}), step);
      ++counts.at(static_cast<size_t>(batch.images[0][0].item<float>()));
    }
    return counts;
  }

  static constexpr int kBatches = 4000;
  static constexpr const char* kTwo = "transforms: [{type: Paint}, {type: Paint, value: 2}]";
  Registry registry_;
};

TEST_F(RandomChoiceTest, ChoosesEachWithItsProbabilityAndElseNothing) {
  const auto found = counts(std::string(kTwo) + ", probabilities: [0.5, 0.2]");
  for (const auto& [index, share] : {std::pair(0, 0.3), {1, 0.5}, {2, 0.2}}) {
    EXPECT_NEAR(found.at(static_cast<size_t>(index)), kBatches * share,
                5 * std::sqrt(kBatches * share * (1 - share)));
  }
}

TEST_F(RandomChoiceTest, ChoosesAlikeWithoutProbabilitiesAndNeverNothing) {
  const auto found = counts(kTwo);
  EXPECT_EQ(found[0], 0);
  EXPECT_NEAR(found[1], kBatches / 2, 5 * std::sqrt(kBatches / 4.0));
}

TEST_F(RandomChoiceTest, UnderstandsTheOptionsOfMmpretrain) {
  const auto found = counts("augments: [Paint], probs: [1]");
  EXPECT_EQ(found[1], kBatches);
}

TEST_F(RandomChoiceTest, RefusesBadOptions) {
  EXPECT_EQ(error("transforms: []"), "test.yaml:1:34: 'transforms' is empty; name one or more");
  EXPECT_EQ(error("transforms: [Paint, Paint], probabilities: [0.5]"),
            "test.yaml:1:65: 'probabilities' has 1 numbers for 2 transforms");
  EXPECT_EQ(error("transforms: [Paint, Paint], probabilities: [0.7, 0.4]"),
            "test.yaml:1:65: 'probabilities' add up to 1.1; at most 1 can be");
  EXPECT_EQ(error("transforms: [Paint], probabilities: [-0.5]"),
            "test.yaml:1:59: 'probabilities.0' must be from 0 to 1, not -0.5");
  EXPECT_EQ(error("probabilities: [1]"),
            "test.yaml:1:1: 'transforms' is missing: What there is to choose from.");
  EXPECT_EQ(error("transforms: [Plaint]"),
            "test.yaml:1:35: 'transforms.0' names no batch_transform: 'Plaint'; did you mean "
            "'Paint'? (known: Paint, RandomChoice)");
}

}  // namespace
}  // namespace dnc
