#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dnc {

/// A prototype, as evidence about an input.
struct Evidence {
  int64_t label = 0;      // its class
  int64_t index = 0;      // within the class
  double similarity = 0;  // cosine to the input
  double share = 0;       // see decide()
};

/// Why an input got its class.
struct Decision {
  std::vector<std::pair<int64_t, double>> classes;  // with their shares, highest first
  // Of a head with prototypes:
  std::vector<Evidence> nearest;    // prototypes of all classes, the nearest first
  std::optional<Evidence> support;  // the nearest of the class that was chosen
  std::optional<Evidence> rival;    // the nearest of all other classes
  std::optional<Evidence> counter;  // the nearest of the runner-up; none for one class

  int64_t label() const { return classes.front().first; }
  /// The support is nearer than the rival: the nearest prototype alone explains the class. False
  /// where the head's scores weigh more than the similarities.
  bool by_nearest() const { return !rival || support->similarity > rival->similarity; }
};

/// The scores [C] of an input and, for a head with prototypes [C, K, D], its point [D] (else both
/// undefined) to a decision with up to `most` classes and `most` prototypes.
///
/// The share of a class is the softmax of its score. The share of a prototype is the softmax of
/// a * similarity over all prototypes, where a is the scale at which the head's scores follow from
/// the similarities: the slope of the line that fits the scores of the classes to the similarities
/// of their nearest prototypes best. Where score = similarity / temperature, it is 1 / temperature.
Decision decide(const torch::Tensor& scores, const torch::Tensor& point,
                const torch::Tensor& prototypes, int64_t most);

/// How a rule speaks of an input and of what stands for a prototype.
struct RuleWords {
  std::string input;      // "the image", "the pixel"
  std::string support;    // "train/cat_7.png"; empty where no training sample is known
  std::string label;      // the class
  std::string prototype;  // "sub-centroid 2 of cat"
};

/// "IF the image is more similar to train/cat_7.png (sub-centroid 2 of cat) than to every
/// sub-centroid image of every other class THEN cat."
std::string rule_text(const RuleWords& words);

}  // namespace dnc
