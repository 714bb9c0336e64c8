#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "registry/export.h"
#include "registry/node.h"
#include "registry/slot.h"

namespace dnc {

class Fields;

/// A file or folder. A relative one is relative to the file in which it is written, on the command
/// line to the current folder; after reading it is absolute.
struct Path {
  std::string value;
  bool empty() const { return value.empty(); }
};

/// One option: its name, what it is for, its bounds, and where its value lives.
class DNC_EXPORT Field {
 public:
  /// An enumeration, as its names.
  struct Choice {
    std::vector<std::string> names;
    std::function<std::string()> get;
    std::function<void(const std::string&)> set;
  };
  /// Options inside options: a map of its own.
  struct Group {
    std::unique_ptr<Fields> fields;
  };
  /// A list of maps, all with the same options.
  struct List {
    std::function<std::unique_ptr<Fields>()> append;  // the fields of a new last item
    std::function<void()> clear;
    std::function<std::vector<std::unique_ptr<Fields>>()> items;
    std::unique_ptr<Fields> sample;  // of a default item, for the documentation
    std::shared_ptr<void> sample_options;
  };
  /// A place for a component, or for a list of them.
  struct Components {
    std::string kind;
    std::function<std::vector<SlotBase*>()> slots;
    std::function<SlotBase*()> append;  // empty for a single slot
    std::function<void()> clear;
    bool list = false;
  };
  using Target = std::variant<bool*, int64_t*, double*, std::string*, Path*, std::vector<int64_t>*,
                              std::vector<double>*, std::vector<std::string>*, std::vector<Path>*,
                              std::optional<bool>*, std::optional<int64_t>*, std::optional<double>*,
                              std::optional<std::string>*, std::optional<Path>*, Choice, Group,
                              List, Components>;

  Field(std::string name, Target target, std::string doc);

  // Bounds apply to a number and to each number of a list.
  Field& at_least(double low);
  Field& at_most(double high);
  Field& between(double low, double high);
  /// Greater than, not equal.
  Field& above(double low);
  Field& below(double high);
  /// The key must be there; without this the value at the declaration is the default.
  Field& required();
  /// Another key under which it is read (the OpenMMLab name, an old name).
  Field& alias(std::string other);
  /// How many items a list has. A plain value counts as a list of one.
  Field& length(int64_t low, int64_t high);

  std::string name;
  std::string doc;
  Target target;
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false;
  bool high_open = false;
  bool is_required = false;
  int64_t min_length = 0;
  int64_t max_length = std::numeric_limits<int64_t>::max();
  std::vector<std::string> aliases;

  /// "integer", "list of numbers", "sinkhorn | nearest | none", "loss component": for the reader.
  std::string type_name() const;
  /// "at least 1", "from 0 to 1", "above 0", or nothing.
  std::string bounds() const;
  /// The value as it stands, as a node (not for components: see Registry::resolve).
  Node value() const;
};

/// The options of one component, collected by its `fields` function:
///
///   struct Options {
///     int64_t depth = 8;
///     void fields(dnc::Fields& f) { f("depth", depth, "Number of layers.").at_least(8); }
///   };
///
/// From the one list come reading with errors at file:line:column, the refusal of unknown keys,
/// `dnc-host describe`, the JSON Schema and the resolved config of a run. A Fields object points
/// into the options that filled it and must not outlive them.
class DNC_EXPORT Fields {
 public:
  Fields();
  ~Fields();
  Fields(Fields&&) noexcept;
  Fields& operator=(Fields&&) noexcept;

  template <typename T>
  Field& operator()(std::string name, T& value, std::string doc) {
    return add(std::move(name), Field::Target(&value), std::move(doc));
  }

  /// An enumeration with its names, e.g. {{"sinkhorn", Assignment::kSinkhorn}, ...}.
  template <typename E>
  Field& choice(std::string name, E& value, std::vector<std::pair<std::string, E>> names,
                std::string doc) {
    Field::Choice choice;
    for (const auto& item : names) choice.names.push_back(item.first);
    choice.get = [&value, names] {
      for (const auto& item : names) {
        if (item.second == value) return item.first;
      }
      return std::string();
    };
    choice.set = [&value, names](const std::string& text) {
      for (const auto& item : names) {
        if (item.first == text) value = item.second;
      }
    };
    return add(std::move(name), std::move(choice), std::move(doc));
  }

  /// Options inside options; T has a `fields` function.
  template <typename T>
  Field& group(std::string name, T& value, std::string doc) {
    return add(std::move(name), Field::Group{collect(value)}, std::move(doc));
  }

  /// A list of maps with the options of T.
  template <typename T>
  Field& list(std::string name, std::vector<T>& values, std::string doc) {
    Field::List list;
    list.append = [&values] { return collect(values.emplace_back()); };
    list.clear = [&values] { values.clear(); };
    list.items = [&values] {
      std::vector<std::unique_ptr<Fields>> items;
      for (auto& value : values) items.push_back(collect(value));
      return items;
    };
    auto sample = std::make_shared<T>();
    list.sample = collect(*sample);
    list.sample_options = std::move(sample);
    return add(std::move(name), std::move(list), std::move(doc));
  }

  /// A component of kind I, e.g. Slot<Loss>. Read as {type: NAME, options...} or as the NAME alone.
  template <typename I>
  Field& component(std::string name, Slot<I>& slot, std::string doc) {
    Field::Components one;
    one.kind = slot.kind();
    one.slots = [&slot] { return std::vector<SlotBase*>{&slot}; };
    return add(std::move(name), std::move(one), std::move(doc));
  }

  /// A list of components of kind I.
  template <typename I>
  Field& components(std::string name, std::vector<Slot<I>>& slots, std::string doc) {
    Field::Components many;
    many.kind = Slot<I>().kind();
    many.list = true;
    many.slots = [&slots] {
      std::vector<SlotBase*> all;
      for (auto& slot : slots) all.push_back(&slot);
      return all;
    };
    many.append = [&slots] { return static_cast<SlotBase*>(&slots.emplace_back()); };
    many.clear = [&slots] { slots.clear(); };
    return add(std::move(name), std::move(many), std::move(doc));
  }

  std::deque<Field>& all() { return fields_; }
  const std::deque<Field>& all() const { return fields_; }

  /// Reads a map into the options. Throws ConfigError for a key that is not known (with the nearest
  /// one), a wrong type, a value out of bounds, a missing required key. `others` names keys that
  /// somebody else reads from the same map.
  void read(const Node& node, const std::vector<std::string>& others = {});

 private:
  template <typename T>
  static std::unique_ptr<Fields> collect(T& options) {
    auto fields = std::make_unique<Fields>();
    options.fields(*fields);
    return fields;
  }
  Field& add(std::string name, Field::Target target, std::string doc);

  std::deque<Field> fields_;  // a deque: the references that calls return stay valid
};

}  // namespace dnc
