#include "host/components/pixel_losses.h"

#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/nll_loss_nd.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "registry/error.h"
#include "registry/head.h"

namespace dnc {
namespace {

void weight_field(Fields& f, double& weight) {
  f("weight", weight, "Factor on this loss in the sum of all losses.")
      .at_least(0)
      .alias("loss_weight");
}

void class_weights_field(Fields& f, std::vector<double>& weights) {
  f("class_weights", weights, "One factor per class, in the order of the labels; none: 1.")
      .at_least(0)
      .alias("class_weight");
}

void check_class_weights(const std::string& option, const std::vector<double>& weights,
                         const Context& context) {
  const auto given = static_cast<int64_t>(weights.size());
  if (given == 0 || given == context.classes.size()) return;
  throw OptionError(option, "needs one number for each of the " +
                                std::to_string(context.classes.size()) + " classes, not " +
                                std::to_string(given));
}

/// Scores and labels of a batch, as the losses need them. Nothing here waits for a device.
struct Pixels {
  torch::Tensor scores;  // float32 or float64 [N, C, M]
  torch::Tensor index;   // int64 [N, M], 0 where ignored
  torch::Tensor valid;   // bool [N, M]

  /// 1 at the class of each pixel, else 0; all 0 where it is ignored. [N, C, M].
  torch::Tensor one_hot() const {
    return torch::zeros_like(scores).scatter_(1, index.unsqueeze(1),
                                              valid.unsqueeze(1).to(scores.scalar_type()));
  }
  /// Where nothing is valid: 0, with its place in the graph.
  torch::Tensor zero() const { return scores.sum() * 0; }
};

Pixels pixels_of(const char* loss, const torch::Tensor& scores, const torch::Tensor& targets) {
  if (targets.is_floating_point()) {
    throw Error(std::string(loss) +
                ": takes labels, not soft labels; leave out the transform that mixes images, or "
                "use CrossEntropy");
  }
  auto expected = scores.sizes().vec();
  if (expected.size() > 1) expected.erase(expected.begin() + 1);
  TORCH_CHECK(scores.dim() >= 2 && targets.sizes() == expected, loss, ": scores are ",
              scores.sizes(), ", so labels must be ", at::IntArrayRef(expected), ", not ",
              targets.sizes());
  const auto precise =
      scores.scalar_type() == torch::kFloat64 ? scores : scores.to(torch::kFloat32);
  const auto labels = targets.reshape({targets.size(0), -1});
  return {precise.reshape({scores.size(0), scores.size(1), -1}), labels.clamp_min(0),
          labels != kIgnoredLabel};
}

/// The mean of `values` where `kept`; 0 where nothing is.
torch::Tensor mean_where(const torch::Tensor& values, const torch::Tensor& kept) {
  return torch::where(kept, values, 0).sum() / kept.sum().clamp_min(1);
}

/// How much the Jaccard loss grows with each pixel, sorted by falling error, that becomes wrong.
/// `truth` says which pixels are of the class, bool [M]. Counted in whole numbers, which are exact
/// for any number of pixels and sum up in the same way on every device.
torch::Tensor jaccard_steps(const torch::Tensor& truth, torch::ScalarType type) {
  const auto total = truth.sum();
  const auto intersection = total - truth.cumsum(0);
  const auto together = total + truth.logical_not().cumsum(0);
  const auto jaccard = 1 - intersection.to(type) / together.to(type);
  auto steps = jaccard.clone();
  steps.slice(0, 1).sub_(jaccard.slice(0, 0, -1));
  return steps;
}

}  // namespace

void OhemCrossEntropy::Options::fields(Fields& f) {
  weight_field(f, weight);
  f("thresh", thresh,
    "Pixels whose label has a probability below it count; none = those of the highest loss.")
      .between(0, 1);
  f("min_kept", min_kept, "How many pixels count at least, for each image of the batch.")
      .between(1, 1e9);
  class_weights_field(f, class_weights);
  f.choice("average", average, {{"kept", Average::kKept}, {"all", Average::kAll}},
           "The mean is over the pixels that count, or over all of the batch (mmsegmentation).");
}

OhemCrossEntropy::OhemCrossEntropy(const Options& options, const Context& context)
    : options_(options) {
  check_class_weights("class_weights", options.class_weights, context);
  if (options.class_weights.empty()) return;
  class_weights_ =
      register_buffer("class_weights", torch::tensor(options.class_weights, torch::kFloat32));
}

torch::Tensor OhemCrossEntropy::forward(const torch::Tensor& scores, const torch::Tensor& targets) {
  const auto pixels = pixels_of("OhemCrossEntropy", scores, targets);
  const auto weights =
      class_weights_.defined() ? class_weights_.to(pixels.scores.scalar_type()) : torch::Tensor();
  const auto log_probabilities = pixels.scores.log_softmax(1);
  const auto labels = pixels.index.masked_fill(pixels.valid.logical_not(), kIgnoredLabel);
  const auto losses =
      at::nll_loss_nd(log_probabilities, labels, weights, at::Reduction::None, kIgnoredLabel);
  torch::Tensor kept;
  {
    const torch::NoGradGuard no_grad;
    kept = options_.thresh ? below_threshold(log_probabilities, pixels.index, pixels.valid)
                           : highest(losses, pixels.valid, scores.size(0));
  }
  const auto loss = options_.average == Average::kKept
                        ? mean_where(losses, kept)
                        : torch::where(kept, losses, 0).sum() /
                              static_cast<double>(std::max<int64_t>(losses.numel(), 1));
  return loss * options_.weight;
}

torch::Tensor OhemCrossEntropy::below_threshold(const torch::Tensor& log_probabilities,
                                                const torch::Tensor& index,
                                                const torch::Tensor& valid) const {
  const auto probability =
      log_probabilities.detach().gather(1, index.unsqueeze(1)).squeeze(1).exp();
  if (probability.numel() == 0) return valid;
  // Ignored pixels stand behind all others. No wait for the device: the place is fixed, and where
  // it lies among the ignored ones the last of the others counts.
  const auto ranked = torch::where(valid, probability, 2).flatten();
  const int64_t place = std::min(options_.min_kept * valid.size(0), ranked.size(0) - 1);
  const auto at_place =
      std::get<0>(ranked.topk(place + 1, 0, /*largest=*/false, /*sorted=*/false)).max();
  const auto last = torch::where(valid, probability, 0).max();
  const auto lowest = torch::where(at_place > 1, last, at_place);
  return (probability < lowest.clamp_min(*options_.thresh)).logical_and_(valid);
}

torch::Tensor OhemCrossEntropy::highest(const torch::Tensor& losses, const torch::Tensor& valid,
                                        int64_t images) const {
  const auto ranked = torch::where(valid, losses.detach(), -1).flatten();
  const int64_t count = std::min(options_.min_kept * images, ranked.size(0));
  const auto chosen = std::get<1>(ranked.topk(count, 0, /*largest=*/true, /*sorted=*/false));
  return torch::zeros_like(ranked, torch::kBool)
      .index_fill_(0, chosen, true)
      .view_as(valid)
      .logical_and_(valid);
}

void Dice::Options::fields(Fields& f) {
  weight_field(f, weight);
  f("use_sigmoid", use_sigmoid, "Probabilities by a sigmoid of each score; else by softmax.");
  f("naive", naive, "Sums of the probabilities below, not of their squares.").alias("naive_dice");
  f("eps", eps, "Keeps the quotient from 0 / 0.").above(0);
}

torch::Tensor Dice::forward(const torch::Tensor& scores, const torch::Tensor& targets) {
  const auto pixels = pixels_of("Dice", scores, targets);
  if (pixels.index.numel() == 0) return pixels.zero();
  const auto all = options_.use_sigmoid ? pixels.scores.sigmoid() : pixels.scores.softmax(1);
  const auto probabilities = torch::where(pixels.valid.unsqueeze(1), all, 0).flatten(1);
  const auto truth = pixels.one_hot().flatten(1);
  const auto both = (probabilities * truth).sum(1);
  const double eps = options_.eps;
  torch::Tensor dice;
  if (options_.naive) {
    dice = (2 * both + eps) / (probabilities.sum(1) + truth.sum(1) + eps);
  } else {
    dice = 2 * both / (probabilities.square().sum(1) + eps + truth.square().sum(1) + eps);
  }
  return mean_where(1 - dice, pixels.valid.any(1)) * options_.weight;
}

void Lovasz::Options::fields(Fields& f) {
  weight_field(f, weight);
  f.choice("classes", classes, {{"present", Classes::kPresent}, {"all", Classes::kAll}},
           "The mean is over the classes that occur among the labels, or over all.");
  f("per_image", per_image, "For each image on its own, and then the mean.");
  class_weights_field(f, class_weights);
}

Lovasz::Lovasz(const Options& options, const Context& context) : options_(options) {
  check_class_weights("class_weights", options.class_weights, context);
}

torch::Tensor Lovasz::forward(const torch::Tensor& scores, const torch::Tensor& targets) {
  const auto pixels = pixels_of("Lovasz", scores, targets);
  const auto probabilities = pixels.scores.softmax(1);
  const auto of = [&](const torch::Tensor& p, const torch::Tensor& index,
                      const torch::Tensor& valid) {
    const auto places = valid.flatten().nonzero().squeeze(1);
    const auto by_class = p.transpose(0, 1).reshape({p.size(1), -1});
    return of_pixels(by_class.index_select(1, places), index.flatten().index_select(0, places));
  };
  if (!options_.per_image) {
    const auto loss = of(probabilities, pixels.index, pixels.valid);
    return loss.defined() ? loss * options_.weight : pixels.zero();
  }
  auto sum = pixels.zero();
  int64_t images = 0;
  for (int64_t n = 0; n < scores.size(0); ++n) {
    const auto loss = of(probabilities.narrow(0, n, 1), pixels.index[n], pixels.valid[n]);
    if (!loss.defined()) continue;
    sum = sum + loss;
    ++images;
  }
  return sum * (options_.weight / static_cast<double>(std::max<int64_t>(images, 1)));
}

/// [C, M] and [M] to a scalar; undefined where there is no pixel.
torch::Tensor Lovasz::of_pixels(const torch::Tensor& probabilities,
                                const torch::Tensor& labels) const {
  if (labels.numel() == 0) return {};
  const int64_t classes = probabilities.size(0);
  // One look at the device tells which classes can be passed over.
  const auto counts = labels.bincount(/*weights=*/{}, classes).cpu();
  torch::Tensor sum;
  int64_t taken = 0;
  for (int64_t c = 0; c < classes; ++c) {
    if (options_.classes == Classes::kPresent && counts[c].item<int64_t>() == 0) continue;
    const auto truth = labels == c;
    const auto errors = (truth.to(probabilities.scalar_type()) - probabilities[c]).abs();
    const auto [sorted, order] = errors.sort(0, /*descending=*/true);
    auto loss =
        sorted.dot(jaccard_steps(truth.index_select(0, order), probabilities.scalar_type()));
    if (!options_.class_weights.empty()) {
      loss = loss * options_.class_weights[static_cast<size_t>(c)];
    }
    sum = sum.defined() ? sum + loss : loss;
    ++taken;
  }
  return sum / static_cast<double>(taken);
}

void Focal::Options::fields(Fields& f) {
  weight_field(f, weight);
  f("gamma", gamma, "How little easy pixels count; 0 = as much as hard ones.").at_least(0);
  f("alpha", alpha,
    "Share of the pixels of a class against those of the others: one number, or one per class.")
      .between(0, 1)
      .length(1, 1'000'000);
  class_weights_field(f, class_weights);
}

Focal::Focal(const Options& options, const Context& context) : options_(options) {
  check_class_weights("class_weights", options.class_weights, context);
  if (options.alpha.size() > 1) check_class_weights("alpha", options.alpha, context);
  const auto keep = [&](const std::string& name, const std::vector<double>& numbers) {
    return register_buffer(name, torch::tensor(numbers, torch::kFloat32));
  };
  if (options.alpha.size() > 1) alpha_ = keep("alpha", options.alpha);
  if (!options.class_weights.empty()) class_weights_ = keep("class_weights", options.class_weights);
}

torch::Tensor Focal::forward(const torch::Tensor& scores, const torch::Tensor& targets) {
  const auto pixels = pixels_of("Focal", scores, targets);
  const auto truth = pixels.one_hot();
  const auto p = pixels.scores.sigmoid();
  const auto per_class = [&](const torch::Tensor& numbers) {
    return numbers.to(p.scalar_type()).view({1, -1, 1});
  };
  const auto error = (1 - p) * truth + p * (1 - truth);
  const auto share = alpha_.defined()
                         ? per_class(alpha_) * truth + (1 - per_class(alpha_)) * (1 - truth)
                         : options_.alpha[0] * truth + (1 - options_.alpha[0]) * (1 - truth);
  const auto entropy =
      at::binary_cross_entropy_with_logits(pixels.scores, truth, {}, {}, at::Reduction::None);
  auto losses = entropy * share * error.pow(options_.gamma);
  if (class_weights_.defined()) losses = losses * per_class(class_weights_);
  const auto kept = pixels.valid.unsqueeze(1).expand_as(losses);
  return mean_where(losses, kept) * options_.weight;
}

}  // namespace dnc
