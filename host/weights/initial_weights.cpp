#include "host/weights/initial_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "host/weights/key_map.h"
#include "registry/error.h"
#include "registry/text.h"

namespace dnc {
namespace {

void apply_allowed(std::vector<Difference>& differences, const std::vector<std::string>& allow,
                   const TensorMap& model, const std::string& origin) {
  for (const auto& pattern : allow) {
    bool fits_any = std::any_of(model.begin(), model.end(), [&](const auto& item) {
      return matches_wildcard(item.key(), pattern);
    });
    for (auto& difference : differences) {
      if (!matches_wildcard(difference.name, pattern)) continue;
      difference.allowed = true;
      fits_any = true;
    }
    if (!fits_any) {
      throw CheckpointError(
          fmt::format("{}: '{}' of load_allow fits no tensor of the file or the "
                      "model",
                      origin, pattern));
    }
  }
}

/// What to do about tensors that do not fit.
std::string advice_for(const std::vector<Difference>& wrong, LoadPart part) {
  std::set<std::string> parts;  // "head.*" for head.fc.weight
  bool backbone = false;
  for (const auto& difference : wrong) {
    backbone = backbone || difference.name.starts_with("backbone.");
    parts.insert(fmt::format("\"{}.*\"", difference.name.substr(0, difference.name.find('.'))));
  }
  std::vector<std::string> patterns(parts.begin(), parts.end());
  if (patterns.size() > 4) patterns = {"\"*\""};
  std::string advice = "Use weights of this model";
  if (part != LoadPart::kModel) {
    advice = backbone ? "Give `model.backbone` the options that the weights were trained with"
                      : "Take the backbone alone: `load_part: backbone`";
  }
  return fmt::format("{}, or say what may differ and stay as it is: load_allow: [{}]", advice,
                     join(patterns));
}

[[noreturn]] void refuse(const std::vector<Difference>& differences, LoadPart part,
                         const std::string& origin) {
  std::vector<Difference> wrong;
  std::copy_if(differences.begin(), differences.end(), std::back_inserter(wrong),
               [](const auto& difference) { return !difference.allowed; });
  throw CheckpointError(fmt::format("{}: does not fit the model: {}\n{}{}", origin,
                                    counts_of(wrong), table_of(wrong), advice_for(wrong, part)));
}

/// The tensors under our names, and what their names were.
struct Recognised {
  TensorMap tensors;
  std::string names;                // "torchvision"; empty: ours, or unknown
  std::vector<Difference> resized;  // those that were made to fit
};

bool fits_as_it_is(const TensorMap& model, const TensorMap& file) {
  return std::all_of(file.begin(), file.end(), [&](const auto& item) {
    const auto* here = model.find(item.key());
    return here && here->sizes() == item.value().sizes();
  });
}

Recognised recognise(const TensorMap& model, const ForeignWeights& weights) {
  Recognised recognised{weights.tensors, "", {}};
  if (fits_as_it_is(model, weights.tensors)) return recognised;
  const KeyMaps maps(builtin_keymap_folder());
  if (const auto* form = maps.recognise(weights.tensors)) {
    auto renamed = to_ours(weights.tensors, *form, weights.origin);
    // What the table does not know is unexpected, under the name that it has.
    for (const auto& name : renamed.unknown) renamed.tensors.insert(name, weights.tensors[name]);
    recognised.tensors = std::move(renamed.tensors);
    recognised.names = join(form->names, "/");
  }
  for (auto& item : recognised.tensors) {
    const auto* here = model.find(item.key());
    if (!here || here->sizes() == item.value().sizes()) continue;
    const auto resized = maps.resized(model, item.key(), item.value());
    if (!resized.defined()) continue;
    recognised.resized.push_back(
        {item.key(), Difference::Kind::kResized, shape_of(item.value()), shape_of(resized), true});
    item.value() = resized;
  }
  return recognised;
}

}  // namespace

std::string start_from_weights(const TensorMap& model, const ForeignWeights& weights,
                               const std::vector<std::string>& allow, LoadPart part) {
  const auto [file, names, resized] = recognise(model, weights);
  auto differences = compare_weights(file, model, part);
  apply_allowed(differences, allow, model, weights.origin);
  const bool good = std::all_of(differences.begin(), differences.end(),
                                [](const auto& difference) { return difference.allowed; });
  if (!good) refuse(differences, part, weights.origin);

  std::set<std::string> left_out;
  for (const auto& difference : differences) left_out.insert(difference.name);
  const torch::NoGradGuard no_grad;
  int64_t loaded = 0;
  for (const auto& item : model) {
    const auto* source = file.find(item.key());
    if (!source || left_out.contains(item.key())) continue;
    item.value().copy_(*source);
    ++loaded;
  }
  std::vector<std::string> about{weights.format};
  if (!weights.part.empty()) about.push_back("'" + weights.part + "'");
  if (!names.empty()) about.push_back("names of " + names);
  auto text = fmt::format("starts from {} ({}): {} of {} tensors", weights.origin, join(about),
                          loaded, model.size());
  differences.insert(differences.end(), resized.begin(), resized.end());
  if (differences.empty()) return text;
  text += fmt::format("; {}\n{}", counts_of(differences), table_of(differences));
  text.pop_back();  // the last line break
  return text;
}

}  // namespace dnc
