#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "registry/context.h"
#include "registry/export.h"
#include "registry/fields.h"
#include "registry/kind.h"
#include "registry/slot.h"

namespace dnc {

/// What is known of a component before one is built.
struct Component {
  Kind kind{};
  std::string name;
  std::string summary;               // one sentence
  std::vector<std::string> aliases;  // other names, e.g. OpenMMLab's
  std::string plugin;                // the file it came from; "dnc-host" for the host's own
  /// Calls its argument with the options at their defaults.
  std::function<void(const std::function<void(Fields&)>&)> with_fields;
  /// Reads the options and constructs. The pointer is to the kind's interface.
  std::function<std::shared_ptr<void>(const Node&, const Context&)> build;
};

/// The components by kind and name. An ordinary object that main() owns and hands on; a copy is a
/// trial that can be thrown away.
class DNC_EXPORT Registry {
 public:
  /// Throws PluginError where the name or an alias is taken, naming both files.
  void add(Component component);

  /// By name or alias; nullptr where there is none.
  const Component* find(Kind kind, const std::string& name) const;
  /// The one that `node` names. Throws ConfigError with near names, the plugins that failed and the
  /// other kinds that have such a name.
  const Component& find(Kind kind, const Node& node) const;
  /// Of one kind, by name.
  std::vector<const Component*> list(Kind kind) const;

  /// Builds what `node` names. Throws ConfigError for its options.
  template <typename I>
  std::shared_ptr<I> build(const Node& node, const Context& context) const {
    return std::static_pointer_cast<I>(build_erased(KindOf<I>::value, node, context));
  }

  /// Checks the options of the component that `node` names, and of components inside, without
  /// building anything; returns them complete, defaults filled in.
  Node resolve(Kind kind, const Node& node) const;

  /// Plugins that did not load; "unknown component" errors name them.
  void add_failure(std::string plugin, std::string reason);
  const std::vector<std::pair<std::string, std::string>>& failures() const { return failures_; }

 private:
  std::shared_ptr<void> build_erased(Kind kind, const Node& node, const Context& context) const;

  std::map<Kind, std::map<std::string, std::shared_ptr<const Component>>> components_;
  std::map<Kind, std::map<std::string, std::string>> aliases_;
  std::vector<std::pair<std::string, std::string>> failures_;
};

/// The values of all fields, components inside resolved: what a run's config.yaml shows. `written`
/// is the map they were read from; origins come from it.
DNC_EXPORT Node resolve_fields(const Fields& fields, const Registry& registry, const Node& written);

template <typename I>
std::shared_ptr<I> Slot<I>::build(const Context& context) const {
  return context.registry->build<I>(node(), context);
}

namespace detail {

struct NoOptions {
  void fields(Fields&) {}
};

template <typename T, typename = void>
struct OptionsOf {
  using type = NoOptions;
};
template <typename T>
struct OptionsOf<T, std::void_t<typename T::Options>> {
  using type = typename T::Options;
};

template <typename T, typename Options>
std::shared_ptr<T> construct(const Options& options, const Context& context) {
  if constexpr (std::is_constructible_v<T, const Options&, const Context&>) {
    return std::make_shared<T>(options, context);
  } else if constexpr (std::is_constructible_v<T, const Options&>) {
    return std::make_shared<T>(options);
  } else if constexpr (std::is_constructible_v<T, const Context&>) {
    return std::make_shared<T>(context);
  } else {
    static_assert(std::is_default_constructible_v<T>,
                  "a component needs a constructor from (const Options&, const Context&), "
                  "(const Options&), (const Context&) or nothing");
    return std::make_shared<T>();
  }
}

/// Keys of a component that are not its options: `type`, and the sizes that the host knows itself
/// and a config may repeat, which are checked against the context.
DNC_EXPORT std::vector<std::string> repeatable_keys(Kind kind);

template <typename I, typename T>
Component describe(std::string name, std::string summary, std::vector<std::string> aliases) {
  using Options = typename OptionsOf<T>::type;
  Component component;
  component.kind = KindOf<I>::value;
  component.name = std::move(name);
  component.summary = std::move(summary);
  component.aliases = std::move(aliases);
  component.with_fields = [](const std::function<void(Fields&)>& use) {
    Options options;
    Fields fields;
    options.fields(fields);
    use(fields);
  };
  component.build = [](const Node& node, const Context& context) -> std::shared_ptr<void> {
    Options options;
    Fields fields;
    options.fields(fields);
    fields.read(node, repeatable_keys(KindOf<I>::value));
    return std::static_pointer_cast<I>(construct<T>(options, context));
  };
  return component;
}

}  // namespace detail

/// What a plugin is handed to register with, e.g.
///
///   registrar.backbone<TinyNet>("TinyNet", "One convolution.");
///
/// T derives from the kind's interface, may have a nested struct Options with a `fields` function,
/// and a constructor from (const Options&, const Context&), (const Options&), (const Context&) or
/// nothing. Aliases are other names that a config may use.
class DNC_EXPORT Registrar {
 public:
  using Names = std::vector<std::string>;

  Registrar(Registry& registry, std::string plugin)
      : registry_(registry), plugin_(std::move(plugin)) {}

  template <typename T>
  void backbone(std::string name, std::string summary, Names aliases = {}) {
    add<Backbone, T>(std::move(name), std::move(summary), std::move(aliases));
  }
  template <typename T>
  void decode_head(std::string name, std::string summary, Names aliases = {}) {
    add<DecodeHead, T>(std::move(name), std::move(summary), std::move(aliases));
  }
  template <typename T>
  void head(std::string name, std::string summary, Names aliases = {}) {
    add<Head, T>(std::move(name), std::move(summary), std::move(aliases));
  }
  template <typename T>
  void loss(std::string name, std::string summary, Names aliases = {}) {
    add<Loss, T>(std::move(name), std::move(summary), std::move(aliases));
  }
  template <typename T>
  void dataset(std::string name, std::string summary, Names aliases = {}) {
    add<Dataset, T>(std::move(name), std::move(summary), std::move(aliases));
  }
  template <typename T>
  void transform(std::string name, std::string summary, Names aliases = {}) {
    add<Transform, T>(std::move(name), std::move(summary), std::move(aliases));
  }
  template <typename T>
  void batch_transform(std::string name, std::string summary, Names aliases = {}) {
    add<BatchTransform, T>(std::move(name), std::move(summary), std::move(aliases));
  }
  template <typename T>
  void metric(std::string name, std::string summary, Names aliases = {}) {
    add<Metric, T>(std::move(name), std::move(summary), std::move(aliases));
  }
  template <typename T>
  void optimizer(std::string name, std::string summary, Names aliases = {}) {
    add<Optimizer, T>(std::move(name), std::move(summary), std::move(aliases));
  }
  template <typename T>
  void schedule(std::string name, std::string summary, Names aliases = {}) {
    add<Schedule, T>(std::move(name), std::move(summary), std::move(aliases));
  }
  template <typename T>
  void hook(std::string name, std::string summary, Names aliases = {}) {
    add<Hook, T>(std::move(name), std::move(summary), std::move(aliases));
  }

 private:
  template <typename I, typename T>
  void add(std::string name, std::string summary, Names aliases) {
    add(detail::describe<I, T>(std::move(name), std::move(summary), std::move(aliases)));
  }
  void add(Component component);

  Registry& registry_;
  std::string plugin_;
};

}  // namespace dnc
