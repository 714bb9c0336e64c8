#include "plugins/backbones/common/gradient_checkpointing.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <mutex>
#include <utility>
#include <vector>

namespace dnc {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Where the default generators of the CPU and of a device stand.
class RandomState {
 public:
  explicit RandomState(const torch::Device& device) {
    note(torch::kCPU);
    if (!device.is_cpu()) note(device);
  }
  void restore() const {
    for (auto [generator, state] : states_) {
      const std::scoped_lock lock(generator.mutex());
      generator.set_state(state);
    }
  }

 private:
  void note(const torch::Device& device) {
    auto generator = at::globalContext().defaultGenerator(device);
    const std::scoped_lock lock(generator.mutex());
    states_.emplace_back(generator, generator.get_state());
  }
  std::vector<std::pair<at::Generator, torch::Tensor>> states_;
};

/// The autocast of a device as it is.
struct AutocastState {
  explicit AutocastState(torch::DeviceType type)
      : device(type),
        enabled(at::autocast::is_autocast_enabled(type)),
        dtype(at::autocast::get_autocast_dtype(type)) {}
  void restore() const {
    at::autocast::set_autocast_enabled(device, enabled);
    at::autocast::set_autocast_dtype(device, dtype);
  }
  torch::DeviceType device;
  bool enabled;
  torch::ScalarType dtype;
};

/// While it lives, autocast keeps no cast weights: what the first run leaves there belongs to a
/// graph that is gone when the second comes.
class WithoutAutocastCache {
 public:
  WithoutAutocastCache() { at::autocast::set_autocast_cache_enabled(false); }
  ~WithoutAutocastCache() { at::autocast::set_autocast_cache_enabled(before_); }
  WithoutAutocastCache(const WithoutAutocastCache&) = delete;
  WithoutAutocastCache& operator=(const WithoutAutocastCache&) = delete;

 private:
  bool before_ = at::autocast::is_autocast_cache_enabled();
};

/// What the second run needs besides the tensors that autograd keeps.
struct Run : torch::CustomClassHolder {
  Run(std::function<torch::Tensor(const torch::Tensor&)> run, std::vector<torch::Tensor> state,
      const torch::Device& device)
      : function(std::move(run)),
        buffers(std::move(state)),
        random(device),
        autocast(device.type()) {}
  std::function<torch::Tensor(const torch::Tensor&)> function;
  std::vector<torch::Tensor> buffers;
  RandomState random;
  AutocastState autocast;
};

/// While it lives, everything stands as at the first run; then as before, and the buffers too.
class SecondRun {
 public:
  SecondRun(const Run& run, const torch::Device& device)
      : run_(run), random_(device), autocast_(device.type()) {
    for (const auto& buffer : run.buffers) buffers_.push_back(buffer.detach().clone());
    run.random.restore();
    run.autocast.restore();
  }
  ~SecondRun() {
    autocast_.restore();
    random_.restore();
    // Past the version counter: batch norm keeps its statistics for the backward pass but does not
    // read them in training.
    for (size_t i = 0; i < buffers_.size(); ++i) {
      run_.buffers[i].variable_data().copy_(buffers_[i]);
    }
  }
  SecondRun(const SecondRun&) = delete;
  SecondRun& operator=(const SecondRun&) = delete;

 private:
  const Run& run_;
  RandomState random_;
  AutocastState autocast_;
  std::vector<torch::Tensor> buffers_;
};

/// The parameters are inputs, so that the output has a gradient where x wants none, and so that
/// their gradients take the usual way, hooks included.
class Checkpoint final : public torch::autograd::Function<Checkpoint> {
 public:
  static torch::Tensor forward(AutogradContext* context, const c10::intrusive_ptr<Run>& run,
                               at::TensorList x_and_parameters) {
    context->saved_data["run"] = c10::IValue::make_capsule(run);
    context->save_for_backward(x_and_parameters.vec());
    // With gradients, though they are thrown away: attention takes another kernel without.
    const at::AutoGradMode with_gradients(true);
    const WithoutAutocastCache without_cache;
    return run->function(leaf(x_and_parameters.front())).detach();
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(),
                "a checkpointed block has no second derivatives; turn off checkpoint_blocks");
    const auto run =
        c10::static_intrusive_pointer_cast<Run>(context->saved_data["run"].toCapsule());
    auto inputs = context->get_saved_variables();
    inputs.front() = leaf(inputs.front());
    const bool x_learns = inputs.front().requires_grad();

    torch::Tensor out;
    {
      const at::AutoGradMode with_gradients(true);
      const WithoutAutocastCache without_cache;
      const SecondRun second(*run, inputs.front().device());
      out = run->function(inputs.front());
    }
    if (!x_learns) inputs.erase(inputs.begin());
    auto found = torch::autograd::grad({out}, inputs, gradients, /*retain_graph=*/false,
                                       /*create_graph=*/false, /*allow_unused=*/true);
    if (!x_learns) found.insert(found.begin(), torch::Tensor());
    found.insert(found.begin(), torch::Tensor());  // of the run
    return found;
  }

 private:
  /// The tensor without what it came from.
  static torch::Tensor leaf(const torch::Tensor& x) {
    return x.detach().requires_grad_(x.requires_grad());
  }
};

}  // namespace

void checkpoint_field(Fields& f, bool& checkpoint_blocks) {
  f("checkpoint_blocks", checkpoint_blocks,
    "Blocks keep their inputs only and are computed again in the backward pass: less memory, about "
    "a third more time, the same result.")
      .alias("with_cp");
}

torch::Tensor checkpoint(torch::nn::Module& module,
                         std::function<torch::Tensor(const torch::Tensor&)> function,
                         const torch::Tensor& x) {
  variable_list inputs = {x};
  for (const auto& parameter : module.parameters()) {
    if (parameter.requires_grad()) inputs.push_back(parameter);
  }
  const bool learns = inputs.size() > 1 || x.requires_grad();
  if (!learns || !at::GradMode::is_enabled()) return function(x);
  auto run = c10::make_intrusive<Run>(std::move(function), module.buffers(), x.device());
  return Checkpoint::apply(run, at::TensorList(inputs));
}

}  // namespace dnc
