#include "host/frozen/class_change.h"

#include <c10/util/StringUtil.h>
#include <fmt/format.h>
#include <torch/torch.h>

#include <array>
#include <cctype>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "host/data/named_classes.h"
#include "host/files.h"
#include "host/weights/state.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

constexpr std::array<uint8_t, 3> kNewColour{128, 128, 128};

/// The dimension of the classes; -1 where the tensors have one shape, nothing where they do not
/// fit.
std::optional<int64_t> class_dimension(const torch::Tensor& from, const torch::Tensor& to,
                                       int64_t classes_before, int64_t classes) {
  if (from.dim() != to.dim() || from.scalar_type() != to.scalar_type()) return std::nullopt;
  int64_t found = -1;
  for (int64_t dim = 0; dim < from.dim(); ++dim) {
    if (from.size(dim) == to.size(dim)) continue;
    if (found >= 0 || from.size(dim) != classes_before || to.size(dim) != classes) {
      return std::nullopt;
    }
    found = dim;
  }
  return found;
}

std::string shape_text(const torch::Tensor& tensor) { return c10::str(tensor.sizes()); }

/// Whether there are new classes, which then have the mean of the old ones.
bool copy_along(const torch::Tensor& from, const torch::Tensor& to, int64_t dim,
                const std::vector<int64_t>& before) {
  bool is_new = false;
  for (size_t c = 0; c < before.size(); ++c) {
    auto entry = to.select(dim, static_cast<int64_t>(c));
    if (before[c] >= 0) {
      entry.copy_(from.select(dim, before[c]));
    } else if (to.requires_grad()) {
      entry.copy_(from.mean(dim));
      is_new = true;
    }
  }
  return is_new;
}

std::string list_name(const std::string& class_name, size_t number, bool test) {
  std::string safe;
  for (const char c : class_name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
    safe += plain ? c : '_';
  }
  return fmt::format("{}_{}{}.txt", number, safe, test ? "_test" : "");
}

/// Text as YAML of a config, in which "${" would begin a reference.
std::string quoted(const nlohmann::json& json) {
  auto text = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  for (size_t at = 0; (at = text.find("${", at)) != std::string::npos; at += 3) {
    text.insert(at, 1, '$');
  }
  return text;
}

}  // namespace

std::vector<std::string> copy_classes(const torch::nn::Module& from, torch::nn::Module& to,
                                      int64_t classes_before, const std::vector<int64_t>& before) {
  const torch::NoGradGuard no_grad;
  const auto source = state_of(from);
  const auto target = state_of(to);
  std::vector<int64_t> dimensions;
  for (const auto& item : target) {
    const auto* old = source.find(item.key());
    const auto dim = old ? class_dimension(*old, item.value(), classes_before,
                                           static_cast<int64_t>(before.size()))
                         : std::nullopt;
    if (!dim) {
      throw Error(fmt::format(
          "{}: is {} with {} classes and {} with {}; only tensors that have classes in one "
          "dimension can be taken over, so the classes of this model cannot be changed",
          item.key(), old ? shape_text(*old) : "not there", classes_before,
          shape_text(item.value()), before.size()));
    }
    dimensions.push_back(*dim);
  }
  std::vector<std::string> means;
  size_t number = 0;
  for (const auto& item : target) {
    const auto& old = source[item.key()];
    const auto dim = dimensions[number++];
    if (dim < 0) {
      item.value().copy_(old);
    } else if (copy_along(old, item.value(), dim, before)) {
      means.push_back(item.key());
    }
  }
  return means;
}

ChangedClasses change_classes(Program& program, const OpenedRun& run,
                              const std::vector<std::string>& names,
                              const std::vector<int64_t>& before,
                              const std::vector<std::string>& config_changes) {
  const auto& old = run.experiment->classes();
  ClassInfo classes{names, {}};
  for (const auto label : before) {
    if (old.palette.empty()) break;
    classes.palette.push_back(label < 0 ? kNewColour : old.palette.at(static_cast<size_t>(label)));
  }
  ChangedClasses changed;
  changed.before = before;
  auto& opened = changed.run;
  opened.folder = run.folder;
  opened.checkpoint = run.checkpoint;
  opened.step = run.step;
  opened.experiment = program.experiment((run.folder / "config.yaml").string(), config_changes);
  opened.experiment->set_classes(std::move(classes), run.experiment->task());
  opened.model = opened.experiment->build_model();
  changed.means = copy_classes(*run.model, *opened.model, old.size(), before);
  make_ready(opened);
  return changed;
}

std::vector<FileClass> file_classes(const DataOptions& data) {
  std::vector<FileClass> classes;
  for (const auto& added : data.added_classes) {
    FileClass one{added.name, read_file_list(added.images.value), {}};
    if (!added.test_images.empty()) one.test_images = read_file_list(added.test_images.value);
    classes.push_back(std::move(one));
  }
  return classes;
}

std::vector<std::string> class_overrides(const std::vector<std::string>& names,
                                         const std::vector<FileClass>& added,
                                         const fs::path& folder) {
  auto lists = nlohmann::json::array();
  for (size_t i = 0; i < added.size(); ++i) {
    const auto path = [&](bool test) {
      return (fs::absolute(folder) / list_name(added[i].name, i, test)).string();
    };
    nlohmann::json entry = {{"name", added[i].name}, {"images", path(false)}};
    if (!added[i].test_images.empty()) entry["test_images"] = path(true);
    lists.push_back(std::move(entry));
  }
  return {"data.classes=" + quoted(names), "data.added_classes=" + quoted(lists)};
}

void write_file_lists(const std::vector<FileClass>& added, const fs::path& folder) {
  if (added.empty()) return;
  create_folder(folder);
  const auto write = [&](const std::string& name, const std::vector<std::string>& files) {
    std::string text;
    for (const auto& file : files) text += fs::absolute(file).string() + "\n";
    write_file(folder / name, text);
  };
  for (size_t i = 0; i < added.size(); ++i) {
    write(list_name(added[i].name, i, false), added[i].images);
    if (!added[i].test_images.empty()) {
      write(list_name(added[i].name, i, true), added[i].test_images);
    }
  }
}

}  // namespace dnc
