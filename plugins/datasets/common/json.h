#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dnc {

/// The values of `keys` in a JSON object, as text: texts as they are, integers in digits. Throws
/// DataError, which begins with `where`, for anything else.
std::vector<std::string> json_values(std::string_view text, const std::vector<std::string>& keys,
                                     const std::string& where);

}  // namespace dnc
