#include "host/train/run_folder.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>

namespace dnc {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr const char* kConfig = "config.yaml";
constexpr const char* kLock = "lock";
constexpr const char* kRanks = "ranks";
constexpr uint64_t kMaxText = 64 << 20;
constexpr uint64_t kMaxMetrics = uint64_t{4} << 30;

/// Calls `see` with each whole line, without its line break.
template <typename See>
void for_each_line(std::string_view text, const See& see) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return;  // cut short by a crash
    see(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
}

/// Whether a line of metrics.jsonl is of a step up to the given one, or of no step at all.
bool is_until(std::string_view line, int64_t step) {
  const auto json = ordered_json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return false;
  const auto found = json.find("step");
  return found == json.end() || (found->is_number() && found->get<double>() <= step);
}

ordered_json figures_json(const report::Figures& figures) {
  auto json = ordered_json::object();
  for (const auto& [name, value] : figures) json[name] = value;
  return json;
}

std::string line_of(const std::string& text, int64_t number) {
  int64_t at = 0;
  std::string found;
  for_each_line(text + "\n", [&](std::string_view line) {
    if (++at == number) found = line;
  });
  return found;
}

/// The number, from 1, of the first line that differs.
int64_t first_difference(const std::string& a, const std::string& b) {
  int64_t line = 1;
  for (size_t i = 0; i < a.size() && i < b.size() && a[i] == b[i]; ++i) line += a[i] == '\n';
  return line;
}

/// Takes the folder for this process; what others left half done is removed.
FileLock take(const fs::path& path) {
  create_folder(path);
  FileLock lock(path / kLock);
  if (!lock.held()) {
    throw Error(fmt::format(
        "{}: the work folder is in use by {}. Wait for it to end, or choose another folder.",
        path.string(), lock.holder()));
  }
  remove_temporaries(path);
  remove_temporaries(path / "checkpoints");
  return lock;
}

/// Writes the config into a new folder, returns true; or compares it with the one that is there.
bool place_config(const fs::path& folder, const std::string& config) {
  const auto path = folder / kConfig;
  std::error_code error;
  if (!fs::exists(path, error)) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().filename() == kLock || entry.path().filename() == kRanks) continue;
      throw Error(fmt::format(
          "{}: is not the folder of a run: it has no {}, but other things, such as '{}'. Choose a "
          "new or an empty folder.",
          folder.string(), kConfig, entry.path().filename().string()));
    }
    write_file(path, config);
    return true;
  }
  const auto there = read_file(path, kMaxText);
  if (there == config) return false;
  const auto line = first_difference(there, config);
  throw Error(fmt::format(
      "{}:{}: this folder belongs to a run with another config: '{}' there, '{}' now. Choose "
      "another folder, or give the config that the run was started with.",
      path.string(), line, line_of(there, line), line_of(config, line)));
}

/// Keeps one file for each environment that the run has seen.
void place_environment(const fs::path& folder, const std::string& environment) {
  std::error_code error;
  for (int number = 1;; ++number) {
    const auto path = folder / (number == 1 ? std::string("environment.json")
                                            : fmt::format("environment_{}.json", number));
    if (!fs::exists(path, error)) return write_file(path, environment);
    if (read_file(path, kMaxText) == environment) return;
  }
}

std::string digest(const std::string& text) {
  Checksum sum;
  sum.add(text.data(), text.size());
  return fmt::format("{:08x}", sum.crc);
}

}  // namespace

MetricsLog::MetricsLog(fs::path path) : file_(std::move(path)) {}

void MetricsLog::append(const report::TrainEvent& event) {
  const ordered_json json = {{"event", "train"},
                             {"step", event.step},
                             {"epoch", event.epoch},
                             {"lr", event.lr},
                             {"losses", figures_json(event.losses)},
                             {"step_ms", event.step_ms},
                             {"wait_ms", event.wait_ms}};
  write(json.dump());
}

void MetricsLog::append(const report::EvaluationEvent& event) {
  ordered_json json = {{"event", "evaluation"},
                       {"split", event.split},
                       {"step", event.step},
                       {"epoch", event.epoch},
                       {"figures", figures_json(event.figures)}};
  if (!event.prototypes.empty()) json["prototypes"] = figures_json(event.prototypes);
  write(json.dump());
}

void MetricsLog::append(const report::BadSamplesEvent& event) {
  const ordered_json json = {{"event", "bad_samples"},
                             {"split", event.split},
                             {"step", event.step},
                             {"count", event.count},
                             {"first", event.first}};
  // The name of a file need not be UTF-8.
  write(json.dump(-1, ' ', false, ordered_json::error_handler_t::replace));
}

void MetricsLog::append_end(int64_t step, const std::string& reason) {
  const ordered_json json = {{"event", "end"}, {"step", step}, {"reason", reason}};
  write(json.dump());
}

int64_t MetricsLog::rewind(int64_t step) {
  if (!file_) return 0;
  const auto path = file_->path();
  const auto text = read_file(path, kMaxMetrics);
  std::string kept;
  int64_t removed = 0;
  for_each_line(text, [&](std::string_view line) {
    if (is_until(line, step)) {
      kept.append(line).push_back('\n');
    } else {
      ++removed;
    }
  });
  if (removed > 0) {
    write_file(path, kept);
    file_.emplace(path);
  }
  return removed;
}

RunFolder::RunFolder(fs::path path, const std::string& config, const std::string& environment)
    : path_(std::move(path)),
      lock_(take(path_)),
      is_new_(place_config(path_, config)),
      config_digest_(digest(config)),
      metrics_(path_ / "metrics.jsonl"),
      log_(path_ / "log.txt") {
  place_environment(path_, environment);
  create_folder(checkpoints());
}

RunFolder::RunFolder(fs::path path, const std::string& config)
    : path_(std::move(path)), config_digest_(digest(config)) {}

void RunFolder::log(const std::string& line) noexcept {
  if (!log_) return;
  try {
    const auto now = std::time(nullptr);
    std::tm local{};
    ::localtime_r(&now, &local);
    log_->append(fmt::format("{:%Y-%m-%d %H:%M:%S} {}", local, line));
  } catch (const std::exception&) {
    // See the header.
  }
}

}  // namespace dnc
