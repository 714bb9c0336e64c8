#include "host/weights/initial_weights.h"

#include <c10/util/StringUtil.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "host/report/terminal_table.h"
#include "host/weights/key_map.h"
#include "registry/error.h"
#include "registry/text.h"

namespace dnc {
namespace {

constexpr size_t kMaxRows = 40;  // of a table in a message

/// A tensor that is not as it should be.
struct Difference {
  enum class Kind { kMissing, kUnexpected, kAuxiliary, kShape, kType, kClasses, kResized };
  std::string name;
  Kind kind;
  std::string there;  // in the file
  std::string here;   // in the model
  bool allowed = false;
};

const char* kind_text(Difference::Kind kind) {
  switch (kind) {
    case Difference::Kind::kMissing:
      return "missing";
    case Difference::Kind::kUnexpected:
      return "unexpected";
    case Difference::Kind::kAuxiliary:
      return "of an auxiliary head";
    case Difference::Kind::kShape:
      return "of another shape";
    case Difference::Kind::kType:
      return "of another type";
    case Difference::Kind::kClasses:
      return "of other classes";
    case Difference::Kind::kResized:
      return "resized";
  }
  return "";
}

std::string shape_of(const torch::Tensor& tensor) { return c10::str(tensor.sizes()); }

/// Auxiliary heads are there in training only; a model without them does not need theirs.
constexpr std::string_view kAuxiliaryHeads = "auxiliary_heads.";

bool has_auxiliary_heads(const TensorMap& model) {
  return std::any_of(model.begin(), model.end(),
                     [](const auto& item) { return item.key().starts_with(kAuxiliaryHeads); });
}

/// Heads have the classes in the first dimension: fc.weight [classes, D], prototypes [classes, K,
/// D].
bool is_of_other_classes(const std::string& name, const torch::Tensor& there,
                         const torch::Tensor& here) {
  const bool of_head = name.starts_with("head.") || (name.starts_with(kAuxiliaryHeads) &&
                                                     name.find(".head.") != std::string::npos);
  return of_head && there.dim() == here.dim() && here.dim() > 0 &&
         there.sizes().slice(1) == here.sizes().slice(1);
}

std::vector<Difference> differences_of(const TensorMap& file, const TensorMap& model,
                                       OtherClasses other_classes) {
  using Kind = Difference::Kind;
  std::vector<Difference> found;
  for (const auto& item : model) {
    const auto& name = item.key();
    const auto& here = item.value();
    const auto* there = file.find(name);
    if (!there) {
      if (name.ends_with(".num_batches_tracked")) continue;
      found.push_back({name, Kind::kMissing, "-", shape_of(here)});
    } else if (there->sizes() != here.sizes()) {
      const bool classes = is_of_other_classes(name, *there, here);
      found.push_back({name, classes ? Kind::kClasses : Kind::kShape, shape_of(*there),
                       shape_of(here), classes && other_classes == OtherClasses::kKeepOurs});
    } else if (there->scalar_type() != here.scalar_type() &&
               !(there->is_floating_point() && here.is_floating_point())) {
      found.push_back({name, Kind::kType, c10::toString(there->scalar_type()),
                       c10::toString(here.scalar_type())});
    }
  }
  const bool auxiliary = has_auxiliary_heads(model);
  for (const auto& item : file) {
    if (model.contains(item.key())) continue;
    const bool spare = !auxiliary && item.key().starts_with(kAuxiliaryHeads);
    found.push_back({item.key(), spare ? Kind::kAuxiliary : Kind::kUnexpected,
                     shape_of(item.value()), "-", spare});
  }
  return found;
}

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

std::string table_of(const std::vector<Difference>& differences) {
  report::TerminalTable table;
  table.header = {"tensor", "it is", "in the file", "in the model"};
  for (const auto& difference : differences) {
    if (table.rows.size() == kMaxRows) break;
    table.rows.push_back(
        {difference.name, kind_text(difference.kind), difference.there, difference.here});
  }
  auto text = table.to_text(false);
  if (differences.size() > kMaxRows) {
    text += fmt::format("and {} more\n", differences.size() - kMaxRows);
  }
  return text;
}

/// "2 missing, 1 of another shape"
std::string counts_of(const std::vector<Difference>& differences) {
  using Kind = Difference::Kind;
  std::vector<std::string> counts;
  for (const auto kind : {Kind::kMissing, Kind::kUnexpected, Kind::kShape, Kind::kType,
                          Kind::kAuxiliary, Kind::kClasses, Kind::kResized}) {
    const auto count =
        std::count_if(differences.begin(), differences.end(),
                      [&](const auto& difference) { return difference.kind == kind; });
    if (count > 0) counts.push_back(fmt::format("{} {}", count, kind_text(kind)));
  }
  return join(counts);
}

[[noreturn]] void refuse(const std::vector<Difference>& differences, const std::string& origin) {
  std::vector<Difference> wrong;
  std::set<std::string> parts;  // "head.*" for head.fc.weight
  for (const auto& difference : differences) {
    if (difference.allowed) continue;
    wrong.push_back(difference);
    parts.insert(fmt::format("\"{}.*\"", difference.name.substr(0, difference.name.find('.'))));
  }
  std::vector<std::string> patterns(parts.begin(), parts.end());
  if (patterns.size() > 4) patterns = {"\"*\""};
  throw CheckpointError(
      fmt::format("{}: does not fit the model: {}\n{}Use weights of this model, or say what may "
                  "differ and stay "
                  "as it is: load_allow: [{}]",
                  origin, counts_of(wrong), table_of(wrong), join(patterns)));
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
                               const std::vector<std::string>& allow, OtherClasses other_classes) {
  const auto [file, names, resized] = recognise(model, weights);
  auto differences = differences_of(file, model, other_classes);
  apply_allowed(differences, allow, model, weights.origin);
  const bool good = std::all_of(differences.begin(), differences.end(),
                                [](const auto& difference) { return difference.allowed; });
  if (!good) refuse(differences, weights.origin);

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
