#include "host/weights/pth.h"

#include <c10/core/Storage.h>
#include <caffe2/serialize/inline_container.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "formats/error.h"
#include "formats/pickle.h"
#include "registry/error.h"
#include "registry/text.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using Kind = PickleValue::Kind;

/// Reads the bytes of a storage from where the format has them.
using LoadStorage = std::function<c10::Storage(const PickledStorage&)>;

constexpr const char* kAgain = "Copy or download it again.";
constexpr const char* kSaveAgain =
    "Save the weights again with torch.save(model.state_dict(), FILE).";

/// Where a state dict may be inside a file, the likeliest first. mmengine keeps the averaged
/// weights under state_dict and the live ones under ema_state_dict.
constexpr std::array kParts = {"state_dict",     "model",     "model_state_dict", "module", "net",
                               "ema_state_dict", "model_ema", "state_dict_ema"};
/// What wrappers put before all names.
constexpr std::array kPrefixes = {std::string_view("module."), std::string_view("_orig_mod.")};

[[noreturn]] void fail(const std::string& file, const std::string& what) {
  throw CheckpointError(fmt::format("{}: {}", file, what));
}

/// Finds the tensors in what a pickle describes.
class StateCollector {
 public:
  StateCollector(std::string file, LoadStorage load)
      : file_(std::move(file)), load_(std::move(load)) {}

  void collect(const PickleValue& root, ForeignWeights& weights) {
    const auto* state = &root;
    // A few levels: {"state_dict": {"model": ...}}
    for (int depth = 0; depth < 3; ++depth) {
      const auto part = find_part(*state);
      if (part.empty()) break;
      list_others(*state, part, weights.unused);
      weights.part += (weights.part.empty() ? "" : ".") + part;
      state = state->find(part);
    }
    if (state->is(Kind::kObject)) {
      add_module(*state, "", weights.tensors);
    } else if (state->is(Kind::kDict)) {
      add_dict(*state, "", weights.tensors, &weights.unused);
    }
    if (weights.tensors.is_empty()) fail_without_weights(root);
  }

 private:
  static std::string find_part(const PickleValue& value) {
    for (const auto* part : kParts) {
      const auto* inside = value.find(part);
      if (inside && (inside->is(Kind::kDict) || inside->is(Kind::kObject))) return part;
    }
    return "";
  }

  static void list_others(const PickleValue& dict, const std::string& part,
                          std::vector<std::string>& unused) {
    for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      const auto& key = *dict.items[i];
      if (key.is(Kind::kText) && key.text != part) unused.push_back(key.text);
    }
  }

  void add_dict(const PickleValue& dict, const std::string& prefix, TensorMap& tensors,
                std::vector<std::string>* unused) {
    for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      const auto& key = *dict.items[i];
      const auto& value = *dict.items[i + 1];
      if (!key.is(Kind::kText)) continue;
      if (value.is(Kind::kTensor)) {
        const auto name = prefix + key.text;
        if (tensors.contains(name)) fail(file_, fmt::format("'{}' is there twice", name));
        tensors.insert(name, load(name, *value.tensor));
      } else if (unused) {
        unused->push_back(key.text);
      }
    }
  }

  // An object of Python's nn.Module keeps its tensors in _parameters and _buffers, one of
  // TorchScript directly among its attributes.
  void add_module(const PickleValue& module, const std::string& prefix, TensorMap& tensors) {
    constexpr size_t kMaxModules = 100'000;
    constexpr size_t kMaxDepth = 100;
    if (++modules_ > kMaxModules || ++depth_ > kMaxDepth) {
      fail(file_,
           fmt::format("'{}' is a module inside more than {} others, or one of more than {}: "
                       "modules that contain themselves cannot be read. Save "
                       "model.state_dict() instead.",
                       prefix.substr(0, 100), kMaxDepth, kMaxModules));
    }
    const auto* state = module.state;
    if (state && state->find("_parameters") && state->find("_modules")) {
      for (const auto* part : {"_parameters", "_buffers"}) {
        if (const auto* dict = state->find(part)) add_dict(*dict, prefix, tensors, nullptr);
      }
      state = state->find("_modules");
    } else if (state) {
      add_dict(*state, prefix, tensors, nullptr);
    }
    for (size_t i = 0; state && i + 1 < state->items.size(); i += 2) {
      const auto& key = *state->items[i];
      const auto& value = *state->items[i + 1];
      if (key.is(Kind::kText) && value.is(Kind::kObject)) {
        add_module(value, prefix + key.text + ".", tensors);
      }
    }
    --depth_;
  }

  torch::Tensor load(const std::string& name, const PickledTensor& pickled) {
    auto found = storages_.find(pickled.storage);
    if (found == storages_.end()) {
      found = storages_.emplace(pickled.storage, load_(*pickled.storage)).first;
    }
    // The pickle saw to it that the tensor lies inside its storage, and load_ that the storage has
    // the bytes that the pickle says. A view of few bytes that repeats them can still be huge.
    auto tensor = torch::empty({0}, pickled.type)
                      .set_(found->second, pickled.offset, pickled.sizes, pickled.strides);
    if (tensor.nbytes() > pickled.storage->bytes()) {
      fail(file_,
           fmt::format("'{}' has {} of values, but only {} are stored: save a copy of the "
                       "tensor, not a view that repeats values",
                       name, format_size(tensor.nbytes()), format_size(pickled.storage->bytes())));
    }
    // A bool that is neither 0 nor 1 is undefined behaviour wherever it is read.
    if (pickled.type == torch::kBool && tensor.numel() > 0 &&
        tensor.view(torch::kByte).max().item<uint8_t>() > 1) {
      fail(file_, fmt::format("'{}' is of type bool and has bytes other than 0 and 1", name));
    }
    return tensor;
  }

  [[noreturn]] void fail_without_weights(const PickleValue& root) const {
    std::vector<std::string> keys;
    for (size_t i = 0; i + 1 < root.items.size() && root.is(Kind::kDict); i += 2) {
      if (root.items[i]->is(Kind::kText) && keys.size() < 8) keys.push_back(root.items[i]->text);
    }
    fail(file_,
         fmt::format("has no weights: expected a dict of tensors, or one under {}; it has {}. "
                     "Save model.state_dict().",
                     join({kParts.begin(), kParts.end()}), keys.empty() ? "no keys" : join(keys)));
  }

  std::string file_;
  LoadStorage load_;
  std::map<const PickledStorage*, c10::Storage> storages_;
  size_t modules_ = 0;
  size_t depth_ = 0;
};

TensorMap without_prefix(TensorMap tensors) {
  const auto all_have = [&](std::string_view prefix) {
    return std::all_of(tensors.begin(), tensors.end(), [&](const auto& item) {
      return item.key().size() > prefix.size() && item.key().starts_with(prefix);
    });
  };
  for (bool again = true; again;) {
    again = false;
    for (const auto prefix : kPrefixes) {
      if (tensors.is_empty() || !all_have(prefix)) continue;
      TensorMap shorter;
      for (const auto& item : tensors) {
        shorter.insert(item.key().substr(prefix.size()), item.value());
      }
      tensors = std::move(shorter);
      again = true;
    }
  }
  return tensors;
}

/// A zip file of torch.save: data.pkl, byteorder, and a record data/KEY for each storage.
class ZipFile {
 public:
  explicit ZipFile(const InputFile& file)
      : file_(file.path().string()), size_(file.size()), reader_(checked([&] {
          return std::make_unique<caffe2::serialize::PyTorchStreamReader>(file_);
        })) {}

  bool has(const std::string& record) {
    return checked([&] { return reader_->hasRecord(record); });
  }

  std::pair<at::DataPtr, size_t> read(const std::string& record) {
    // torch.save does not compress, so all records together are no larger than the file. One that
    // is would take memory that the file has no right to.
    const auto size = checked([&] { return reader_->getRecordSize(record); });
    if (size > size_ - loaded_) {
      fail(file_, fmt::format("'{}' has {} bytes, more than the file has left: it is compressed or "
                              "damaged. Save it again with torch.save.",
                              record, size));
    }
    loaded_ += size;
    auto [data, got] = checked([&] { return reader_->getRecord(record); });
    return {std::move(data), got};
  }

  std::string read_text(const std::string& record) {
    const auto [data, size] = read(record);
    return {static_cast<const char*>(data.get()), size};
  }

 private:
  /// LibTorch's reader throws its own errors for damaged files.
  template <typename Call>
  auto checked(const Call& call) const -> decltype(call()) {
    try {
      return call();
    } catch (const std::exception&) {
      fail(file_,
           fmt::format("is a zip file that cannot be read as one of torch.save: it is damaged "
                       "or cut short. {}",
                       kAgain));
    }
  }

  std::string file_;
  uint64_t size_;
  uint64_t loaded_ = 0;
  std::unique_ptr<caffe2::serialize::PyTorchStreamReader> reader_;
};

ForeignWeights read_zip(const InputFile& file) {
  const auto name = file.path().string();
  ZipFile zip(file);
  if (zip.has("byteorder") && zip.read_text("byteorder") != "little") {
    fail(name, "was written on a big-endian machine, which is not supported");
  }
  if (!zip.has("data.pkl")) {
    fail(name, "is a zip file, but not one of torch.save: it has no data.pkl");
  }
  ForeignWeights weights;
  weights.format = zip.has("constants.pkl") ? "TorchScript" : "PyTorch";
  const auto bytes = zip.read_text("data.pkl");
  ByteStream stream(name, bytes);
  const Pickle pickle(stream);
  const auto load = [&](const PickledStorage& storage) {
    const auto record = "data/" + storage.key;
    if (!zip.has(record))
      fail(name, fmt::format("has no '{}', which is needed. {}", record, kAgain));
    auto [data, size] = zip.read(record);
    if (size < storage.bytes()) {
      fail(name, fmt::format("'{}' has {} bytes, {} are needed: the file is damaged. {}", record,
                             size, storage.bytes(), kAgain));
    }
    return c10::Storage(c10::Storage::use_byte_size_t(), size, std::move(data), nullptr, false);
  };
  StateCollector(name, load).collect(pickle.root(), weights);
  return weights;
}

/// The format before PyTorch 1.6: five pickles (a magic number, the protocol's number, a
/// description of the machine, the object, the keys of the storages), then for each key the number
/// of elements and the bytes.
class LegacyFile {
 public:
  explicit LegacyFile(const InputFile& file)
      : file_(file),
        name_(file.path().string()),
        stream_(name_, file.size(), [&file](uint64_t offset, void* data, uint64_t size) {
          file.read(offset, data, size);
        }) {}

  ForeignWeights read() {
    read_preamble();
    const Pickle object(stream_);
    place_storages(object);
    ForeignWeights weights;
    weights.format = "PyTorch before 1.6";
    const auto load = [this](const PickledStorage& storage) { return load_storage(storage); };
    StateCollector(name_, load).collect(object.root(), weights);
    return weights;
  }

 private:
  void read_preamble() {
    constexpr std::string_view kMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
    constexpr int64_t kProtocol = 1001;
    const Pickle magic(stream_);
    if (!magic.root().is(Kind::kLong) || magic.root().text != kMagic) {
      fail(name_,
           "is a pickle, but not one of torch.save. Save the weights with "
           "torch.save(model.state_dict(), FILE).");
    }
    const Pickle protocol(stream_);
    if (!protocol.root().is(Kind::kInteger) || protocol.root().number != kProtocol) {
      fail(name_, fmt::format("is of another version of torch.save's format than {}", kProtocol));
    }
    const Pickle machine(stream_);
    const auto* little = machine.root().find("little_endian");
    if (!little || !little->is(Kind::kBool) || little->number == 0) {
      fail(name_, "was written on a big-endian machine, which is not supported");
    }
  }

  void place_storages(const Pickle& object) {
    const Pickle keys(stream_);
    if (!keys.root().is(Kind::kList)) fail(name_, "has no list of its storages: it is damaged");
    for (const auto* key : keys.root().items) {
      const auto found = object.storages().find(key->text);
      if (found == object.storages().end() || !key->is(Kind::kText)) {
        fail(name_,
             fmt::format("has a storage '{}' that belongs to nothing: it is damaged", key->text));
      }
      const auto* storage = found->second;
      int64_t size = 0;
      stream_.read(&size, sizeof size);
      if (size != storage->size) {
        fail(name_, fmt::format("has {} elements in storage '{}', {} are needed: it is damaged. {}",
                                size, storage->key, storage->size, kAgain));
      }
      if (!places_.emplace(storage->key, stream_.position()).second) {
        fail(name_, fmt::format("has storage '{}' twice: it is damaged", storage->key));
      }
      stream_.skip(storage->bytes());
    }
  }

  c10::Storage load_storage(const PickledStorage& storage) const {
    const auto place = places_.find(storage.key);
    if (place == places_.end()) {
      fail(name_, fmt::format("has no storage '{}', which is needed. {}", storage.key, kAgain));
    }
    auto bytes = torch::empty({static_cast<int64_t>(storage.bytes())}, torch::kByte);
    file_.read(place->second, bytes.mutable_data_ptr(), storage.bytes());
    return bytes.storage();
  }

  const InputFile& file_;
  std::string name_;
  ByteStream stream_;
  std::map<std::string, uint64_t> places_;  // of the bytes of each storage in the file
};

/// Writes the pickle of an OrderedDict of tensors, in protocol 2.
class StatePickler {
 public:
  explicit StatePickler(std::string file) : file_(std::move(file)) {}

  std::string pickle(const TensorMap& tensors) {
    bytes_ = "\x80\x02";
    global("collections", "OrderedDict");
    bytes_ += ")R(";
    size_t number = 0;
    for (const auto& item : tensors) {
      text(item.key());
      tensor(item.key(), item.value(), std::to_string(number++));
    }
    bytes_ += "u.";
    return std::move(bytes_);
  }

 private:
  template <typename T>
  void raw(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(const std::string& value) {
    TORCH_CHECK(value.size() <= std::numeric_limits<uint32_t>::max(), "a name of above 4 GiB");
    bytes_ += 'X';
    raw(static_cast<uint32_t>(value.size()));
    bytes_ += value;
  }
  void global(const char* module, const char* name) {
    bytes_ += fmt::format("c{}\n{}\n", module, name);
  }
  void integer(int64_t value) {
    if (value >= 0 && value <= std::numeric_limits<int32_t>::max()) {
      bytes_ += 'J';
      raw(static_cast<int32_t>(value));
    } else {
      bytes_ += "\x8a\x08";
      raw(value);
    }
  }
  void integers(const std::vector<int64_t>& values) {
    bytes_ += '(';
    for (const auto value : values) integer(value);
    bytes_ += 't';
  }

  // _rebuild_tensor_v2(storage, 0, sizes, strides, False, OrderedDict()); the storage is
  // ("storage", FloatStorage, key, "cpu", elements).
  void tensor(const std::string& name, const torch::Tensor& value, const std::string& key) {
    const char* storage = storage_class_name(value.scalar_type());
    if (!storage) {
      fail(file_, fmt::format("cannot hold '{}', a tensor of type {}", name,
                              c10::toString(value.scalar_type())));
    }
    global("torch._utils", "_rebuild_tensor_v2");
    bytes_ += "((";
    text("storage");
    global("torch", storage);
    text(key);
    text("cpu");
    integer(value.numel());
    bytes_ += "tQ";
    integer(0);
    integers(value.sizes().vec());
    std::vector<int64_t> strides(value.sizes().size(), 1);
    for (size_t i = strides.size(); i >= 2; --i) {
      strides[i - 2] = strides[i - 1] * std::max<int64_t>(value.sizes()[i - 1], 1);
    }
    integers(strides);
    bytes_ += '\x89';
    global("collections", "OrderedDict");
    bytes_ += ")RtR";
  }

  std::string file_;
  std::string bytes_;
};

}  // namespace

ForeignWeights read_pth(const fs::path& path) try {
  const InputFile file(path);
  const auto name = path.string();
  std::array<char, 4> begin{};
  if (file.size() < begin.size()) {
    fail(name, fmt::format("has {}, too few for weights. {}", format_size(file.size()), kAgain));
  }
  file.read(0, begin.data(), begin.size());
  ForeignWeights weights;
  if (std::memcmp(begin.data(), "PK\3\4", begin.size()) == 0) {
    weights = read_zip(file);
  } else if (begin[0] == '\x80') {
    weights = LegacyFile(file).read();
  } else {
    fail(name, "is neither a zip file nor a pickle of torch.save. Is it a file of weights?");
  }
  weights.origin = name;
  weights.tensors = without_prefix(std::move(weights.tensors));
  return weights;
} catch (const PickleError& error) {
  throw CheckpointError(fmt::format("{} {}", error.what(), kSaveAgain));
} catch (const FormatError& error) {
  throw CheckpointError(error.what());
}

void write_pth(const fs::path& path, const TensorMap& tensors) {
  AtomicFile file(path);
  const auto pickle = StatePickler(path.string()).pickle(tensors);
  // LibTorch's writer goes through C code, which an exception must not cross, and its destructor
  // ends the program where a write fails. So after a failure it writes on, into nothing.
  std::exception_ptr failure;
  const auto write = [&](const void* data, size_t size) {
    try {
      if (!failure) file.file().write(data, size);
    } catch (...) {
      failure = std::current_exception();
    }
    return size;
  };
  {
    caffe2::serialize::PyTorchStreamWriter zip(write);
    zip.writeRecord("data.pkl", pickle.data(), pickle.size());
    zip.writeRecord("byteorder", "little", 6);
    size_t number = 0;
    for (const auto& item : tensors) {
      // One at a time, so that a model on a GPU needs no second copy in memory.
      const auto tensor = item.value().detach().cpu().contiguous();
      zip.writeRecord(fmt::format("data/{}", number++), tensor.const_data_ptr(), tensor.nbytes());
    }
    zip.writeEndOfFile();
  }
  if (failure) std::rethrow_exception(failure);
  file.commit();
}

}  // namespace dnc
