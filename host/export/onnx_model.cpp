#include "host/export/onnx_model.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "formats/error.h"
#include "formats/protobuf.h"

// The numbers below are those of the fields in onnx.proto, version 1.12.
namespace dnc {
namespace {

constexpr std::array<std::pair<at::ScalarType, int64_t>, 9> kTypes{{{at::kFloat, 1},
                                                                    {at::kByte, 2},
                                                                    {at::kChar, 3},
                                                                    {at::kInt, 6},
                                                                    {at::kLong, 7},
                                                                    {at::kBool, 9},
                                                                    {at::kHalf, 10},
                                                                    {at::kDouble, 11},
                                                                    {at::kBFloat16, 16}}};

int64_t number_of(at::ScalarType type) {
  for (const auto& [torch_type, number] : kTypes) {
    if (torch_type == type) return number;
  }
  throw Error(fmt::format("ONNX has no name for tensors of {}", c10::toString(type)));
}

at::ScalarType type_of(const std::string& origin, int64_t number) {
  for (const auto& [torch_type, type_number] : kTypes) {
    if (type_number == number) return torch_type;
  }
  throw FormatError(fmt::format("{}: has a tensor of type {}, which is not known", origin, number));
}

ProtobufMessage tensor_message(const std::string& name, const torch::Tensor& value) {
  ProtobufMessage message;
  const auto tensor = value.detach().cpu().contiguous();
  for (const auto size : tensor.sizes()) message.add_integer(1, size);
  message.add_integer(2, number_of(tensor.scalar_type()));
  message.add_bytes(8, name);
  message.add_bytes(9, {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()});
  return message;
}

ProtobufMessage attribute_message(const std::string& name, const OnnxAttribute& attribute) {
  ProtobufMessage message;
  message.add_bytes(1, name);
  if (const auto* number = std::get_if<float>(&attribute)) {
    message.add_float(2, *number);
    message.add_integer(20, 1);
  } else if (const auto* integer = std::get_if<int64_t>(&attribute)) {
    message.add_integer(3, *integer);
    message.add_integer(20, 2);
  } else if (const auto* text = std::get_if<std::string>(&attribute)) {
    message.add_bytes(4, *text);
    message.add_integer(20, 3);
  } else {
    for (const auto each : std::get<std::vector<int64_t>>(attribute)) message.add_integer(8, each);
    message.add_integer(20, 7);
  }
  return message;
}

ProtobufMessage node_message(const OnnxNode& node) {
  ProtobufMessage message;
  for (const auto& input : node.inputs) message.add_bytes(1, input);
  for (const auto& output : node.outputs) message.add_bytes(2, output);
  message.add_bytes(3, node.name);
  message.add_bytes(4, node.op);
  for (const auto& [name, attribute] : node.attributes) {
    message.add_message(5, attribute_message(name, attribute));
  }
  return message;
}

ProtobufMessage value_message(const OnnxValue& value) {
  ProtobufMessage shape;
  for (const auto& size : value.sizes) {
    ProtobufMessage dimension;
    if (const auto* number = std::get_if<int64_t>(&size)) {
      dimension.add_integer(1, *number);
    } else {
      dimension.add_bytes(2, std::get<std::string>(size));
    }
    shape.add_message(1, dimension);
  }
  ProtobufMessage tensor, type, message;
  tensor.add_integer(1, number_of(value.type));
  tensor.add_message(2, shape);
  type.add_message(1, tensor);
  message.add_bytes(1, value.name);
  message.add_message(2, type);
  return message;
}

/// Before any tensor is copied: whether all of them fit into a file beside `rest` bytes.
void check_size(const TensorMap& tensors, uint64_t rest) {
  constexpr uint64_t kLimit = std::numeric_limits<int32_t>::max();
  constexpr uint64_t kAround = 64;  // bytes of a tensor's message, without name, sizes and numbers
  uint64_t size = rest + kAround;
  for (const auto& each : tensors) {
    const auto dimensions = static_cast<uint64_t>(each.value().dim());
    size += each.value().nbytes() + each.key().size() + kAround + 10 * dimensions;
  }
  if (size <= kLimit) return;
  throw Error(fmt::format(
      "the model makes {}, but an .onnx file ends at {}. Export it with --format torchscript",
      format_size(size), format_size(kLimit)));
}

/// A tensor of a file, after its sizes were compared with its bytes.
void read_tensor(ProtobufFields fields, const std::string& origin, TensorMap& into) {
  std::vector<int64_t> sizes;
  std::string name;
  std::string_view data;
  auto type = at::kFloat;
  while (fields.next()) {
    if (fields.field() == 1) sizes.push_back(fields.integer());
    if (fields.field() == 2) type = type_of(origin, fields.integer());
    if (fields.field() == 8) name = fields.bytes();
    if (fields.field() == 9) data = fields.bytes();
  }
  const auto item = static_cast<int64_t>(c10::elementSize(type));
  int64_t bytes = item;
  bool fits = true;
  for (const auto size : sizes) {
    fits = fits && size >= 0 && !__builtin_mul_overflow(bytes, size, &bytes);
  }
  if (!fits || bytes != static_cast<int64_t>(data.size())) {
    throw FormatError(fmt::format("{}: tensor '{}' has {} bytes, which do not fit its sizes",
                                  origin, name, data.size()));
  }
  if (into.contains(name)) {
    throw FormatError(fmt::format("{}: has tensor '{}' twice", origin, name));
  }
  auto tensor = at::empty(sizes, type);
  std::memcpy(tensor.mutable_data_ptr(), data.data(), data.size());
  into.insert(name, tensor);
}

std::pair<std::string, OnnxAttribute> read_attribute(ProtobufFields fields) {
  std::string name;
  std::vector<int64_t> integers;
  std::optional<OnnxAttribute> value;
  while (fields.next()) {
    if (fields.field() == 1) name = fields.bytes();
    if (fields.field() == 2) value = fields.number();
    if (fields.field() == 3) value = fields.integer();
    if (fields.field() == 4) value = std::string(fields.bytes());
    if (fields.field() == 8) integers.push_back(fields.integer());
  }
  return {name, value.value_or(integers)};
}

OnnxNode read_node(ProtobufFields fields) {
  OnnxNode node;
  while (fields.next()) {
    if (fields.field() == 1) node.inputs.emplace_back(fields.bytes());
    if (fields.field() == 2) node.outputs.emplace_back(fields.bytes());
    if (fields.field() == 3) node.name = fields.bytes();
    if (fields.field() == 4) node.op = fields.bytes();
    if (fields.field() == 5) node.attributes.insert(read_attribute(fields.message()));
  }
  return node;
}

OnnxValue read_value(ProtobufFields fields, const std::string& origin) {
  OnnxValue value;
  while (fields.next()) {
    if (fields.field() == 1) value.name = fields.bytes();
    if (fields.field() != 2) continue;
    auto type = fields.message();
    if (!type.next()) continue;
    for (auto tensor = type.message(); tensor.next();) {
      if (tensor.field() == 1) value.type = type_of(origin, tensor.integer());
      if (tensor.field() != 2) continue;
      for (auto shape = tensor.message(); shape.next();) {
        auto dimension = shape.message();
        if (!dimension.next()) continue;
        if (dimension.field() == 1) {
          value.sizes.emplace_back(dimension.integer());
        } else {
          value.sizes.emplace_back(std::string(dimension.bytes()));
        }
      }
    }
  }
  return value;
}

}  // namespace

std::string write_onnx(const OnnxModel& model) {
  ProtobufMessage graph;
  for (const auto& node : model.nodes) graph.add_message(1, node_message(node));
  graph.add_bytes(2, "dnc-host");
  for (const auto& input : model.inputs) graph.add_message(11, value_message(input));
  for (const auto& output : model.outputs) graph.add_message(12, value_message(output));

  ProtobufMessage opset, file;
  opset.add_bytes(1, "");  // ONNX's own operators
  opset.add_integer(2, OnnxModel::kOpset);
  file.add_integer(1, 8);  // the version of the format that came with this opset
  file.add_bytes(2, "dnc-host");
  file.add_message(8, opset);
  for (const auto& [key, value] : model.metadata) {
    ProtobufMessage entry;
    entry.add_bytes(1, key);
    entry.add_bytes(2, value);
    file.add_message(14, entry);
  }
  check_size(model.constants, graph.bytes().size() + file.bytes().size());
  for (const auto& constant : model.constants) {
    graph.add_message(5, tensor_message(constant.key(), constant.value()));
  }
  file.add_message(7, graph);
  return file.bytes();
}

OnnxModel read_onnx(const std::string& origin, std::string_view bytes) {
  OnnxModel model;
  for (ProtobufFields file(origin, bytes); file.next();) {
    if (file.field() == 14) {
      std::string key, value;
      for (auto entry = file.message(); entry.next();) {
        (entry.field() == 1 ? key : value) = entry.bytes();
      }
      model.metadata[key] = value;
    }
    if (file.field() != 7) continue;
    for (auto graph = file.message(); graph.next();) {
      if (graph.field() == 1) model.nodes.push_back(read_node(graph.message()));
      if (graph.field() == 5) read_tensor(graph.message(), origin, model.constants);
      if (graph.field() == 11) model.inputs.push_back(read_value(graph.message(), origin));
      if (graph.field() == 12) model.outputs.push_back(read_value(graph.message(), origin));
    }
  }
  return model;
}

}  // namespace dnc
