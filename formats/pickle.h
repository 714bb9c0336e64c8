#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "formats/byte_stream.h"

namespace dnc {

/// The memory behind one or more tensors of a pickle. Its bytes are elsewhere in the file.
struct PickledStorage {
  std::string key;  // what the file calls it
  c10::ScalarType type = c10::ScalarType::Float;
  int64_t size = 0;  // elements

  uint64_t bytes() const { return static_cast<uint64_t>(size) * c10::elementSize(type); }
};

/// A view into a storage; it lies inside it, that is checked.
struct PickledTensor {
  const PickledStorage* storage = nullptr;
  c10::ScalarType type = c10::ScalarType::Float;
  int64_t offset = 0;  // elements, as the strides
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;
};

/// One value that a pickle describes.
struct PickleValue {
  enum class Kind {
    kNone,
    kBool,     // number
    kInteger,  // number
    kLong,     // text: an integer beyond 64 bits, its bytes
    kReal,     // real
    kText,     // text: UTF-8, or what Python 2 calls a str, which may be any bytes
    kBytes,    // text
    kList,     // items; also a tuple or a set
    kDict,     // items: key, value, key, value, ...
    kGlobal,   // text: "module.name"
    kObject,   // text: "module.name" of its class; items: its arguments; state
    kTensor,   // tensor
    kStorage   // storage
  };
  Kind kind = Kind::kNone;
  int64_t number = 0;
  double real = 0;
  std::string text;
  std::vector<const PickleValue*> items;
  const PickleValue* state = nullptr;
  std::unique_ptr<PickledTensor> tensor;
  std::unique_ptr<PickledStorage> storage;

  bool is(Kind other) const { return kind == other; }
  /// The value of a key of a dict, which may be text or bytes; nullptr where there is none, or
  /// where this is no dict.
  const PickleValue* find(std::string_view key) const;
};

/// What one pickle describes, read without executing any of it.
///
/// The opcodes of plain data are known, in the protocols 0 to 5; those that look for classes or
/// objects elsewhere are refused. Of the callables that a pickle may name, those that build tensors
/// and plain containers are followed, and the one by which Python 3 writes bytes in old protocols,
/// by code of our own. Any other becomes an inert kObject that only has a name: nothing is imported
/// or called. Values may refer to each other in circles.
///
/// Each size, index and count of the file is checked, and what a file of some length can cost in
/// memory and time is bounded. Throws PickleError, and FormatError where the bytes end early.
class Pickle {
 public:
  /// Reads from where the stream stands up to the end of one pickle.
  explicit Pickle(ByteStream& stream);

  const PickleValue& root() const { return *root_; }
  /// The storages that it names, by their keys.
  const std::map<std::string, const PickledStorage*>& storages() const { return storages_; }

 private:
  // The values stay here, whoever refers to whom: freeing them needs no recursion.
  std::deque<PickleValue> values_;
  std::map<std::string, const PickledStorage*> storages_;
  const PickleValue* root_;
};

/// The type of the tensors in "FloatStorage", or that of "float32"; false for other names.
bool find_pickled_type(std::string_view name, c10::ScalarType& type);
/// "FloatStorage"; nullptr for a type without a storage class of its own.
const char* storage_class_name(c10::ScalarType type);

}  // namespace dnc
