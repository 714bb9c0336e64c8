#pragma once

#include <string>
#include <vector>

#include "registry/node.h"

namespace dnc {

/// A key whose value differs between two configs. The pointers are into these configs.
struct ConfigDifference {
  std::string key;  // as --set takes it: "model.head.type", "metrics.0.type"
  const Node* a =
      nullptr;  // a scalar, nothing, or an empty map or list; nullptr: A has no such key
  const Node* b = nullptr;  // the same of B
};

/// The differences of two configs, in the order of A with B's own keys after those that they stand
/// beside. Numbers are compared as numbers: 1.0e-4 is 0.0001.
std::vector<ConfigDifference> config_differences(const Node& a, const Node& b);

/// A line for each value, "-" for A and "+" for B, with its origin; empty where there are none.
std::string to_text(const std::vector<ConfigDifference>& differences);

/// A JSON list of {"key", "a", "b", "a_origin", "b_origin"}; null where there is none.
std::string to_json(const std::vector<ConfigDifference>& differences);

}  // namespace dnc
