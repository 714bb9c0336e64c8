#include "host/components_by_name.h"

#include "registry/error.h"
#include "registry/text.h"

namespace dnc {

Kind kind_from(const std::string& name) {
  std::vector<std::string> known;
  for (const auto kind : kAllKinds) {
    if (kind_name(kind) == name) return kind;
    known.push_back(kind_name(kind));
  }
  throw ConfigError("there is no kind of component '" + name + "'" + suggestion(name, known));
}

std::vector<const Component*> components_called(const Registry& registry, const std::string& name,
                                                const std::string& kind) {
  std::vector<const Component*> found;
  std::vector<std::string> known;
  for (const auto each : kAllKinds) {
    if (!kind.empty() && each != kind_from(kind)) continue;
    if (const auto* component = registry.find(each, name)) found.push_back(component);
    for (const auto* component : registry.list(each)) known.push_back(component->name);
  }
  if (found.empty()) {
    throw ConfigError("there is no component '" + name + "'" + suggestion(name, known));
  }
  return found;
}

}  // namespace dnc
