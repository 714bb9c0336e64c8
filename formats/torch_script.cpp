#include "formats/torch_script.h"

#include <ATen/EmptyTensor.h>
#include <fmt/format.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <filesystem>
#include <memory>
#include <utility>

#include "registry/error.h"

namespace dnc {
namespace {

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
                                  file, reason_of(wrong)));
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

}  // namespace

std::string reason_of(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  std::string text = torch_error ? torch_error->what_without_backtrace() : error.what();
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (text.find("TorchScript") != std::string::npos) return text.substr(text.rfind('\n') + 1);
  return text.substr(0, text.find('\n'));
}

ScriptModule::ScriptModule(torch::nn::Module& component, const std::string& file, bool frozen)
    : module_(load_module(file)), frozen_(frozen) {
  share(component, module_);
  bool learns = false, any = false;
  for (auto& parameter : component.parameters()) {
    any = true;
    learns = learns || parameter.requires_grad();
    if (frozen_) parameter.set_requires_grad(false);
  }
  if (any && !learns && !frozen_) {
    throw OptionError("file", fmt::format("is '{}', which has no parameter that learns; set "
                                          "frozen: true, or save the module without "
                                          "torch.jit.freeze",
                                          file));
  }
}

void ScriptModule::share(torch::nn::Module& holder, const torch::jit::Module& module) {
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
void ScriptModule::keep_buffers() {
  for (auto& buffer : buffers_) {
    const auto now = buffer.owner.attr(buffer.name).toTensor();
    if (now.is_same(buffer.tensor)) continue;
    const torch::NoGradGuard no_grad;
    buffer.tensor.copy_(now);
    buffer.owner.setattr(buffer.name, buffer.tensor);
  }
}

c10::IValue ScriptModule::call(const std::string& method, std::vector<c10::IValue> arguments) {
  const torch::jit::GraphOptimizerEnabledGuard as_written(false);
  auto returned = module_.get_method(method)(std::move(arguments));
  keep_buffers();
  return returned;
}

std::vector<std::string> ScriptModule::arguments(const std::string& method) const {
  const auto found = module_.find_method(method);
  if (!found) return {};
  std::vector<std::string> types;
  for (const auto& argument : found->function().getSchema().arguments()) {
    if (argument.name() != "self") types.push_back(argument.type()->annotation_str());
  }
  return types;
}

c10::IValue ScriptModule::try_out(const std::string& method, std::vector<c10::IValue> arguments) {
  const torch::NoGradGuard no_grad;
  const bool mode = module_.is_training();
  module_.eval();
  std::vector<torch::Tensor> before;
  for (const auto& buffer : buffers_) before.push_back(buffer.tensor.clone());
  const auto restore = [&] {
    for (size_t i = 0; i < before.size(); ++i) buffers_[i].tensor.copy_(before[i]);
    module_.train(mode);
  };
  try {
    auto returned = call(method, std::move(arguments));
    restore();
    return returned;
  } catch (...) {
    restore();
    throw;
  }
}

}  // namespace dnc
