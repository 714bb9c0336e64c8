#include "host/train/step_graph.h"

#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_foreach_sub.h>
#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "host/train/phase.h"
#include "registry/error.h"

namespace dnc {
namespace {

constexpr int64_t kWarmUp = 3;   // passes; libraries choose kernels and get memory in them
constexpr int64_t kChanges = 8;  // of the shapes: after more, they are not worth waiting for

// Two passes over one batch differ by the order in which a device adds. Losses are sums of the
// forward pass, where that is fixed for nearly all operators; gradients of bfloat16 differ more.
constexpr double kLossTolerance = 1e-4;
constexpr double kGradientTolerance = 0.05;

bool same_shape(const torch::Tensor& a, const torch::Tensor& b) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined();
  return a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type();
}

std::vector<torch::Tensor> copies_of(const std::vector<torch::Tensor>& tensors) {
  std::vector<torch::Tensor> copies;
  for (const auto& tensor : tensors) {
    copies.push_back(tensor.defined() ? tensor.clone() : torch::Tensor());
  }
  return copies;
}

double norm_of(const std::vector<torch::Tensor>& tensors) {
  if (tensors.empty()) return 0;
  return torch::stack(at::_foreach_norm(tensors, 2)).norm().item<double>();
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

// What differs between a pass that was replayed and one that was made; empty for nothing, none
// where they cannot be compared: gradients that overflow in float16 say nothing.
std::optional<std::string> difference(const Pass& made, const std::vector<torch::Tensor>& gradients,
                                      const Pass& replayed,
                                      const std::vector<torch::Tensor>& replayed_gradients) {
  if (made.losses.size() != replayed.losses.size()) return "the losses change from step to step";
  for (size_t i = 0; i < made.losses.size(); ++i) {
    const auto& [name, value] = made.losses[i];
    const double expected = value.item<double>();
    const double found = replayed.losses[i].second.item<double>();
    if (!std::isfinite(expected)) return std::nullopt;
    if (std::abs(found - expected) <= kLossTolerance * std::max(std::abs(expected), 1e-3)) continue;
    return fmt::format("the loss {} is {:.6g} in a pass that was replayed, not {:.6g}", name, found,
                       expected);
  }
  std::vector<torch::Tensor> expected, found;
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (gradients[i].defined() != replayed_gradients[i].defined()) {
      return "other parameters have a gradient in a pass that was replayed";
    }
    if (!gradients[i].defined()) continue;
    expected.push_back(gradients[i]);
    found.push_back(replayed_gradients[i]);
  }
  const double size = norm_of(expected);
  if (!std::isfinite(size)) return std::nullopt;
  const double error = expected.empty() ? 0 : norm_of(at::_foreach_sub(found, expected));
  if (error <= kGradientTolerance * size) return "";
  return fmt::format("gradients of length {:.4g} differ by {:.4g} in a pass that was replayed",
                     size, error);
}

}  // namespace

std::string reason_against_graph(torch::Device device, int64_t ranks) {
  if (!device.is_cuda()) return "the device is " + device.str() + ", not a GPU";
  if (ranks > 1) {
    return "there are " + std::to_string(ranks) +
           " ranks, which add their gradients up during the backward pass";
  }
  return "";
}

Pass StepGraph::run(const Batch& batch, const std::function<void()>& seed) {
  if (!parts_.graph) return parts_.pass(batch);
  if (!recorded_) {
    if (!has_shapes_of_inputs(batch)) {
      if (inputs_.images.defined()) ++changes_;
      inputs_ = batch;
      warm_ = 0;
    }
    if (changes_ > kChanges) {
      give_up("the size of the batches changes all the time");
      return parts_.pass(batch);
    }
    return warm_ < kWarmUp ? warm_up(batch) : record(batch, seed);
  }
  if (!has_shapes_of_inputs(batch)) return parts_.pass(batch);
  return checked_ ? replay(batch) : check(batch, seed);
}

bool StepGraph::has_shapes_of_inputs(const Batch& batch) const {
  return same_shape(batch.images, inputs_.images) && same_shape(batch.labels, inputs_.labels) &&
         same_shape(batch.soft_labels, inputs_.soft_labels);
}

Pass StepGraph::warm_up(const Batch& batch) {
  Pass made;
  parts_.graph->warm_up([&] { made = parts_.pass(batch); });
  ++warm_;
  if (made.has_losses_of_heads) {
    give_up("a head has losses of its own, which may depend on the number of the step");
  }
  return made;
}

Pass StepGraph::record(const Batch& batch, const std::function<void()>& seed) {
  inputs_.images = batch.images.clone();
  inputs_.labels = batch.labels.clone();
  if (batch.soft_labels.defined()) inputs_.soft_labels = batch.soft_labels.clone();
  inputs_.indices.clear();
  try {
    parts_.graph->record([this] { outputs_ = parts_.pass(inputs_); });
  } catch (const c10::Error& error) {
    give_up("recording failed: " + first_line(error.what_without_backtrace()));
    seed();
    return parts_.pass(batch);
  }
  recorded_ = true;
  gradients_ = gradients();
  return replay(batch);
}

Pass StepGraph::replay(const Batch& batch) {
  const Phase phase("replay");
  inputs_.images.copy_(batch.images, /*non_blocking=*/true);
  inputs_.labels.copy_(batch.labels, /*non_blocking=*/true);
  if (batch.soft_labels.defined()) inputs_.soft_labels.copy_(batch.soft_labels, true);
  // Passes that were made as they are have put others in their place.
  for (size_t i = 0; i < gradients_.size(); ++i) {
    parts_.parameters[i].mutable_grad() = gradients_[i];
  }
  parts_.graph->replay();
  return outputs_;
}

// The step is made of the pass that is not replayed, so it is right in any case.
Pass StepGraph::check(const Batch& batch, const std::function<void()>& seed) {
  const auto statistics = copies_of(parts_.statistics);
  auto replayed = replay(batch);
  for (auto& [name, value] : replayed.losses) value = value.clone();
  const auto replayed_gradients = copies_of(gradients());
  {
    const torch::NoGradGuard no_grad;
    if (!statistics.empty()) at::_foreach_copy_(parts_.statistics, statistics);
  }
  seed();
  auto made = parts_.pass(batch);
  const torch::NoGradGuard no_grad;
  const auto differs = difference(made, gradients(), replayed, replayed_gradients);
  if (!differs) return made;  // the next batch will tell
  if (!differs->empty()) {
    give_up(*differs);
    return made;
  }
  checked_ = true;
  parts_.log("train.cuda_graph: forward and backward passes are replayed from now on");
  return made;
}

std::vector<torch::Tensor> StepGraph::gradients() const {
  std::vector<torch::Tensor> gradients;
  for (const auto& parameter : parts_.parameters) gradients.push_back(parameter.grad());
  return gradients;
}

void StepGraph::give_up(const std::string& reason) {
  parts_.graph.reset();
  inputs_ = {};
  outputs_ = {};
  gradients_.clear();
  if (parts_.required) throw Error("train.cuda_graph is 'on', but " + reason);
  parts_.log("train.cuda_graph: passes are not replayed: " + reason);
}

}  // namespace dnc
