#pragma once

#include <optional>
#include <string>
#include <vector>

#include "registry/export.h"

namespace dnc {

/// "a, b, c"
DNC_EXPORT std::string join(const std::vector<std::string>& names,
                            const std::string& separator = ", ");

/// The known name that was probably meant, by edit distance without regard to case; none where
/// nothing is near.
DNC_EXPORT std::optional<std::string> nearest(const std::string& given,
                                              const std::vector<std::string>& known);

/// "; did you mean 'width'? (known: type, width)", or only the list where nothing is near.
/// Empty where nothing is known.
DNC_EXPORT std::string suggestion(const std::string& given, const std::vector<std::string>& known);

}  // namespace dnc
