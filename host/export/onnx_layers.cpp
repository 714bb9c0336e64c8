#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "host/export/onnx_lowering.h"

namespace dnc {
namespace {

/// One number stands for both directions.
std::vector<int64_t> down_and_across(const std::vector<int64_t>& values) {
  return {values.at(0), values.back()};
}

std::vector<int64_t> both_sides(const std::vector<int64_t>& padding) {
  return {padding.at(0), padding.back(), padding[0], padding.back()};
}

/// conv2d(x, weight, bias, stride, padding, dilation, groups), and _convolution with `transposed`
/// and what belongs to it in between.
void convolution(OnnxLowering& l) {
  const bool general = l.arguments() > 7;
  if (l.rank(0) != 4) l.refuse("only convolutions of images are known");
  if (general && l.flag(6)) l.refuse("it is a transposed convolution");
  std::vector<std::string> inputs{l.tensor(0), l.tensor(1)};
  if (!l.is_none(2)) inputs.push_back(l.tensor(2));
  l.give(l.onnx().add("Conv", inputs,
                      {{"strides", down_and_across(l.integers(3))},
                       {"pads", both_sides(l.integers(4))},
                       {"dilations", down_and_across(l.integers(5))},
                       {"group", l.integer(general ? 8 : 6)}}));
}

/// A tensor, or as many numbers where there is none.
std::string weight_or(OnnxLowering& l, size_t i, double otherwise,
                      const std::vector<int64_t>& size) {
  return l.is_none(i) ? l.onnx().constant(torch::full(size, otherwise)) : l.tensor(i);
}

void batch_norm(OnnxLowering& l) {
  if (l.flag(5)) l.refuse("it is in training mode");
  const auto channels = l.sizes(3);
  l.give(l.onnx().add("BatchNormalization",
                      {l.tensor(0), weight_or(l, 1, 1, channels), weight_or(l, 2, 0, channels),
                       l.tensor(3), l.tensor(4)},
                      {{"epsilon", static_cast<float>(l.number(7))}}));
}

void layer_norm(OnnxLowering& l) {
  const auto sizes = l.integers(1);
  std::vector<std::string> inputs{l.tensor(0), weight_or(l, 2, 1, sizes)};
  if (!l.is_none(3)) inputs.push_back(l.tensor(3));
  l.give(l.onnx().add("LayerNormalization", inputs,
                      {{"axis", -static_cast<int64_t>(sizes.size())},
                       {"epsilon", static_cast<float>(l.number(4))}}));
}

/// Each group as one channel of an instance norm.
void group_norm(OnnxLowering& l) {
  auto& onnx = l.onnx();
  const auto groups = l.integer(1), channels = l.sizes(0).at(1);
  const auto x = l.tensor(0);
  auto y = onnx.add("InstanceNormalization",
                    {onnx.add("Reshape", {x, onnx.integers({0, groups, -1})}),
                     onnx.constant(torch::ones({groups})), onnx.constant(torch::zeros({groups}))},
                    {{"epsilon", static_cast<float>(l.number(4))}});
  y = onnx.add("Reshape", {y, onnx.add("Shape", {x})});
  const auto by_channel = [&](size_t i) {
    auto sizes = std::vector<int64_t>(l.rank(0) - 1, 1);
    sizes[0] = channels;
    return onnx.add("Reshape", {l.tensor(i), onnx.integers(sizes)});
  };
  if (!l.is_none(2)) y = onnx.add("Mul", {y, by_channel(2)});
  if (!l.is_none(3)) y = onnx.add("Add", {y, by_channel(3)});
  l.give(y);
}

/// x times the transpose of the weight [out, in], plus the bias.
void linear(OnnxLowering& l) {
  auto& onnx = l.onnx();
  std::vector<std::string> inputs{l.tensor(0), l.tensor(1)};
  if (l.rank(0) == 2) {
    if (!l.is_none(2)) inputs.push_back(l.tensor(2));
    l.give(onnx.add("Gemm", inputs, {{"transB", int64_t{1}}}));
    return;
  }
  inputs[1] = onnx.add("Transpose", {inputs[1]}, {{"perm", std::vector<int64_t>{1, 0}}});
  const auto product = onnx.add("MatMul", inputs);
  l.give(l.is_none(2) ? product : onnx.add("Add", {product, l.tensor(2)}));
}

/// addmm(bias, a, b, beta, alpha)
void addmm(OnnxLowering& l) {
  if (l.number(3) != 1 || l.number(4) != 1) l.refuse("it has factors");
  l.give(l.onnx().add("Gemm", {l.tensor(1), l.tensor(2), l.tensor(0)}));
}

/// softmax(q k' * scale + mask) v
void attention(OnnxLowering& l) {
  if (l.number(4) != 0 || l.flag(5)) l.refuse("it drops out or looks back only");
  auto& onnx = l.onnx();
  const auto rank = l.rank(1);
  std::vector<int64_t> perm(rank);
  for (int64_t i = 0; i < rank; ++i) perm[i] = i;
  std::swap(perm[rank - 1], perm[rank - 2]);
  const double scale =
      l.is_none(6) ? 1 / std::sqrt(static_cast<double>(l.sizes(0).back())) : l.number(6);
  const auto queries = onnx.add("Mul", {l.tensor(0), onnx.number(scale, l.type(0))});
  auto shares =
      onnx.add("MatMul", {queries, onnx.add("Transpose", {l.tensor(1)}, {{"perm", perm}})});
  if (!l.is_none(3)) {
    if (l.type(3) != l.type(0)) l.refuse("its mask has another type");
    shares = onnx.add("Add", {shares, l.tensor(3)});
  }
  shares = onnx.add("Softmax", {shares}, {{"axis", int64_t{-1}}});
  l.give(onnx.add("MatMul", {shares, l.tensor(2)}));
}

/// What both poolings have: x, kernel, stride (empty: that of the kernel), padding.
OnnxAttributes pooling(OnnxLowering& l) {
  const auto kernel = l.integers(1), stride = l.integers(2);
  return {{"kernel_shape", down_and_across(kernel)},
          {"strides", down_and_across(stride.empty() ? kernel : stride)},
          {"pads", both_sides(l.integers(3))}};
}

/// Rounding up may give a window that begins behind the image. LibTorch leaves it out; ONNX did not
/// always say so, and runtimes differ.
void refuse_window_outside(OnnxLowering& l, const OnnxAttributes& attributes,
                           const std::vector<int64_t>& dilation) {
  const auto list = [&](const char* name) {
    return std::get<std::vector<int64_t>>(attributes.at(name));
  };
  const auto kernel = list("kernel_shape"), stride = list("strides"), pads = list("pads");
  for (size_t i = 0; i < 2; ++i) {
    const auto reach = dilation[i] * (kernel[i] - 1) + 1;
    if (reach < pads[i] + stride[i]) {
      l.refuse("with ceil_mode a window may begin behind the image, where ONNX is not clear");
    }
  }
}

/// max_pool2d(x, kernel, stride, padding, dilation, ceil)
void max_pool(OnnxLowering& l) {
  auto attributes = pooling(l);
  const auto dilation = down_and_across(l.integers(4));
  if (l.flag(5)) refuse_window_outside(l, attributes, dilation);
  attributes["dilations"] = dilation;
  attributes["ceil_mode"] = int64_t{l.flag(5)};
  l.give(l.onnx().add("MaxPool", {l.tensor(0)}, attributes));
}

/// avg_pool2d(x, kernel, stride, padding, ceil, count_include_pad, divisor)
void average_pool(OnnxLowering& l) {
  if (!l.is_none(6)) l.refuse("it has a divisor of its own");
  auto attributes = pooling(l);
  const auto pads = l.integers(3);
  const bool counts_pads =
      l.flag(5) && std::ranges::any_of(pads, [](int64_t each) { return each != 0; });
  if (l.flag(4)) {
    refuse_window_outside(l, attributes, {1, 1});
    if (counts_pads) l.refuse("with ceil_mode it counts its padding, where ONNX is not clear");
  }
  attributes["ceil_mode"] = int64_t{l.flag(4)};
  attributes["count_include_pad"] = int64_t{counts_pads};
  l.give(l.onnx().add("AveragePool", {l.tensor(0)}, attributes));
}

/// Where adaptive pooling divides `in` pixels into `out` parts: the shares of each, [out, in].
torch::Tensor shares_of_pixels(int64_t in, int64_t out) {
  auto shares = torch::zeros({out, in});
  for (int64_t i = 0; i < out; ++i) {
    const auto begin = i * in / out, end = ((i + 1) * in + out - 1) / out;
    shares[i].slice(0, begin, end).fill_(1.0 / static_cast<double>(end - begin));
  }
  return shares;
}

/// ONNX has the mean of the whole map only. Parts of it are a product with the shares that each
/// part takes of the pixels, down and across.
void adaptive_average_pool(OnnxLowering& l) {
  auto& onnx = l.onnx();
  const auto out = down_and_across(l.integers(1));
  const auto sizes = l.sizes(0);
  if (out == std::vector<int64_t>{1, 1}) {
    l.give(onnx.add("GlobalAveragePool", {l.tensor(0)}));
    return;
  }
  l.fix_size();
  const auto down = onnx.constant(shares_of_pixels(sizes.at(2), out[0]));
  const auto across = onnx.constant(shares_of_pixels(sizes.at(3), out[1]).t().contiguous());
  l.give(onnx.add("MatMul", {onnx.add("MatMul", {down, l.tensor(0)}), across}));
}

/// To a size, or by factors where they are given, which then also say where pixels lie.
void resize(OnnxLowering& l, const OnnxAttributes& attributes, size_t factors) {
  auto& onnx = l.onnx();
  std::vector<float> scales;
  if (factors + 1 == l.arguments()) {  // a list
    if (!l.is_none(factors)) {
      for (const auto each : l.numbers(factors)) scales.push_back(static_cast<float>(each));
    }
  } else if (!l.is_none(factors)) {
    scales = {static_cast<float>(l.number(factors)), static_cast<float>(l.number(factors + 1))};
  }
  if (!scales.empty()) {
    const auto all = torch::tensor({1.0F, 1.0F, scales[0], scales[1]});
    l.give(onnx.add("Resize", {l.tensor(0), "", onnx.constant(all)}, attributes));
    return;
  }
  const auto kept = onnx.add("Shape", {l.tensor(0)}, {{"start", int64_t{0}}, {"end", int64_t{2}}});
  const auto size =
      onnx.add("Concat", {kept, onnx.integers(l.integers(1))}, {{"axis", int64_t{0}}});
  l.give(onnx.add("Resize", {l.tensor(0), "", "", size}, attributes));
}

/// upsample_bilinear2d(x, size, align_corners, factors)
void resize_bilinear(OnnxLowering& l) {
  const std::string coordinates = l.flag(2) ? "align_corners" : "half_pixel";
  resize(l, {{"mode", std::string("linear")}, {"coordinate_transformation_mode", coordinates}}, 3);
}

/// upsample_nearest2d(x, size, factors)
void resize_nearest(OnnxLowering& l) {
  resize(l,
         {{"mode", std::string("nearest")},
          {"coordinate_transformation_mode", std::string("asymmetric")},
          {"nearest_mode", std::string("floor")}},
         2);
}

}  // namespace

const std::unordered_map<std::string, OnnxRule>& onnx_layer_rules() {
  static const std::unordered_map<std::string, OnnxRule> rules{
      {"aten::conv2d", convolution},
      {"aten::_convolution", convolution},
      {"aten::batch_norm", batch_norm},
      {"aten::layer_norm", layer_norm},
      {"aten::group_norm", group_norm},
      {"aten::linear", linear},
      {"aten::addmm", addmm},
      {"aten::scaled_dot_product_attention", attention},
      {"aten::max_pool2d", max_pool},
      {"aten::avg_pool2d", average_pool},
      {"aten::adaptive_avg_pool2d", adaptive_average_pool},
      {"aten::upsample_bilinear2d", resize_bilinear},
      {"aten::upsample_nearest2d", resize_nearest}};
  return rules;
}

}  // namespace dnc
