#include "plugins/batch_transforms/mixing/mixing.h"

#include <algorithm>
#include <cmath>

#include "registry/error.h"
#include "registry/head.h"

namespace dnc {
namespace {

// The logarithm of a number of the distribution Gamma(shape), by Marsaglia and Tsang, "A simple
// method for generating gamma variables" (2000). It is theirs for shape + 1 times U^(1/shape),
// which is far below the smallest double where `shape` is small.
double log_gamma_variable(double shape, Random& random) {
  const double d = shape + 2.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = random.normal();
    const double root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    const double u = 1 - random.uniform();  // above 0
    if (std::log(u) >= x * x / 2 + d * (1 - v + std::log(v))) continue;
    return std::log(d * v) + std::log(1 - random.uniform()) / shape;
  }
}

// Labels int64 [N] to rows of a unit matrix, and of zeros where there is no label.
torch::Tensor hard_rows(const torch::Tensor& labels, int64_t classes) {
  const auto index = labels.clamp_min(0).unsqueeze(1);
  const auto known = labels.ne(kIgnoredLabel).to(torch::kFloat32).unsqueeze(1);
  return at::zeros({labels.size(0), classes}, known.options()).scatter_(1, index, known);
}

}  // namespace

void Mixing::Options::fields(Fields& f) {
  f("alpha", alpha,
    "Shares are drawn from Beta(alpha, alpha): 1 is any share alike, less is mostly near 0 or 1.")
      .above(0);
  f("probability", probability, "Of mixing, for each draw.").between(0, 1).alias("prob");
  f.choice("mode", mode, {{"batch", Mode::kBatch}, {"pair", Mode::kPair}, {"elem", Mode::kElement}},
           "One draw for a batch, for two images that are mixed with each other, or for each "
           "image.");
}

Mixing::Mixing(const Options& options, const Context& context)
    : options_(options), classes_(context.classes.size()) {
  if (context.task == Task::kPixels) {
    throw OptionError("type", "mixes the labels of whole images, but the data has one a pixel");
  }
}

void Mixing::apply(Batch& batch, Random& random) const {
  const auto mixes = draw_all(batch, random);
  const auto is_mixed = [](const Mix& mix) { return mix.share < 1; };
  if (std::none_of(mixes.begin(), mixes.end(), is_mixed)) return;
  batch.images = mix(batch.images, mixes);
  mix_labels(batch, mixes, classes_);
}

std::vector<Mix> Mixing::draw_all(const Batch& batch, Random& random) const {
  const auto images = static_cast<size_t>(batch.images.size(0));
  const size_t draws = options_.mode == Mode::kBatch  ? 1
                       : options_.mode == Mode::kPair ? (images + 1) / 2
                                                      : images;
  std::vector<Mix> mixes;
  for (size_t i = 0; i < draws; ++i) {
    if (random.chance(options_.probability)) {
      const double share = symmetric_beta(options_.alpha, random);
      mixes.push_back(draw(share, batch.images.size(2), batch.images.size(3), random));
    } else {
      mixes.emplace_back();
    }
  }
  if (options_.mode == Mode::kPair) {
    for (size_t i = draws; i < images; ++i) mixes.push_back(mixes[images - 1 - i]);
  }
  return mixes;
}

double symmetric_beta(double alpha, Random& random) {
  const double one = log_gamma_variable(alpha, random);
  const double other = log_gamma_variable(alpha, random);
  return 1 / (1 + std::exp(other - one));
}

Shares shares_of(const std::vector<Mix>& mixes, torch::Device device) {
  std::vector<float> own, partner;
  for (const auto& mix : mixes) {
    own.push_back(static_cast<float>(mix.share));
    partner.push_back(static_cast<float>(1 - mix.share));
  }
  const auto send = [&](const std::vector<float>& shares) {
    return torch::tensor(shares).to(device, /*non_blocking=*/true);
  };
  return {send(own), send(partner)};
}

void mix_labels(Batch& batch, const std::vector<Mix>& mixes, int64_t classes) {
  const auto shares = shares_of(mixes, batch.labels.device());
  const auto share = shares.own.unsqueeze(1), rest = shares.partner.unsqueeze(1);  // [n, 1]
  const auto own =
      batch.soft_labels.defined() ? batch.soft_labels : hard_rows(batch.labels, classes);
  const auto known = batch.labels.ne(kIgnoredLabel).unsqueeze(1);
  const auto counts = known.logical_and(known.flip(0).logical_or(rest.eq(0)));
  batch.soft_labels = (own * share + own.flip(0) * rest).mul_(counts);
  batch.labels =
      batch.soft_labels.argmax(1).masked_fill_(counts.squeeze(1).logical_not(), kIgnoredLabel);
}

}  // namespace dnc
