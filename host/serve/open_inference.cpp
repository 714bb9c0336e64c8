#include "host/serve/open_inference.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "host/serve/request_error.h"
#include "registry/text.h"

namespace dnc::serve {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kMaxDepth = 16;                     // of JSON
constexpr size_t kMaxJsonValues = 4'000'000;      // 27 images of 224 x 224; more should be binary
constexpr int64_t kMaxScores = int64_t{1} << 28;  // of an answer: 1 GiB
constexpr size_t kMaxText = 64;                   // of a client's words that a message repeats
constexpr const char* kImages = "images";         // the only input
constexpr const char* kShapes = "[N, H, W, 3] or [N, 3, H, W]";

[[noreturn]] void refuse(const std::string& what) { throw RequestError(400, what); }

std::string quoted(const std::string& text) {
  return "'" + (text.size() > kMaxText ? text.substr(0, kMaxText) + "..." : text) + "'";
}

std::string text_of(const ordered_json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

// ---- reading
// --------------------------------------------------------------------------------------

json parse_json(std::string_view text) {
  size_t values = 0;
  const json::parser_callback_t limits = [&](int depth, json::parse_event_t event, json&) {
    if (depth > kMaxDepth) refuse(fmt::format("the JSON is nested more than {} deep", kMaxDepth));
    using Event = json::parse_event_t;
    const bool is_value =
        event == Event::value || event == Event::array_start || event == Event::object_start;
    if (is_value && ++values > kMaxJsonValues) {
      refuse(
          fmt::format("the JSON has more than {} values; send tensors in binary", kMaxJsonValues));
    }
    return true;
  };
  try {
    auto parsed = json::parse(text.begin(), text.end(), limits);
    if (!parsed.is_object()) refuse("the body must be a JSON object");
    return parsed;
  } catch (const json::parse_error& error) {  // its own words repeat the text, however long
    refuse(fmt::format("the body is not JSON: it breaks off or is wrong at byte {}", error.byte));
  } catch (const json::out_of_range&) {
    refuse("the JSON has a number that is too large");
  }
}

// The value of a key, of the wanted type; nothing where it is not there.
template <typename T>
std::optional<T> find(const json& object, const char* key, bool (json::*is)() const noexcept,
                      const char* type) {
  const auto found = object.find(key);
  if (found == object.end()) return std::nullopt;
  if (!((*found).*is)()) refuse(fmt::format("'{}' must be {}", key, type));
  return found->get<T>();
}

const json& parameters_of(const json& object) {
  static const json kNone = json::object();
  const auto found = object.find("parameters");
  if (found == object.end()) return kNone;
  if (!found->is_object()) refuse("'parameters' must be an object");
  return *found;
}

std::string name_in(const json& object, const char* what) {
  if (!object.is_object()) refuse(fmt::format("each of '{}' must be an object", what));
  const auto name = find<std::string>(object, "name", &json::is_string, "a text");
  if (!name) refuse(fmt::format("one of '{}' has no 'name'", what));
  return *name;
}

// Height and width are there, and all is within the limits; the product cannot overflow.
std::vector<int64_t> shape_of(const json& input, const InferLimits& limits) {
  const auto found = input.find("shape");
  const auto fail = [] { refuse(fmt::format("the shape of 'images' must be {}", kShapes)); };
  if (found == input.end() || !found->is_array() || found->size() != 4) fail();
  std::vector<int64_t> shape;
  for (const auto& value : *found) {
    if (!value.is_number_unsigned() || value.get<uint64_t>() > INT32_MAX || value == 0) {
      refuse(fmt::format("the shape of 'images' has {}; each number must be from 1 to {}",
                         value.is_primitive() ? text_of(value) : "a list", INT32_MAX));
    }
    shape.push_back(value.get<int64_t>());
  }
  if (shape[3] != 3 && shape[1] != 3) fail();
  if (shape[0] > limits.max_images) {
    refuse(fmt::format("the request has {} images, more than {} at once", shape[0],
                       limits.max_images));
  }
  const auto height = shape[3] == 3 ? shape[1] : shape[2];
  const auto width = shape[3] == 3 ? shape[2] : shape[3];
  if (height > limits.max_pixels / shape[0] / width) {
    refuse(fmt::format("{} images of {} x {} have more pixels than the limit of {}", shape[0],
                       height, width, limits.max_pixels));
  }
  return shape;
}

torch::ScalarType type_of(const json& input) {
  const auto name = find<std::string>(input, "datatype", &json::is_string, "a text");
  if (name == "UINT8") return torch::kUInt8;
  if (name == "FP32") return torch::kFloat32;
  refuse(fmt::format("the datatype of 'images' is {}; this model takes UINT8, and FP32 from 0 to 1",
                     name ? quoted(*name) : "missing"));
}

template <typename T>
T value_of(const json& value) {
  if constexpr (std::is_same_v<T, uint8_t>) {
    if (value.is_number_unsigned() && value.get<uint64_t>() <= 255) return value.get<uint8_t>();
    refuse("'data' of UINT8 must be whole numbers from 0 to 255");
  } else {
    if (value.is_number()) return value.get<float>();
    refuse("'data' of FP32 must be numbers");
  }
}

// Row by row, however deep it is nested.
template <typename T>
void flatten(const json& data, T*& out) {
  for (const auto& value : data) {
    if (value.is_array()) {
      flatten(value, out);
    } else {
      *out++ = value_of<T>(value);
    }
  }
}

int64_t count_values(const json& data) {
  int64_t count = 0;
  for (const auto& value : data) count += value.is_array() ? count_values(value) : 1;
  return count;
}

template <typename T>
torch::Tensor read_json_data(const json& input, const std::vector<int64_t>& shape) {
  const auto found = input.find("data");
  if (found == input.end() || !found->is_array()) {
    refuse("'images' has neither 'data', a list, nor the parameter 'binary_data_size'");
  }
  const auto count = count_values(*found), wanted = c10::multiply_integers(shape);
  if (count != wanted) {
    refuse(fmt::format("'data' has {} values, the shape of 'images' says {}", count, wanted));
  }
  const torch::Tensor tensor = torch::empty(shape, c10::CppTypeToScalarType<T>::value);
  auto* out = tensor.mutable_data_ptr<T>();
  flatten<T>(*found, out);
  return tensor;
}

torch::Tensor read_binary_data(uint64_t size, std::string_view bytes,
                               const std::vector<int64_t>& shape, torch::ScalarType type) {
  const auto wanted = static_cast<uint64_t>(c10::multiply_integers(shape)) * c10::elementSize(type);
  if (size != wanted) {
    refuse(fmt::format("binary_data_size of 'images' is {}, its shape and datatype make {}", size,
                       wanted));
  }
  if (bytes.size() != size) {
    refuse(fmt::format("{} bytes follow the JSON, 'images' says {}", bytes.size(), size));
  }
  auto tensor = torch::empty(shape, type);
  std::memcpy(tensor.mutable_data_ptr(), bytes.data(), size);
  return tensor;
}

torch::Tensor images_of(const json& input, std::string_view bytes, const InferLimits& limits) {
  const auto shape = shape_of(input, limits);
  const auto type = type_of(input);
  const auto size = find<uint64_t>(parameters_of(input), "binary_data_size",
                                   &json::is_number_unsigned, "a whole number");
  if (!size && !bytes.empty())
    refuse("bytes follow the JSON, but 'images' has no binary_data_size");
  const auto tensor = size                    ? read_binary_data(*size, bytes, shape, type)
                      : type == torch::kUInt8 ? read_json_data<uint8_t>(input, shape)
                                              : read_json_data<float>(input, shape);
  if (type == torch::kFloat32 && !std::isfinite(tensor.sum(torch::kFloat64).item<double>())) {
    refuse("'images' has values that are not finite");
  }
  // Channels-last in memory, as the program's own batches are.
  return shape[3] == 3 ? tensor.permute({0, 3, 1, 2})
                       : tensor.contiguous(torch::MemoryFormat::ChannelsLast);
}

std::vector<std::string> output_names(const InferenceInfo& model) {
  std::vector<std::string> names{"scores", "classes", "probabilities"};
  if (model.task == Task::kImages) names.emplace_back("labels");  // texts of pixels would be many
  return names;
}

std::vector<InferRequest::Output> outputs_of(const json& request, const InferenceInfo& model) {
  const auto binary_in = [](const json& object, const char* key) {
    return find<bool>(parameters_of(object), key, &json::is_boolean, "true or false");
  };
  const bool all_binary = binary_in(request, "binary_data_output").value_or(false);
  const auto names = output_names(model);
  std::vector<InferRequest::Output> outputs;
  const auto found = request.find("outputs");
  if (found == request.end()) {
    for (const auto& name : names) outputs.push_back({name, all_binary});
    return outputs;
  }
  if (!found->is_array() || found->empty()) refuse("'outputs' must be a list that is not empty");
  for (const auto& each : *found) {
    const auto name = name_in(each, "outputs");
    if (std::ranges::find(names, name) == names.end()) {
      refuse(fmt::format("there is no output {}; this model has {}", quoted(name), join(names)));
    }
    if (std::ranges::find(outputs, name, &InferRequest::Output::name) != outputs.end()) {
      refuse(fmt::format("the output {} is asked for twice", quoted(name)));
    }
    outputs.push_back({name, binary_in(each, "binary_data").value_or(all_binary)});
  }
  return outputs;
}

// How large the answer will be is known before anything is computed.
void check_answer(const InferRequest& request, const InferenceInfo& model) {
  const auto& images = request.images;
  const bool pixels = model.task == Task::kPixels;
  const auto each = images.size(0) * (pixels ? images.size(2) * images.size(3) : 1);
  const auto scores = each * model.classes.size();
  if (scores > kMaxScores) {
    refuse(
        fmt::format("there would be {} scores, more than the limit of {}; send fewer or smaller "
                    "images",
                    scores, kMaxScores));
  }
  for (const auto& output : request.outputs) {
    const auto values = output.name == "scores" ? scores : each;
    if (output.binary || values <= static_cast<int64_t>(kMaxJsonValues)) continue;
    refuse(
        fmt::format("the output {} has {} values, more than {} in JSON; ask for it in binary, "
                    "or for other outputs",
                    quoted(output.name), values, kMaxJsonValues));
  }
}

// The bytes of JSON in front of binary tensors; all of them where there are none.
size_t json_length(std::string_view body, const std::optional<std::string>& header_length) {
  if (!header_length) return body.size();
  size_t length = 0;
  const auto* const end = header_length->data() + header_length->size();
  const auto parsed = std::from_chars(header_length->data(), end, length);
  if (parsed.ec != std::errc() || parsed.ptr != end || length > body.size()) {
    refuse(fmt::format(
        "Inference-Header-Content-Length is {}; expected a number up to {}, the length of the body",
        quoted(*header_length), body.size()));
  }
  return length;
}

// ---- answering
// ------------------------------------------------------------------------------------

const char* datatype(const torch::Tensor& tensor) {
  return tensor.scalar_type() == torch::kInt64 ? "INT64" : "FP32";
}

void append_bytes(std::string& out, const void* data, size_t size) {
  out.append(static_cast<const char*>(data), size);
}

// The numbers of a contiguous tensor in one list, row by row.
ordered_json list_of(const torch::Tensor& tensor) {
  auto list = ordered_json::array();
  const auto add = [&]<typename T>(const T* values) {
    for (int64_t i = 0; i < tensor.numel(); ++i) list.push_back(values[i]);
  };
  if (tensor.scalar_type() == torch::kInt64) {
    add(tensor.const_data_ptr<int64_t>());
  } else {
    add(tensor.const_data_ptr<float>());
  }
  return list;
}

void add_tensor(const torch::Tensor& value, bool binary, ordered_json& output, std::string& bytes) {
  const auto tensor = value.contiguous();
  output["datatype"] = datatype(tensor);
  output["shape"] = tensor.sizes().vec();
  if (!binary) {
    output["data"] = list_of(tensor);
    return;
  }
  output["parameters"] = {{"binary_data_size", tensor.nbytes()}};
  append_bytes(bytes, tensor.const_data_ptr(), tensor.nbytes());
}

// The names of the classes: in binary, each behind its length in four bytes.
void add_labels(const torch::Tensor& classes, const InferenceInfo& model, bool binary,
                ordered_json& output, std::string& bytes) {
  auto names = ordered_json::array();
  const auto before = bytes.size();
  for (int64_t i = 0; i < classes.numel(); ++i) {
    const auto& name = model.classes.names[static_cast<size_t>(classes[i].item<int64_t>())];
    names.push_back(name);
    if (!binary) continue;
    const auto length = static_cast<uint32_t>(name.size());
    append_bytes(bytes, &length, sizeof length);  // little-endian, as all machines that we run on
    bytes += name;
  }
  output["datatype"] = "BYTES";
  output["shape"] = {classes.numel()};
  if (binary) {
    output["parameters"] = {{"binary_data_size", bytes.size() - before}};
  } else {
    output["data"] = std::move(names);
  }
}

ordered_json tensor_metadata(const char* name, const char* datatype, std::vector<int64_t> shape) {
  return {{"name", name}, {"datatype", datatype}, {"shape", std::move(shape)}};
}

}  // namespace

InferRequest parse_infer_request(std::string_view body,
                                 const std::optional<std::string>& header_length,
                                 const InferenceInfo& model, const InferLimits& limits) {
  if (body.empty()) refuse("the body is empty; expected a JSON object with 'inputs'");
  const auto length = json_length(body, header_length);
  const auto parsed = parse_json(body.substr(0, length));
  InferRequest request;
  request.id = find<std::string>(parsed, "id", &json::is_string, "a text").value_or("");
  request.outputs = outputs_of(parsed, model);
  const auto inputs = parsed.find("inputs");
  if (inputs == parsed.end() || !inputs->is_array() || inputs->size() != 1) {
    refuse("'inputs' must be a list with one tensor, 'images'");
  }
  const auto& input = inputs->front();
  const auto name = name_in(input, "inputs");
  if (name != kImages) {
    refuse(fmt::format("there is no input {}; this model has 'images'", quoted(name)));
  }
  request.images = images_of(input, body.substr(length), limits);
  check_answer(request, model);
  return request;
}

InferReply make_infer_reply(const InferRequest& request, const InferenceInfo& model,
                            const torch::Tensor& scores) {
  ordered_json reply = {{"model_name", model.name},
                        {"model_version", std::to_string(model.version)}};
  if (!request.id.empty()) reply["id"] = request.id;
  const auto [probabilities, classes] = scores.softmax(1).max(1);
  std::string bytes;
  bool any_binary = false;
  for (const auto& wanted : request.outputs) {
    ordered_json output = {{"name", wanted.name}};
    if (wanted.name == "labels") {
      add_labels(classes, model, wanted.binary, output, bytes);
    } else {
      const auto& tensor = wanted.name == "scores"    ? scores
                           : wanted.name == "classes" ? classes
                                                      : probabilities;
      add_tensor(tensor, wanted.binary, output, bytes);
    }
    reply["outputs"].push_back(std::move(output));
    any_binary = any_binary || wanted.binary;
  }
  InferReply out;
  out.body = text_of(reply);
  if (any_binary) out.header_length = out.body.size();
  out.body += bytes;
  return out;
}

ordered_json server_metadata() {
  return {{"name", "dnc-host"}, {"version", DNC_VERSION}, {"extensions", {"binary_tensor_data"}}};
}

ordered_json model_metadata(const InferenceInfo& model) {
  const bool pixels = model.task == Task::kPixels;
  const auto height = model.any_size ? -1 : model.size.height;
  const auto width = model.any_size ? -1 : model.size.width;
  const auto classes = model.classes.size();
  ordered_json json = {{"name", model.name},
                       {"versions", {std::to_string(model.version)}},
                       {"platform", model.platform}};
  json["inputs"] = {tensor_metadata(kImages, "UINT8", {-1, height, width, 3})};
  using Shape = std::vector<int64_t>;
  const auto scores = pixels ? Shape{-1, classes, -1, -1} : Shape{-1, classes};
  const auto each = pixels ? Shape{-1, -1, -1} : Shape{-1};
  json["outputs"] = {tensor_metadata("scores", "FP32", scores),
                     tensor_metadata("classes", "INT64", each),
                     tensor_metadata("probabilities", "FP32", each)};
  if (!pixels) json["outputs"].push_back(tensor_metadata("labels", "BYTES", each));
  return json;
}

std::string error_body(const std::string& message) { return text_of({{"error", message}}) + "\n"; }

}  // namespace dnc::serve
