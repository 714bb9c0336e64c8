#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "host/export/onnx_model.h"

namespace dnc {

/// Adds operators to a model of ONNX, and names what they give.
class OnnxBuilder {
 public:
  explicit OnnxBuilder(OnnxModel& model) : model_(model) {}

  /// The name of the one output of a new operator.
  std::string add(const std::string& op, std::vector<std::string> inputs,
                  OnnxAttributes attributes = {});
  /// The same of one with several.
  std::vector<std::string> add_many(const std::string& op, std::vector<std::string> inputs,
                                    OnnxAttributes attributes, size_t outputs);
  /// The name of a tensor; `name` where it has one, which then must be its own.
  std::string constant(const torch::Tensor& value, const std::string& name = "");
  std::string integers(const std::vector<int64_t>& values);
  std::string number(double value, at::ScalarType type = at::kFloat);
  /// The name that the next operators begin with: the component that they come from.
  void set_scope(std::string scope) { scope_ = std::move(scope); }

 private:
  OnnxModel& model_;
  std::string scope_;
  std::map<std::vector<int64_t>, std::string> integers_;
  int64_t count_ = 0;
};

/// A recorded graph to ONNX, operator by operator, by a table of rules.
///
/// Whatever depends on parameters alone, such as a transposed weight, is computed here and becomes
/// a tensor of the file. In-place operators are taken as those that return something new.
class OnnxLowering {
 public:
  /// `parameters` are the values of the graph's inputs behind the first, with their names.
  struct Parameter {
    std::string name;
    torch::Tensor value;
  };
  OnnxLowering(OnnxBuilder& builder, const torch::jit::Graph& graph,
               const std::vector<Parameter>& parameters);

  /// Adds all operators; `images` is the name of the graph's input. Gives the names of the tensors
  /// in the tuple that the graph returns. Throws Error for an operator without a rule.
  std::vector<std::string> run(const std::string& images);

  /// The component whose rule took a size of the recorded image as a constant; or empty.
  const std::string& fixed_by() const { return fixed_by_; }

  // What a rule asks. `node` is the one that run() is at.
  OnnxBuilder& onnx() { return builder_; }
  const torch::jit::Node& node() const { return *node_; }
  size_t arguments() const { return node_->inputs().size(); }
  /// Argument `i` as the name of an ONNX value: a tensor, or a number as a tensor.
  std::string tensor(size_t i);
  /// Of a list of tensors.
  std::vector<std::string> tensors(size_t i);
  bool is_none(size_t i) const;
  bool is_tensor(size_t i) const;
  int64_t integer(size_t i) const;
  double number(size_t i) const;
  bool flag(size_t i) const;
  std::string text(size_t i) const;
  std::vector<int64_t> integers(size_t i) const;
  std::vector<double> numbers(size_t i) const;
  /// The tensor behind an argument that depends on parameters alone.
  std::optional<torch::Tensor> known(size_t i) const;
  /// As they were in the recording.
  std::vector<int64_t> sizes(size_t i) const;
  int64_t rank(size_t i) const { return static_cast<int64_t>(sizes(i).size()); }
  at::ScalarType type(size_t i) const;
  at::ScalarType output_type() const;
  /// A dimension, counted from the front.
  int64_t dim(size_t i, size_t of) const;
  std::vector<int64_t> dims(size_t i, size_t of) const;
  /// The result of the node, or of one that gives a list.
  void give(const std::string& name);
  void give_list(std::vector<std::string> names);
  /// Says that the rule holds for images of the recorded size only.
  void fix_size();
  /// Throws Error: the node is of a kind that its rule does not cover.
  [[noreturn]] void refuse(const std::string& why) const;

 private:
  void lower(const torch::jit::Node& node);
  bool fold();
  std::string place() const;
  c10::IValue constant(size_t i) const;
  const c10::TensorType& tensor_type(const torch::jit::Value* value) const;

  OnnxBuilder& builder_;
  const torch::jit::Graph& graph_;
  const torch::jit::Node* node_ = nullptr;
  std::unordered_map<const torch::jit::Value*, Parameter> known_;
  std::unordered_map<const torch::jit::Value*, std::string> names_;
  std::unordered_map<const torch::jit::Value*, std::vector<std::string>> lists_;
  std::string last_parameter_;
  std::string fixed_by_;
};

/// Adds the ONNX operators for one node of a recorded graph.
using OnnxRule = void (*)(OnnxLowering&);

/// The rules by the operator's name without its trailing underscore, "aten::relu".
const std::unordered_map<std::string, OnnxRule>& onnx_arithmetic_rules();
const std::unordered_map<std::string, OnnxRule>& onnx_layer_rules();
const std::unordered_map<std::string, OnnxRule>& onnx_shape_rules();

}  // namespace dnc
