#include "host/export/onnx_lowering.h"

#include <fmt/format.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/runtime/operator.h>
#include <torch/types.h>

#include <algorithm>
#include <utility>

#include "registry/error.h"

namespace dnc {
namespace {

namespace jit = torch::jit;

/// The name of an operator; `in_place` says whether it was one that changes its first input.
std::string name_of(const jit::Node& node, bool* in_place = nullptr) {
  std::string name = node.kind().toQualString();
  const bool changes = name.starts_with("aten::") && name.ends_with('_');
  if (in_place) *in_place = changes;
  return changes ? name.substr(0, name.size() - 1) : name;
}

OnnxRule find_rule(const std::string& name) {
  for (const auto* rules : {&onnx_arithmetic_rules(), &onnx_layer_rules(), &onnx_shape_rules()}) {
    const auto found = rules->find(name);
    if (found != rules->end()) return found->second;
  }
  return nullptr;
}

}  // namespace

std::vector<std::string> OnnxBuilder::add_many(const std::string& op,
                                               std::vector<std::string> inputs,
                                               OnnxAttributes attributes, size_t outputs) {
  const auto name = fmt::format("{}{}_{}", scope_, op, count_++);
  std::vector<std::string> names;
  for (size_t i = 0; i < outputs; ++i) {
    names.push_back(outputs == 1 ? name : fmt::format("{}_{}", name, i));
  }
  model_.nodes.push_back({op, name, std::move(inputs), names, std::move(attributes)});
  return names;
}

std::string OnnxBuilder::add(const std::string& op, std::vector<std::string> inputs,
                             OnnxAttributes attributes) {
  return add_many(op, std::move(inputs), std::move(attributes), 1).front();
}

std::string OnnxBuilder::constant(const torch::Tensor& value, const std::string& name) {
  auto given = name.empty() ? fmt::format("constant_{}", count_++) : name;
  auto* there = model_.constants.find(given);
  if (there && !at::equal(*there, value)) {  // another part of the same parameter
    given = fmt::format("{}_{}", given, count_++);
    there = nullptr;
  }
  if (!there) model_.constants.insert(given, value);
  return given;
}

std::string OnnxBuilder::integers(const std::vector<int64_t>& values) {
  auto& name = integers_[values];
  if (name.empty()) name = constant(torch::tensor(values, at::kLong));
  return name;
}

std::string OnnxBuilder::number(double value, at::ScalarType type) {
  return constant(torch::scalar_tensor(value, type));
}

OnnxLowering::OnnxLowering(OnnxBuilder& builder, const jit::Graph& graph,
                           const std::vector<Parameter>& parameters)
    : builder_(builder), graph_(graph) {
  const auto inputs = graph.inputs();
  for (size_t i = 0; i < parameters.size(); ++i) known_[inputs[i + 1]] = parameters[i];
}

std::vector<std::string> OnnxLowering::run(const std::string& images) {
  names_[graph_.inputs()[0]] = images;
  for (const auto* each : graph_.nodes()) lower(*each);
  node_ = graph_.outputs()[0]->node();
  std::vector<std::string> outputs;
  for (size_t i = 0; i < arguments(); ++i) outputs.push_back(tensor(i));
  return outputs;
}

void OnnxLowering::lower(const jit::Node& node) {
  node_ = &node;
  if (node.kind() == c10::prim::Constant || node.kind() == c10::prim::ListConstruct ||
      node.kind() == c10::prim::TupleConstruct || node.kind() == c10::prim::ListUnpack) {
    if (node.kind() == c10::prim::ListUnpack) {
      const auto names = tensors(0);
      if (names.size() != node.outputs().size()) refuse("its list has another length");
      for (size_t i = 0; i < names.size(); ++i) names_[node.outputs()[i]] = names[i];
    }
    return;  // the others are read where they are used
  }
  for (const auto* input : node.inputs()) {
    const auto found = known_.find(input);
    if (found != known_.end() && !found->second.name.empty()) last_parameter_ = found->second.name;
  }
  if (fold()) return;
  auto scope = node.scopeName();
  if (!scope.empty()) scope += '/';
  builder_.set_scope(std::move(scope));
  const auto rule = find_rule(name_of(node));
  if (!rule) refuse("there is no rule for it");
  rule(*this);
}

/// Computes a node that depends on parameters and constants alone.
bool OnnxLowering::fold() {
  bool in_place = false;
  name_of(*node_, &in_place);
  const auto* operation = node_->maybeOperator();
  const bool one_tensor =
      node_->outputs().size() == 1 && node_->output()->type()->isSubtypeOf(*c10::TensorType::get());
  if (in_place || !operation || !one_tensor) return false;
  jit::Stack stack;
  std::string name;
  for (size_t i = 0; i < arguments(); ++i) {
    const auto* input = node_->input(i);
    if (const auto tensor = known(i)) {
      stack.emplace_back(*tensor);
      if (known_.count(input)) name = known_.at(input).name;
    } else if (const auto value = jit::toIValue(input)) {
      stack.push_back(*value);
    } else {
      return false;
    }
  }
  if (!name.empty()) name += name_of(*node_).replace(0, 6, ".");  // "aten::t" to ".t"
  const torch::NoGradGuard no_grad;
  node_->getOperation()(stack);
  known_[node_->output()] = {name, stack.at(0).toTensor()};
  return true;
}

std::string OnnxLowering::place() const {
  auto place = node_->scopeName();
  if (place.empty()) place = "the model";
  return last_parameter_.empty() ? place : fmt::format("{}, at '{}',", place, last_parameter_);
}

void OnnxLowering::refuse(const std::string& why) const {
  throw Error(
      fmt::format("the model cannot be exported to ONNX: {} uses {}: {}. TorchScript takes "
                  "any model (--format torchscript); see docs/export.md for the operators",
                  place(), node_->kind().toQualString(), why));
}

void OnnxLowering::fix_size() {
  if (fixed_by_.empty()) fixed_by_ = node_->scopeName();
}

c10::IValue OnnxLowering::constant(size_t i) const {
  auto value = jit::toIValue(node_->input(i));
  if (!value) refuse(fmt::format("its argument {} is computed", i));
  return *value;
}

bool OnnxLowering::is_none(size_t i) const {
  const auto value = jit::toIValue(node_->input(i));
  return value && value->isNone();
}

bool OnnxLowering::is_tensor(size_t i) const {
  return node_->input(i)->type()->isSubtypeOf(*c10::TensorType::get());
}

int64_t OnnxLowering::integer(size_t i) const { return constant(i).toInt(); }

double OnnxLowering::number(size_t i) const { return constant(i).toScalar().toDouble(); }

bool OnnxLowering::flag(size_t i) const { return constant(i).toBool(); }

std::string OnnxLowering::text(size_t i) const { return constant(i).toStringRef(); }

std::vector<int64_t> OnnxLowering::integers(size_t i) const { return constant(i).toIntVector(); }

std::vector<double> OnnxLowering::numbers(size_t i) const { return constant(i).toDoubleVector(); }

std::optional<torch::Tensor> OnnxLowering::known(size_t i) const {
  const auto* input = node_->input(i);
  const auto found = known_.find(input);
  if (found != known_.end()) return found->second.value;
  const auto value = jit::toIValue(input);
  return value && value->isTensor() ? std::optional(value->toTensor()) : std::nullopt;
}

std::string OnnxLowering::tensor(size_t i) {
  const auto* input = node_->input(i);
  const auto named = names_.find(input);
  if (named != names_.end()) return named->second;
  std::string name;
  if (const auto value = known(i)) {
    name = builder_.constant(*value, known_.count(input) ? known_.at(input).name : "");
  } else if (const auto scalar = jit::toIValue(input); scalar && scalar->isScalar()) {
    // In a calculation with a tensor a number takes the tensor's type.
    return builder_.number(scalar->toScalar().toDouble(), type(0));
  } else {
    refuse(fmt::format("its argument {} is no tensor that the file has", i));
  }
  return names_[input] = name;
}

std::vector<std::string> OnnxLowering::tensors(size_t i) {
  const auto* list = node_->input(i);
  const auto found = lists_.find(list);
  if (found != lists_.end()) return found->second;
  if (list->node()->kind() != c10::prim::ListConstruct) refuse("its list of tensors is computed");
  const auto* user = std::exchange(node_, list->node());
  std::vector<std::string> names;
  for (size_t j = 0; j < arguments(); ++j) names.push_back(tensor(j));
  node_ = user;
  return names;
}

const c10::TensorType& OnnxLowering::tensor_type(const jit::Value* value) const {
  const auto* type = value->type()->castRaw<c10::TensorType>();
  if (!type || !type->scalarType()) refuse("the type of a tensor was not recorded");
  return *type;
}

std::vector<int64_t> OnnxLowering::sizes(size_t i) const {
  if (const auto value = known(i)) return value->sizes().vec();
  const auto found = tensor_type(node_->input(i)).sizes().concrete_sizes();
  if (!found) refuse("the sizes of a tensor were not recorded");
  return *found;
}

at::ScalarType OnnxLowering::type(size_t i) const {
  if (const auto value = known(i)) return value->scalar_type();
  return *tensor_type(node_->input(i)).scalarType();
}

at::ScalarType OnnxLowering::output_type() const {
  return *tensor_type(node_->output()).scalarType();
}

int64_t OnnxLowering::dim(size_t i, size_t of) const {
  const auto given = integer(i);
  return given < 0 ? given + rank(of) : given;
}

std::vector<int64_t> OnnxLowering::dims(size_t i, size_t of) const {
  std::vector<int64_t> dims;
  if (is_none(i)) {
    for (int64_t d = 0; d < rank(of); ++d) dims.push_back(d);
    return dims;
  }
  const auto value = constant(i);
  dims = value.isInt() ? std::vector<int64_t>{value.toInt()} : value.toIntVector();
  for (auto& each : dims) each += each < 0 ? rank(of) : 0;
  return dims;
}

void OnnxLowering::give(const std::string& name) { names_[node_->output()] = name; }

void OnnxLowering::give_list(std::vector<std::string> names) {
  lists_[node_->output()] = std::move(names);
}

}  // namespace dnc
