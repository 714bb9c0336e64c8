#include <cmath>
#include <numbers>

#include "host/export/onnx_lowering.h"

namespace dnc {
namespace {

/// An operator of one tensor with the same meaning and another name.
template <const char* const& kName>
void rename(OnnxLowering& l) {
  l.give(l.onnx().add(kName, {l.tensor(0)}));
}

template <const char* const& kName>
void rename_two(OnnxLowering& l) {
  l.give(l.onnx().add(kName, {l.tensor(0), l.tensor(1)}));
}

constexpr const char* kRelu = "Relu";
constexpr const char* kSigmoid = "Sigmoid";
constexpr const char* kTanh = "Tanh";
constexpr const char* kErf = "Erf";
constexpr const char* kExp = "Exp";
constexpr const char* kLog = "Log";
constexpr const char* kSqrt = "Sqrt";
constexpr const char* kAbs = "Abs";
constexpr const char* kNeg = "Neg";
constexpr const char* kReciprocal = "Reciprocal";
constexpr const char* kHardSwish = "HardSwish";
constexpr const char* kMul = "Mul";
constexpr const char* kPow = "Pow";
constexpr const char* kMax = "Max";
constexpr const char* kMin = "Min";
constexpr const char* kEqual = "Equal";
constexpr const char* kMatMul = "MatMul";

/// a + alpha * b, and the same with minus.
template <const char* const& kName>
void sum(OnnxLowering& l) {
  auto other = l.tensor(1);
  if (l.arguments() > 2 && l.number(2) != 1) {
    other = l.onnx().add("Mul", {other, l.onnx().number(l.number(2), l.type(0))});
  }
  l.give(l.onnx().add(kName, {l.tensor(0), other}));
}

constexpr const char* kAdd = "Add";
constexpr const char* kSub = "Sub";

void divide(OnnxLowering& l) {
  if (l.arguments() > 2 && !l.is_none(2)) l.refuse("it rounds");
  l.give(l.onnx().add("Div", {l.tensor(0), l.tensor(1)}));
}

void clip(OnnxLowering& l, const std::string& low, const std::string& high) {
  l.give(l.onnx().add("Clip", {l.tensor(0), low, high}));
}

void relu6(OnnxLowering& l) {
  clip(l, l.onnx().number(0, l.type(0)), l.onnx().number(6, l.type(0)));
}

/// clamp(x, low or none, high or none), and hardtanh(x, low, high).
void clamp(OnnxLowering& l) {
  const auto bound = [&](size_t i) {
    return i >= l.arguments() || l.is_none(i) ? std::string()
                                              : l.onnx().number(l.number(i), l.type(0));
  };
  clip(l, bound(1), bound(2));
}

void leaky_relu(OnnxLowering& l) {
  const auto slope = static_cast<float>(l.number(1));
  l.give(l.onnx().add("LeakyRelu", {l.tensor(0)}, {{"alpha", slope}}));
}

void silu(OnnxLowering& l) {
  l.give(l.onnx().add("Mul", {l.tensor(0), l.onnx().add("Sigmoid", {l.tensor(0)})}));
}

/// x times the share of a normal distribution below x, or the approximation of it by tanh.
void gelu(OnnxLowering& l) {
  auto& onnx = l.onnx();
  const auto x = l.tensor(0);
  const auto number = [&](double value) { return onnx.number(value, l.type(0)); };
  std::string share;
  if (l.text(1) == "tanh") {
    const auto cube = onnx.add("Pow", {x, number(3)});
    const auto inner = onnx.add("Add", {x, onnx.add("Mul", {cube, number(0.044715)})});
    share = onnx.add("Tanh", {onnx.add("Mul", {inner, number(std::sqrt(2 / std::numbers::pi))})});
  } else {
    share = onnx.add("Erf", {onnx.add("Mul", {x, number(1 / std::numbers::sqrt2)})});
  }
  const auto half = onnx.add("Mul", {x, number(0.5)});
  l.give(onnx.add("Mul", {half, onnx.add("Add", {share, number(1)})}));
}

void cast(OnnxLowering& l, at::ScalarType to) {
  int64_t number = 0;
  if (to == at::kFloat) number = 1;
  if (to == at::kLong) number = 7;
  if (to == at::kBool) number = 9;
  if (number == 0) l.refuse(std::string("it makes ") + c10::toString(to));
  l.give(l.type(0) == to ? l.tensor(0) : l.onnx().add("Cast", {l.tensor(0)}, {{"to", number}}));
}

/// to(), type_as() and the like: the recording says what came out.
void convert(OnnxLowering& l) { cast(l, l.output_type()); }

/// What changes nothing where the network is not trained.
void pass(OnnxLowering& l) { l.give(l.tensor(0)); }

void dropout(OnnxLowering& l) {
  if (l.flag(2)) l.refuse("it is in training mode");
  pass(l);
}

void masked_fill(OnnxLowering& l) {
  const auto value = l.known(2) ? l.tensor(2) : l.onnx().number(l.number(2), l.type(0));
  l.give(l.onnx().add("Where", {l.tensor(1), value, l.tensor(0)}));
}

void where(OnnxLowering& l) {
  l.give(l.onnx().add("Where", {l.tensor(0), l.tensor(1), l.tensor(2)}));
}

void softmax(OnnxLowering& l) {
  l.give(l.onnx().add("Softmax", {l.tensor(0)}, {{"axis", l.dim(1, 0)}}));
}

/// Reductions have their axes as an attribute, but for the sum, which has an input.
void reduce(OnnxLowering& l, const std::string& op, size_t axes, bool keep) {
  const auto dims = axes < l.arguments() ? l.dims(axes, 0) : std::vector<int64_t>{};
  OnnxAttributes attributes{{"keepdims", int64_t{keep}}};
  std::vector<std::string> inputs{l.tensor(0)};
  if (!dims.empty() && op == "ReduceSum") inputs.push_back(l.onnx().integers(dims));
  if (!dims.empty() && op != "ReduceSum") attributes["axes"] = dims;
  l.give(l.onnx().add(op, inputs, attributes));
}

/// mean(x, dims, keep, type); mean(x, type) is over all.
void mean(OnnxLowering& l) {
  const bool all = l.arguments() == 2;
  reduce(l, "ReduceMean", all ? 2 : 1, !all && l.flag(2));
}

void total(OnnxLowering& l) {
  const bool all = l.arguments() == 2;
  reduce(l, "ReduceSum", all ? 2 : 1, !all && l.flag(2));
}

void amax(OnnxLowering& l) { reduce(l, "ReduceMax", 1, l.flag(2)); }

void vector_norm(OnnxLowering& l) {
  if (l.number(1) != 2) l.refuse("only the norm of order 2 is known");
  reduce(l, "ReduceL2", 2, l.flag(3));
}

}  // namespace

const std::unordered_map<std::string, OnnxRule>& onnx_arithmetic_rules() {
  static const std::unordered_map<std::string, OnnxRule> rules{
      {"aten::relu", rename<kRelu>},
      {"aten::sigmoid", rename<kSigmoid>},
      {"aten::tanh", rename<kTanh>},
      {"aten::erf", rename<kErf>},
      {"aten::exp", rename<kExp>},
      {"aten::log", rename<kLog>},
      {"aten::sqrt", rename<kSqrt>},
      {"aten::abs", rename<kAbs>},
      {"aten::neg", rename<kNeg>},
      {"aten::reciprocal", rename<kReciprocal>},
      {"aten::hardswish", rename<kHardSwish>},
      {"aten::mul", rename_two<kMul>},
      {"aten::pow", rename_two<kPow>},
      {"aten::maximum", rename_two<kMax>},
      {"aten::minimum", rename_two<kMin>},
      {"aten::eq", rename_two<kEqual>},
      {"aten::mm", rename_two<kMatMul>},
      {"aten::bmm", rename_two<kMatMul>},
      {"aten::matmul", rename_two<kMatMul>},
      {"aten::add", sum<kAdd>},
      {"aten::sub", sum<kSub>},
      {"aten::div", divide},
      {"aten::relu6", relu6},
      {"aten::clamp", clamp},
      {"aten::clamp_min", clamp},
      {"aten::hardtanh", clamp},
      {"aten::leaky_relu", leaky_relu},
      {"aten::silu", silu},
      {"aten::gelu", gelu},
      {"aten::to", convert},
      {"aten::type_as", convert},
      {"aten::contiguous", pass},
      {"aten::clone", pass},
      {"aten::detach", pass},
      {"aten::dropout", dropout},
      {"aten::masked_fill", masked_fill},
      {"aten::where", where},
      {"aten::softmax", softmax},
      {"aten::mean", mean},
      {"aten::sum", total},
      {"aten::amax", amax},
      {"aten::linalg_vector_norm", vector_norm}};
  return rules;
}

}  // namespace dnc
