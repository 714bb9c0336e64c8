#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace dnc {

/// How Python writes texts as lines of ASCII, in pickles of protocol 0. Each function gives nothing
/// for a line that Python would not write.

/// The bytes of what Python 2's repr() makes of a str: 'it\'s\x00'.
std::optional<std::string> unquote_python(std::string_view line);

/// UTF-8 of Python's "raw-unicode-escape": Latin-1 with \uXXXX and \UXXXXXXXX.
std::optional<std::string> unescape_python(std::string_view line);

/// UTF-8 to Latin-1, one byte a character; nothing where there is a character beyond it.
std::optional<std::string> to_latin1(std::string_view utf8);

}  // namespace dnc
