#include "registry/registry.h"

#include <algorithm>
#include <sstream>

#include "registry/error.h"
#include "registry/text.h"

namespace dnc {

void Registry::add(Component component) {
  std::vector<std::string> names{component.name};
  names.insert(names.end(), component.aliases.begin(), component.aliases.end());
  for (const auto& name : names) {
    if (const auto* other = find(component.kind, name)) {
      throw PluginError(kind_name(component.kind) + " '" + name + "' of " + component.plugin +
                        " is already registered by " + other->plugin);
    }
  }
  for (const auto& alias : component.aliases) {
    aliases_[component.kind][alias] = component.name;
  }
  auto name = component.name;
  const auto kind = component.kind;
  components_[kind][name] = std::make_shared<const Component>(std::move(component));
}

const Component* Registry::find(Kind kind, const std::string& name) const {
  const auto table = components_.find(kind);
  if (table == components_.end()) return nullptr;
  auto real = name;
  if (const auto aliases = aliases_.find(kind); aliases != aliases_.end()) {
    const auto alias = aliases->second.find(name);
    if (alias != aliases->second.end()) real = alias->second;
  }
  const auto entry = table->second.find(real);
  return entry == table->second.end() ? nullptr : entry->second.get();
}

const Component& Registry::find(Kind kind, const Node& node) const {
  const auto name = node.type();
  if (const auto* component = find(kind, name)) return *component;
  std::vector<std::string> known;
  for (const auto* component : list(kind)) known.push_back(component->name);
  std::string text = "names no " + kind_name(kind) + ": '" + name + "'" + suggestion(name, known);
  for (const auto other : kAllKinds) {
    if (other != kind && find(other, name)) text += "\n  '" + name + "' is a " + kind_name(other);
  }
  for (const auto& [plugin, reason] : failures_) {
    text += "\n  plugin " + plugin + " did not load: " + reason;
  }
  if (node.is_map() && node.find("type")) node.fail("type", text);
  node.fail(text);
}

std::vector<const Component*> Registry::list(Kind kind) const {
  std::vector<const Component*> all;
  if (const auto table = components_.find(kind); table != components_.end()) {
    for (const auto& entry : table->second) all.push_back(entry.second.get());
  }
  return all;
}

void Registry::add_failure(std::string plugin, std::string reason) {
  failures_.emplace_back(std::move(plugin), std::move(reason));
}

namespace {

// The sizes that the host knows by itself; a config may repeat them if they agree.
std::vector<std::pair<std::string, int64_t>> known_sizes(Kind kind, const Context& context) {
  std::vector<std::pair<std::string, int64_t>> sizes;
  const auto classes = context.classes.size();
  if (kind == Kind::kHead) {
    sizes = {{"num_classes", classes}, {"in_channels", context.channels}};
  } else if (kind == Kind::kDecodeHead) {
    const auto channels = context.features.empty() ? 0 : context.features.back().channels;
    sizes = {{"num_classes", classes}, {"in_channels", channels}};
  } else if (kind == Kind::kBackbone) {
    sizes = {{"in_channels", 3}};
  }
  return sizes;
}

void check_repeated(const Component& component, const Node& node, const Context& context) {
  std::vector<std::string> own;
  component.with_fields([&](Fields& fields) {
    for (const auto& field : fields.all()) {
      own.push_back(field.name);
      own.insert(own.end(), field.aliases.begin(), field.aliases.end());
    }
  });
  for (const auto& [key, size] : known_sizes(component.kind, context)) {
    const auto* value = node.find(key);
    if (!value || std::find(own.begin(), own.end(), key) != own.end()) continue;
    if (!value->is_scalar() || value->scalar != std::to_string(size)) {
      const char* owner = key == "num_classes"                ? "data has"
                          : component.kind == Kind::kBackbone ? "images have"
                                                              : "features have";
      std::ostringstream message;
      message << "is " << value->describe() << ", but the " << owner << ' ' << size
              << "; leave the key out";
      value->fail(message.str());
    }
  }
}

}  // namespace

std::shared_ptr<void> Registry::build_erased(Kind kind, const Node& node,
                                             const Context& context) const {
  const auto& component = find(kind, node);
  check_repeated(component, node, context);
  try {
    auto with_registry = context;
    with_registry.registry = this;
    return component.build(node, with_registry);
  } catch (const OptionError& error) {
    // The component names its option; the file may give it under another name.
    auto options = resolve(kind, node);
    for (const auto& entry : node.entries) {
      if (!options.find(entry.key)) options.set(entry.key, entry.value);  // a size that is repeated
    }
    options.fail(error.option(), error.what());
  }
}

Node Registry::resolve(Kind kind, const Node& node) const {
  const auto& component = find(kind, node);
  Node resolved;
  component.with_fields([&](Fields& fields) {
    fields.read(node, detail::repeatable_keys(kind));
    resolved = resolve_fields(fields, *this, node);
  });
  Node type = Node::make_scalar(component.name);
  type.origin = node.is_map() ? node.find("type")->origin : node.origin;
  type.path = node.path + ".type";
  resolved.entries.insert(resolved.entries.begin(), {"type", type, type.origin});
  return resolved;
}

namespace {

Kind kind_of(const std::string& name) {
  for (const auto kind : kAllKinds) {
    if (kind_name(kind) == name) return kind;
  }
  throw Error("no kind of component is called '" + name + "'");
}

// `path` is for a default, which is written nowhere.
Node resolve_slot(const SlotBase& slot, const Registry& registry, const std::string& path) {
  if (slot.empty()) return {};
  Node node = slot.node();
  if (node.path.empty()) node.path = path;
  return registry.resolve(kind_of(slot.kind()), node);
}

Node resolve_components(const Field::Components& components, const Registry& registry,
                        const std::string& path) {
  const auto slots = components.slots();
  if (!components.list) return resolve_slot(*slots.front(), registry, path);
  Node list = Node::make_list();
  for (size_t i = 0; i < slots.size(); ++i) {
    list.items.push_back(resolve_slot(*slots[i], registry, path + "." + std::to_string(i)));
  }
  return list;
}

Node resolve_value(const Field& field, const Node& written) {
  Node value = field.value();
  if (value.items.size() != written.items.size()) return value;
  for (size_t i = 0; i < value.items.size(); ++i) value.items[i].origin = written.items[i].origin;
  return value;
}

Node resolve_list(const Field::List& list, const Registry& registry, const Node& written) {
  Node resolved = Node::make_list();
  const auto items = list.items();
  for (size_t i = 0; i < items.size(); ++i) {
    Node nothing;
    nothing.path = written.path + "." + std::to_string(i);
    const auto& item = i < written.items.size() ? written.items[i] : nothing;
    resolved.items.push_back(resolve_fields(*items[i], registry, item));
  }
  return resolved;
}

}  // namespace

Node resolve_fields(const Fields& fields, const Registry& registry, const Node& written) {
  Node map = Node::make_map();
  map.origin = written.origin;
  map.path = written.path;
  for (const auto& field : fields.all()) {
    Node nothing;
    nothing.path = (map.path.empty() ? "" : map.path + ".") + field.name;
    const Node* source = written.find(field.name);
    for (const auto& alias : field.aliases) source = source ? source : written.find(alias);
    if (!source) source = &nothing;
    Node value;
    if (const auto* group = std::get_if<Field::Group>(&field.target)) {
      value = resolve_fields(*group->fields, registry, *source);
    } else if (const auto* list = std::get_if<Field::List>(&field.target)) {
      value = resolve_list(*list, registry, *source);
    } else if (const auto* components = std::get_if<Field::Components>(&field.target)) {
      value = resolve_components(*components, registry, nothing.path);
    } else {
      value = resolve_value(field, *source);
    }
    if (value.origin.file.empty()) value.origin = source->origin;
    value.path = nothing.path;
    map.set(field.name, std::move(value));
  }
  return map;
}

void Registrar::add(Component component) {
  component.plugin = plugin_;
  registry_.add(std::move(component));
}

namespace detail {

std::vector<std::string> repeatable_keys(Kind kind) {
  std::vector<std::string> keys{"type"};
  for (const auto& size : known_sizes(kind, {})) keys.push_back(size.first);
  return keys;
}

}  // namespace detail
}  // namespace dnc
