#include "host/export/onnx_run.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "registry/error.h"

namespace dnc {
namespace {

using torch::Tensor;
using Tensors = std::vector<Tensor>;

/// A node with the values of its inputs; one that is left out is not defined.
struct Call {
  const OnnxNode& node;
  const Tensors& inputs;

  const Tensor& operator[](size_t i) const { return inputs.at(i); }
  bool has(size_t i) const { return i < inputs.size() && inputs[i].defined(); }
  bool has(const char* name) const { return node.attributes.count(name) > 0; }
  int64_t integer(const char* name, int64_t otherwise) const {
    return has(name) ? std::get<int64_t>(node.attributes.at(name)) : otherwise;
  }
  float number(const char* name, float otherwise) const {
    return has(name) ? std::get<float>(node.attributes.at(name)) : otherwise;
  }
  std::string text(const char* name) const {
    return has(name) ? std::get<std::string>(node.attributes.at(name)) : "";
  }
  std::vector<int64_t> integers(const char* name) const {
    return has(name) ? std::get<std::vector<int64_t>>(node.attributes.at(name))
                     : std::vector<int64_t>{};
  }
  /// An input of whole numbers.
  std::vector<int64_t> list(size_t i) const {
    const auto values = inputs.at(i).to(at::kLong).contiguous();
    return {values.const_data_ptr<int64_t>(), values.const_data_ptr<int64_t>() + values.numel()};
  }
};

using Operator = std::function<Tensors(const Call&)>;

/// ONNX pads as [top, left, bottom, right].
Tensor pad_image(const Tensor& x, const std::vector<int64_t>& pads, double value) {
  if (pads.empty()) return x;
  return at::constant_pad_nd(x, {pads[1], pads[3], pads[0], pads[2]}, value);
}

Tensor convolution(const Call& call) {
  const auto x = pad_image(call[0], call.integers("pads"), 0);
  return at::conv2d(x, call[1], call.has(2) ? call[2] : Tensor(), call.integers("strides"),
                    at::IntArrayRef{0, 0}, call.integers("dilations"), call.integer("group", 1));
}

Tensor max_pool(const Call& call) {
  const auto x =
      pad_image(call[0], call.integers("pads"), -std::numeric_limits<double>::infinity());
  return at::max_pool2d(x, call.integers("kernel_shape"), call.integers("strides"), {0, 0},
                        call.integers("dilations"), call.integer("ceil_mode", 0) != 0);
}

Tensor average_pool(const Call& call) {
  const auto pads = call.integers("pads");
  const bool even = pads.empty() || (pads[0] == pads[2] && pads[1] == pads[3]);
  if (!even) throw Error("AveragePool with uneven padding");
  const auto padding =
      pads.empty() ? std::vector<int64_t>{0, 0} : std::vector<int64_t>{pads[0], pads[1]};
  return at::avg_pool2d(call[0], call.integers("kernel_shape"), call.integers("strides"), padding,
                        call.integer("ceil_mode", 0) != 0,
                        call.integer("count_include_pad", 0) != 0);
}

Tensor layer_norm(const Call& call) {
  const auto axis = call.integer("axis", -1);
  const auto sizes = call[0].sizes().slice(axis < 0 ? axis + call[0].dim() : axis);
  return at::layer_norm(call[0], sizes, call[1], call.has(2) ? call[2] : Tensor(),
                        call.number("epsilon", 1e-5F));
}

Tensor batch_norm(const Call& call) {
  return at::batch_norm(call[0], call[1], call[2], call[3], call[4], /*training=*/false, 0,
                        call.number("epsilon", 1e-5F), false);
}

Tensor instance_norm(const Call& call) {
  return at::instance_norm(call[0], call[1], call[2], {}, {}, /*use_input_stats=*/true, 0,
                           call.number("epsilon", 1e-5F), false);
}

/// 0 stands for the size that is there.
Tensor reshape(const Call& call) {
  auto sizes = call.list(1);
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 0) sizes[i] = call[0].size(static_cast<int64_t>(i));
  }
  return call[0].reshape(sizes);
}

/// Both are stretched to each other.
Tensor expand(const Call& call) {
  const auto shape = at::empty(call.list(1), call[0].options());
  return at::broadcast_tensors({call[0], shape})[0].contiguous();
}

Tensor slice(const Call& call) {
  const auto starts = call.list(1), ends = call.list(2), axes = call.list(3);
  const auto steps = call.has(4) ? call.list(4) : std::vector<int64_t>(axes.size(), 1);
  auto x = call[0];
  for (size_t i = 0; i < axes.size(); ++i) x = x.slice(axes[i], starts[i], ends[i], steps[i]);
  return x;
}

Tensor pad(const Call& call) {
  const auto pads = call.list(1);  // all begins, then all ends
  const auto rank = pads.size() / 2;
  std::vector<int64_t> from_last;
  for (size_t i = rank; i-- > 0;) {
    from_last.push_back(pads[i]);
    from_last.push_back(pads[i + rank]);
  }
  return at::constant_pad_nd(call[0], from_last, call.has(2) ? call[2].item() : at::Scalar(0));
}

Tensor resize(const Call& call) {
  const auto in = call[0].sizes().slice(2);
  std::vector<int64_t> size;
  std::vector<double> scales;
  if (call.has(3)) {
    size = call.list(3);
    size.erase(size.begin(), size.begin() + 2);
  } else {
    const auto given = call[2].to(at::kDouble).contiguous();
    for (int64_t i = 0; i < 2; ++i) {
      scales.push_back(given[i + 2].item<double>());
      size.push_back(static_cast<int64_t>(static_cast<double>(in[i]) * scales.back()));
    }
  }
  const auto scale = [&](size_t i) {
    return scales.empty() ? std::optional<double>() : std::optional<double>(scales[i]);
  };
  const auto coordinates = call.text("coordinate_transformation_mode");
  if (call.text("mode") == "nearest") {
    if (coordinates != "asymmetric" || call.text("nearest_mode") != "floor") {
      throw Error("Resize to the nearest pixel in another way than 'asymmetric' and 'floor'");
    }
    return at::upsample_nearest2d(call[0], size, scale(0), scale(1));
  }
  return at::upsample_bilinear2d(call[0], size, coordinates == "align_corners", scale(0), scale(1));
}

Tensor gemm(const Call& call) {
  const auto a = call.integer("transA", 0) ? call[0].t() : call[0];
  const auto b = call.integer("transB", 0) ? call[1].t() : call[1];
  return call.has(2) ? at::addmm(call[2], a, b) : at::mm(a, b);
}

Tensors split(const Call& call) {
  return call[0].split_with_sizes(call.list(1), call.integer("axis", 0));
}

Tensor shape(const Call& call) {
  const auto start = call.integer("start", 0), end = call.integer("end", call[0].dim());
  return torch::tensor(call[0].sizes().slice(start, end - start), at::kLong);
}

Tensor gather(const Call& call) {
  if (call[1].dim() != 0) throw Error("Gather with more than one place");
  return call[0].select(call.integer("axis", 0), call[1].item<int64_t>());
}

Tensor unsqueeze(const Call& call) {
  auto x = call[0];
  for (const auto axis : call.list(1)) x = x.unsqueeze(axis);
  return x;
}

at::ScalarType type_of(int64_t number) {
  switch (number) {
    case 1:
      return at::kFloat;
    case 7:
      return at::kLong;
    case 9:
      return at::kBool;
    default:
      throw Error(fmt::format("Cast to type {}", number));
  }
}

/// One tensor in, one out.
Operator of_one(Tensor (*function)(const Tensor&)) {
  return [function](const Call& call) { return Tensors{function(call[0])}; };
}

/// LibTorch would find a common type; ONNX refuses the file.
void check_types(const Tensor& a, const Tensor& b) {
  if (a.scalar_type() == b.scalar_type()) return;
  throw Error(fmt::format("has inputs of two types, {} and {}", c10::toString(a.scalar_type()),
                          c10::toString(b.scalar_type())));
}

/// Two tensors of one type in.
Operator of_two(Tensor (*function)(const Tensor&, const Tensor&)) {
  return [function](const Call& call) {
    check_types(call[0], call[1]);
    return Tensors{function(call[0], call[1])};
  };
}

Operator single(std::function<Tensor(const Call&)> function) {
  return [function = std::move(function)](const Call& call) { return Tensors{function(call)}; };
}

/// Over the axes of an attribute, or of the second input as newer operators have it.
Operator reduction(std::function<Tensor(const Tensor&, std::vector<int64_t>, bool)> function) {
  return [function = std::move(function)](const Call& call) {
    const auto axes = call.has(1) ? call.list(1) : call.integers("axes");
    return Tensors{function(call[0], axes, call.integer("keepdims", 1) != 0)};
  };
}

std::unordered_map<std::string, Operator> arithmetic() {
  return {
      {"Identity", of_one([](const Tensor& x) { return x; })},
      {"Relu", of_one([](const Tensor& x) { return at::relu(x); })},
      {"Sigmoid", of_one([](const Tensor& x) { return at::sigmoid(x); })},
      {"Tanh", of_one([](const Tensor& x) { return at::tanh(x); })},
      {"Erf", of_one([](const Tensor& x) { return at::erf(x); })},
      {"Exp", of_one([](const Tensor& x) { return at::exp(x); })},
      {"Log", of_one([](const Tensor& x) { return at::log(x); })},
      {"Sqrt", of_one([](const Tensor& x) { return at::sqrt(x); })},
      {"Abs", of_one([](const Tensor& x) { return at::abs(x); })},
      {"Neg", of_one([](const Tensor& x) { return at::neg(x); })},
      {"Reciprocal", of_one([](const Tensor& x) { return at::reciprocal(x); })},
      {"HardSwish", of_one([](const Tensor& x) { return at::hardswish(x); })},
      {"Add", of_two([](const Tensor& a, const Tensor& b) { return a + b; })},
      {"Sub", of_two([](const Tensor& a, const Tensor& b) { return a - b; })},
      {"Mul", of_two([](const Tensor& a, const Tensor& b) { return a * b; })},
      {"Div", of_two([](const Tensor& a, const Tensor& b) { return a / b; })},
      {"Pow", single([](const Call& call) { return call[0].pow(call[1]); })},
      {"Max", of_two([](const Tensor& a, const Tensor& b) { return at::maximum(a, b); })},
      {"Min", of_two([](const Tensor& a, const Tensor& b) { return at::minimum(a, b); })},
      {"Equal", of_two([](const Tensor& a, const Tensor& b) { return a.eq(b); })},
      {"MatMul", of_two([](const Tensor& a, const Tensor& b) { return at::matmul(a, b); })},
      {"Gemm", single(gemm)},
      {"Where", single([](const Call& call) {
         check_types(call[1], call[2]);
         return at::where(call[0], call[1], call[2]);
       })},
      {"Clip", single([](const Call& call) {
         return at::clamp(call[0], call.has(1) ? std::optional<Tensor>(call[1]) : std::nullopt,
                          call.has(2) ? std::optional<Tensor>(call[2]) : std::nullopt);
       })},
      {"LeakyRelu", single([](const Call& call) {
         return at::leaky_relu(call[0], call.number("alpha", 0.01F));
       })},
      {"Softmax",
       single([](const Call& call) { return at::softmax(call[0], call.integer("axis", -1)); })},
      {"Cast", single([](const Call& call) { return call[0].to(type_of(call.integer("to", 0))); })},
      {"ReduceMean", reduction([](const Tensor& x, std::vector<int64_t> axes, bool keep) {
         return x.mean(axes, keep);
       })},
      {"ReduceSum", reduction([](const Tensor& x, std::vector<int64_t> axes, bool keep) {
         return x.sum(axes, keep);
       })},
      {"ReduceMax", reduction([](const Tensor& x, std::vector<int64_t> axes, bool keep) {
         return x.amax(axes, keep);
       })},
      {"ReduceL2", reduction([](const Tensor& x, std::vector<int64_t> axes, bool keep) {
         return at::linalg_vector_norm(x, 2, axes, keep);
       })},
      {"ArgMax", single([](const Call& call) {
         return call[0].argmax(call.integer("axis", 0), call.integer("keepdims", 1) != 0);
       })},
  };
}

std::unordered_map<std::string, Operator> layers_and_shapes() {
  return {
      {"Conv", single(convolution)},
      {"MaxPool", single(max_pool)},
      {"AveragePool", single(average_pool)},
      {"GlobalAveragePool", single([](const Call& call) {
         return call[0].mean({2, 3}, true);
       })},
      {"BatchNormalization", single(batch_norm)},
      {"InstanceNormalization", single(instance_norm)},
      {"LayerNormalization", single(layer_norm)},
      {"Resize", single(resize)},
      {"Shape", single(shape)},
      {"Reshape", single(reshape)},
      {"Expand", single(expand)},
      {"Transpose",
       single([](const Call& call) { return call[0].permute(call.integers("perm")); })},
      {"Concat", single([](const Call& call) {
         for (const auto& each : call.inputs) check_types(call[0], each);
         return at::cat(call.inputs, call.integer("axis", 0));
       })},
      {"Slice", single(slice)},
      {"Split", split},
      {"Gather", single(gather)},
      {"Unsqueeze", single(unsqueeze)},
      {"Squeeze", single([](const Call& call) { return call[0].squeeze(call.list(1)); })},
      {"Pad", single(pad)},
  };
}

const Operator& find(const std::string& op) {
  static const auto table = [] {
    auto all = arithmetic();
    all.merge(layers_and_shapes());
    return all;
  }();
  const auto found = table.find(op);
  if (found == table.end()) throw Error("is not known here");
  return found->second;
}

/// The outputs of a node. Throws Error with its name.
Tensors run_node(const OnnxNode& node, const Tensors& inputs) {
  const auto fail = [&](const std::string& what) {
    throw Error(fmt::format("ONNX operator {} '{}': {}", node.op, node.name,
                            what.substr(0, what.find('\n'))));
  };
  Tensors outputs;
  try {
    outputs = find(node.op)({node, inputs});
  } catch (const Error& error) {
    fail(error.what());
  } catch (const c10::Error& error) {
    fail(error.what_without_backtrace());
  } catch (const std::exception& error) {  // an attribute or input that is not there
    fail(error.what());
  }
  if (outputs.size() < node.outputs.size()) fail("has too many outputs");
  return outputs;
}

}  // namespace

std::vector<Tensor> run_onnx(const OnnxModel& model, const std::vector<Tensor>& inputs) {
  const c10::InferenceMode no_gradients;
  std::unordered_map<std::string, Tensor> values{{"", Tensor()}};
  for (const auto& constant : model.constants) values[constant.key()] = constant.value();
  for (size_t i = 0; i < model.inputs.size(); ++i) values[model.inputs[i].name] = inputs.at(i);
  const auto value_of = [&](const std::string& name) {
    const auto found = values.find(name);
    if (found == values.end()) throw Error("ONNX value '" + name + "' is not defined");
    return found->second;
  };
  std::unordered_map<std::string, int64_t> uses;  // that are still to come
  for (const auto& node : model.nodes) {
    for (const auto& name : node.inputs) ++uses[name];
  }
  for (const auto& output : model.outputs) ++uses[output.name];
  for (const auto& node : model.nodes) {
    Tensors arguments;
    for (const auto& name : node.inputs) {
      arguments.push_back(value_of(name));
      if (--uses[name] == 0 && !name.empty()) values.erase(name);
    }
    const auto results = run_node(node, arguments);
    for (size_t i = 0; i < node.outputs.size(); ++i) values[node.outputs[i]] = results[i];
  }
  Tensors outputs;
  for (const auto& output : model.outputs) outputs.push_back(value_of(output.name));
  return outputs;
}

}  // namespace dnc
