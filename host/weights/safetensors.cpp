#include "host/weights/safetensors.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "registry/text.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr uint64_t kMaxHeader = 100'000'000;  // as in the Rust library
constexpr size_t kMaxRank = 64;               // LibTorch's own limit
constexpr const char* kMetadataKey = "__metadata__";

struct TypeName {
  const char* name;
  torch::ScalarType type;
};
constexpr std::array kTypes = {TypeName{"F64", torch::kDouble}, TypeName{"F32", torch::kFloat},
                               TypeName{"F16", torch::kHalf},   TypeName{"BF16", torch::kBFloat16},
                               TypeName{"I64", torch::kLong},   TypeName{"I32", torch::kInt},
                               TypeName{"I16", torch::kShort},  TypeName{"I8", torch::kChar},
                               TypeName{"U8", torch::kByte},    TypeName{"BOOL", torch::kBool}};

std::string known_types() {
  std::vector<std::string> names;
  for (const auto& type : kTypes) names.emplace_back(type.name);
  return join(names);
}

/// One tensor of a header; its place is counted from the end of the header.
struct Entry {
  std::string name;
  torch::ScalarType type = torch::kFloat;
  std::vector<int64_t> shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

/// Reads {"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...} value by value,
/// so that a hostile header costs no more memory than a good one of its length.
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(std::string file) : file_(std::move(file)) {}

  std::vector<Entry> entries;
  Metadata metadata;

  bool start_object(size_t) override {
    if (depth_ > 1 || in_list_) unexpected("a map");
    if (++depth_ == 2) {
      fields_.clear();
      if (!in_metadata_) entries.emplace_back().name = name_;
    }
    return true;
  }
  bool end_object() override {
    if (--depth_ == 1 && !std::exchange(in_metadata_, false)) check_complete(entries.back());
    return true;
  }
  bool key(string_t& key) override {
    if (depth_ == 1) {
      if (!names_.insert(key).second) fail(fmt::format("'{}' is there twice", key));
      name_ = key;
      in_metadata_ = key == kMetadataKey;
    } else {
      if (!fields_.insert(key).second) fail(fmt::format("'{}' has two times '{}'", name_, key));
      field_ = key;
    }
    return true;
  }
  bool start_array(size_t) override {
    const bool expected = field_ == "shape" || field_ == "data_offsets";
    if (depth_ != 2 || in_list_ || in_metadata_ || !expected) unexpected("a list");
    in_list_ = true;
    list_.clear();
    return true;
  }
  bool end_array() override {
    in_list_ = false;
    auto& entry = entries.back();
    if (field_ == "shape") {
      entry.shape = list_;
    } else if (list_.size() == 2 && list_[0] <= list_[1]) {
      entry.begin = static_cast<uint64_t>(list_[0]);
      entry.end = static_cast<uint64_t>(list_[1]);
    } else {
      fail(fmt::format("'{}': 'data_offsets' must be [begin, end]", name_));
    }
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (!in_list_) unexpected("a number");
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      unexpected("a number beyond 63 bits");
    }
    if (list_.size() == kMaxRank) {
      fail(fmt::format("'{}': '{}' is a list of more than {} numbers", name_, field_, kMaxRank));
    }
    list_.push_back(static_cast<int64_t>(value));
    return true;
  }
  bool string(string_t& text) override {
    if (depth_ != 2 || in_list_) unexpected("text");
    if (in_metadata_) {
      metadata[field_] = text;
    } else if (field_ == "dtype") {
      entries.back().type = type_of(text);
    } else {
      unexpected("text");
    }
    return true;
  }
  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("true or false"); }
  bool number_integer(number_integer_t) override { unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    unexpected("a number that is not an integer of 64 bits");
  }
  bool binary(binary_t&) override { unexpected("binary data"); }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    fail(fmt::format("it is not valid JSON at byte {}", position));
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw CheckpointError(fmt::format("{}: the safetensors header is wrong: {}", file_, what));
  }
  [[noreturn]] void unexpected(const char* what) const {
    if (depth_ < 2) fail(fmt::format("'{}' is {}, not a map", name_, what));
    fail(fmt::format("'{}': '{}' cannot be {}", name_, field_, what));
  }
  torch::ScalarType type_of(const std::string& name) const {
    for (const auto& type : kTypes) {
      if (type.name == name) return type.type;
    }
    fail(fmt::format("'{}' is of type '{}', which is not known here (known: {})", name_, name,
                     known_types()));
  }
  void check_complete(const Entry& entry) const {
    for (const char* field : {"dtype", "shape", "data_offsets"}) {
      if (!fields_.contains(field)) fail(fmt::format("'{}' has no '{}'", entry.name, field));
    }
  }

  std::string file_;
  int depth_ = 0;
  std::set<std::string> names_;
  std::string name_;              // the key at depth 1
  std::set<std::string> fields_;  // of that key
  std::string field_;             // the key at depth 2
  bool in_metadata_ = false;
  std::vector<int64_t> list_;  // the list that is being read
  bool in_list_ = false;
};

/// Bytes of a tensor; none where they do not fit 63 bits.
std::optional<uint64_t> size_of(const Entry& entry) {
  auto size = static_cast<int64_t>(c10::elementSize(entry.type));
  bool empty = false;
  for (const auto dimension : entry.shape) {
    empty = empty || dimension == 0;
    // LibTorch computes strides with 1 in place of 0, and they must fit too.
    if (__builtin_mul_overflow(size, std::max<int64_t>(dimension, 1), &size)) return std::nullopt;
  }
  return empty ? 0 : static_cast<uint64_t>(size);
}

/// Sorts the entries by their place, and checks that they cover `data_size` bytes exactly.
void check_layout(const std::string& file, std::vector<Entry>& entries, uint64_t data_size) {
  const auto fail = [&](const std::string& what) {
    throw CheckpointError(fmt::format("{}: {}", file, what));
  };
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t position = 0;
  for (const auto& entry : entries) {
    const auto size = size_of(entry);
    if (!size) fail(fmt::format("the shape of '{}' is too large for any memory", entry.name));
    if (entry.end - entry.begin != *size) {
      fail(fmt::format("'{}' has {} bytes of data, its type and shape need {}", entry.name,
                       entry.end - entry.begin, *size));
    }
    if (entry.begin != position) {
      fail(fmt::format(
          "'{}' begins at byte {} of the data, {} byte {} was expected", entry.name, entry.begin,
          entry.begin < position ? "inside the tensor before it;" : "after a gap;", position));
    }
    position = entry.end;
    if (position > data_size) {
      fail(
          fmt::format("'{}' ends at byte {} of the data, of which there are {}: the file is cut "
                      "short",
                      entry.name, position, data_size));
    }
  }
  if (position != data_size) {
    fail(fmt::format("the last {} bytes belong to no tensor", data_size - position));
  }
}

/// The length of the header, checked against that of the file.
uint64_t read_header_size(const InputFile& file) {
  const auto fail = [&](const std::string& what) {
    throw CheckpointError(fmt::format("{}: {}", file.path().string(), what));
  };
  uint64_t size = 0;
  if (file.size() < sizeof size) {
    fail(fmt::format("has {}, too few for a safetensors file", format_size(file.size())));
  }
  file.read(0, &size, sizeof size);
  if (size > kMaxHeader) {
    fail(
        fmt::format("is not a safetensors file: its first 8 bytes would mean a header of {} bytes, "
                    "at most {} are allowed",
                    size, kMaxHeader));
  }
  if (size > file.size() - sizeof size) {
    fail(
        fmt::format("the safetensors header has {} bytes, but only {} follow: the file is cut "
                    "short",
                    size, file.size() - sizeof size));
  }
  return size;
}

torch::Tensor read_tensor(const InputFile& file, const Entry& entry, uint64_t data_begin) {
  auto tensor = torch::empty(entry.shape, entry.type);
  file.read(data_begin + entry.begin, tensor.mutable_data_ptr(), entry.end - entry.begin);
  // A bool that is neither 0 nor 1 is undefined behaviour wherever it is read.
  if (entry.type == torch::kBool && tensor.numel() > 0 &&
      tensor.view(torch::kByte).max().item<uint8_t>() > 1) {
    throw CheckpointError(fmt::format("{}: '{}' is of type BOOL and has bytes other than 0 and 1",
                                      file.path().string(), entry.name));
  }
  return tensor;
}

const char* type_name(const std::string& file, const std::string& name,
                      const torch::Tensor& tensor) {
  for (const auto& type : kTypes) {
    if (type.type == tensor.scalar_type()) return type.name;
  }
  throw CheckpointError(fmt::format("{}: cannot hold '{}', a tensor of type {} (possible: {})",
                                    file, name, c10::toString(tensor.scalar_type()),
                                    known_types()));
}

std::string make_header(const std::string& file, const std::vector<const TensorMap::Item*>& items,
                        const Metadata& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  uint64_t position = 0;
  for (const auto* item : items) {
    const auto& tensor = item->value();
    TORCH_CHECK(item->key() != kMetadataKey, "no tensor can have the name ", kMetadataKey);
    const auto end = position + tensor.nbytes();
    // A list of pairs and push_back: assignment by key searches all keys before it.
    header.get_ref<nlohmann::ordered_json::object_t&>().emplace_back(
        item->key(), nlohmann::ordered_json{{"dtype", type_name(file, item->key(), tensor)},
                                            {"shape", tensor.sizes().vec()},
                                            {"data_offsets", {position, end}}});
    position = end;
  }
  auto text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the data begins at a multiple of 8
  return text;
}

}  // namespace

void write_safetensors(OutputFile& file, const TensorMap& tensors, const Metadata& metadata) {
  std::vector<const TensorMap::Item*> items;
  for (const auto& item : tensors) items.push_back(&item);
  // Wide types first: then every tensor is aligned for its type, also in a file that is mapped.
  std::stable_sort(items.begin(), items.end(), [](const auto* a, const auto* b) {
    return a->value().element_size() > b->value().element_size();
  });
  const auto header = make_header(file.path().string(), items, metadata);
  const uint64_t size = header.size();
  file.write(&size, sizeof size);
  file.write(header);
  for (const auto* item : items) {
    // One at a time, so that a model on a GPU needs no second copy in memory.
    const auto tensor = item->value().detach().cpu().contiguous();
    file.write(tensor.const_data_ptr(), tensor.nbytes());
  }
}

void write_safetensors(const fs::path& path, const TensorMap& tensors, const Metadata& metadata) {
  AtomicFile file(path);
  write_safetensors(file.file(), tensors, metadata);
  file.commit();
}

TensorFile read_safetensors(const fs::path& path) {
  const InputFile file(path);
  const auto size = read_header_size(file);
  std::string header(size, '\0');
  file.read(sizeof size, header.data(), size);
  if (!header.starts_with('{')) {
    throw CheckpointError(fmt::format(
        "{}: is not a safetensors file: its header does not begin with '{{'", path.string()));
  }
  HeaderReader reader(path.string());
  nlohmann::json::sax_parse(header, &reader);
  const uint64_t data_begin = sizeof size + size;
  check_layout(path.string(), reader.entries, file.size() - data_begin);

  TensorFile result;
  result.metadata = std::move(reader.metadata);
  result.tensors.reserve(reader.entries.size());
  for (const auto& entry : reader.entries) {
    result.tensors.insert(entry.name, read_tensor(file, entry, data_begin));
  }
  return result;
}

}  // namespace dnc
