#pragma once

#include <memory>
#include <string>

#include "registry/export.h"
#include "registry/kind.h"
#include "registry/node.h"

namespace dnc {

struct Context;

/// What a config says about one component: its type and options, not yet built.
class DNC_EXPORT SlotBase {
 public:
  SlotBase() = default;
  /// A default: the component of this name with its own defaults.
  explicit SlotBase(const std::string& type);
  virtual ~SlotBase();

  virtual std::string kind() const = 0;
  bool empty() const { return node_.is_null(); }
  std::string type() const { return node_.type(); }
  const Node& node() const { return node_; }
  void set(Node node) { node_ = std::move(node); }

 private:
  Node node_;
};

/// A place for a component of kind I in a struct of options:
///
///   struct Options {
///     dnc::Slot<dnc::Dataset> dataset;
///     void fields(dnc::Fields& f) { f.component("dataset", dataset, "What is repeated."); }
///   };
///
/// and in the constructor `options.dataset.build(context)`.
template <typename I>
class Slot : public SlotBase {
 public:
  using SlotBase::SlotBase;
  std::string kind() const override { return kind_name(KindOf<I>::value); }
  /// Throws ConfigError where the options are wrong. Needs registry/registry.h.
  std::shared_ptr<I> build(const Context& context) const;
};

}  // namespace dnc
