#include "plugins/backbones/torch_script/network.h"

#include <ATen/EmptyTensor.h>
#include <c10/util/StringUtil.h>
#include <fmt/format.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "plugins/backbones/common/stages.h"
#include "registry/error.h"

namespace dnc {
namespace {

/// The line of an error that says why: the last where TorchScript shows its stack, else the first.
std::string reason(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  std::string text = torch_error ? torch_error->what_without_backtrace() : error.what();
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (text.find("TorchScript") != std::string::npos) return text.substr(text.rfind('\n') + 1);
  return text.substr(0, text.find('\n'));
}

torch::jit::Module load_module(const std::string& file) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) {
    throw OptionError("file", fmt::format("is '{}', which is not there or no file", file));
  }
  try {
    return torch::jit::load(file, torch::kCPU);
  } catch (const std::exception& wrong) {
    throw OptionError("file",
                      fmt::format("is '{}', which is no module that torch.jit.save wrote, or a "
                                  "damaged one: {}. (For weights alone there is load_from.)",
                                  file, reason(wrong)));
  }
}

/// A hostile file may have a tensor that reaches beyond its bytes.
void check_storage(const std::string& name, const torch::Tensor& tensor) {
  if (tensor.layout() != torch::kStrided) {
    throw OptionError("file", "has '" + name + "', which is no dense tensor");
  }
  const auto bytes = at::detail::computeStorageNbytes(
      tensor.sizes(), tensor.strides(), tensor.element_size(), tensor.storage_offset());
  if (bytes > tensor.storage().nbytes()) {
    throw OptionError("file", "is damaged: '" + name + "' reaches beyond what is stored");
  }
}

Features maps_of(const c10::IValue& returned) {
  std::vector<c10::IValue> elements;
  if (returned.isTensor()) {
    elements = {returned};
  } else if (returned.isTuple()) {
    elements = returned.toTupleRef().elements().vec();
  } else if (returned.isList()) {
    elements = returned.toListRef().vec();
  } else if (returned.isGenericDict()) {
    for (const auto& item : returned.toGenericDict()) elements.push_back(item.value());
  }
  Features maps;
  for (const auto& element : elements) {
    TORCH_CHECK(element.isTensor(), "returns a ", element.tagKind(), " inside a ",
                returned.tagKind(), "; expected tensors");
    const auto& tensor = element.toTensor();
    TORCH_CHECK(tensor.is_floating_point() && (tensor.dim() == 4 || tensor.dim() == 2),
                "returns a tensor ", tensor.sizes(), " of ", tensor.dtype(),
                "; expected floats [N, C, H, W] or [N, C]");
    maps.push_back(tensor.dim() == 2 ? tensor.unsqueeze(2).unsqueeze(3) : tensor);
  }
  TORCH_CHECK(!maps.empty(), "returns a ", returned.tagKind(),
              "; expected a tensor, or a tuple, list or dict of tensors");
  return maps;
}

void check_expected(const std::string& option, const std::vector<int64_t>& expected,
                    const std::vector<int64_t>& found) {
  if (expected.empty() || expected == found) return;
  throw OptionError(
      option, fmt::format("is {}, but the module gives {}", c10::str(at::IntArrayRef(expected)),
                          c10::str(at::IntArrayRef(found))));
}

}  // namespace

void TorchScript::Options::fields(Fields& f) {
  f("file", file, "The module, as torch.jit.save wrote it. It is a program: trust its source.")
      .required();
  f("frozen", frozen,
    "Nothing in it learns, and it stays in evaluation mode. Otherwise those parameters learn that "
    "did where it was saved.");
  f("image_size", image_size,
    "Side of the square image on which the module is tried out; for one that takes one size only.")
      .between(1, 4096);
  f("out_channels", out_channels, "Channels of the maps. They are found out; given, they must fit.")
      .at_least(1);
  f("strides", strides, "Pixels of the image per step of the maps; the same holds.").at_least(1);
}

TorchScript::TorchScript(const Options& options)
    : frozen_(options.frozen), module_(load_module(options.file.value)) {
  share(*this, module_);
  bool learns = false;
  for (const auto& parameter : parameters()) learns = learns || parameter.requires_grad();
  if (frozen_) {
    freeze(*this);
  } else if (!learns) {
    throw OptionError("file",
                      fmt::format("is '{}', which has no parameter that learns; set frozen: "
                                  "true, or save the module without torch.jit.freeze",
                                  options.file.value));
  }
  measure(options);
  train();
}

void TorchScript::share(torch::nn::Module& holder, const torch::jit::Module& module) {
  for (const auto& parameter : module.named_parameters(/*recurse=*/false)) {
    check_storage(parameter.name, parameter.value);
    holder.register_parameter(parameter.name, parameter.value, parameter.value.requires_grad());
  }
  for (const auto& buffer : module.named_buffers(/*recurse=*/false)) {
    check_storage(buffer.name, buffer.value);
    holder.register_buffer(buffer.name, buffer.value);
    buffers_.push_back({module, buffer.name, buffer.value});
  }
  for (const auto& child : module.named_children()) {
    share(*holder.register_module(child.name, std::make_shared<torch::nn::Module>()), child.value);
  }
}

// A module may replace a buffer (`self.count = self.count + 1`, as batch norm did once) instead of
// changing it. Ours must stay the one that it uses.
void TorchScript::keep_buffers() {
  for (auto& buffer : buffers_) {
    const auto now = buffer.owner.attr(buffer.name).toTensor();
    if (now.is_same(buffer.tensor)) continue;
    const torch::NoGradGuard no_grad;
    buffer.tensor.copy_(now);
    buffer.owner.setattr(buffer.name, buffer.tensor);
  }
}

void TorchScript::measure(const Options& options) {
  const int64_t side = options.image_size;
  const torch::NoGradGuard no_grad;
  eval();
  std::vector<torch::Tensor> before;  // a trace may be one of training
  for (const auto& buffer : buffers_) before.push_back(buffer.tensor.clone());
  std::vector<int64_t> channels, strides;
  try {
    for (const auto& map : forward(torch::zeros({1, 3, side, side}))) {
      TORCH_CHECK(map.size(0) == 1, "returns ", map.size(0), " samples for one image");
      const int64_t steps = std::max<int64_t>(1, map.size(2));
      channels.push_back(map.size(1));
      strides.push_back(std::max<int64_t>(1, (side + steps / 2) / steps));
      shapes_.push_back({channels.back(), strides.back()});
    }
  } catch (const std::exception& error) {
    throw OptionError("file", fmt::format("is '{}', whose module fails on an image of {} x {} "
                                          "pixels (image_size): {}",
                                          options.file.value, side, side, reason(error)));
  }
  for (size_t i = 0; i < before.size(); ++i) buffers_[i].tensor.copy_(before[i]);
  check_expected("out_channels", options.out_channels, channels);
  check_expected("strides", options.strides, strides);
}

void TorchScript::train(bool on) {
  Backbone::train(on && !frozen_);
  module_.train(on && !frozen_);
}

Features TorchScript::forward(const torch::Tensor& images) {
  // The optimiser specialises the code to the sizes and kinds of the first calls, which costs
  // seconds and again for each new size.
  const torch::jit::GraphOptimizerEnabledGuard as_written(false);
  auto maps = maps_of(module_.forward({images}));
  keep_buffers();
  return maps;
}

}  // namespace dnc
