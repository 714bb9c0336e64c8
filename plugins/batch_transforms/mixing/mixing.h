#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "registry/batch_transform.h"
#include "registry/context.h"
#include "registry/fields.h"
#include "registry/image.h"

namespace dnc {

/// What was drawn for an image: the share of it that stays, and the part that its partner replaces.
struct Mix {
  double share = 1;
  Box box;  // CutMix only
};

/// What Mixup and CutMix have in common: image i of a batch of N is mixed with image N - 1 - i, as
/// in timm. A shuffled batch makes that a random partner; the middle one of an odd number is its
/// own. Labels become soft in the same shares: with `share` drawn from Beta(alpha, alpha),
///
///   soft label of i = share * (label of i) + (1 - share) * (label of N - 1 - i)
///
/// and Batch::labels the class of the larger share. An image that is mixed with one without a label
/// has none itself. A batch of which nothing was mixed keeps its labels as they are.
class Mixing : public BatchTransform {
 public:
  /// For what one draw serves: all images of a batch, two partners, or one image.
  enum class Mode { kBatch, kPair, kElement };
  struct Options {
    double alpha = 1;
    double probability = 1;
    Mode mode = Mode::kBatch;
    void fields(Fields& f);
  };

  void apply(Batch& batch, Random& random) const final;

 protected:
  /// Throws OptionError where labels are those of pixels.
  Mixing(const Options& options, const Context& context);

 private:
  /// One draw; `share` is Beta(alpha, alpha).
  virtual Mix draw(double share, int64_t height, int64_t width, Random& random) const = 0;
  /// Images [N, 3, H, W] with their partners; one Mix for all, or N.
  virtual torch::Tensor mix(const torch::Tensor& images, const std::vector<Mix>& mixes) const = 0;

  std::vector<Mix> draw_all(const Batch& batch, Random& random) const;

  Options options_;
  int64_t classes_;
};

/// A number of the distribution Beta(alpha, alpha), for any alpha above 0.
double symmetric_beta(double alpha, Random& random);

/// The shares of images and of their partners, float32 [n].
struct Shares {
  torch::Tensor own;
  torch::Tensor partner;
};
Shares shares_of(const std::vector<Mix>& mixes, torch::Device device);

/// Mixes labels and soft labels of a batch with those of the partners; one Mix for all, or N.
void mix_labels(Batch& batch, const std::vector<Mix>& mixes, int64_t classes);

}  // namespace dnc
