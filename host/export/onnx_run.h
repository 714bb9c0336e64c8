#pragma once

#include <vector>

#include "host/export/onnx_model.h"

namespace dnc {

/// What a model makes of its inputs, which are given in their order: its outputs. Each operator is
/// computed by LibTorch as ONNX's specification defines it, apart from how it was recorded; so it
/// tells whether a file says what it should. Throws Error for an operator that to_onnx() never
/// writes, and for a name that nothing before it defines.
std::vector<torch::Tensor> run_onnx(const OnnxModel& model,
                                    const std::vector<torch::Tensor>& inputs);

}  // namespace dnc
