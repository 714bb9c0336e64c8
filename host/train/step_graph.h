#pragma once

#include <torch/types.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "host/train/device_graph.h"
#include "registry/batch.h"

namespace dnc {

/// What a forward and a backward pass over a batch leave, besides the gradients of the parameters.
struct Pass {
  std::vector<std::pair<std::string, torch::Tensor>> losses;  // by name, scalars
  std::vector<torch::Tensor> embeddings, scores;  // for each head, of the whole batch, detached
  bool has_losses_of_heads = false;               // which may depend on the number of the step
};

/// Why passes cannot be replayed on `device` by one of `ranks` processes; empty where they can.
std::string reason_against_graph(torch::Device device, int64_t ranks);

/// The forward and backward passes of training as a graph of the device: recorded once, replayed
/// for each batch, so that the device does not wait for the host to tell it some thousand kernels
/// one by one. What a pass gives is then overwritten by the next one.
///
/// The first passes are made as they are, to warm up. One is recorded and replayed. The next one is
/// replayed and then made as it is, from the same random numbers and batch statistics: where losses
/// or gradients differ, the passes depend on something that was recorded as a constant. From then
/// on all are replayed. A batch of another shape than those before is passed as it is.
///
/// Whatever speaks against it (heads with losses of their own, batches whose size changes all the
/// time, an operator that cannot be recorded, a difference) ends the replaying with a line to
/// `log`, and all passes are made as they are; with `required` it is an Error.
class StepGraph {
 public:
  struct Parts {
    std::unique_ptr<DeviceGraph> graph;
    std::function<Pass(const Batch&)> pass;  // drops old gradients first
    std::vector<torch::Tensor> parameters;   // that get gradients
    std::vector<torch::Tensor> statistics;   // that a forward pass changes
    std::function<void(const std::string&)> log;
    bool required = false;
  };
  explicit StepGraph(Parts parts) : parts_(std::move(parts)) {}

  /// The batch on the device. `seed` sets the random numbers of this step, as they are now.
  Pass run(const Batch& batch, const std::function<void()>& seed);

 private:
  bool has_shapes_of_inputs(const Batch& batch) const;
  Pass warm_up(const Batch& batch);
  Pass record(const Batch& batch, const std::function<void()>& seed);
  Pass replay(const Batch& batch);
  Pass check(const Batch& batch, const std::function<void()>& seed);
  std::vector<torch::Tensor> gradients() const;
  void give_up(const std::string& reason);

  Parts parts_;
  Batch inputs_;                          // what is recorded reads these
  Pass outputs_;                          // what is recorded writes these,
  std::vector<torch::Tensor> gradients_;  // and these, undefined where there is none
  int64_t warm_ = 0;                      // passes to warm up, in a row
  int64_t changes_ = 0;                   // of the shapes, while warming up
  bool recorded_ = false;
  bool checked_ = false;
};

}  // namespace dnc
