#pragma once

#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/types.h>

#include <functional>
#include <memory>
#include <string>

namespace dnc {

using TensorFunction = std::function<torch::Tensor(const torch::Tensor&)>;

/// What TorchScript records of `function` at the sizes of `example`. Where it behaves differently
/// at other sizes, a size has become a constant and an exported model would be wrong. Parameters
/// must not require a gradient.
inline TensorFunction trace(const TensorFunction& function, const torch::Tensor& example) {
  const auto traced = torch::jit::tracer::trace(
      {example},
      [&](torch::jit::Stack inputs) -> torch::jit::Stack {
        return {function(inputs.at(0).toTensor())};
      },
      [](const torch::Tensor&) { return std::string(); }, /*strict=*/true,
      /*force_outplace=*/false, /*self=*/nullptr, {"x"});
  const auto executor = std::make_shared<torch::jit::GraphExecutor>(traced.first->graph, "traced");
  return [executor](const torch::Tensor& x) {
    torch::jit::Stack stack = {x};
    executor->run(stack);
    return stack.at(0).toTensor();
  };
}

}  // namespace dnc
