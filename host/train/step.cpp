#include "host/train/step.h"

#include <torch/torch.h>

#include "host/train/autocast.h"
#include "registry/head.h"

namespace dnc {
namespace {

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

// The share of all valid labels that a part of a batch has, as a scalar.
torch::Tensor share_of(const torch::Tensor& part, const torch::Tensor& all) {
  return (part != kIgnoredLabel).sum() / (all != kIgnoredLabel).sum().clamp_min(1);
}

// Scores of a coarser grid than the labels are brought to the labels' size.
torch::Tensor at_label_size(const torch::Tensor& scores, const torch::Tensor& labels) {
  if (scores.dim() != 4 || (scores.size(2) == labels.size(1) && scores.size(3) == labels.size(2))) {
    return scores;
  }
  return at::upsample_bilinear2d(scores, {labels.size(1), labels.size(2)}, false);
}

}  // namespace

TrainStep::TrainStep(Experiment& experiment, std::shared_ptr<Model> model, torch::Device device,
                     Communicator& communicator)
    : options_(experiment.options()),
      model_(std::move(model)),
      device_(device),
      communicator_(communicator),
      optimizer_(experiment.build_optimizer(*model_)),
      schedule_(experiment.build_schedule()),
      losses_(experiment.build_losses()),
      steps_per_epoch_(experiment.steps_per_epoch()) {
  for (const auto& slot : options_.model.losses) loss_names_.push_back(slot.type());
  for (const auto& loss : losses_) loss->to(device_);
  if (options_.train.ema) ema_ = std::make_unique<Ema>(*model_, options_.train.ema_options);
  if (options_.train.precision == Precision::kFloat16) {
    scaler_ = std::make_unique<GradScaler>(options_.train.grad_scaler, device_);
  }
  for (const auto& parameter : model_->parameters()) {
    if (parameter.requires_grad()) parameters_.push_back(parameter);
  }
}

double TrainStep::factor(int64_t step) const {
  return schedule_->factor(step) * options_.warmup.factor(step, steps_per_epoch_);
}

double TrainStep::lr(int64_t step) const { return optimizer_->base_lr() * factor(step); }

torch::Tensor TrainStep::total_loss(const Model::Output& output, const torch::Tensor& labels,
                                    int64_t step, const torch::Tensor& share, Named& losses) {
  Losses parts;
  const auto scores = at_label_size(output.scores, labels);
  for (size_t i = 0; i < losses_.size(); ++i) {
    parts.emplace_back(loss_names_[i], losses_[i]->forward(scores, labels));
  }
  model_->head().add_losses({output.embeddings, output.scores, labels, step}, parts);
  torch::Tensor total;
  for (const auto& [name, value] : parts) {
    const auto weighted = share.defined() ? value * share : value;
    total = total.defined() ? total + weighted : weighted;
    add_loss(losses, name, weighted.detach());
  }
  return total;
}

Named TrainStep::run(Batch batch, int64_t step) {
  // Dropout and the like depend on the seed and the step alone, so a resumed run draws the same.
  const auto draw = static_cast<uint64_t>(options_.seed) * 0x9E3779B97F4A7C15 +
                    static_cast<uint64_t>(step * communicator_.size() + communicator_.rank());
  torch::manual_seed(draw);

  const auto images = batch.images.to(device_, /*non_blocking=*/true);
  const auto labels = batch.labels.to(device_, /*non_blocking=*/true);
  for (auto& parameter : parameters_) parameter.mutable_grad().reset();

  // A batch that does not fit into memory at once goes through in parts. Each counts by its share,
  // so the gradient is that of the mean over the whole batch.
  Named losses;
  std::vector<torch::Tensor> embeddings, scores;
  const auto image_parts = images.chunk(options_.train.accumulate);
  const auto label_parts = labels.chunk(options_.train.accumulate);
  for (size_t i = 0; i < image_parts.size(); ++i) {
    torch::Tensor total;
    {
      const Autocast autocast(options_.train.precision, device_);
      const auto output = model_->forward(image_parts[i]);
      const auto share =
          image_parts.size() > 1 ? share_of(label_parts[i], labels) : torch::Tensor();
      total = total_loss(output, label_parts[i], step, share, losses);
      embeddings.push_back(output.embeddings.detach());
      scores.push_back(output.scores.detach());
    }
    (scaler_ ? scaler_->scale(total) : total).backward();
  }

  if (apply_gradients(step)) {
    const torch::NoGradGuard no_grad;
    const bool one = embeddings.size() == 1;
    model_->head().update({one ? embeddings[0] : torch::cat(embeddings),
                           one ? scores[0] : torch::cat(scores), labels, step},
                          communicator_);
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
