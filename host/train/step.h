#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "host/data/loader.h"
#include "host/experiment.h"
#include "host/model.h"
#include "host/parallel/ranks.h"
#include "host/train/batch_copy.h"
#include "host/train/ema.h"
#include "host/train/grad_scaler.h"
#include "host/train/step_graph.h"
#include "registry/batch_transform.h"
#include "registry/communicator.h"
#include "registry/optimizer.h"
#include "registry/schedule.h"

namespace dnc {

/// Everything that a step of training changes, and one step. The host tells a device what to do and
/// never waits for it, with two exceptions: the optimizer LAMB in float16, and the loss Lovasz.
///
/// With several ranks each computes with its part of the batch, and all end with the same weights:
/// losses and gradients are those of the whole batch, also where the parts differ in how many
/// labels count.
class TrainStep {
 public:
  TrainStep(Experiment& experiment, std::shared_ptr<Model> model, torch::Device device,
            Communicator& communicator);

  /// Named losses of the step, of all ranks, scalars on the device, the total ("loss") first; their
  /// values are not waited for. A step whose gradients overflow in float16 changes nothing but the
  /// loss scale and what the forward pass itself keeps (batch statistics): the update of a head
  /// gets a batch in which no label counts.
  std::vector<std::pair<std::string, torch::Tensor>> run(Batch batch, int64_t step);

  /// Lets `look` see the batch of the next step as the network gets it: on the device, after the
  /// batch transforms.
  void look_at_next_batch(std::function<void(const Batch&)> look) { look_ = std::move(look); }

  /// From now on forward and backward passes are replayed by `graph`; without it they are with the
  /// option train.cuda_graph, on a GPU, from the first step on.
  void replay_by(std::unique_ptr<DeviceGraph> graph);
  /// Where the lines go that tell whether passes are replayed as a graph (train.cuda_graph).
  void log_to(std::function<void(const std::string&)> log) { log_ = std::move(log); }

  /// Parameters that learn, by name, in the order of the model.
  std::vector<std::pair<std::string, torch::Tensor>> learnable() const;
  /// What is the same on all ranks, by name: parameters, the state of heads, and of the optimizer.
  std::vector<std::pair<std::string, torch::Tensor>> shared();
  /// From now on gradients are summed over all ranks by `reducer`, which was made for learnable().
  void reduce_by(std::unique_ptr<GradientReducer> reducer) { reducer_ = std::move(reducer); }

  /// The lr of a step: base lr times schedule times warm-up.
  double lr(int64_t step) const;
  /// From now on the lr of a step is `lr(step)`, whatever schedule and warm-up say.
  void set_lr(std::function<double(int64_t)> lr);
  Model& model() { return *model_; }
  /// Averages of the parameters, or nullptr.
  Ema* ema() { return ema_.get(); }
  /// All that a checkpoint must hold besides the model, by name; filled in place to resume.
  std::vector<std::pair<std::string, torch::Tensor>> state();

 private:
  double factor(int64_t step) const;
  Batch prepare(Batch batch, int64_t step);
  torch::Tensor valid_of_all(const torch::Tensor& labels);
  void sum_over_ranks(std::vector<std::pair<std::string, torch::Tensor>>& losses);
  void seed(int64_t step) const;
  void make_graph();
  Pass pass_over(const Batch& batch, int64_t step);
  torch::Tensor apply_gradients(int64_t step);
  void update_heads(const Pass& pass, const Batch& batch, const torch::Tensor& overflow,
                    int64_t step);
  /// A head and the losses that it learns by: those of the model first, then of auxiliary heads.
  struct Objective {
    Head* head = nullptr;
    std::vector<std::shared_ptr<Loss>> losses;
    std::vector<std::string> names;  // of the losses
    std::string prefix;              // of all names
    double weight = 1;
  };
  Objective objective(Head& head, std::vector<std::shared_ptr<Loss>> losses,
                      const std::vector<Slot<Loss>>& slots, const std::string& prefix,
                      double weight) const;
  torch::Tensor total_loss(const Objective& objective, const HeadStep& step,
                           const torch::Tensor& share, Pass& pass);

  const ExperimentOptions& options_;
  std::shared_ptr<Model> model_;
  torch::Device device_;
  Communicator& communicator_;
  BatchCopy copy_to_device_;
  std::vector<std::shared_ptr<BatchTransform>> batch_transforms_;
  std::shared_ptr<Optimizer> optimizer_;
  std::shared_ptr<Schedule> schedule_;
  std::function<void(const Batch&)> look_;  // of the next step only
  std::function<double(int64_t)> lr_;       // in place of the schedule, where it is set
  std::function<void(const std::string&)> log_ = [](const std::string&) {};
  std::vector<Objective> objectives_;
  std::unique_ptr<Ema> ema_;
  std::unique_ptr<GradScaler> scaler_;
  std::unique_ptr<GradientReducer> reducer_;
  std::unique_ptr<StepGraph> graph_;  // from the first step on, where passes may be replayed
  bool started_ = false;
  int64_t step_ = 0;  // that runs
  std::vector<torch::Tensor> parameters_;
  int64_t steps_per_epoch_;
  int64_t classes_;
};

}  // namespace dnc
