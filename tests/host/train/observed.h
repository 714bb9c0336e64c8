#pragma once

#include <ATen/record_function.h>

#include <string>
#include <vector>

namespace dnc {

/// The names of what LibTorch does in this thread within a call: operators, or phases of the host.
template <typename Work>
std::vector<std::string> observed(at::RecordScope scope, const Work& work) {
  static thread_local std::vector<std::string>* names = nullptr;
  std::vector<std::string> found;
  names = &found;
  const auto note = [](const at::RecordFunction& record) -> std::unique_ptr<at::ObserverContext> {
    if (names) names->emplace_back(record.name());
    return nullptr;
  };
  const auto handle = at::addThreadLocalCallback(at::RecordFunctionCallback(+note).scopes({scope}));
  work();
  at::removeCallback(handle);
  names = nullptr;
  return found;
}

}  // namespace dnc
