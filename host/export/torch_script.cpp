#include "host/export/torch_script.h"

#include <fmt/format.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>
#include <torch/torch.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "host/files.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace jit = torch::jit;

using Tensors = std::vector<torch::Tensor>;
using Function = std::function<Tensors(const Tensors&)>;

/// Largest difference between a model and its recording, as a share of the largest value: other
/// kernels, or the same in another order, round otherwise.
constexpr double kTolerance = 1e-4;

/// What the network does, on images that are normalised, is recorded under this name.
constexpr const char* kNetwork = "network";

constexpr const char* kForImages = R"(
def forward(self, images: Tensor) -> Tensor:
    return self.network(self.normalise(images))[1]
)";

// Scores of pixels are wanted at the size of the images.
constexpr const char* kForPixels = R"(
def forward(self, images: Tensor) -> Tensor:
    scores = self.network(self.normalise(images))[1]
    size = [images.size(2), images.size(3)]
    return torch.upsample_bilinear2d(scores, size, False, None, None)
)";

// Without the assertion where the size is free.
constexpr const char* kNormalise = R"(
def normalise(self, images: Tensor) -> Tensor:
    if not self.any_size:
        assert images.size(2) == {0} and images.size(3) == {1}, "this model was exported for images of {0} x {1}"
    bytes = images.type_as(self.mean)
    if images.is_floating_point():
        bytes = bytes * 255.0
    return (bytes - self.mean) * self.scale
)";

constexpr const char* kMethods = R"(
def predict(self, images: Tensor) -> Tuple[Tensor, Tensor]:
    probabilities, classes = torch.max(torch.softmax(self.forward(images), 1), 1)
    return classes, probabilities

def embed(self, images: Tensor) -> Tensor:
    return self.network(self.normalise(images))[0]
)";

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

bool is_close(const torch::Tensor& found, const torch::Tensor& expected) {
  if (found.sizes() != expected.sizes()) return false;
  const double largest = expected.abs().amax().item<double>();
  const double difference = (found - expected).abs().amax().item<double>();
  return difference <= kTolerance * std::max(largest, 1e-6);
}

bool is_close(const Tensors& found, const Tensors& expected) {
  if (found.size() != expected.size()) return false;
  for (size_t i = 0; i < found.size(); ++i) {
    if (!is_close(found[i], expected[i])) return false;
  }
  return true;
}

/// Lets TorchScript interpret graphs as they are while it lives. Else it compiles each at its first
/// calls, which takes longer than they do.
class PlainExecutor {
 public:
  PlainExecutor() : before_(jit::getExecutorMode().exchange(false)) {}
  ~PlainExecutor() { jit::getExecutorMode() = before_; }
  PlainExecutor(const PlainExecutor&) = delete;
  PlainExecutor& operator=(const PlainExecutor&) = delete;

 private:
  bool before_;
};

/// `module` with what `function` does as its method `name`.
void add_recording(jit::Module& module, const std::string& name, const Function& function,
                   const Tensors& inputs) {
  const auto cu = module._ivalue()->compilation_unit();
  const auto graph = record(function, inputs, &module);
  module.type()->addMethod(
      cu->create_function(c10::QualifiedName(*module.type()->name(), name), graph));
}

/// Whether a recording of a component behaves as the component does on other inputs.
bool holds(const torch::nn::Module& component, const Function& function, const Tensors& recorded,
           const Tensors& other) {
  try {
    auto module =
        mirror(component, std::make_shared<jit::CompilationUnit>(), "__torch__.Component");
    add_recording(module, kNetwork, function, recorded);
    const std::vector<c10::IValue> inputs(other.begin(), other.end());
    return is_close(tensors_of(module.get_method(kNetwork)(inputs)), function(other));
  } catch (const std::exception&) {
    return false;
  }
}

/// The first component of which a recording does not hold.
std::string to_blame(Model& model, const torch::Tensor& recorded, const torch::Tensor& other) {
  const auto child = [&](const char* name) { return model.named_children()[name]; };
  const auto backbone = std::dynamic_pointer_cast<Backbone>(child("backbone"));
  const auto decode_head = std::dynamic_pointer_cast<DecodeHead>(child("decode_head"));
  const Function features = [&](const Tensors& x) { return backbone->forward(x.at(0)); };
  const Function embeddings = [&](const Tensors& x) { return Tensors{decode_head->forward(x)}; };
  if (!holds(*backbone, features, {recorded}, {other})) return "model.backbone";
  const auto here = features({recorded}), there = features({other});
  return holds(*decode_head, embeddings, here, there) ? "model.head" : "model.decode_head";
}

/// Normalised images, the same each time.
torch::Tensor example_images(int64_t count, PixelSize size) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(/*seed=*/count);
  return at::randn({count, 3, size.height, size.width}, generator);
}

/// What the model makes of images; nothing where it does not take such a size.
std::optional<Tensors> outputs_of(Model& model, const torch::Tensor& images) {
  try {
    const auto output = model.forward(images);
    return Tensors{output.embeddings, output.scores};
  } catch (const c10::Error&) {
    return std::nullopt;
  }
}

/// Whether the recording gives what the model gives for images.
bool is_faithful(const jit::Module& module, const torch::Tensor& images, const Tensors& expected) {
  try {
    return is_close(tensors_of(module.get_method(kNetwork)({images})), expected);
  } catch (const std::exception&) {
    return false;
  }
}

/// Compares the recording with the model at other numbers and sizes of images. Says what keeps it
/// to one size; empty where nothing does.
std::string compare(const jit::Module& module, Model& model, PixelSize size) {
  const auto recorded = example_images(1, size);
  for (const auto& [count, other] :
       std::vector<std::pair<int64_t, PixelSize>>{{2, size},
                                                  {1, {size.height + 32, size.width + 64}},
                                                  {3, {size.height + 7, size.width + 13}}}) {
    const auto images = example_images(count, other);
    const auto expected = outputs_of(model, images);
    if (!expected) return "the model";
    if (is_faithful(module, images, *expected)) continue;
    const auto component = to_blame(model, recorded, images);
    if (!(other == size)) return component;
    throw Error(fmt::format(
        "the model cannot be exported: {} depends on the number of the images in a way that a "
        "recording does not hold. Its forward() must not turn sizes into numbers (see "
        "docs/export.md)",
        component));
  }
  return "";
}

std::string description(const ExportInfo& info, bool any_size) {
  nlohmann::ordered_json json;
  json["format"] = "dnc-host export 1";
  json["task"] = info.task == Task::kPixels ? "pixels" : "images";
  json["classes"] = info.classes.names;
  json["palette"] = info.classes.palette;
  json["mean"] = info.preprocess.mean;
  json["std"] = info.preprocess.std;
  json["size"] = {info.size.height, info.size.width};
  json["any_size"] = any_size;
  return json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

TorchScriptExport to_torch_script(Model& model, const ExportInfo& info) {
  const torch::NoGradGuard no_grad;
  const PlainExecutor plain;
  model.eval();
  auto module =
      mirror(model, std::make_shared<jit::CompilationUnit>(), "__torch__.DeepNearestCentroids");
  const Function network = [&](const Tensors& x) {
    const auto output = model.forward(x.at(0));
    return Tensors{output.embeddings, output.scores};
  };
  add_recording(module, kNetwork, network, {example_images(1, info.size)});
  const auto fixed_by = compare(module, model, info.size);
  const auto channels = [](const std::vector<double>& values) {
    return torch::tensor(values, torch::kFloat32).view({1, 3, 1, 1});
  };
  module.register_buffer("mean", channels(info.preprocess.mean));
  module.register_buffer("scale", channels(info.preprocess.std).reciprocal());
  c10::List<std::string> class_names;
  for (const auto& each : info.classes.names) class_names.push_back(each);
  module.register_attribute("class_names", c10::ListType::ofStrings(), class_names);
  const bool pixels = info.task == Task::kPixels;
  module.register_attribute("task", c10::StringType::get(),
                            std::string(pixels ? "pixels" : "images"));
  module.register_attribute("any_size", c10::BoolType::get(), fixed_by.empty());
  module.define(fmt::format(fmt::runtime(kNormalise), info.size.height, info.size.width));
  module.define(pixels ? kForPixels : kForImages);
  module.define(kMethods);
  return {module, fixed_by};
}

void write_torch_script(const jit::Module& module, Model& model, const ExportInfo& info,
                        const std::string& path) {
  const torch::NoGradGuard no_grad;
  const PlainExecutor plain;
  std::stringstream bytes;
  module.save(bytes, {{"dnc.json", description(info, module.attr("any_size").toBool())},
                      {"config.yaml", info.config}});
  const auto images = example_images(2, info.size);
  const auto expected = outputs_of(model, images);
  try {
    auto again = jit::load(bytes);
    if (!expected || !is_close(tensors_of(again.get_method(kNetwork)({images})), *expected)) {
      throw Error("it gives other scores");
    }
  } catch (const std::exception& error) {
    const std::string reason = error.what();
    throw Error(fmt::format("{}: the exported model cannot be used, so it is not written: {}", path,
                            reason.substr(0, reason.find('\n'))));
  }
  write_file(path, bytes.str());
}

}  // namespace dnc
