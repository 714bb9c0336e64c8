#include "host/train/checkpoint.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "host/files.h"
#include "registry/text.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr const char* kModel = "model.safetensors";
constexpr const char* kState = "state.safetensors";
constexpr const char* kProgress = "progress.json";
constexpr const char* kManifest = "manifest.json";
constexpr std::array kFiles = {kModel, kState, kProgress};
constexpr const char* kFormat = "dnc-host checkpoint";
constexpr int64_t kVersion = 1;
constexpr uint64_t kMaxJson = 1 << 20;
constexpr const char* kPrefix = "step_";
constexpr size_t kDigits = 8;

/// Takes the keys of a JSON map one by one; what is left or missing in the end is an error.
class JsonFields {
 public:
  JsonFields(const std::string& text, std::string origin) : origin_(std::move(origin)) {
    json_ = ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json_.is_object()) fail("is damaged: it is not a JSON map");
  }
  JsonFields(ordered_json json, std::string origin)
      : origin_(std::move(origin)), json_(std::move(json)) {
    if (!json_.is_object()) fail("is damaged: it is not a JSON map");
  }

  ordered_json take(const std::string& key) {
    const auto found = json_.find(key);
    if (found == json_.end()) fail(fmt::format("has no '{}'", key));
    auto value = std::move(*found);
    json_.erase(found);
    return value;
  }
  std::string text(const std::string& key) {
    const auto value = take(key);
    if (!value.is_string()) fail(fmt::format("'{}' is {}, not text", key, value.dump()));
    return value.get<std::string>();
  }
  uint64_t natural(const std::string& key) {
    const auto value = take(key);
    if (!value.is_number_unsigned()) {
      fail(fmt::format("'{}' is {}, not an integer from 0 on", key, value.dump()));
    }
    return value.get<uint64_t>();
  }
  int64_t count(const std::string& key) {
    const auto value = natural(key);
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      fail(fmt::format("'{}' is {}, which is too large", key, value));
    }
    return static_cast<int64_t>(value);
  }
  double number(const std::string& key) {
    const auto value = take(key);
    if (value.is_null()) return std::nan("");  // JSON knows neither NaN nor infinity
    if (!value.is_number()) fail(fmt::format("'{}' is {}, not a number", key, value.dump()));
    return value.get<double>();
  }
  void finish() const {
    if (!json_.empty()) fail(fmt::format("has an unknown key '{}'", json_.begin().key()));
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw CheckpointError(fmt::format("{}: {}", origin_, what));
  }

 private:
  std::string origin_;
  ordered_json json_;
};

/// The step that the name of a checkpoint's folder gives; none for another name.
std::optional<int64_t> step_of(const fs::path& folder) {
  const auto name = folder.filename().string();
  if (!name.starts_with(kPrefix)) return std::nullopt;
  const auto digits = name.substr(std::string(kPrefix).size());
  if (digits.size() < kDigits || digits.size() > 18 ||
      digits.find_first_not_of("0123456789") != std::string::npos) {
    return std::nullopt;
  }
  return std::stoll(digits);
}

// --- Writing ---

Checksum write_tensors(const fs::path& path, const TensorMap& tensors) {
  OutputFile file(path);
  write_safetensors(file, tensors, {{"format", "pt"}});  // what readers of PyTorch weights look for
  file.finish();
  return file.checksum();
}

Checksum write_text(const fs::path& path, const std::string& text) {
  OutputFile file(path);
  file.write(text);
  file.finish();
  return file.checksum();
}

void write_checkpoint(const fs::path& target, const Checkpoint& checkpoint) {
  AtomicFolder folder(target);
  const auto& path = folder.path();
  const std::array<std::pair<const char*, Checksum>, kFiles.size()> sums = {{
      {kModel, write_tensors(path / kModel, checkpoint.model)},
      {kState, write_tensors(path / kState, checkpoint.state)},
      {kProgress, write_text(path / kProgress, to_json(checkpoint.progress))},
  }};
  ordered_json files;
  for (const auto& [name, sum] : sums) {
    files[name] = {{"bytes", sum.size}, {"crc32", fmt::format("{:08x}", sum.crc)}};
  }
  const ordered_json manifest = {{"format", kFormat}, {"version", kVersion}, {"files", files}};
  write_text(path / kManifest, manifest.dump(2) + "\n");
  folder.commit();
}

uint64_t size_of(const TensorMap& tensors) {
  uint64_t size = 0;
  for (const auto& item : tensors) size += item.value().nbytes();
  return size;
}

/// Called after what was written has been removed again.
CheckpointError cannot_save(const FileError& error, const fs::path& target,
                            const Checkpoint& checkpoint) {
  auto text = fmt::format("{}: cannot be saved: {}", target.string(), error.what());
  if (error.disk_full()) {
    text +=
        fmt::format(" (it needs {}, {} are free). Free some space and start the same command again",
                    format_size(size_of(checkpoint.model) + size_of(checkpoint.state)),
                    format_size(free_bytes(target.parent_path())));
  }
  return CheckpointError(text + ". The checkpoints before it are untouched.");
}

/// The link `best`. It is for the user; the program itself asks the newest checkpoint. So a file
/// system without links is no failure.
void link_best(const fs::path& checkpoints, const Progress& progress) {
  std::error_code error;
  const auto link = checkpoints / "best";
  const auto best = checkpoint_path(checkpoints, progress.best ? progress.best->step : 0);
  if (!progress.best || !fs::is_directory(best, error)) {
    fs::remove(link, error);  // there was no save at that step
    return;
  }
  const auto temporary = checkpoints / ".best.tmp";
  fs::remove(temporary, error);
  fs::create_symlink(best.filename(), temporary, error);
  if (!error) fs::rename(temporary, link, error);
}

void remove_old(const fs::path& checkpoints, const Progress& progress, int64_t keep) {
  for (const auto& folder : find_checkpoints(checkpoints)) {
    const auto step = *step_of(folder);
    const bool is_best = progress.best && progress.best->step == step;
    if (step > progress.step || (keep-- <= 0 && !is_best)) remove_folder(folder);
  }
}

// --- Reading ---

/// Compares one file with what the manifest says about it.
void verify_file(const fs::path& path, JsonFields written) {
  const InputFile file(path);
  const auto size = written.natural("bytes");
  const auto crc = written.text("crc32");
  written.finish();
  if (file.size() != size) {
    throw CheckpointError(fmt::format("{}: has {} bytes, but {} were written: it is {}",
                                      path.string(), file.size(), size,
                                      file.size() < size ? "cut short" : "too long"));
  }
  const auto found = fmt::format("{:08x}", checksum(file).crc);
  if (found != crc) {
    throw CheckpointError(fmt::format("{}: is damaged: its checksum is {}, {} was written",
                                      path.string(), found, crc));
  }
}

/// Checks the manifest, and the given files against it.
void verify(const fs::path& folder, const std::vector<std::string>& names) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    throw CheckpointError(fmt::format("{}: no such checkpoint folder", folder.string()));
  }
  const auto path = folder / kManifest;
  if (!fs::exists(path, error)) {
    throw CheckpointError(fmt::format("{}: is not a checkpoint of dnc-host: it has no {}",
                                      folder.string(), kManifest));
  }
  JsonFields manifest(read_file(path, kMaxJson), path.string());
  if (const auto format = manifest.text("format"); format != kFormat) {
    manifest.fail(fmt::format("is of format '{}', '{}' was expected", format, kFormat));
  }
  if (const auto version = manifest.count("version"); version != kVersion) {
    manifest.fail(
        fmt::format("is of version {}, this program reads version {}: use the dnc-host "
                    "that wrote it",
                    version, kVersion));
  }
  JsonFields files(manifest.take("files"), path.string() + ": 'files'");
  manifest.finish();
  for (const auto& name : kFiles) {
    JsonFields written(files.take(name), fmt::format("{}: '{}'", path.string(), name));
    if (std::find(names.begin(), names.end(), name) != names.end()) {
      verify_file(folder / name, std::move(written));
    }
  }
  files.finish();
}

Progress read_progress(const fs::path& folder) {
  const auto path = folder / kProgress;
  return progress_from_json(read_file(path, kMaxJson), path.string());
}

/// Runs `load`, with whatever the system refuses as a CheckpointError too.
template <typename Load>
auto loading(const Load& load) {
  try {
    return load();
  } catch (const CheckpointError&) {
    throw;
  } catch (const Error& error) {
    throw CheckpointError(error.what());
  }
}

/// Calls `load` for one folder after the other until one does not throw.
template <typename Load>
void load_first_good(const std::vector<fs::path>& folders, const fs::path& checkpoints,
                     const std::function<void(const std::string&)>& warn, const Load& load) {
  std::vector<std::string> reasons;
  for (const auto& folder : folders) {
    try {
      load(folder);
      return;
    } catch (const CheckpointError& error) {
      reasons.emplace_back(error.what());
    }
    warn(fmt::format("{} cannot be used, trying the one before it: {}", folder.filename().string(),
                     reasons.back()));
  }
  throw CheckpointError(fmt::format(
      "{}: none of the {} checkpoints can be used. Restore one from a copy, or start again in a "
      "new folder.\n  {}",
      checkpoints.string(), folders.size(), join(reasons, "\n  ")));
}

}  // namespace

std::string to_json(const Progress& progress) {
  ordered_json best;
  if (progress.best) {
    best = {{"metric", progress.best->metric},
            {"value", progress.best->value},
            {"step", progress.best->step}};
  }
  const ordered_json json = {{"step", progress.step},
                             {"epoch", progress.epoch},
                             {"batch", progress.batch},
                             {"best", best},
                             {"stale", progress.stale},
                             {"seconds", progress.seconds},
                             {"seed", progress.seed},
                             {"batch_size", progress.batch_size},
                             {"world_size", progress.world_size},
                             {"config_digest", progress.config_digest}};
  return json.dump(2) + "\n";
}

Progress progress_from_json(const std::string& text, const std::string& origin) {
  JsonFields fields(text, origin);
  Progress progress;
  progress.step = fields.count("step");
  progress.epoch = fields.count("epoch");
  progress.batch = fields.count("batch");
  if (auto json = fields.take("best"); !json.is_null()) {
    JsonFields best(std::move(json), origin + ": 'best'");
    progress.best = Best{best.text("metric"), best.number("value"), best.count("step")};
    best.finish();
  }
  progress.stale = fields.count("stale");
  progress.seconds = fields.number("seconds");
  progress.seed = fields.natural("seed");
  progress.batch_size = fields.count("batch_size");
  progress.world_size = fields.count("world_size");
  progress.config_digest = fields.text("config_digest");
  fields.finish();
  return progress;
}

fs::path checkpoint_path(const fs::path& checkpoints, int64_t step) {
  return checkpoints / fmt::format("{}{:0{}}", kPrefix, step, kDigits);
}

std::vector<fs::path> find_checkpoints(const fs::path& checkpoints) {
  std::vector<std::pair<int64_t, fs::path>> found;
  std::error_code error;
  for (fs::directory_iterator entry(checkpoints, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code unreadable;
    const auto step = step_of(entry->path());
    if (step && entry->is_directory(unreadable)) found.emplace_back(*step, entry->path());
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<fs::path> folders;
  for (auto& [step, folder] : found) folders.push_back(std::move(folder));
  return folders;
}

fs::path save_checkpoint(const fs::path& checkpoints, const Checkpoint& checkpoint, int64_t keep) {
  TORCH_CHECK(keep >= 1, "at least 1 checkpoint must be kept, not ", keep);
  const auto& progress = checkpoint.progress;
  auto target = checkpoint_path(checkpoints, progress.step);
  try {
    write_checkpoint(target, checkpoint);
  } catch (const FileError& error) {
    throw cannot_save(error, target, checkpoint);
  }
  // Only now, and never fatal: the new one is safe, and the next save tries again.
  link_best(checkpoints, progress);
  remove_old(checkpoints, progress, keep);
  return target;
}

Checkpoint load_checkpoint(const fs::path& folder) {
  return loading([&] {
    verify(folder, {kFiles.begin(), kFiles.end()});
    return Checkpoint{read_safetensors(folder / kModel).tensors,
                      read_safetensors(folder / kState).tensors, read_progress(folder)};
  });
}

Progress load_checkpoint_progress(const fs::path& folder) {
  return loading([&] {
    verify(folder, {kProgress});
    return read_progress(folder);
  });
}

std::optional<FoundCheckpoint> load_newest_checkpoint(
    const fs::path& checkpoints, const std::function<void(const std::string&)>& warn) {
  const auto folders = find_checkpoints(checkpoints);
  if (folders.empty()) return std::nullopt;
  FoundCheckpoint found;
  load_first_good(folders, checkpoints, warn, [&](const fs::path& folder) {
    found = {folder, load_checkpoint(folder)};
  });
  return found;
}

fs::path find_best_checkpoint(const fs::path& checkpoints) {
  const auto folders = find_checkpoints(checkpoints);
  if (folders.empty()) {
    throw CheckpointError(fmt::format("{}: there is no checkpoint", checkpoints.string()));
  }
  fs::path best;
  load_first_good(
      folders, checkpoints, [](const std::string&) {},
      [&](const fs::path& folder) {
        const auto progress = load_checkpoint_progress(folder);
        best = folder;
        if (!progress.best) return;
        const auto path = checkpoint_path(checkpoints, progress.best->step);
        std::error_code error;
        if (fs::is_directory(path, error)) best = path;
      });
  return best;
}

}  // namespace dnc
