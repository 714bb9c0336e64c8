#include "host/ending.h"

#include <c10/util/Exception.h>

#include "registry/error.h"

namespace dnc {

std::string Ending::text() const {
  if (code == 1) return "error: " + message + "\n";
  return "internal error: " + message +
         "\nThis is a fault of dnc-host or a plugin, not of your config. Please report it with the "
         "command and the config.\n";
}

Ending ending_of(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Error& error) {
    return {1, error.what()};
  } catch (const c10::OutOfMemoryError& error) {
    return {1, std::string("out of memory: ") + error.what_without_backtrace() +
                   "\nTry a smaller data.batch_size, train.accumulate, or train.precision: "
                   "bfloat16."};
  } catch (const c10::Error& error) {
    // The program's own words without the library's: the first line says what, a stack is noise.
    return {2, error.what_without_backtrace()};
  } catch (const std::exception& error) {
    return {2, error.what()};
  }
}

}  // namespace dnc
