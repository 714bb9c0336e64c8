#pragma once

#include <exception>
#include <string>

namespace dnc {

/// How the program ends by an exception: the exit code, and what is printed.
struct Ending {
  int code = 1;         // 1: the user can mend it, 2: a fault of ours or of a plugin
  std::string message;  // without "error: "
  /// All lines for the terminal, with a line break at the end.
  std::string text() const;
};

Ending ending_of(const std::exception_ptr& exception);

}  // namespace dnc
