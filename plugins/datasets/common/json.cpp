#include "plugins/datasets/common/json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "registry/error.h"
#include "registry/text.h"

namespace dnc {
namespace {

std::string to_text(const nlohmann::json& value, const std::string& key, const std::string& where) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_integer()) return value.dump();
  throw DataError(
      fmt::format("{}: '{}' must be a text or an integer, not {}", where, key, value.type_name()));
}

}  // namespace

std::vector<std::string> json_values(std::string_view text, const std::vector<std::string>& keys,
                                     const std::string& where) {
  const auto object = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) {
    throw DataError(fmt::format("{}: is no JSON object ({{\"{}\": ...}})", where, keys.front()));
  }
  std::vector<std::string> values;
  for (const auto& key : keys) {
    const auto found = object.find(key);
    if (found == object.end()) {
      std::vector<std::string> known;
      for (const auto& item : object.items()) known.push_back(item.key());
      throw DataError(fmt::format("{}: has no key '{}'{}", where, key, suggestion(key, known)));
    }
    values.push_back(to_text(*found, key, where));
  }
  return values;
}

}  // namespace dnc
