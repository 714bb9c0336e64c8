#include "formats/pickle.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <unordered_map>
#include <utility>

#include "formats/error.h"
#include "formats/python_text.h"

namespace dnc {
namespace {

using Kind = PickleValue::Kind;

// Far above what the largest checkpoints have (some hundred thousand), and yet not too much memory.
constexpr size_t kMaxValues = 4'000'000;
constexpr size_t kMaxLinks = 16'000'000;  // items of all lists and dicts together
constexpr size_t kMaxRank = 64;           // LibTorch's own limit

enum class Opcode : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDup = '2',
  kFloat = 'F',
  kInt = 'I',
  kLong = 'L',
  kString = 'S',
  kUnicode = 'V',
  kDict = 'd',
  kGet = 'g',
  kList = 'l',
  kPut = 'p',
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kBinFloat = 'G',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersid = 'Q',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kSetItems = 'u',
  kEmptyDict = '}',
  kEmptyList = ']',
  kEmptyTuple = ')',
  kProto = 0x80,
  kNewObj = 0x81,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kEmptySet = 0x8f,
  kAddItems = 0x90,
  kFrozenSet = 0x91,
  kNewObjEx = 0x92,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
  kByteArray8 = 0x96,
};

struct TypeName {
  const char* storage;  // "FloatStorage"
  const char* dtype;    // "float32"
  c10::ScalarType type;
};
constexpr std::array kTypes = {
    TypeName{"FloatStorage", "float32", c10::ScalarType::Float},
    TypeName{"DoubleStorage", "float64", c10::ScalarType::Double},
    TypeName{"HalfStorage", "float16", c10::ScalarType::Half},
    TypeName{"BFloat16Storage", "bfloat16", c10::ScalarType::BFloat16},
    TypeName{"LongStorage", "int64", c10::ScalarType::Long},
    TypeName{"IntStorage", "int32", c10::ScalarType::Int},
    TypeName{"ShortStorage", "int16", c10::ScalarType::Short},
    TypeName{"CharStorage", "int8", c10::ScalarType::Char},
    TypeName{"ByteStorage", "uint8", c10::ScalarType::Byte},
    TypeName{"BoolStorage", "bool", c10::ScalarType::Bool},
    TypeName{"ComplexFloatStorage", "complex64", c10::ScalarType::ComplexFloat},
    TypeName{"ComplexDoubleStorage", "complex128", c10::ScalarType::ComplexDouble},
    // Storages without a type count bytes; the tensors say theirs.
    TypeName{"UntypedStorage", "uint8", c10::ScalarType::Byte}};

/// The stack machine that a pickle is a program for.
class Machine {
 public:
  Machine(ByteStream& stream, std::deque<PickleValue>& values) : stream_(stream), values_(values) {}

  // The value that the pickle is of.
  const PickleValue* run() {
    for (;;) {
      at_ = stream_.position();
      const auto opcode = read<Opcode>();
      if (opcode == Opcode::kStop) return pop();
      if (!push_value(opcode) && !push_line(opcode) && !build_container(opcode) &&
          !use_stack(opcode) && !use_object(opcode)) {
        fail(fmt::format("opcode 0x{:02x} is none of plain data", static_cast<unsigned>(opcode)));
      }
    }
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw PickleError(
        fmt::format("{}: the pickle is wrong at byte {}: {}.", stream_.origin(), at_, what));
  }
  void require(bool condition, const char* what) const {
    if (!condition) fail(what);
  }

  // Reading.
  template <typename T>
  T read() {
    T value;
    stream_.read(&value, sizeof value);
    return value;
  }
  std::string read_text(uint64_t size) {
    if (size > stream_.remaining()) {
      fail(fmt::format("a text of {} bytes, but only {} follow", size, stream_.remaining()));
    }
    std::string text(size, '\0');
    stream_.read(text.data(), size);
    return text;
  }
  std::string read_line() {
    std::string line;
    for (char c = read<char>(); c != '\n'; c = read<char>()) line += c;
    return line;
  }
  std::string read_name() {
    constexpr size_t kLongest = 1000;
    std::string line;
    for (char c = read<char>(); c != '\n'; c = read<char>()) {
      require(line.size() < kLongest, "a name of more than 1000 bytes");
      line += c;
    }
    return line;
  }
  // A number as text: of protocol 0.
  template <typename T>
  T read_number() {
    const auto line = read_name();
    const auto* end = line.data() + line.size();
    if (line.ends_with('L')) --end;  // a long of Python 2
    T number{};
    const auto [stop, error] = std::from_chars(line.data(), end, number);
    if (error != std::errc() || stop != end) fail(fmt::format("'{}' is no number", line));
    return number;
  }

  // The stack.
  PickleValue* make(Kind kind) {
    if (values_.size() == kMaxValues) fail(fmt::format("more than {} values", kMaxValues));
    auto& value = values_.emplace_back();
    value.kind = kind;
    return &value;
  }
  PickleValue* make_text(Kind kind, std::string text) {
    auto* value = make(kind);
    value->text = std::move(text);
    return value;
  }
  PickleValue* make_integer(int64_t number) {
    auto* value = make(Kind::kInteger);
    value->number = number;
    return value;
  }
  // None, true and false are never changed, so each is there once.
  PickleValue* shared(PickleValue*& one, Kind kind, int64_t number) {
    if (!one) {
      one = make(kind);
      one->number = number;
    }
    return one;
  }
  void push(PickleValue* value) {
    if (stack_.size() == kMaxValues) fail(fmt::format("a stack of {} values", kMaxValues));
    stack_.push_back(value);
  }
  size_t bottom() const { return marks_.empty() ? 0 : marks_.back(); }
  PickleValue* top() const {
    require(stack_.size() > bottom(), "a value is needed, the stack has none");
    return stack_.back();
  }
  PickleValue* pop() {
    auto* value = top();
    stack_.pop_back();
    return value;
  }
  std::vector<const PickleValue*> pop_to_mark() {
    require(!marks_.empty(), "a mark is needed, there is none");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<const PickleValue*> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }
  void add_items(PickleValue* to, const std::vector<const PickleValue*>& items) {
    links_ += items.size();
    if (links_ > kMaxLinks) fail(fmt::format("more than {} items in lists and dicts", kMaxLinks));
    to->items.insert(to->items.end(), items.begin(), items.end());
  }
  PickleValue* make_list(const std::vector<const PickleValue*>& items) {
    auto* list = make(Kind::kList);
    add_items(list, items);
    return list;
  }

  bool push_value(Opcode opcode) {
    switch (opcode) {
      case Opcode::kNone:
        push(shared(none_, Kind::kNone, 0));
        return true;
      case Opcode::kNewTrue:
        push(shared(true_, Kind::kBool, 1));
        return true;
      case Opcode::kNewFalse:
        push(shared(false_, Kind::kBool, 0));
        return true;
      case Opcode::kBinInt:
        push(make_integer(read<int32_t>()));
        return true;
      case Opcode::kBinInt1:
        push(make_integer(read<uint8_t>()));
        return true;
      case Opcode::kBinInt2:
        push(make_integer(read<uint16_t>()));
        return true;
      case Opcode::kLong1:
        push(make_long(read_text(read<uint8_t>())));
        return true;
      case Opcode::kLong4:
        push(make_long(read_text(read<uint32_t>())));
        return true;
      case Opcode::kBinFloat: {
        auto* value = make(Kind::kReal);
        value->real = std::bit_cast<double>(__builtin_bswap64(read<uint64_t>()));
        push(value);
        return true;
      }
      case Opcode::kShortBinUnicode:
      case Opcode::kShortBinString:  // text of Python 2
        push(make_text(Kind::kText, read_text(read<uint8_t>())));
        return true;
      case Opcode::kBinUnicode:
      case Opcode::kBinString:
        push(make_text(Kind::kText, read_text(read<uint32_t>())));
        return true;
      case Opcode::kBinUnicode8:
        push(make_text(Kind::kText, read_text(read<uint64_t>())));
        return true;
      case Opcode::kShortBinBytes:
        push(make_text(Kind::kBytes, read_text(read<uint8_t>())));
        return true;
      case Opcode::kBinBytes:
        push(make_text(Kind::kBytes, read_text(read<uint32_t>())));
        return true;
      case Opcode::kBinBytes8:
      case Opcode::kByteArray8:
        push(make_text(Kind::kBytes, read_text(read<uint64_t>())));
        return true;
      default:
        return false;
    }
  }

  // Values that protocol 0 writes as lines of text.
  bool push_line(Opcode opcode) {
    switch (opcode) {
      case Opcode::kInt: {
        const auto start = stream_.position();
        const auto number = read_number<int64_t>();
        // 01 and 00 are true and false: two digits and the end of the line.
        const bool is_bool = (number == 0 || number == 1) && stream_.position() - start == 3;
        push(is_bool ? shared(number ? true_ : false_, Kind::kBool, number) : make_integer(number));
        return true;
      }
      case Opcode::kLong:
        push(make_integer(read_number<int64_t>()));
        return true;
      case Opcode::kFloat: {
        auto* value = make(Kind::kReal);
        value->real = read_number<double>();
        push(value);
        return true;
      }
      case Opcode::kString:
        push(make_text(Kind::kText, decoded(unquote_python(read_line()))));
        return true;
      case Opcode::kUnicode:
        push(make_text(Kind::kText, decoded(unescape_python(read_line()))));
        return true;
      default:
        return false;
    }
  }

  std::string decoded(const std::optional<std::string>& text) const {
    require(text.has_value(), "a text as Python does not write it");
    return *text;
  }

  // Little-endian two's complement of any length.
  PickleValue* make_long(std::string bytes) {
    if (bytes.size() > sizeof(int64_t)) return make_text(Kind::kLong, std::move(bytes));
    const bool negative = !bytes.empty() && (bytes.back() & 0x80) != 0;
    int64_t number = negative ? -1 : 0;
    std::memcpy(&number, bytes.data(), bytes.size());
    return make_integer(number);
  }

  bool build_container(Opcode opcode) {
    switch (opcode) {
      case Opcode::kEmptyList:
      case Opcode::kEmptyTuple:
      case Opcode::kEmptySet:
        push(make(Kind::kList));
        return true;
      case Opcode::kEmptyDict:
        push(make(Kind::kDict));
        return true;
      case Opcode::kTuple:
      case Opcode::kList:
      case Opcode::kFrozenSet:
        push(make_list(pop_to_mark()));
        return true;
      case Opcode::kDict: {
        const auto items = pop_to_mark();
        auto* dict = make(Kind::kDict);
        set_items(dict, items);
        push(dict);
        return true;
      }
      case Opcode::kTuple1:
      case Opcode::kTuple2:
      case Opcode::kTuple3: {
        const auto count = static_cast<size_t>(opcode) - static_cast<size_t>(Opcode::kTuple1) + 1;
        std::vector<const PickleValue*> items(count);
        for (auto item = items.rbegin(); item != items.rend(); ++item) *item = pop();
        push(make_list(items));
        return true;
      }
      case Opcode::kAppend: {
        const auto* item = pop();
        extend(top(), {item});
        return true;
      }
      case Opcode::kAppends:
      case Opcode::kAddItems: {
        const auto items = pop_to_mark();
        extend(top(), items);
        return true;
      }
      case Opcode::kSetItem: {
        const auto* value = pop();
        const auto* key = pop();
        set_items(top(), {key, value});
        return true;
      }
      case Opcode::kSetItems: {
        const auto items = pop_to_mark();
        set_items(top(), items);
        return true;
      }
      default:
        return false;
    }
  }

  void extend(PickleValue* list, const std::vector<const PickleValue*>& items) {
    if (list->is(Kind::kObject)) return;  // a class of lists that is not known: only its name stays
    require(list->is(Kind::kList), "items for what is no list");
    add_items(list, items);
  }
  void set_items(PickleValue* dict, const std::vector<const PickleValue*>& items) {
    require(items.size() % 2 == 0, "a key of a dict without a value");
    if (dict->is(Kind::kObject)) return;
    require(dict->is(Kind::kDict), "keys for what is no dict");
    add_items(dict, items);
  }

  bool use_stack(Opcode opcode) {
    switch (opcode) {
      case Opcode::kProto:
        require(read<uint8_t>() <= 5, "a protocol above 5");
        return true;
      case Opcode::kFrame:  // how many bytes belong together; only of use to a reader of pipes
        read<uint64_t>();
        return true;
      case Opcode::kMark:
        if (marks_.size() == kMaxValues) fail(fmt::format("more than {} marks", kMaxValues));
        marks_.push_back(stack_.size());
        return true;
      case Opcode::kPop:
        if (!marks_.empty() && marks_.back() == stack_.size()) {
          marks_.pop_back();
        } else {
          pop();
        }
        return true;
      case Opcode::kPopMark:
        pop_to_mark();
        return true;
      case Opcode::kDup:
        push(top());
        return true;
      case Opcode::kBinPut:
        remember(read<uint8_t>());
        return true;
      case Opcode::kLongBinPut:
        remember(read<uint32_t>());
        return true;
      case Opcode::kPut:
        remember(read_number<uint32_t>());
        return true;
      case Opcode::kGet:
        push(recall(read_number<uint32_t>()));
        return true;
      case Opcode::kMemoize:
        remember(memo_.size());
        return true;
      case Opcode::kBinGet:
        push(recall(read<uint8_t>()));
        return true;
      case Opcode::kLongBinGet:
        push(recall(read<uint32_t>()));
        return true;
      default:
        return false;
    }
  }

  void remember(uint64_t index) {
    memo_[index] = top();
    if (memo_.size() > kMaxValues) fail(fmt::format("a memo of more than {} values", kMaxValues));
  }
  PickleValue* recall(uint64_t index) const {
    const auto found = memo_.find(index);
    if (found == memo_.end()) fail(fmt::format("memo {} is used before it is set", index));
    return found->second;
  }

  bool use_object(Opcode opcode) {
    switch (opcode) {
      case Opcode::kGlobal: {
        const auto module = read_name();
        push(make_text(Kind::kGlobal, module + "." + read_name()));
        return true;
      }
      case Opcode::kStackGlobal: {
        const auto* name = pop();
        const auto* module = pop();
        require(name->is(Kind::kText) && module->is(Kind::kText), "a global without a name");
        require(name->text.size() + module->text.size() <= 2000, "a name of more than 2000 bytes");
        push(make_text(Kind::kGlobal, module->text + "." + name->text));
        return true;
      }
      case Opcode::kReduce:
      case Opcode::kNewObj: {
        const auto* arguments = pop();
        push(call(pop(), arguments));
        return true;
      }
      case Opcode::kNewObjEx: {
        pop();  // arguments by name
        const auto* arguments = pop();
        push(call(pop(), arguments));
        return true;
      }
      case Opcode::kBuild: {
        const auto* state = pop();
        auto* object = top();
        if (object->is(Kind::kObject)) object->state = state;
        return true;  // attributes of dicts (_metadata) and of tensors are not needed
      }
      case Opcode::kBinPersid:
        push(resolve(pop()));
        return true;
      default:
        return false;
    }
  }

  PickleValue* call(const PickleValue* callee, const PickleValue* arguments) {
    require(arguments->is(Kind::kList), "a call without a list of arguments");
    // What an inert object would return nobody knows, so it is one as well.
    if (!callee->is(Kind::kGlobal)) return make(Kind::kObject);
    const auto& name = callee->text;
    const auto& given = arguments->items;
    if (name == "collections.OrderedDict" || name == "collections.defaultdict" ||
        name == "collections.Counter") {
      return make_dict(given);
    }
    if (name == "_codecs.encode") return make_bytes(given);
    if (name == "torch._utils._rebuild_tensor_v2" || name == "torch._utils._rebuild_tensor") {
      return make_tensor(given, std::nullopt);
    }
    if (name == "torch._utils._rebuild_tensor_v3") {
      require(given.size() >= 7, "a tensor needs seven arguments");
      return make_tensor(given, dtype_of(given[6]));
    }
    if (name == "torch._utils._rebuild_parameter" ||
        name == "torch._utils._rebuild_parameter_with_state") {
      require(!given.empty() && given[0]->is(Kind::kTensor), "a parameter needs a tensor");
      auto* parameter = make(Kind::kTensor);
      parameter->tensor = std::make_unique<PickledTensor>(*given[0]->tensor);
      return parameter;
    }
    if (name == "torch._tensor._rebuild_from_type_v2") return unwrap(given);
    auto* object = make_text(Kind::kObject, name);
    add_items(object, given);
    return object;
  }

  // A subclass of Tensor: (callable, class, arguments, state).
  PickleValue* unwrap(const std::vector<const PickleValue*>& given) {
    require(given.size() == 4 && given[0]->is(Kind::kGlobal),
            "a tensor of a class needs four values");
    // Not itself again, however often: that would be a recursion as deep as the file says.
    require(given[0]->text != "torch._tensor._rebuild_from_type_v2", "a class inside a class");
    return call(given[0], given[2]);
  }

  // Python 2 wrote the items of an OrderedDict as an argument, a list of pairs.
  PickleValue* make_dict(const std::vector<const PickleValue*>& given) {
    auto* dict = make(Kind::kDict);
    if (given.empty() || !given[0]->is(Kind::kList)) return dict;
    for (const auto* pair : given[0]->items) {
      require(pair->is(Kind::kList) && pair->items.size() == 2, "a dict is made of pairs");
      add_items(dict, pair->items);
    }
    return dict;
  }

  // Python 3 has no opcode for bytes before protocol 3: encode(TEXT, "latin1").
  PickleValue* make_bytes(const std::vector<const PickleValue*>& given) {
    require(given.size() == 2 && given[0]->is(Kind::kText) && given[1]->is(Kind::kText) &&
                (given[1]->text == "latin1" || given[1]->text == "latin-1"),
            "bytes need a text and 'latin1'");
    const auto bytes = to_latin1(given[0]->text);
    require(bytes.has_value(), "bytes with a character beyond Latin-1");
    return make_text(Kind::kBytes, *bytes);
  }

  c10::ScalarType dtype_of(const PickleValue* value) const {
    c10::ScalarType type{};
    const bool is_dtype = value->is(Kind::kGlobal) && value->text.starts_with("torch.");
    if (!is_dtype || !find_pickled_type(std::string_view(value->text).substr(6), type)) {
      fail(fmt::format("'{}' is no type of tensors that is known here", value->text));
    }
    return type;
  }

  // What is outside the pickle: ('storage', ...) or, before PyTorch 1.6, ('module', class, its
  // source) for the class of a whole module.
  PickleValue* resolve(const PickleValue* id) {
    const bool named =
        id->is(Kind::kList) && id->items.size() >= 2 && id->items[0]->is(Kind::kText);
    require(named, "an object outside the pickle without a name");
    const auto& items = id->items;
    if (items[0]->text == "module" && items[1]->is(Kind::kGlobal)) {
      return make_text(Kind::kGlobal, items[1]->text);
    }
    require(items[0]->text == "storage", "an object outside the pickle that is no storage");
    require(items.size() >= 5, "a storage needs five values");
    return find_storage(items);
  }

  // ('storage', torch.FloatStorage, key, device, number of elements)
  PickleValue* find_storage(const std::vector<const PickleValue*>& items) {
    require(items[1]->is(Kind::kGlobal), "a storage without a type");
    require(items[2]->is(Kind::kText) && items[4]->is(Kind::kInteger), "a storage without a key");
    // A sixth value is a view into another storage: files of PyTorch before 0.4.
    require(items.size() == 5 || items[5]->is(Kind::kNone),
            "a view of a storage, which PyTorch has not written since 0.4");
    PickledStorage storage;
    storage.key = items[2]->text;
    storage.size = items[4]->number;
    const auto type_name = std::string_view(items[1]->text);
    const auto dot = type_name.rfind('.') + 1;
    if (!find_pickled_type(type_name.substr(dot), storage.type)) {
      fail(fmt::format("'{}' is no type of storages that is known here", type_name));
    }
    constexpr int64_t kMaxBytes = std::numeric_limits<int64_t>::max();
    const auto width = static_cast<int64_t>(c10::elementSize(storage.type));
    require(storage.size >= 0 && storage.size <= kMaxBytes / width, "a storage of impossible size");
    const auto [known, is_new] = storages_.try_emplace(storage.key, nullptr);
    if (is_new) {
      known->second = make(Kind::kStorage);
      known->second->storage = std::make_unique<PickledStorage>(storage);
    }
    const auto& first = *known->second->storage;
    if (first.size != storage.size || first.type != storage.type) {
      fail(fmt::format("storage '{}' has two sizes or types", storage.key));
    }
    return known->second;
  }

  std::vector<int64_t> integers(const PickleValue* list) const {
    require(list->is(Kind::kList) && list->items.size() <= kMaxRank,
            "a shape is a list of numbers");
    std::vector<int64_t> numbers;
    for (const auto* item : list->items) {
      require(item->is(Kind::kInteger) && item->number >= 0, "a shape is a list of numbers from 0");
      numbers.push_back(item->number);
    }
    return numbers;
  }

  // (storage, offset, sizes, strides, ...)
  PickleValue* make_tensor(const std::vector<const PickleValue*>& given,
                           std::optional<c10::ScalarType> type) {
    require(given.size() >= 4 && given[0]->is(Kind::kStorage) && given[1]->is(Kind::kInteger),
            "a tensor needs a storage, an offset, sizes and strides");
    auto tensor = std::make_unique<PickledTensor>();
    tensor->storage = given[0]->storage.get();
    tensor->type = type.value_or(tensor->storage->type);
    tensor->offset = given[1]->number;
    tensor->sizes = integers(given[2]);
    tensor->strides = integers(given[3]);
    check_inside(*tensor);
    auto* value = make(Kind::kTensor);
    value->tensor = std::move(tensor);
    return value;
  }

  void check_inside(const PickledTensor& tensor) const {
    require(tensor.offset >= 0 && tensor.sizes.size() == tensor.strides.size(),
            "a tensor's sizes and strides do not go together");
    const auto width = static_cast<int64_t>(c10::elementSize(tensor.type));
    bool empty = false;
    bool fits = true;
    int64_t count = width;         // bytes, with 1 in place of 0 as LibTorch counts strides
    int64_t last = tensor.offset;  // the element that lies farthest back
    for (size_t i = 0; i < tensor.sizes.size(); ++i) {
      const auto size = std::max<int64_t>(tensor.sizes[i], 1);
      int64_t reach = 0;
      empty = empty || tensor.sizes[i] == 0;
      fits = fits && !__builtin_mul_overflow(count, size, &count) &&
             !__builtin_mul_overflow(size - 1, tensor.strides[i], &reach) &&
             !__builtin_add_overflow(last, reach, &last);
    }
    int64_t end = 0;
    fits = fits && !__builtin_add_overflow(empty ? tensor.offset - 1 : last, 1, &end) &&
           !__builtin_mul_overflow(end, width, &end);
    require(fits, "a tensor that is too large for any memory");
    if (static_cast<uint64_t>(end) > tensor.storage->bytes()) {
      fail(fmt::format("a tensor reaches byte {} of storage '{}', which has {}", end,
                       tensor.storage->key, tensor.storage->bytes()));
    }
  }

  ByteStream& stream_;
  std::deque<PickleValue>& values_;
  uint64_t at_ = 0;  // where the opcode began
  std::vector<PickleValue*> stack_;
  std::vector<size_t> marks_;  // how many values were on the stack
  std::unordered_map<uint64_t, PickleValue*> memo_;
  std::unordered_map<std::string, PickleValue*> storages_;
  size_t links_ = 0;
  PickleValue* none_ = nullptr;
  PickleValue* true_ = nullptr;
  PickleValue* false_ = nullptr;
};

}  // namespace

const PickleValue* PickleValue::find(std::string_view key) const {
  if (kind != Kind::kDict) return nullptr;
  for (size_t i = items.size(); i >= 2; i -= 2) {  // of two with one key the later counts
    const auto* name = items[i - 2];
    if ((name->is(Kind::kText) || name->is(Kind::kBytes)) && name->text == key) return items[i - 1];
  }
  return nullptr;
}

Pickle::Pickle(ByteStream& stream) {
  Machine machine(stream, values_);
  root_ = machine.run();
  for (const auto& value : values_) {
    if (value.storage) storages_.emplace(value.storage->key, value.storage.get());
  }
}

bool find_pickled_type(std::string_view name, c10::ScalarType& type) {
  for (const auto& known : kTypes) {
    if (name != known.storage && name != known.dtype) continue;
    type = known.type;
    return true;
  }
  return false;
}

const char* storage_class_name(c10::ScalarType type) {
  for (const auto& known : kTypes) {
    if (known.type == type) return known.storage;
  }
  return nullptr;
}

}  // namespace dnc
