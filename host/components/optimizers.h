#pragma once

#include <torch/types.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "registry/fields.h"
#include "registry/optimizer.h"

namespace dnc {

/// What the optimizers of this file have in common: it keeps the groups and their state and hands
/// an update() the lists of what has a gradient, one call for all parameters that share a group, a
/// device and a type.
///
/// Parameters keep device, type and memory layout from set_groups() on. step() writes the unscaled
/// gradients back where it gets a grad_scale.
class GroupedOptimizer : public Optimizer {
 public:
  void set_groups(std::vector<ParameterGroup> groups) override;
  void step(double factor, const torch::Tensor& grad_scale,
            const torch::Tensor& found_inf) override;
  double base_lr() const override { return lr_; }
  void set_base_lr(double lr) override { lr_ = lr; }
  std::vector<std::pair<std::string, torch::Tensor>> state() override;

 protected:
  /// All lists are in one order.
  struct Batch {
    std::vector<torch::Tensor> parameters;
    std::vector<torch::Tensor> gradients;
    std::vector<std::vector<torch::Tensor>> moments;  // [kind][parameter]
    std::vector<torch::Tensor>
        steps;  // float32 scalars: steps of each parameter, this one included
    double lr = 0;
    double weight_decay = 0;
    mutable bool past_first_step = false;  // all of them, so that nobody needs to look again
  };
  using Scalar = std::optional<torch::Tensor>;

  /// `moments` names the kinds of state, each of the parameter's shape and zero at the start.
  /// Steps are counted for each parameter if `counts_steps`, and update_fused() is there if
  /// `can_fuse`.
  GroupedOptimizer(double lr, double weight_decay, std::vector<std::string> moments,
                   bool counts_steps, bool can_fuse = true);

  /// Called once a step, before its updates, with the gradients of all parameters that have one,
  /// still to be divided by `grad_scale`.
  virtual void begin_step(const std::vector<torch::Tensor>& gradients, const Scalar& grad_scale);
  /// By one fused ATen operator: dense parameters on CUDA, and dense float32 and float64 ones on a
  /// CPU.
  virtual void update_fused(const Batch& batch, const Scalar& grad_scale, const Scalar& found_inf);
  /// The same by foreach operators, for all others.
  virtual void update_foreach(const Batch& batch) = 0;

  /// The parameters of a batch for which `keep` is true.
  static Batch select(const Batch& batch, const std::vector<bool>& keep);

 private:
  /// The parameters of a group that share a device and a type.
  struct Bucket {
    std::vector<std::string> names;
    std::vector<torch::Tensor> parameters;
    std::vector<std::vector<torch::Tensor>> moments;  // [kind][parameter]
    torch::Tensor steps;                              // float32 [parameters]
    double lr_scale = 1;
    double weight_decay = 0;
    bool fused = false;

    // Those that have a gradient; made anew when others have one.
    std::vector<bool> has_gradient;
    torch::Tensor increment;  // float32 [parameters], 1 where there is a gradient
    Batch active;
  };

  void allocate(Bucket& bucket) const;
  void collect_gradients(Bucket& bucket) const;
  void step(Bucket& bucket, double lr, Scalar grad_scale, Scalar found_inf);

  double lr_;
  double weight_decay_;
  std::vector<std::string> moments_;
  bool counts_steps_;
  bool can_fuse_;
  std::vector<Bucket> buckets_;
};

/// Stochastic gradient descent, equal to torch.optim.SGD: with g the gradient plus weight decay,
/// b = momentum * b + (1 - dampening) * g and p -= lr * b, or lr * (g + momentum * b) for
/// Nesterov's; the first gradient of a parameter becomes b undamped.
///
/// State: "momentum.<parameter>" with momentum; "step.<parameter>" with dampening as well.
class SGD final : public GroupedOptimizer {
 public:
  struct Options {
    double lr = 1e-3;
    double momentum = 0;
    double dampening = 0;
    double weight_decay = 0;
    bool nesterov = false;
    void fields(Fields& f);
  };

  /// Throws OptionError for Nesterov's momentum without momentum or with dampening.
  explicit SGD(const Options& options);

 private:
  void update_fused(const Batch& batch, const Scalar& grad_scale, const Scalar& found_inf) override;
  void update_foreach(const Batch& batch) override;
  /// Calls `apply` for the parameters at their first step (true) and for the others.
  static void split(const Batch& batch, const std::function<void(const Batch&, bool)>& apply);

  Options options_;
};

/// Adam (Kingma and Ba 2015), equal to torch.optim.Adam: weight decay is added to the gradient.
///
/// State: "exp_avg.<parameter>", "exp_avg_sq.<parameter>" and "step.<parameter>".
class Adam : public GroupedOptimizer {
 public:
  struct Options {
    double lr = 1e-3;
    std::vector<double> betas = {0.9, 0.999};
    double eps = 1e-8;
    double weight_decay = 0;
    void fields(Fields& f);
  };

  explicit Adam(const Options& options);

 protected:
  Adam(const Options& options, bool decoupled);

 private:
  void update_fused(const Batch& batch, const Scalar& grad_scale, const Scalar& found_inf) override;
  void update_foreach(const Batch& batch) override;

  Options options_;
  bool decoupled_;
};

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019), equal to torch.optim.AdamW: each
/// step first multiplies a parameter by 1 - lr * weight_decay.
class AdamW final : public Adam {
 public:
  struct Options : Adam::Options {
    Options() { weight_decay = 0.01; }
  };

  explicit AdamW(const Options& options) : Adam(options, /*decoupled=*/true) {}
};

/// LAMB (You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes",
/// ICLR 2020), equal to timm's Lamb: with u the update of Adam plus weight_decay * p,
///
///   p -= lr * (|p| / |u|) * u,
///
/// so that each parameter tensor moves by a share of its own length. All gradients together are cut
/// to the norm `max_grad_norm` first. Parameters without weight decay (norms and biases by
/// `parameters.no_decay`) move by lr * u, unless `always_adapt`.
///
/// Steps are counted for each parameter, as in Adam; timm counts them for a group.
///
/// State: "exp_avg.<parameter>", "exp_avg_sq.<parameter>" and "step.<parameter>".
class LAMB final : public GroupedOptimizer {
 public:
  struct Options {
    double lr = 1e-3;
    std::vector<double> betas = {0.9, 0.999};
    double eps = 1e-6;
    double weight_decay = 0.01;
    bool grad_averaging = true;
    double max_grad_norm = 1;
    bool trust_clip = false;
    bool always_adapt = false;
    void fields(Fields& f);
  };

  explicit LAMB(const Options& options);

 private:
  void begin_step(const std::vector<torch::Tensor>& gradients, const Scalar& grad_scale) override;
  void update_foreach(const Batch& batch) override;
  /// The updates of Adam, which the moments of a batch give.
  std::vector<torch::Tensor> adam_updates(const Batch& batch) const;
  /// What the updates are multiplied with, a scalar for each parameter.
  std::vector<torch::Tensor> trust_ratios(const std::vector<torch::Tensor>& parameters,
                                          const std::vector<torch::Tensor>& updates) const;

  Options options_;
  torch::Tensor clip_;  // all gradients of the step are divided by it; not there without a limit
};

}  // namespace dnc
