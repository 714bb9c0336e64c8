#include "host/train/step.h"

#include <torch/torch.h>

#include <unordered_set>

#include "host/inference.h"
#include "host/train/autocast.h"
#include "host/train/phase.h"
#include "registry/error.h"
#include "registry/head.h"

namespace dnc {
namespace {

// Batches draw from an epoch of their own, the last one that Random tells from others, so that no
// sample has the same numbers.
constexpr uint64_t kEpochOfBatches = (1 << 24) - 1;

using Named = std::vector<std::pair<std::string, torch::Tensor>>;

// Sums of the same name over the parts of a batch.
void add_loss(Named& losses, const std::string& name, const torch::Tensor& value) {
  for (auto& [known, sum] : losses) {
    if (known == name) {
      sum = sum + value;
      return;
    }
  }
  losses.emplace_back(name, value);
}

// Scales gradients so that their norm together is at most `limit`, like
// torch.nn.utils.clip_grad_norm_, without waiting for the device.
void clip(const std::vector<torch::Tensor>& gradients, double limit) {
  if (gradients.empty()) return;
  const auto norm = torch::stack(at::_foreach_norm(gradients, 2)).norm();
  const auto scale = (limit / (norm + 1e-6)).clamp_max(1.0);
  at::_foreach_mul_(gradients, scale);
}

// How many labels count, as a scalar.
torch::Tensor valid(const torch::Tensor& labels) { return (labels != kIgnoredLabel).sum(); }

torch::Tensor join(const std::vector<torch::Tensor>& parts) {
  return parts.size() == 1 ? parts.front() : torch::cat(parts);
}

}  // namespace

TrainStep::TrainStep(Experiment& experiment, std::shared_ptr<Model> model, torch::Device device,
                     Communicator& communicator)
    : options_(experiment.options()),
      model_(std::move(model)),
      device_(device),
      communicator_(communicator),
      copy_to_device_(device),
      batch_transforms_(experiment.build_batch_transforms()),
      optimizer_(experiment.build_optimizer(*model_)),
      schedule_(experiment.build_schedule()),
      steps_per_epoch_(experiment.steps_per_epoch()),
      classes_(experiment.classes().size()) {
  const auto& options = options_.model;
  objectives_.push_back(
      objective(model_->head(), experiment.build_losses(), options.losses, "", 1));
  for (size_t i = 0; i < options.auxiliary_heads.size(); ++i) {
    const auto& auxiliary = options.auxiliary_heads[i];
    objectives_.push_back(objective(model_->auxiliary_head(i), experiment.build_auxiliary_losses(i),
                                    auxiliary.losses, "auxiliary_" + std::to_string(i) + ".",
                                    auxiliary.weight));
  }
  const auto against_graph = reason_against_graph(device_, communicator_.size());
  if (options_.train.cuda_graph == CudaGraph::kOn && !against_graph.empty()) {
    experiment.resolved().fail("train.cuda_graph", "is 'on', but " + against_graph);
  }
  if (options_.train.ema) ema_ = std::make_unique<Ema>(*model_, options_.train.ema_options);
  if (options_.train.precision == Precision::kFloat16) {
    scaler_ = std::make_unique<GradScaler>(options_.train.grad_scaler, device_);
  }
  for (const auto& parameter : model_->parameters()) {
    if (parameter.requires_grad()) parameters_.push_back(parameter);
  }
}

std::vector<std::pair<std::string, torch::Tensor>> TrainStep::learnable() const {
  Named learnable;
  std::unordered_set<const c10::TensorImpl*> seen;  // a tied parameter has several names
  for (const auto& item : model_->named_parameters()) {
    const auto& value = item.value();
    if (!value.requires_grad() || !seen.insert(value.unsafeGetTensorImpl()).second) continue;
    learnable.emplace_back(item.key(), value);
  }
  return learnable;
}

TrainStep::Objective TrainStep::objective(Head& head, std::vector<std::shared_ptr<Loss>> losses,
                                          const std::vector<Slot<Loss>>& slots,
                                          const std::string& prefix, double weight) const {
  Objective objective{&head, std::move(losses), {}, prefix, weight};
  for (const auto& slot : slots) objective.names.push_back(slot.type());
  for (const auto& loss : objective.losses) loss->to(device_);
  return objective;
}

void TrainStep::set_lr(std::function<double(int64_t)> lr) {
  if (optimizer_->base_lr() == 0) optimizer_->set_base_lr(1);  // no factor would make 0 more
  lr_ = std::move(lr);
}

double TrainStep::factor(int64_t step) const {
  if (lr_) return lr_(step) / optimizer_->base_lr();
  return schedule_->factor(step) * options_.warmup.factor(step, steps_per_epoch_);
}

double TrainStep::lr(int64_t step) const { return optimizer_->base_lr() * factor(step); }

// To the device; with batch transforms also normalised and through them.
Batch TrainStep::prepare(Batch batch, int64_t step) {
  batch = copy_to_device_(std::move(batch));
  if (batch_transforms_.empty()) return batch;
  const torch::NoGradGuard no_grad;
  const int64_t images = batch.images.size(0);
  const auto labels = batch.labels.sizes().vec();
  batch.images = model_->normalise(batch.images);
  Random random(static_cast<uint64_t>(options_.seed), Purpose::kAugment, kEpochOfBatches,
                static_cast<uint64_t>(step * communicator_.size() + communicator_.rank()));
  for (const auto& transform : batch_transforms_) transform->apply(batch, random);
  TORCH_CHECK(batch.images.dim() == 4 && batch.images.size(0) == images &&
                  batch.images.is_floating_point() && batch.labels.sizes() == labels,
              "a batch transform made images ", batch.images.sizes(), " and labels ",
              batch.labels.sizes(), " of ", images, " images");
  TORCH_CHECK(!batch.soft_labels.defined() ||
                  batch.soft_labels.sizes() == at::IntArrayRef({images, classes_}),
              "a batch transform made soft labels ", batch.soft_labels.sizes(), " for ", images,
              " images of ", classes_, " classes");
  return batch;
}

torch::Tensor TrainStep::total_loss(const Objective& objective, const HeadStep& step,
                                    const torch::Tensor& share, Pass& pass) {
  Losses parts;
  const auto size = label_size(step.labels);
  const auto scores = size ? resize_scores(step.scores, *size) : step.scores;
  const auto& targets = step.soft_labels.defined() ? step.soft_labels : step.labels;
  for (size_t i = 0; i < objective.losses.size(); ++i) {
    parts.emplace_back(objective.names[i], objective.losses[i]->forward(scores, targets));
  }
  objective.head->add_losses(step, parts);
  pass.has_losses_of_heads |= parts.size() > objective.losses.size();
  torch::Tensor total;
  for (const auto& [name, value] : parts) {
    auto weighted = share.defined() ? value * share : value;
    if (objective.weight != 1) weighted = weighted * objective.weight;
    total = total.defined() ? total + weighted : weighted;
    add_loss(pass.losses, objective.prefix + name, weighted.detach());
  }
  return total;
}

// The labels that count in the whole batch, of all ranks, as a scalar.
torch::Tensor TrainStep::valid_of_all(const torch::Tensor& labels) {
  auto count = valid(labels);
  if (communicator_.size() > 1) {
    const Phase phase("all_reduce");
    communicator_.sum({count});
  }
  return count.clamp_min(1);
}

// One sum for all of them: each is small, and what costs is the call.
void TrainStep::sum_over_ranks(Named& losses) {
  if (communicator_.size() == 1) return;
  const Phase phase("all_reduce");
  std::vector<torch::Tensor> values;
  for (const auto& loss : losses) values.push_back(loss.second.to(torch::kFloat32));
  const auto sums = torch::stack(values);
  communicator_.sum({sums});
  for (size_t i = 0; i < losses.size(); ++i) losses[i].second = sums[static_cast<int64_t>(i)];
}

// Dropout and the like depend on the seed and the step alone, so a resumed run draws the same.
void TrainStep::seed(int64_t step) const {
  torch::manual_seed(static_cast<uint64_t>(options_.seed) * 0x9E3779B97F4A7C15 +
                     static_cast<uint64_t>(step * communicator_.size() + communicator_.rank()));
}

Named TrainStep::run(Batch batch, int64_t step) {
  step_ = step;
  if (!std::exchange(started_, true)) make_graph();
  seed(step);
  batch = prepare(std::move(batch), step);
  if (look_) std::exchange(look_, nullptr)(batch);

  auto pass = graph_ ? graph_->run(batch, [this, step] { seed(step); }) : pass_over(batch, step);
  sum_over_ranks(pass.losses);
  const auto overflow = apply_gradients(step);
  update_heads(pass, batch, overflow, step);

  auto& losses = pass.losses;
  torch::Tensor total;
  for (const auto& loss : losses) total = total.defined() ? total + loss.second : loss.second;
  losses.insert(losses.begin(), {"loss", total});
  return std::move(losses);
}

// Not before the first step: until then a model may still change, and nobody may be logging.
void TrainStep::make_graph() {
  const auto wanted = options_.train.cuda_graph;
  if (wanted == CudaGraph::kOff || device_.is_cpu()) return;
  const auto reason = reason_against_graph(device_, communicator_.size());
  try {
    if (!reason.empty()) throw Error(reason);
    replay_by(make_cuda_graph(device_));
  } catch (const Error& error) {
    if (wanted == CudaGraph::kOn) throw;
    log_(std::string("train.cuda_graph: passes are not replayed: ") + error.what());
  }
}

void TrainStep::replay_by(std::unique_ptr<DeviceGraph> graph) {
  StepGraph::Parts parts;
  parts.graph = std::move(graph);
  parts.pass = [this](const Batch& batch) { return pass_over(batch, step_); };
  parts.parameters = parameters_;
  parts.statistics = model_->batch_statistics();
  parts.log = log_;
  parts.required = options_.train.cuda_graph == CudaGraph::kOn;
  graph_ = std::make_unique<StepGraph>(std::move(parts));
}

// A batch that does not fit into memory at once, or is shared with other ranks, goes through in
// parts. Each counts by its share, so the gradient is that of the mean over the whole batch.
Pass TrainStep::pass_over(const Batch& batch, int64_t step) {
  for (auto& parameter : parameters_) parameter.mutable_grad().reset();
  const auto image_parts = batch.images.chunk(options_.train.accumulate);
  const auto label_parts = batch.labels.chunk(options_.train.accumulate);
  const auto soft_parts = batch.soft_labels.defined()
                              ? batch.soft_labels.chunk(options_.train.accumulate)
                              : std::vector<torch::Tensor>(label_parts.size());
  const bool whole = image_parts.size() == 1 && communicator_.size() == 1;
  const auto all_valid = whole ? torch::Tensor() : valid_of_all(batch.labels);
  Pass pass;
  std::vector<std::vector<torch::Tensor>> embeddings(objectives_.size()), scores = embeddings;
  for (size_t i = 0; i < image_parts.size(); ++i) {
    torch::Tensor total;
    {
      const Phase phase("forward");
      const Autocast autocast(options_.train.precision, device_);
      const auto outputs = model_->forward_all(image_parts[i]);
      const auto share = whole ? torch::Tensor() : valid(label_parts[i]) / all_valid;
      for (size_t h = 0; h < outputs.size(); ++h) {
        const HeadStep seen{outputs[h].embeddings, outputs[h].scores, label_parts[i], step,
                            soft_parts[i]};
        const auto loss = total_loss(objectives_[h], seen, share, pass);
        total = total.defined() ? total + loss : loss;
        embeddings[h].push_back(seen.embeddings.detach());
        scores[h].push_back(seen.scores.detach());
      }
    }
    // Nothing learns by gradient where the backbone is frozen and the head has an update alone.
    if (!total.requires_grad()) continue;
    const Phase phase("backward");
    if (scaler_) total = scaler_->scale(total);
    reducer_ ? reducer_->backward(total, /*last=*/i + 1 == image_parts.size()) : total.backward();
  }
  for (size_t h = 0; h < objectives_.size(); ++h) {
    pass.embeddings.push_back(join(embeddings[h]));
    pass.scores.push_back(join(scores[h]));
  }
  return pass;
}

// Where the gradients overflow in float16 the step is left out; the returned scalar is then not 0.
// Undefined in other precisions. The host does not wait to know.
torch::Tensor TrainStep::apply_gradients(int64_t step) {
  const Phase phase("optimizer");
  std::vector<torch::Tensor> gradients;
  for (const auto& parameter : parameters_) {
    if (parameter.grad().defined()) gradients.push_back(parameter.grad());
  }
  const torch::NoGradGuard no_grad;
  if (scaler_) scaler_->unscale(gradients);
  if (options_.train.clip_norm > 0) clip(gradients, options_.train.clip_norm);
  optimizer_->step(factor(step), {}, scaler_ ? scaler_->found_inf() : torch::Tensor());
  if (!scaler_) return {};
  auto overflow = scaler_->found_inf().ne(0);
  scaler_->update();
  return overflow;
}

// What overflows teaches nothing: a batch in which no label counts changes no head.
void TrainStep::update_heads(const Pass& pass, const Batch& batch, const torch::Tensor& overflow,
                             int64_t step) {
  const Phase phase("update");
  const torch::NoGradGuard no_grad;
  const auto labels =
      overflow.defined() ? batch.labels.masked_fill(overflow, kIgnoredLabel) : batch.labels;
  for (size_t h = 0; h < objectives_.size(); ++h) {
    objectives_[h].head->update(
        {pass.embeddings[h], pass.scores[h], labels, step, batch.soft_labels}, communicator_);
  }
  if (ema_) ema_->update(overflow);
}

Named TrainStep::shared() {
  Named all;
  for (const auto& item : model_->named_parameters()) all.emplace_back(item.key(), item.value());
  for (size_t h = 0; h < objectives_.size(); ++h) {
    for (const auto& item : objectives_[h].head->named_buffers()) {
      all.emplace_back(objectives_[h].prefix + "head." + item.key(), item.value());
    }
  }
  const auto state = this->state();
  all.insert(all.end(), state.begin(), state.end());
  return all;
}

Named TrainStep::state() {
  Named all;
  const auto add = [&](const std::string& prefix, const Named& tensors) {
    for (const auto& [name, tensor] : tensors) all.emplace_back(prefix + name, tensor);
  };
  add("optimizer.", optimizer_->state());
  if (ema_) add("ema.", ema_->state());
  if (scaler_) add("scaler.", scaler_->state());
  return all;
}

}  // namespace dnc
