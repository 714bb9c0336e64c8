#include "host/out_of_memory.h"

#include <c10/util/Exception.h>

#include <new>

#include "registry/error.h"

namespace dnc {
namespace {

// LibTorch's allocator for CPUs throws an error like any other.
bool is_of_memory(const std::string& message) {
  return message.find("can't allocate memory") != std::string::npos;
}

std::string first_line(const std::string& message) { return message.substr(0, message.find('\n')); }

}  // namespace

void with_memory_advice(const std::string& doing, const std::string& advice,
                        const std::function<void()>& work) {
  const auto fail = [&](const std::string& why) {
    throw Error("out of memory in " + doing + (why.empty() ? "" : ": " + why) + "\n" + advice);
  };
  try {
    work();
  } catch (const c10::OutOfMemoryError& error) {
    fail(first_line(error.what_without_backtrace()));
  } catch (const c10::Error& error) {
    const std::string message = error.what_without_backtrace();
    if (!is_of_memory(message)) throw;
    fail(first_line(message));
  } catch (const std::bad_alloc&) {
    fail("");
  }
}

bool is_out_of_memory(const std::exception& error) {
  return dynamic_cast<const std::bad_alloc*>(&error) ||
         dynamic_cast<const c10::OutOfMemoryError*>(&error) || is_of_memory(error.what());
}

}  // namespace dnc
