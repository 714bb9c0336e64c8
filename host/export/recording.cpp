#include "host/export/recording.h"

#include <fmt/format.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/torch.h>

#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "registry/error.h"

namespace dnc {
namespace {

namespace jit = torch::jit;

using Function = std::function<Tensors(const Tensors&)>;

constexpr double kTolerance = 1e-4;

// LibTorch has one mode for the process: the first PlainExecutor sets it, the last sets it back.
std::mutex executor_mutex;  // guards the next two
int64_t plain_executors = 0;
bool executor_before = true;

/// The tree of a module, with its own tensors, as TorchScript has it.
jit::Module mirror(const torch::nn::Module& module, const std::shared_ptr<jit::CompilationUnit>& cu,
                   const std::string& name) {
  jit::Module same(c10::QualifiedName(name), cu, /*shouldMangle=*/true);
  same.register_attribute("training", c10::BoolType::get(), module.is_training());
  for (const auto& p : module.named_parameters(/*recurse=*/false)) {
    same.register_parameter(p.key(), p.value(), /*is_buffer=*/false);
  }
  for (const auto& b : module.named_buffers(/*recurse=*/false)) {
    same.register_buffer(b.key(), b.value());
  }
  for (const auto& child : module.named_children()) {
    if (child.key() == "auxiliary_heads") continue;  // they are for training
    same.register_module(child.key(), mirror(*child.value(), cu, name + "_" + child.key()));
  }
  return same;
}

/// The graph of what a function does, with the tensors of `self` as its attributes.
std::shared_ptr<jit::Graph> record(const Function& function, const Tensors& inputs,
                                   jit::Module* self) {
  jit::Stack stack(inputs.begin(), inputs.end());
  std::vector<std::string> names;
  for (size_t i = 0; i < inputs.size(); ++i) names.push_back(fmt::format("x{}", i));
  const auto traced = jit::tracer::trace(
      std::move(stack),
      [&](jit::Stack values) -> jit::Stack {
        Tensors tensors;
        for (auto& value : values) tensors.push_back(value.toTensor());
        std::vector<c10::IValue> outputs;
        for (auto& output : function(tensors)) outputs.emplace_back(output);
        return {c10::ivalue::Tuple::create(std::move(outputs))};
      },
      [](const torch::Tensor&) { return std::string(); }, /*strict=*/true,
      /*force_outplace=*/false, self, names);
  return traced.first->graph;
}

Tensors tensors_of(const c10::IValue& tuple) {
  Tensors tensors;
  for (const auto& element : tuple.toTupleRef().elements()) tensors.push_back(element.toTensor());
  return tensors;
}

/// `module` with what `function` does as its method kNetwork.
void add_recording(jit::Module& module, const Function& function, const Tensors& inputs) {
  const auto cu = module._ivalue()->compilation_unit();
  const auto graph = record(function, inputs, &module);
  module.type()->addMethod(
      cu->create_function(c10::QualifiedName(*module.type()->name(), Recording::kNetwork), graph));
}

/// While it lives, what is recorded is marked as being of a component.
class Scope {
 public:
  explicit Scope(const char* component) : state_(jit::tracer::getTracingState()) {
    if (!state_) return;
    before_ = state_->graph->current_scope();
    state_->graph->set_current_scope(before_->push(c10::Symbol::scope(component)));
  }
  ~Scope() {
    if (state_) state_->graph->set_current_scope(before_);
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  std::shared_ptr<jit::tracer::TracingState> state_;
  jit::ScopePtr before_;
};

/// The components of a model.
struct Components {
  std::shared_ptr<Backbone> backbone;
  std::shared_ptr<DecodeHead> decode_head;
  std::shared_ptr<Head> head;

  explicit Components(Model& model) {
    const auto children = model.named_children();
    backbone = std::dynamic_pointer_cast<Backbone>(children["backbone"]);
    decode_head = std::dynamic_pointer_cast<DecodeHead>(children["decode_head"]);
    head = std::dynamic_pointer_cast<Head>(children["head"]);
  }

  Features features(const torch::Tensor& images) const {
    const Scope scope("model.backbone");
    return backbone->forward(images);
  }
  torch::Tensor embeddings(const Features& features) const {
    const Scope scope("model.decode_head");
    return decode_head->forward(features);
  }
  torch::Tensor scores(const torch::Tensor& embeddings) const {
    const Scope scope("model.head");
    return head->forward(embeddings);
  }
};

/// Whether a recording of a component behaves as the component does on other inputs.
bool holds(const torch::nn::Module& component, const Function& function, const Tensors& recorded,
           const Tensors& other) {
  try {
    auto module =
        mirror(component, std::make_shared<jit::CompilationUnit>(), "__torch__.Component");
    add_recording(module, function, recorded);
    const std::vector<c10::IValue> inputs(other.begin(), other.end());
    return is_close(tensors_of(module.get_method(Recording::kNetwork)(inputs)), function(other));
  } catch (const std::exception&) {
    return false;
  }
}

/// The first component of which a recording does not hold.
std::string to_blame(Model& model, const torch::Tensor& recorded, const torch::Tensor& other) {
  const Components components(model);
  const Function features = [&](const Tensors& x) { return components.features(x.at(0)); };
  const Function embeddings = [&](const Tensors& x) { return Tensors{components.embeddings(x)}; };
  if (!holds(*components.backbone, features, {recorded}, {other})) return "model.backbone";
  const auto here = features({recorded}), there = features({other});
  return holds(*components.decode_head, embeddings, here, there) ? "model.head"
                                                                 : "model.decode_head";
}

/// Whether the recording gives what the model gives for images.
bool is_faithful(const jit::Module& module, const torch::Tensor& images, const Tensors& expected) {
  try {
    return is_close(tensors_of(module.get_method(Recording::kNetwork)({images})), expected);
  } catch (const std::exception&) {
    return false;
  }
}

/// Says what keeps a recording to one size; empty where nothing does.
std::string compare(const jit::Module& module, Model& model, PixelSize size) {
  const auto recorded = example_images({1, size});
  for (const auto& trial : trial_images(size, /*any_size=*/true)) {
    const auto images = example_images(trial);
    const auto expected = outputs_of(model, images);
    if (!expected) return "the model";
    if (is_faithful(module, images, *expected)) continue;
    const auto component = to_blame(model, recorded, images);
    if (!(trial.size == size)) return component;
    throw Error(fmt::format(
        "the model cannot be exported: {} depends on the number of the images in a way that a "
        "recording does not hold. Its forward() must not turn sizes into numbers (see "
        "docs/export.md)",
        component));
  }
  return "";
}

}  // namespace

PlainExecutor::PlainExecutor() {
  const std::scoped_lock lock(executor_mutex);
  if (plain_executors++ == 0) executor_before = jit::getExecutorMode().exchange(false);
}

PlainExecutor::~PlainExecutor() {
  const std::scoped_lock lock(executor_mutex);
  if (--plain_executors == 0) jit::getExecutorMode() = executor_before;
}

std::vector<TrialImages> trial_images(PixelSize size, bool any_size) {
  std::vector<TrialImages> trials{{2, size}};
  if (any_size) {
    trials.push_back({1, {size.height + 32, size.width + 64}});
    trials.push_back({3, {size.height + 7, size.width + 13}});
  }
  return trials;
}

torch::Tensor example_images(const TrialImages& trial) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(/*seed=*/trial.count);
  return at::randn({trial.count, 3, trial.size.height, trial.size.width}, generator);
}

torch::Tensor example_bytes(const TrialImages& trial) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(/*seed=*/trial.count);
  return at::randint(0, 256, {trial.count, 3, trial.size.height, trial.size.width}, generator,
                     torch::kByte);
}

std::optional<Tensors> outputs_of(Model& model, const torch::Tensor& images) {
  try {
    const auto output = model.forward(images);
    return Tensors{output.embeddings, output.scores};
  } catch (const std::exception&) {  // a module of TorchScript throws others than LibTorch
    return std::nullopt;
  }
}

bool is_close(const Tensors& found, const Tensors& expected) {
  if (found.size() != expected.size()) return false;
  for (size_t i = 0; i < found.size(); ++i) {
    if (found[i].sizes() != expected[i].sizes()) return false;
    const double largest = expected[i].abs().amax().item<double>();
    const double difference = (found[i] - expected[i]).abs().amax().item<double>();
    if (!(difference <= kTolerance * std::max(largest, 1e-6))) return false;
  }
  return true;
}

std::pair<torch::Tensor, torch::Tensor> channels_of(const Preprocess& preprocess) {
  const auto channels = [](const std::vector<double>& values) {
    return torch::tensor(values, torch::kFloat32).view({1, 3, 1, 1});
  };
  return {channels(preprocess.mean), channels(preprocess.std).reciprocal()};
}

std::string description(const ExportInfo& info, std::optional<bool> any_size) {
  nlohmann::ordered_json json;
  json["format"] = "dnc-host export 1";
  json["task"] = info.task == Task::kPixels ? "pixels" : "images";
  json["classes"] = info.classes.names;
  json["palette"] = info.classes.palette;
  json["mean"] = info.preprocess.mean;
  json["std"] = info.preprocess.std;
  json["size"] = {info.size.height, info.size.width};
  if (any_size) json["any_size"] = *any_size;
  return json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Recording record_network(Model& model, PixelSize size) {
  auto module =
      mirror(model, std::make_shared<jit::CompilationUnit>(), "__torch__.DeepNearestCentroids");
  const Components components(model);
  const Function network = [&](const Tensors& x) {
    const auto embeddings = components.embeddings(components.features(x.at(0)));
    return Tensors{embeddings, components.scores(embeddings)};
  };
  add_recording(module, network, {example_images({1, size})});
  auto fixed_by = compare(module, model, size);
  return {std::move(module), std::move(fixed_by)};
}

}  // namespace dnc
