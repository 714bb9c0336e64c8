#include "host/train/step.h"

#include <torch/torch.h>

#include <unordered_set>

#include "host/inference.h"
#include "host/train/autocast.h"
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

// What a head has seen of a batch, part by part.
struct Seen {
  std::vector<torch::Tensor> embeddings, scores;
};

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
  batch.images = batch.images.to(device_, /*non_blocking=*/true);
  batch.labels = batch.labels.to(device_, /*non_blocking=*/true);
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
                                    const torch::Tensor& share, Named& losses) {
  Losses parts;
  const auto size = label_size(step.labels);
  const auto scores = size ? resize_scores(step.scores, *size) : step.scores;
  const auto& targets = step.soft_labels.defined() ? step.soft_labels : step.labels;
  for (size_t i = 0; i < objective.losses.size(); ++i) {
    parts.emplace_back(objective.names[i], objective.losses[i]->forward(scores, targets));
  }
  objective.head->add_losses(step, parts);
  torch::Tensor total;
  for (const auto& [name, value] : parts) {
    auto weighted = share.defined() ? value * share : value;
    if (objective.weight != 1) weighted = weighted * objective.weight;
    total = total.defined() ? total + weighted : weighted;
    add_loss(losses, objective.prefix + name, weighted.detach());
  }
  return total;
}

// The labels that count in the whole batch, of all ranks, as a scalar.
torch::Tensor TrainStep::valid_of_all(const torch::Tensor& labels) {
  auto count = valid(labels);
  if (communicator_.size() > 1) communicator_.sum({count});
  return count.clamp_min(1);
}

// One sum for all of them: each is small, and what costs is the call.
void TrainStep::sum_over_ranks(Named& losses) {
  if (communicator_.size() == 1) return;
  std::vector<torch::Tensor> values;
  for (const auto& loss : losses) values.push_back(loss.second.to(torch::kFloat32));
  const auto sums = torch::stack(values);
  communicator_.sum({sums});
  for (size_t i = 0; i < losses.size(); ++i) losses[i].second = sums[static_cast<int64_t>(i)];
}

Named TrainStep::run(Batch batch, int64_t step) {
  // Dropout and the like depend on the seed and the step alone, so a resumed run draws the same.
  const auto draw = static_cast<uint64_t>(options_.seed) * 0x9E3779B97F4A7C15 +
                    static_cast<uint64_t>(step * communicator_.size() + communicator_.rank());
  torch::manual_seed(draw);

  batch = prepare(std::move(batch), step);
  if (look_) std::exchange(look_, nullptr)(batch);
  const auto& labels = batch.labels;
  for (auto& parameter : parameters_) parameter.mutable_grad().reset();

  // A batch that does not fit into memory at once, or is shared with other ranks, goes through in
  // parts. Each counts by its share, so the gradient is that of the mean over the whole batch.
  Named losses;
  std::vector<Seen> seen(objectives_.size());
  const auto image_parts = batch.images.chunk(options_.train.accumulate);
  const auto label_parts = labels.chunk(options_.train.accumulate);
  const auto soft_parts = batch.soft_labels.defined()
                              ? batch.soft_labels.chunk(options_.train.accumulate)
                              : std::vector<torch::Tensor>(label_parts.size());
  const bool whole = image_parts.size() == 1 && communicator_.size() == 1;
  const auto all_valid = whole ? torch::Tensor() : valid_of_all(labels);
  for (size_t i = 0; i < image_parts.size(); ++i) {
    torch::Tensor total;
    {
      const Autocast autocast(options_.train.precision, device_);
      const auto outputs = model_->forward_all(image_parts[i]);
      const auto share = whole ? torch::Tensor() : valid(label_parts[i]) / all_valid;
      for (size_t h = 0; h < outputs.size(); ++h) {
        const auto& [embeddings, scores] = outputs[h];
        const auto loss =
            total_loss(objectives_[h], {embeddings, scores, label_parts[i], step, soft_parts[i]},
                       share, losses);
        total = total.defined() ? total + loss : loss;
        seen[h].embeddings.push_back(embeddings.detach());
        seen[h].scores.push_back(scores.detach());
      }
    }
    // Nothing learns by gradient where the backbone is frozen and the head has an update alone.
    if (!total.requires_grad()) continue;
    if (scaler_) total = scaler_->scale(total);
    reducer_ ? reducer_->backward(total, /*last=*/i + 1 == image_parts.size()) : total.backward();
  }
  sum_over_ranks(losses);

  if (apply_gradients(step)) {
    const torch::NoGradGuard no_grad;
    for (size_t h = 0; h < seen.size(); ++h) {
      objectives_[h].head->update(
          {join(seen[h].embeddings), join(seen[h].scores), labels, step, batch.soft_labels},
          communicator_);
    }
    if (ema_) ema_->update();
  }

  torch::Tensor total;
  for (const auto& loss : losses) total = total.defined() ? total + loss.second : loss.second;
  losses.insert(losses.begin(), {"loss", total});
  return losses;
}

// Whether the step counts: one whose gradients overflow in float16 is left out.
bool TrainStep::apply_gradients(int64_t step) {
  std::vector<torch::Tensor> gradients;
  for (const auto& parameter : parameters_) {
    if (parameter.grad().defined()) gradients.push_back(parameter.grad());
  }
  const torch::NoGradGuard no_grad;
  if (scaler_) scaler_->unscale(gradients);
  if (options_.train.clip_norm > 0) clip(gradients, options_.train.clip_norm);
  optimizer_->step(factor(step), {}, scaler_ ? scaler_->found_inf() : torch::Tensor());
  if (!scaler_) return true;
  // Waits for the device, in float16 only: what a head does in update() cannot be undone there.
  const bool overflow = scaler_->found_inf().item<float>() != 0;
  scaler_->update();
  return !overflow;
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
