#include "plugins/datasets/cifar/python_batch.h"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <utility>

#include "formats/error.h"
#include "formats/pickle.h"
#include "plugins/datasets/common/files.h"
#include "registry/error.h"

namespace dnc {
namespace {

using Kind = PickleValue::Kind;

constexpr int64_t kPictureBytes = 3 * 32 * 32;

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& what) {
  throw DataError(fmt::format("{}: {}; is it damaged, or another file?", path.string(), what));
}

// Hands the pickle in a file to `use`.
template <typename Use>
auto read_pickle(const std::filesystem::path& path, const std::string& advice, const Use& use) {
  const auto bytes = read_bytes(path, advice);
  try {
    ByteStream stream(path.string(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    return use(Pickle(stream).root());
  } catch (const FormatError& error) {
    throw DataError(error.what());
  }
}

const PickleValue& find(const std::filesystem::path& path, const PickleValue& root,
                        const std::string& key) {
  if (!root.is(Kind::kDict)) fail(path, "the pickle is no dict");
  const auto* value = root.find(key);
  if (!value) fail(path, fmt::format("the pickle has no '{}'", key));
  return *value;
}

bool is_bytes(const PickleValue& value) { return value.is(Kind::kBytes) || value.is(Kind::kText); }

// numpy.dtype("u1"), as it is or as its name.
bool is_byte_type(const PickleValue& value) {
  if (!value.is(Kind::kObject) || value.text != "numpy.dtype" || value.items.empty()) return false;
  const auto& name = *value.items.front();
  return is_bytes(name) && (name.text == "u1" || name.text == "|u1" || name.text == "uint8");
}

// What a pickle says of an array of NumPy: (shape, type, bytes).
struct Array {
  const PickleValue* shape = nullptr;
  const PickleValue* type = nullptr;
  const PickleValue* bytes = nullptr;
  bool by_columns = false;
};

// An array is _reconstruct(ndarray, (0,), "b") with the state (1, shape, type, by columns, bytes),
// or since protocol 5 _frombuffer(bytes, type, shape, "C"). NumPy 2 moved them to numpy._core.
Array find_array(const std::filesystem::path& path, const PickleValue& value) {
  const auto is_call = [&](std::string_view function) {
    return value.is(Kind::kObject) && (value.text == fmt::format("numpy.core.{}", function) ||
                                       value.text == fmt::format("numpy._core.{}", function));
  };
  if (is_call("multiarray._reconstruct") && value.state && value.state->items.size() == 5) {
    const auto& state = value.state->items;
    return {state[1], state[2], state[4], state[3]->number != 0};
  }
  if (is_call("numeric._frombuffer") && value.items.size() == 4) {
    const auto& given = value.items;
    return {given[2], given[1], given[0], given[3]->text != "C"};
  }
  const bool named = value.is(Kind::kObject) || value.is(Kind::kGlobal);
  fail(path, named
                 ? fmt::format("'data' is no array of NumPy but '{}', which is not run", value.text)
                 : "'data' is no array of NumPy");
}

std::vector<int64_t> read_labels(const std::filesystem::path& path, const PickleValue& list,
                                 const std::string& key) {
  if (!list.is(Kind::kList)) fail(path, fmt::format("'{}' is no list", key));
  std::vector<int64_t> labels;
  for (const auto* item : list.items) {
    if (!item->is(Kind::kInteger)) fail(path, fmt::format("'{}' is no list of integers", key));
    labels.push_back(item->number);
  }
  return labels;
}

PythonBatch read_batch(const std::filesystem::path& path, const PickleValue& root,
                       const std::string& label_key) {
  PythonBatch batch;
  batch.labels = read_labels(path, find(path, root, label_key), label_key);
  const auto array = find_array(path, find(path, root, "data"));
  if (!is_byte_type(*array.type) || !is_bytes(*array.bytes)) {
    fail(path, "'data' is no array of unsigned bytes");
  }
  const auto count = static_cast<int64_t>(batch.labels.size());
  const auto& shape = array.shape->items;
  const bool fits = shape.size() == 2 && shape[0]->is(Kind::kInteger) &&
                    shape[1]->is(Kind::kInteger) && shape[0]->number == count &&
                    shape[1]->number == kPictureBytes && !array.by_columns;
  if (!fits) {
    fail(path, fmt::format("'data' is no array of {} rows (one a label) of {} bytes", count,
                           kPictureBytes));
  }
  if (array.bytes->text.size() != static_cast<size_t>(count * kPictureBytes)) {
    fail(path, fmt::format("'data' has {} bytes, expected {}", array.bytes->text.size(),
                           count * kPictureBytes));
  }
  if (count == 0) fail(path, "has no pictures");
  batch.planes = array.bytes->text;
  return batch;
}

}  // namespace

PythonBatch read_python_batch(const std::filesystem::path& path, const std::string& label_key,
                              const std::string& advice) {
  return read_pickle(path, advice,
                     [&](const PickleValue& root) { return read_batch(path, root, label_key); });
}

std::vector<std::string> read_python_names(const std::filesystem::path& path,
                                           const std::string& key) {
  return read_pickle(path, "expected class names", [&](const PickleValue& root) {
    const auto& list = find(path, root, key);
    std::vector<std::string> names;
    for (const auto* item : list.items) {
      if (!list.is(Kind::kList) || !is_bytes(*item)) {
        fail(path, fmt::format("'{}' is no list of texts", key));
      }
      names.push_back(item->text);
    }
    return names;
  });
}

}  // namespace dnc
