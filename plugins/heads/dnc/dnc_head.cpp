#include "plugins/heads/dnc/dnc_head.h"

#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/nn/functional/normalization.h>
#include <torch/nn/init.h>

#include <limits>

#include "ops/nearest.h"
#include "ops/segments.h"
#include "ops/sinkhorn.h"
#include "ops/unit_rows.h"
#include "plugins/heads/dnc/contrast.h"
#include "plugins/heads/dnc/sampling.h"
#include "registry/error.h"

namespace dnc {
namespace {

/// A label in place of that of an embedding with NaN or infinity.
constexpr int64_t kRefused = -2;

/// What `mass` keeps of the past at each update of a class: about its last 100 updates.
constexpr double kMassDecay = 0.99;

/// While it lives, autocast leaves the precision of operators alone.
class NoAutocast {
  c10::impl::ExcludeDispatchKeyGuard guard_{c10::autocast_dispatch_keyset};
};

torch::Tensor unit(const torch::Tensor& x) {
  return x / at::linalg_vector_norm(x, 2, -1, /*keepdim=*/true).clamp_min(1e-12);
}

/// [N, ..., D] as [N, P, D], without a copy where the pixels lie behind each other.
torch::Tensor rows_of(const torch::Tensor& x) {
  return x.dim() == 2 ? x.unsqueeze(0) : x.flatten(1, -2);
}

/// Labels [N, ...] to the size of embeddings [N, D, ...] by the nearest, as rows [R].
torch::Tensor labels_of_rows(torch::Tensor labels, const torch::Tensor& embeddings) {
  TORCH_CHECK(labels.dim() == embeddings.dim() - 1 && labels.size(0) == embeddings.size(0),
              "DNC: labels ", labels.sizes(), " do not fit embeddings ", embeddings.sizes());
  for (int64_t dim = 1; dim < labels.dim(); ++dim) {
    const int64_t from = labels.size(dim), to = embeddings.size(dim + 1);
    if (from == to) continue;
    const auto nearest = (at::arange(to, labels.options()) * from).floor_divide(to);
    labels = labels.index_select(dim, nearest);
  }
  return labels.flatten();
}

/// Whether images belong to more than one class by their soft labels [N, C], but for rounding.
torch::Tensor is_mixed(const torch::Tensor& soft_labels) { return soft_labels.amax(1).lt(0.9999); }

}  // namespace

void DncHead::Sinkhorn::fields(Fields& f) {
  f("iterations", iterations, "Times that sub-centroids and samples are scaled in turn.")
      .at_least(1);
  f("epsilon", epsilon,
    "Weight of the entropy (kappa of the paper); the smaller, the less a sample is shared.")
      .at_least(1e-4);
}

void DncHead::Options::fields(Fields& f) {
  f("sub_centroids", sub_centroids, "Sub-centroids per class (K): 4 for images, 10 for pixels.")
      .between(1, 256);
  f("momentum", momentum, "Share of the old sub-centroid kept at each update.").between(0, 1);
  f("temperature", temperature,
    "Divides the cosines. At 0.1 a class with cosine 1 among others with 0 gets a probability of "
    "0.9996 of 10 classes and 0.96 of 1000.")
      .above(0);
  f.choice("assignment", assignment,
           {{"sinkhorn", Assignment::kSinkhorn},
            {"nearest", Assignment::kNearest},
            {"none", Assignment::kNone}},
           "How the samples of a class go to its sub-centroids: in equal parts, each to its "
           "nearest, or not at all (fixed random prototypes, the control).");
  f.group("sinkhorn", sinkhorn, "Division of a class's samples into equal parts.");
  f("memory", memory,
    "Samples remembered per class, which take part in the division. Useful where a batch has fewer "
    "than about 4 K samples of a class; takes classes x memory x D x 4 bytes.")
      .at_least(0);
  f("samples_per_class", samples_per_class,
    "At most so many samples or pixels of a class and step, picked at random, take part in the "
    "update, ppc and ppd; 0 for all. Useful for pixels, of which a batch has many.")
      .at_least(0);
  f.choice("samples", samples, {{"all", Samples::kAll}, {"correct", Samples::kCorrect}},
           "Which samples move the sub-centroids: all, or the correctly classified ones.");
  f.choice(
      "mixed", mixed, {{"dominant", Mixed::kDominant}, {"skip", Mixed::kSkip}},
      "What images that Mixup or CutMix made of two classes count for: the class of the larger "
      "share, or nothing.");
  f.choice("start", start, {{"noise", Start::kNoise}, {"data", Start::kData}},
           "Where sub-centroids start: random directions, or the first samples of each class (for "
           "a backbone that is trained already).");
  f.choice("revive", revive, {{"none", Revive::kNone}, {"resample", Revive::kResample}},
           "What happens to a sub-centroid that is dead: nothing, or it becomes the sample of its "
           "class that is least like the sub-centroid it was given to.");
  f("patience", patience,
    "Updates with its class, but without a sample of its own, after which a sub-centroid is dead.")
      .at_least(1);
  f.choice("embedding_norm", embedding_norm,
           {{"none", Norm::kNone}, {"layer_norm", Norm::kLayerNorm}},
           "Learned norm of the embedding before it is set to length 1 (feat_norm).");
  f.choice("score_norm", score_norm, {{"none", Norm::kNone}, {"layer_norm", Norm::kLayerNorm}},
           "Learned norm over the class scores (mask_norm), in place of the temperature.");
  f("ppc", ppc,
    "Weight of the contrast of the assigned sub-centroid with all others (ProtoSeg: 0.01).")
      .at_least(0);
  f("ppc_temperature", ppc_temperature, "Divides the cosines in ppc.").above(0);
  f("ppd", ppd, "Weight of the squared distance to the assigned sub-centroid (ProtoSeg: 0.001).")
      .at_least(0);
}

DncHead::DncHead(const Options& options, const Context& context)
    : options_(options), seed_(context.seed) {
  const int64_t C = context.classes.size(), K = options.sub_centroids, D = context.channels;
  TORCH_CHECK(C > 0 && D > 0, "DNC: ", D, " channels to ", C, " classes");
  if (options.memory > 0 && options.assignment != Assignment::kSinkhorn) {
    throw OptionError("memory", "only 'assignment: sinkhorn' has a use for a memory; set it to 0");
  }
  if (options.start == Start::kData && options.assignment == Assignment::kNone) {
    throw OptionError("start", "with 'assignment: none' nothing follows the data; use 'noise'");
  }
  if (options.embedding_norm == Norm::kLayerNorm) {
    feat_norm_ = register_module("feat_norm", torch::nn::LayerNorm(std::vector<int64_t>{D}));
  }
  if (options.score_norm == Norm::kLayerNorm) {
    mask_norm_ = register_module("mask_norm", torch::nn::LayerNorm(std::vector<int64_t>{C}));
  }
  // The paper's normal distribution cut off at 2, 100 deviations away, is a normal distribution.
  const auto noise = torch::nn::init::normal_(at::empty({C, K, D}), 0, 0.02);
  prototypes_ = register_buffer("prototypes", unit(noise));
  mass_ = register_buffer("mass", at::zeros({C, K}));
  idle_ = register_buffer("idle", at::zeros({C, K}, torch::kLong));
  refused_ = register_buffer("refused", at::zeros({}, torch::kLong));
  if (options.start == Start::kData) {
    started_ = register_buffer("started", at::zeros({C}, torch::kLong));
  }
  if (options.memory > 0) {
    memory_ = register_module("memory", std::make_shared<SampleMemory>(C, options.memory, D));
  }
}

/// Embeddings [N, D, ...] to [N, ..., D] in the prototypes' precision, with feat_norm.
torch::Tensor DncHead::inputs(const torch::Tensor& embeddings) {
  const int64_t D = prototypes_.size(2);
  TORCH_CHECK(embeddings.dim() >= 2 && embeddings.size(1) == D, "DNC: expected embeddings [N, ", D,
              "] or [N, ", D, ", h, w], got ", embeddings.sizes());
  const auto x = embeddings.movedim(1, -1).to(prototypes_.scalar_type());
  return feat_norm_ ? feat_norm_(x) : x;
}

torch::Tensor DncHead::forward(const torch::Tensor& embeddings) {
  const NoAutocast no_autocast;
  const double factor = mask_norm_ ? 1 : 1 / options_.temperature;
  const auto scores = nearest_cosine(inputs(embeddings), prototypes_, factor);
  return (mask_norm_ ? mask_norm_(scores) : scores).movedim(-1, 1);
}

torch::Tensor DncHead::project(const torch::Tensor& embeddings) {
  const NoAutocast no_autocast;
  return unit(inputs(embeddings)).flatten(0, -2);
}

/// Of each sample or pixel of the step, int64 [R]; negative where it does not count.
torch::Tensor DncHead::labels(const HeadStep& step) const {
  const bool skip = options_.mixed == Mixed::kSkip && step.soft_labels.defined();
  const auto labels = labels_of_rows(
      skip ? step.labels.masked_fill(is_mixed(step.soft_labels), kIgnoredLabel) : step.labels,
      step.embeddings);
  const auto finite = finite_rows(rows_of(step.embeddings.detach().movedim(1, -1)));
  const auto refused = labels.ge(0).logical_and_(finite.logical_not());
  return labels.masked_fill(refused, kRefused).contiguous();
}

/// Some of the samples where options say so, else all; without their points.
DncHead::Batch DncHead::pick(const torch::Tensor& labels, const HeadStep& step, Use use) const {
  if (options_.samples_per_class == 0) return {{}, labels, {}};
  const uint64_t draw = 2 * static_cast<uint64_t>(step.step) + static_cast<uint64_t>(use);
  const auto places = pick_of_each_class(labels, prototypes_.size(0), options_.samples_per_class,
                                         seed_ * 0x9E3779B97F4A7C15 + draw);
  const auto picked = labels.index_select(0, places.clamp_min(0));
  return {{}, picked.masked_fill_(places.lt(0), kIgnoredLabel), places};
}

/// The points of a batch whose places are among these embeddings [N, D, ...], with their graph.
torch::Tensor DncHead::points(const torch::Tensor& embeddings, const Batch& batch) {
  if (!batch.places.defined()) return unit_rows(rows_of(inputs(embeddings)), batch.labels);
  const auto x = rows_of(embeddings.movedim(1, -1));
  const auto places = batch.places.clamp_min(0);
  const auto image = places.floor_divide(x.size(1)), row = places.remainder(x.size(1));
  return unit_rows(rows_of(inputs(x.index({image, row}))), batch.labels);
}

/// The points of a batch of all ranks. Picked ones are few, and each rank has some of them: their
/// sum with zeros for the others' is what one process alone would have, to the bit.
torch::Tensor DncHead::gather_points(const HeadStep& step, const Batch& batch,
                                     Communicator& communicator) {
  if (communicator.size() == 1) return points(step.embeddings, batch);
  const int64_t own = step.embeddings.numel() / step.embeddings.size(1);
  const int64_t first = communicator.rank() * own;
  if (!batch.places.defined()) {
    return communicator.gather(
        points(step.embeddings, {{}, batch.labels.narrow(0, first, own), {}}));
  }
  const auto others = batch.places.lt(first).logical_or_(batch.places.ge(first + own));
  auto sum = points(step.embeddings, {{},
                                      batch.labels.masked_fill(others, kIgnoredLabel),
                                      (batch.places - first).masked_fill_(others, 0)});
  communicator.sum({sum});
  return sum;
}

void DncHead::add_losses(const HeadStep& step, Losses& losses) {
  if (options_.ppc == 0 && options_.ppd == 0) return;
  const NoAutocast no_autocast;
  Batch samples = pick(labels(step), step, Use::kLosses);
  samples.points = points(step.embeddings, samples);
  torch::Tensor index;
  {
    const torch::NoGradGuard no_grad;
    index = divide({samples.points.detach(), samples.labels, {}}).index;
  }
  const auto counts = samples.counts();
  const auto number = counts.sum().clamp_min(1);
  const auto table = prototypes_.flatten(0, 1);
  const auto own =
      dot_target(samples.points, table, samples.classes() * options_.sub_centroids + index);
  if (options_.ppc > 0) {
    const auto all = log_sum_exp(samples.points, table, options_.ppc_temperature);
    const auto sum = (all - own / options_.ppc_temperature).mul(counts).sum();
    losses.emplace_back("ppc", sum / number * options_.ppc);
  }
  if (options_.ppd > 0) {
    const auto sum = (1 - own).square().mul(counts).sum();
    losses.emplace_back("ppd", sum / number * options_.ppd);
  }
}

void DncHead::update(const HeadStep& step, Communicator& communicator) {
  if (options_.assignment == Assignment::kNone) return;
  const c10::InferenceMode no_grad;  // some 80 small operators: it takes a fifth off each
  const NoAutocast no_autocast;
  auto labels = this->labels(step);
  if (options_.samples == Samples::kCorrect) {
    const auto wrong = step.scores.argmax(1).flatten().ne(labels);
    labels.masked_fill_(wrong.logical_and_(labels.ge(0)), kIgnoredLabel);
  }
  labels = communicator.gather(labels);
  if (labels.numel() == 0) return;

  refused_ += labels.eq(kRefused).sum();
  Batch samples = pick(labels, step, Use::kUpdate);
  samples.points = gather_points(step, samples, communicator);
  if (started_.defined()) start_from(samples);
  last_ = divide(samples);
  last_places_ = samples.places;
  last_size_ = labels.size(0);
  move(samples, last_.index);
  count(samples, last_.index);
  if (options_.revive == Revive::kResample) resample(samples, last_);
  if (memory_) memory_->add(samples.points, samples.classes(), samples.counts());
}

DncHead::Division DncHead::divide(const Batch& batch) const {
  const int64_t C = prototypes_.size(0);
  Division division;
  division.similarities = own_similarities(batch.points, {}, batch.labels, prototypes_);
  division.plan_labels = batch.labels;
  if (options_.assignment != Assignment::kSinkhorn) {
    division.index = division.similarities.argmax(1);
    division.plan_logits =
        at::full_like(division.similarities, -std::numeric_limits<double>::infinity())
            .scatter_(1, division.index.unsqueeze(1), 0);
    return division;
  }
  auto similarities = division.similarities;
  if (memory_) {
    const auto [rows, labels] = memory_->find(Groups(batch.classes(), C));
    const auto remembered =
        own_similarities(memory_->samples.flatten(0, 1), rows, labels, prototypes_);
    similarities = at::cat({similarities, remembered});
    division.plan_labels = at::cat({batch.labels, labels});
  }
  division.plan_logits = sinkhorn(similarities, division.plan_labels, C,
                                  options_.sinkhorn.iterations, options_.sinkhorn.epsilon);
  division.index =
      largest_share(division.plan_logits.narrow(0, 0, batch.labels.size(0)), division.similarities);
  return division;
}

/// The first samples of each class become its sub-centroids, one after the other.
void DncHead::start_from(const Batch& batch) {
  const int64_t K = options_.sub_centroids;
  const auto classes = batch.classes();
  const auto place = started_.index_select(0, classes) + rank_in_group(classes, batch.counts());
  const auto keep = batch.counts().logical_and(place.lt(K));
  auto table = prototypes_.flatten(0, 1);
  write_rows(table, classes * K + place.clamp_max(K - 1), batch.points, keep);
  started_.index_add_(0, classes, keep.to(torch::kLong));
}

void DncHead::move(const Batch& batch, const torch::Tensor& index) {
  auto table = prototypes_.flatten(0, 1);
  momentum_update(table, batch.points, batch.classes() * options_.sub_centroids + index,
                  batch.counts(), options_.momentum);
}

void DncHead::count(const Batch& batch, const torch::Tensor& index) {
  const Groups classes(batch.classes(), prototypes_.size(0));
  const auto one = batch.counts().to(mass_.scalar_type()).unsqueeze(1);
  const auto each = at::zeros({index.size(0), options_.sub_centroids}, one.options())
                        .scatter_(1, index.unsqueeze(1), one);
  const auto got = classes.sum(each);  // [G, K]
  const auto seen = got.sum(1, /*keepdim=*/true).gt(0);
  const auto mass = classes.read(mass_);
  classes.write(mass_, at::where(seen, mass * kMassDecay + got, mass));
  const auto idle = classes.read(idle_);
  classes.write(idle_, at::where(seen, (idle + 1).masked_fill_(got.gt(0), 0), idle));
}

/// At most one sub-centroid of a class at a time, the one that has been idle longest.
void DncHead::resample(const Batch& batch, const Division& division) {
  const auto samples = batch.classes();
  const Groups classes(samples, prototypes_.size(0));
  const auto idle = classes.read(idle_);
  const auto due = classes.to_samples(idle.amax(1).ge(options_.patience));
  const auto which = classes.to_samples(idle.argmax(1));

  // The least alike sample of each class; of several, the last.
  const auto alike = division.similarities.gather(1, division.index.unsqueeze(1)).squeeze(1);
  const auto unlike = alike.neg().masked_fill_(batch.counts().logical_not(), -2);
  const auto least = batch.counts().logical_and(unlike.eq(classes.to_samples(classes.max(unlike))));
  const auto number = at::arange(samples.size(0), samples.options());
  const auto last = classes.to_samples(classes.max(number.masked_fill(least.logical_not(), -1)));

  const auto chosen = number.eq(last).logical_and(due);
  const auto rows = samples * options_.sub_centroids + which;
  auto table = prototypes_.flatten(0, 1);
  write_rows(table, rows, batch.points, chosen);
  auto counters = idle_.flatten();
  write_rows(counters, rows, at::zeros_like(rows), chosen);
}

torch::Tensor DncHead::assignment() const {
  if (!last_.index.defined()) return {};
  const auto labels = last_.plan_labels.narrow(0, 0, last_.index.size(0));
  const auto index = last_.index.masked_fill(labels.lt(0), -1);
  if (!last_places_.defined()) return index;
  auto all = at::full({last_size_ + 1}, -1, index.options());  // the last for places not taken
  all.index_copy_(0, last_places_.masked_fill(labels.lt(0), last_size_), index);
  return all.narrow(0, 0, last_size_);
}

torch::Tensor DncHead::prototypes() const { return prototypes_.detach().clone(); }

torch::Tensor DncHead::mass() const { return mass_ / mass_.sum(1, true).clamp_min(1e-12); }

void DncHead::set_prototypes(const torch::Tensor& classes, const torch::Tensor& indices,
                             const torch::Tensor& points) {
  const torch::NoGradGuard no_grad;
  TORCH_CHECK(classes.dim() == 1 && indices.sizes() == classes.sizes() && points.dim() == 2 &&
                  points.size(0) == classes.size(0) && points.size(1) == prototypes_.size(2),
              "DNC: set_prototypes expects classes [M], indices [M] and points [M, ",
              prototypes_.size(2), "], got ", classes.sizes(), ", ", indices.sizes(), " and ",
              points.sizes());
  const auto values = unit(points.to(prototypes_.options()));
  prototypes_.index_put_({classes.to(prototypes_.device()), indices.to(prototypes_.device())},
                         values);
}

std::vector<std::pair<std::string, double>> DncHead::figures() const {
  const torch::NoGradGuard no_grad;
  const int64_t C = prototypes_.size(0), K = options_.sub_centroids;
  const auto mean = [](const torch::Tensor& values, const torch::Tensor& where) {
    const auto kept = values.to(torch::kDouble).masked_fill(where.logical_not(), 0);
    return kept.sum() / where.expand_as(values).sum().clamp_min(1);
  };
  const auto seen = mass_.sum(1, /*keepdim=*/true).gt(0);
  std::vector<std::string> names{"dead", "refused"};
  std::vector<torch::Tensor> values{mean(idle_.ge(options_.patience), seen),
                                    refused_.to(torch::kDouble)};
  if (last_.index.defined()) {
    const auto labels = last_.plan_labels;
    const auto counted = labels.narrow(0, 0, last_.index.size(0)).ge(0);
    names.emplace_back("agreement");
    values.push_back(mean(last_.similarities.argmax(1).eq(last_.index), counted));

    const Groups classes(labels.masked_fill(labels.lt(0), C), C + 1);
    const auto parts = classes.sum(at::softmax(last_.plan_logits, 1));  // [G, K]
    const auto total = parts.sum(1, /*keepdim=*/true);
    const auto deviation = (parts * K / total - 1).abs().amax(1);
    const auto enough = total.squeeze(1).gt(K - 0.5);
    names.emplace_back("marginal_deviation");
    values.push_back(mean(deviation.nan_to_num(0),
                          enough.logical_and(classes.in_use()).logical_and(classes.keys().lt(C))));
  }
  const auto read = at::stack(values).cpu();
  std::vector<std::pair<std::string, double>> figures;
  for (size_t i = 0; i < names.size(); ++i) {
    figures.emplace_back(names[i], read[static_cast<int64_t>(i)].item<double>());
  }
  return figures;
}

}  // namespace dnc
