#include <torch/types.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "host/export/onnx_lowering.h"

namespace dnc {
namespace {

constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();

void permute_by(OnnxLowering& l, const std::vector<int64_t>& perm) {
  l.give(l.onnx().add("Transpose", {l.tensor(0)}, {{"perm", perm}}));
}

std::vector<int64_t> identity(int64_t rank) {
  std::vector<int64_t> perm(rank);
  for (int64_t i = 0; i < rank; ++i) perm[i] = i;
  return perm;
}

void permute(OnnxLowering& l) { permute_by(l, l.dims(1, 0)); }

void transpose(OnnxLowering& l) {
  auto perm = identity(l.rank(0));
  std::swap(perm.at(l.dim(1, 0)), perm.at(l.dim(2, 0)));
  permute_by(l, perm);
}

void transpose_matrix(OnnxLowering& l) {
  if (l.rank(0) < 2) {
    l.give(l.tensor(0));
  } else {
    permute_by(l, {1, 0});
  }
}

/// movedim(x, from, to)
void movedim(OnnxLowering& l) {
  const auto from = l.dims(1, 0), to = l.dims(2, 0);
  if (from.size() != 1 || to.size() != 1) l.refuse("it moves more than one dimension");
  auto perm = identity(l.rank(0));
  perm.erase(perm.begin() + from[0]);
  perm.insert(perm.begin() + to[0], from[0]);
  permute_by(l, perm);
}

/// The first `before` sizes stay, then come `middle`, and the last `after` stay. A size that is
/// free may be among those that stay: 0 copies the size at the same place, others are read.
void reshape_middle(OnnxLowering& l, int64_t before, const std::vector<int64_t>& middle,
                    int64_t after) {
  auto& onnx = l.onnx();
  std::vector<int64_t> sizes(before, 0);
  sizes.insert(sizes.end(), middle.begin(), middle.end());
  auto shape = onnx.integers(sizes);
  if (after > 0) {
    const auto last = onnx.add("Shape", {l.tensor(0)}, {{"start", l.rank(0) - after}});
    shape = onnx.add("Concat", {shape, last}, {{"axis", int64_t{0}}});
  }
  l.give(onnx.add("Reshape", {l.tensor(0), shape}));
}

/// flatten(x, first, last)
void flatten(OnnxLowering& l) {
  const auto first = l.dim(1, 0), last = l.dim(2, 0);
  reshape_middle(l, first, {-1}, l.rank(0) - last - 1);
}

/// unflatten(x, dim, sizes)
void unflatten(OnnxLowering& l) {
  const auto dim = l.dim(1, 0);
  reshape_middle(l, dim, l.integers(2), l.rank(0) - dim - 1);
}

void reshape(OnnxLowering& l) {
  l.give(l.onnx().add("Reshape", {l.tensor(0), l.onnx().integers(l.integers(1))}));
}

void reshape_as(OnnxLowering& l) {
  l.give(l.onnx().add("Reshape", {l.tensor(0), l.onnx().add("Shape", {l.tensor(1)})}));
}

void squeeze(OnnxLowering& l) {
  if (l.arguments() < 2) l.refuse("without a dimension it depends on the sizes");
  l.give(l.onnx().add("Squeeze", {l.tensor(0), l.onnx().integers(l.dims(1, 0))}));
}

void unsqueeze(OnnxLowering& l) {
  const auto dim = l.integer(1);
  const auto place = dim < 0 ? dim + l.rank(0) + 1 : dim;
  l.give(l.onnx().add("Unsqueeze", {l.tensor(0), l.onnx().integers({place})}));
}

/// expand(x, sizes): -1 is the size that is there, which a 1 leaves as it is.
void expand(OnnxLowering& l) {
  auto sizes = l.integers(1);
  std::replace(sizes.begin(), sizes.end(), int64_t{-1}, int64_t{1});
  l.give(l.onnx().add("Expand", {l.tensor(0), l.onnx().integers(sizes)}));
}

void expand_as(OnnxLowering& l) {
  l.give(l.onnx().add("Expand", {l.tensor(0), l.onnx().add("Shape", {l.tensor(1)})}));
}

void concatenate(OnnxLowering& l) {
  const auto dim = l.integer(1);  // negative ones mean the same in ONNX
  l.give(l.onnx().add("Concat", l.tensors(0), {{"axis", dim}}));
}

std::string slice_of(OnnxLowering& l, const std::string& x, int64_t dim, int64_t start, int64_t end,
                     int64_t step = 1) {
  auto& onnx = l.onnx();
  return onnx.add("Slice", {x, onnx.integers({start}), onnx.integers({end}), onnx.integers({dim}),
                            onnx.integers({step})});
}

/// slice(x, dim, start, end, step)
void slice(OnnxLowering& l) {
  const auto start = l.is_none(2) ? 0 : l.integer(2), end = l.is_none(3) ? kEnd : l.integer(3);
  l.give(slice_of(l, l.tensor(0), l.dim(1, 0), start, end, l.integer(4)));
}

/// narrow(x, dim, start, length)
void narrow(OnnxLowering& l) {
  const auto start = l.integer(2), end = start + l.integer(3);
  l.give(slice_of(l, l.tensor(0), l.dim(1, 0), start, start < 0 && end == 0 ? kEnd : end));
}

std::string element(OnnxLowering& l, int64_t dim, int64_t place) {
  auto& onnx = l.onnx();
  return onnx.add("Gather", {l.tensor(0), onnx.constant(torch::scalar_tensor(place, at::kLong))},
                  {{"axis", dim}});
}

/// select(x, dim, place)
void select(OnnxLowering& l) { l.give(element(l, l.dim(1, 0), l.integer(2))); }

/// As many as there were: whoever unpacks the list wants that number.
void unbind(OnnxLowering& l) {
  const auto dim = l.dim(1, 0);
  std::vector<std::string> parts;
  for (int64_t i = 0; i < l.sizes(0).at(dim); ++i) parts.push_back(element(l, dim, i));
  l.give_list(parts);
}

void split_into(OnnxLowering& l, int64_t dim, const std::vector<int64_t>& sizes) {
  l.give_list(l.onnx().add_many("Split", {l.tensor(0), l.onnx().integers(sizes)}, {{"axis", dim}},
                                sizes.size()));
}

/// chunk(x, count, dim) and split(x, size, dim). Channels do not change with the images; pixels do.
void split(OnnxLowering& l, int64_t size, int64_t dim) {
  if (dim != 1) l.fix_size();
  std::vector<int64_t> sizes;
  for (int64_t rest = l.sizes(0).at(dim); rest > 0; rest -= size) {
    sizes.push_back(std::min(size, rest));
  }
  split_into(l, dim, sizes);
}

void chunk(OnnxLowering& l) {
  const auto count = l.integer(1), dim = l.dim(2, 0);
  split(l, (l.sizes(0).at(dim) + count - 1) / count, dim);
}

void split_by_size(OnnxLowering& l) { split(l, l.integer(1), l.dim(2, 0)); }

void split_with_sizes(OnnxLowering& l) { split_into(l, l.dim(2, 0), l.integers(1)); }

/// constant_pad_nd(x, pads, value): pads begin with the last dimension, in ONNX all begins come
/// first.
void pad(OnnxLowering& l) {
  const auto given = l.integers(1);
  const auto rank = l.rank(0);
  std::vector<int64_t> pads(2 * rank, 0);
  for (size_t i = 0; i < given.size() / 2; ++i) {
    const auto dim = rank - 1 - static_cast<int64_t>(i);
    pads[dim] = given[2 * i];
    pads[dim + rank] = given[2 * i + 1];
  }
  l.give(l.onnx().add(
      "Pad", {l.tensor(0), l.onnx().integers(pads), l.onnx().number(l.number(2), l.type(0))}));
}

/// roll(x, shifts, dims): the end comes first.
void roll(OnnxLowering& l) {
  const auto shifts = l.integers(1), dims = l.dims(2, 0);
  if (shifts.size() != dims.size()) l.refuse("it rolls without dimensions");
  auto x = l.tensor(0);
  for (size_t i = 0; i < dims.size(); ++i) {
    if (shifts[i] == 0) continue;
    x = l.onnx().add(
        "Concat",
        {slice_of(l, x, dims[i], -shifts[i], kEnd), slice_of(l, x, dims[i], 0, -shifts[i])},
        {{"axis", dims[i]}});
  }
  l.give(x);
}

}  // namespace

const std::unordered_map<std::string, OnnxRule>& onnx_shape_rules() {
  static const std::unordered_map<std::string, OnnxRule> rules{
      {"aten::permute", permute},       {"aten::transpose", transpose},
      {"aten::t", transpose_matrix},    {"aten::movedim", movedim},
      {"aten::flatten", flatten},       {"aten::unflatten", unflatten},
      {"aten::reshape", reshape},       {"aten::view", reshape},
      {"aten::reshape_as", reshape_as}, {"aten::view_as", reshape_as},
      {"aten::squeeze", squeeze},       {"aten::unsqueeze", unsqueeze},
      {"aten::expand", expand},         {"aten::expand_as", expand_as},
      {"aten::cat", concatenate},       {"aten::slice", slice},
      {"aten::narrow", narrow},         {"aten::select", select},
      {"aten::unbind", unbind},         {"aten::chunk", chunk},
      {"aten::split", split_by_size},   {"aten::split_with_sizes", split_with_sizes},
      {"aten::constant_pad_nd", pad},   {"aten::roll", roll}};
  return rules;
}

}  // namespace dnc
