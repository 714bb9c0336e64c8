#pragma once

#include <torch/types.h>

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "host/weights/safetensors.h"

namespace dnc {

using OnnxAttribute = std::variant<int64_t, float, std::string, std::vector<int64_t>>;
using OnnxAttributes = std::map<std::string, OnnxAttribute>;

/// An operator of ONNX's own domain. An input that is left out is empty.
struct OnnxNode {
  std::string op;
  std::string name;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  OnnxAttributes attributes;
};

/// An input or output: its type, and of each dimension the size or, where it is free, a name.
struct OnnxValue {
  std::string name;
  at::ScalarType type = at::kFloat;
  std::vector<std::variant<int64_t, std::string>> sizes;
};

/// A program of ONNX, the part of the format (onnx.proto) that classifiers need: a list of
/// operators, each after those whose outputs it uses, and the tensors that they begin with.
struct OnnxModel {
  static constexpr int64_t kOpset = 17;  // the first with LayerNormalization
  std::vector<OnnxNode> nodes;
  TensorMap constants;  // on the CPU
  std::vector<OnnxValue> inputs;
  std::vector<OnnxValue> outputs;
  Metadata metadata;
};

/// The bytes of an .onnx file. Throws Error for more than 2 GB, which protocol buffers cannot hold,
/// and for a type of tensor that has no name there.
std::string write_onnx(const OnnxModel& model);

/// Reads what write_onnx() wrote. Throws FormatError, which begins with `origin`.
OnnxModel read_onnx(const std::string& origin, std::string_view bytes);

}  // namespace dnc
