#pragma once

#include <string>
#include <vector>

#include "registry/export.h"
#include "registry/node.h"

namespace dnc {

/// What a hostile or mistaken file may cost.
struct ConfigLimits {
  int64_t file_bytes = 1 << 20;
  int64_t depth = 64;       // of nesting, and of files that name a base
  int64_t nodes = 100'000;  // values of one file with its aliases expanded, or of all together
};

/// Reads a YAML file with its bases, then the overrides, then resolves references:
///
/// - `base: file` or a list of files (alias `_base_`), relative to the file that names them. Maps
///   merge, lists and scalars replace. Two bases of one file with the same key are an error.
///   `_delete_: true` in a map drops what was inherited.
/// - overrides "a.b=value": the value is YAML. List items by index ("a.0.b", negative from the end),
///   "a.+=value" or "a+=value" appends. A key that nobody knows is refused like one in a file, with
///   near names, when the config is read. A map replaces the whole map that stands there.
/// - `${a.b}` anywhere in a scalar is the value of another key after all merges and overrides; a
///   scalar that is nothing else takes the value whole, of any kind, with its origin. `$${` is a
///   plain "${".
///   `${env:NAME}` and `${env:NAME:default}` read the environment.
///
/// Throws ConfigError, with file:line:column.
DNC_EXPORT Node load_config(const std::string& file, const std::vector<std::string>& overrides = {},
                            const ConfigLimits& limits = {});

/// The same for text; `name` stands for the file in messages, and bases are relative to its folder.
DNC_EXPORT Node parse_config(const std::string& text, const std::string& name,
                             const std::vector<std::string>& overrides = {},
                             const ConfigLimits& limits = {});

/// As YAML that parse_config() reads back as the same values. With `origins`, each line ends with a
/// comment that says where its value was written.
DNC_EXPORT std::string to_yaml(const Node& node, bool origins = false);

/// As JSON text; scalars become numbers, booleans or strings as YAML 1.2 reads them.
DNC_EXPORT std::string to_json(const Node& node);

}  // namespace dnc
