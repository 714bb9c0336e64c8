#include "host/weights/weight_differences.h"

#include <c10/util/StringUtil.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "host/report/terminal_table.h"
#include "registry/text.h"

namespace dnc {
namespace {

using Kind = Difference::Kind;

constexpr size_t kMaxRows = 40;  // of a table in a message
constexpr std::string_view kBackbone = "backbone";

struct KindText {
  Kind kind;
  const char* text;
};
constexpr KindText kKindTexts[] = {
    {Kind::kMissing, "missing"},
    {Kind::kUnexpected, "unexpected"},
    {Kind::kShape, "of another shape"},
    {Kind::kType, "of another type"},
    {Kind::kNew, "new"},
    {Kind::kLeftOut, "left out"},
    {Kind::kBehind, "behind the end"},
    {Kind::kClasses, "of other classes"},
    {Kind::kResized, "resized"},
};

std::string text_of(Kind kind) {
  for (const auto& each : kKindTexts) {
    if (each.kind == kind) return each.text;
  }
  return "";
}

/// "backbone" of "backbone.layer1.0.conv1.weight", with `depth` 2 "backbone.layer1".
std::string first_names(const std::string& name, int depth) {
  size_t dot = name.find('.');
  while (--depth > 0 && dot != std::string::npos) dot = name.find('.', dot + 1);
  return name.substr(0, dot);
}

bool is_auxiliary(const std::string& name) { return name.starts_with("auxiliary_heads."); }

/// "backbone", "decode_head", "head", "auxiliary_heads.0"
std::string part_of(const std::string& name) {
  return first_names(name, is_auxiliary(name) ? 2 : 1);
}

std::string module_of(const std::string& name) { return name.substr(0, name.rfind('.')); }

bool is_of_backbone(const std::string& name) { return part_of(name) == kBackbone; }

bool is_of_head(const std::string& name) {
  return name.starts_with("head.") ||
         (is_auxiliary(name) && name.starts_with(part_of(name) + ".head."));
}

/// Heads have the classes in the first dimension: fc.weight [classes, D], prototypes [classes, K,
/// D].
bool is_of_other_classes(const std::string& name, const torch::Tensor& there,
                         const torch::Tensor& here) {
  return is_of_head(name) && there.dim() == here.dim() && here.dim() > 0 &&
         there.sizes().slice(1) == here.sizes().slice(1);
}

std::set<std::string> parts_of(const TensorMap& tensors) {
  std::set<std::string> parts;
  for (const auto& item : tensors) parts.insert(part_of(item.key()));
  return parts;
}

/// In the order of the names, numbers by their value: "layer.9" before "layer.10".
bool comes_before(std::string_view a, std::string_view b) {
  const auto digits = [](std::string_view text) {
    const auto end = text.find_first_not_of("0123456789");
    return text.substr(0, end);
  };
  while (!a.empty() && !b.empty()) {
    const auto m = digits(a), n = digits(b);
    if (!m.empty() && !n.empty() && m != n) {
      return m.size() != n.size() ? m.size() < n.size() : m < n;
    }
    if (a[0] != b[0]) return a[0] < b[0];
    const auto same = std::max<size_t>(1, m.size());
    a.remove_prefix(same);
    b.remove_prefix(same);
  }
  return a.size() < b.size();
}

/// Compares one file with one model.
class Comparison {
 public:
  Comparison(const TensorMap& file, const TensorMap& model, LoadPart part)
      : file_(file), model_(model), part_(part) {}

  std::vector<Difference> differences() {
    compare_tensors_of_the_model();
    find_spare_tensors_of_the_file();
    if (part_ == LoadPart::kModel) return std::move(found_);
    leave_whole_modules();
    allow_what_is_behind();
    return std::move(found_);
  }

 private:
  /// Whether the model's tensors of a part start as they are, whatever the file has.
  bool is_new(const std::string& part) const {
    if (part == kBackbone || part_ == LoadPart::kModel) return false;
    return part_ == LoadPart::kBackbone || !file_parts_.contains(part);
  }

  /// Whether the model has no use for the file's tensors of a part.
  bool is_spare(const std::string& part) const {
    if (part == kBackbone) return false;
    if (part_ == LoadPart::kBackbone) return true;
    if (model_parts_.contains(part)) return false;
    if (part_ == LoadPart::kAll) {
      return part == "decode_head" || part == "head" || is_auxiliary(part);
    }
    return is_auxiliary(part) &&
           std::none_of(model_parts_.begin(), model_parts_.end(), is_auxiliary);
  }

  void compare_tensors_of_the_model() {
    for (const auto& item : model_) {
      const auto& name = item.key();
      const auto& here = item.value();
      const auto* there = file_.find(name);
      const bool any = part_ != LoadPart::kModel && is_of_head(name);
      if (is_new(part_of(name))) {
        found_.push_back({name, Kind::kNew, "-", shape_of(here), true});
      } else if (!there) {
        if (name.ends_with(".num_batches_tracked")) continue;
        found_.push_back({name, Kind::kMissing, "-", shape_of(here), any});
      } else if (there->sizes() != here.sizes()) {
        const auto kind = is_of_other_classes(name, *there, here) ? Kind::kClasses : Kind::kShape;
        found_.push_back({name, kind, shape_of(*there), shape_of(here), any});
      } else if (there->scalar_type() != here.scalar_type() &&
                 !(there->is_floating_point() && here.is_floating_point())) {
        found_.push_back({name, Kind::kType, c10::toString(there->scalar_type()),
                          c10::toString(here.scalar_type())});
      }
    }
  }

  void find_spare_tensors_of_the_file() {
    for (const auto& item : file_) {
      const auto& name = item.key();
      if (is_spare(part_of(name))) {
        found_.push_back({name, Kind::kLeftOut, shape_of(item.value()), "-", true});
      } else if (!model_.contains(name)) {
        const bool any = part_ != LoadPart::kModel && is_of_head(name);
        found_.push_back({name, Kind::kUnexpected, shape_of(item.value()), "-", any});
      }
    }
  }

  void leave_whole_modules() {
    std::set<std::string> modules, names;
    for (const auto& each : found_) {
      names.insert(each.name);
      const bool other = each.kind == Kind::kShape || each.kind == Kind::kClasses;
      if (other && is_of_head(each.name)) modules.insert(module_of(each.name));
    }
    for (const auto& item : model_) {
      const auto& name = item.key();
      if (names.contains(name) || !file_.contains(name) || !modules.contains(module_of(name))) {
        continue;
      }
      const auto shape = shape_of(item.value());
      found_.push_back({name, Kind::kLeftOut, shape, shape, true});
    }
  }

  void allow_what_is_behind() {
    std::string last;  // of the model's backbone
    for (const auto& item : model_) {
      if (is_of_backbone(item.key()) && comes_before(last, item.key())) last = item.key();
    }
    const auto is_unexpected = [](const Difference& each) {
      return each.kind == Kind::kUnexpected && is_of_backbone(each.name);
    };
    const bool behind = std::all_of(found_.begin(), found_.end(), [&](const auto& each) {
      return !is_unexpected(each) || comes_before(last, each.name);
    });
    if (last.empty() || !behind) return;
    for (auto& each : found_) {
      if (!is_unexpected(each)) continue;
      each.kind = Kind::kBehind;
      each.allowed = true;
    }
  }

  const TensorMap& file_;
  const TensorMap& model_;
  const LoadPart part_;
  const std::set<std::string> file_parts_ = parts_of(file_);
  const std::set<std::string> model_parts_ = parts_of(model_);
  std::vector<Difference> found_;
};

/// What one row of a table stands for.
struct Row {
  std::string name;
  Kind kind;
  std::string there = "-";
  std::string here = "-";
};

std::string number_of_tensors(size_t count) {
  if (count == 0) return "-";
  return fmt::format("{} {}", count, count == 1 ? "tensor" : "tensors");
}

/// The name of the row that a difference shares with others; its own where it shares none.
std::string row_name(const Difference& difference) {
  const bool of_a_part = difference.kind == Kind::kNew ||
                         (difference.kind == Kind::kLeftOut && difference.here == "-");
  if (of_a_part) return part_of(difference.name) + ".*";
  if (difference.kind == Kind::kBehind) return first_names(difference.name, 2) + ".*";
  return difference.name;
}

/// The row of differences that share one.
Row row_of(const std::vector<const Difference*>& group) {
  const auto& first = *group.front();
  const auto name = row_name(first);
  if (name == first.name) return {name, first.kind, first.there, first.here};
  const auto here = static_cast<size_t>(std::count_if(
      group.begin(), group.end(), [](const auto* each) { return each->kind == Kind::kNew; }));
  const size_t there = group.size() - here;
  const auto kind = first.kind == Kind::kNew && there > 0 ? Kind::kLeftOut : first.kind;
  return {name, kind, number_of_tensors(there), number_of_tensors(here)};
}

std::vector<Row> rows_of(const std::vector<Difference>& differences) {
  std::vector<std::vector<const Difference*>> groups;
  std::map<std::string, size_t> places;
  for (const auto& each : differences) {
    const auto [place, is_first] = places.try_emplace(row_name(each), groups.size());
    if (is_first) groups.emplace_back();
    groups[place->second].push_back(&each);
  }
  std::vector<Row> rows;
  for (const auto& group : groups) rows.push_back(row_of(group));
  return rows;
}

}  // namespace

std::string shape_of(const torch::Tensor& tensor) { return c10::str(tensor.sizes()); }

std::vector<Difference> compare_weights(const TensorMap& file, const TensorMap& model,
                                        LoadPart part) {
  return Comparison(file, model, part).differences();
}

std::string counts_of(const std::vector<Difference>& differences) {
  std::vector<std::string> counts;
  for (const auto& [kind, text] : kKindTexts) {
    const auto count = std::count_if(differences.begin(), differences.end(),
                                     [kind = kind](const auto& each) { return each.kind == kind; });
    if (count > 0) counts.push_back(fmt::format("{} {}", count, text));
  }
  return join(counts);
}

std::string table_of(const std::vector<Difference>& differences) {
  report::TerminalTable table;
  table.header = {"tensor", "it is", "in the file", "in the model"};
  auto rows = rows_of(differences);
  const size_t more = rows.size() > kMaxRows ? rows.size() - kMaxRows : 0;
  rows.erase(rows.end() - static_cast<std::ptrdiff_t>(more), rows.end());
  for (const auto& row : rows) {
    table.rows.push_back({row.name, text_of(row.kind), row.there, row.here});
  }
  auto text = table.to_text(false);
  if (more > 0) text += fmt::format("and {} more\n", more);
  return text;
}

}  // namespace dnc
