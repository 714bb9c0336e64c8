#include "host/weights/state.h"

#include <c10/util/StringUtil.h>
#include <fmt/format.h>
#include <torch/utils.h>

#include <vector>

#include "registry/error.h"
#include "registry/text.h"

namespace dnc {
namespace {

constexpr size_t kShown = 8;  // names of each sort in a message

/// "missing: a, b and 3 more": what is wrong with some names, or nothing.
std::string problem(const char* sort, std::vector<std::string> found) {
  if (found.empty()) return "";
  const size_t more = found.size() > kShown ? found.size() - kShown : 0;
  found.resize(found.size() - more);
  auto text = fmt::format("{}: {}", sort, join(found));
  if (more > 0) text += fmt::format(" and {} more", more);
  return text;
}

}  // namespace

TensorMap state_of(const torch::nn::Module& module) {
  TensorMap state;
  const auto add = [&](const auto& tensors) {
    for (const auto& item : tensors) {
      // A module that has an option switched off registers an undefined tensor.
      if (item.value().defined()) state.insert(item.key(), item.value());
    }
  };
  add(module.named_parameters());
  add(module.named_buffers());
  return state;
}

void copy_tensors(const TensorMap& source, const TensorMap& target, const std::string& origin,
                  const std::string& what) {
  std::vector<std::string> missing, unexpected, shapes, types;
  for (const auto& item : target) {
    const auto& here = item.value();
    const auto* there = source.find(item.key());
    if (!there) {
      missing.push_back(item.key());
    } else if (there->sizes() != here.sizes()) {
      shapes.push_back(fmt::format("{} is {} there, {} here", item.key(), c10::str(there->sizes()),
                                   c10::str(here.sizes())));
    } else if (there->scalar_type() != here.scalar_type()) {
      types.push_back(fmt::format("{} is {} there, {} here", item.key(),
                                  c10::toString(there->scalar_type()),
                                  c10::toString(here.scalar_type())));
    }
  }
  for (const auto& item : source) {
    if (!target.contains(item.key())) unexpected.push_back(item.key());
  }
  std::vector<std::string> problems;
  for (auto& text : {problem("missing", missing), problem("unexpected", unexpected),
                     problem("of another shape", shapes), problem("of another type", types)}) {
    if (!text.empty()) problems.push_back(text);
  }
  if (!problems.empty()) {
    throw CheckpointError(fmt::format(
        "{}: does not fit {}: {}. Use the config that it was written with (config.yaml in its run "
        "folder), or a checkpoint of this config.",
        origin, what, join(problems, "; ")));
  }
  const torch::NoGradGuard no_grad;
  for (const auto& item : target) item.value().copy_(source[item.key()]);
}

void load_state(torch::nn::Module& module, const TensorMap& tensors, const std::string& origin) {
  copy_tensors(tensors, state_of(module), origin, "the model");
}

}  // namespace dnc
