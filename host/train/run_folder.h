#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "host/files.h"
#include "host/report/run_record.h"

namespace dnc {

/// The file metrics.jsonl, one JSON map a line, in the order of the steps. report::read_metrics()
/// reads it. NaN and infinity are stored as null.
class MetricsLog {
 public:
  /// Throws FileError, as all members do.
  explicit MetricsLog(std::filesystem::path path);
  /// A log that keeps nothing.
  MetricsLog() = default;
  /// {"event":"train","step":391,"epoch":1,"lr":0.1,"losses":{"loss":0.61},"step_ms":8,"wait_ms":0}
  void append(const report::TrainEvent& event);
  /// {"event":"evaluation","split":"val","step":391,"epoch":1,"figures":{"top1":0.9},
  ///  "prototypes":{"dead":0}}
  void append(const report::EvaluationEvent& event);
  /// {"event":"bad_samples","split":"train","step":391,"count":1,"first":"cat.png: is damaged"}
  void append(const report::BadSamplesEvent& event);
  /// {"event":"end","step":391,"reason":"done"}
  void append_end(int64_t step, const std::string& reason);
  /// Takes the log back to `step`: removes the events of later steps, all of them for -1, and lines
  /// that are not JSON. A resumed run does so first, or those steps would be there twice. Returns
  /// how many lines went.
  int64_t rewind(int64_t step);
  /// Flushes to the disk; do so before a checkpoint is saved, which rewind() counts on.
  void sync() {
    if (file_) file_->sync();
  }

 private:
  void write(const std::string& line) {
    if (file_) file_->append(line);
  }
  std::optional<AppendFile> file_;
};

/// The folder of one run:
///   config.yaml       the resolved config, all values of it
///   environment.json  versions, plug-ins, device; environment_2.json, ... where a later start of
///                     the run found another environment
///   metrics.jsonl     MetricsLog
///   log.txt           what was printed
///   checkpoints/      see checkpoint.h
///   ranks/            what ranks but the first print, where that is asked for
///   lock              held by the one process that trains here
/// Opening an existing one continues the run; it is refused for another config. Nothing of an
/// earlier run is overwritten.
class RunFolder {
 public:
  /// `config` is the resolved config as YAML, `environment` a JSON text. Throws FileError, and
  /// Error where the folder is in use, belongs to another config, or holds other things.
  RunFolder(std::filesystem::path path, const std::string& config, const std::string& environment);
  /// For a process that trains along but leaves the folder to another one: nothing is taken, read
  /// or written, and what is logged is lost.
  RunFolder(std::filesystem::path path, const std::string& config);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  /// Nobody has trained here before.
  bool is_new() const { return is_new_; }
  /// Eight hexadecimal digits; for Progress::config_digest.
  const std::string& config_digest() const { return config_digest_; }
  MetricsLog& metrics() { return metrics_; }
  /// Adds a line with the time to log.txt. Does not throw: a log that cannot be written is no
  /// reason to end a run.
  void log(const std::string& line) noexcept;

 private:
  std::filesystem::path path_;
  std::optional<FileLock> lock_;
  bool is_new_ = false;
  std::string config_digest_;
  MetricsLog metrics_;
  std::optional<AppendFile> log_;
};

}  // namespace dnc
