#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace dnc {

/// What a run of the program left.
struct Finished {
  int code = 0;        // exit code; 128 + N where signal N ended it
  std::string output;  // standard output and standard error together
};

/// Runs dnc-host and waits for its end.
Finished run_program(const std::vector<std::string>& arguments,
                     const std::map<std::string, std::string>& environment = {});

/// dnc-host in the background, to be signalled.
class Running {
 public:
  Running(const std::vector<std::string>& arguments, const std::filesystem::path& output);
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const;
  bool is_over();
  /// Waits for the end.
  Finished finish();

 private:
  pid_t pid_;
  std::filesystem::path output_;
  bool reaped_ = false;
  int status_ = 0;
};

/// A config for drawn pictures that trains in a second; `more` is added to it as YAML.
std::filesystem::path write_small_config(const std::filesystem::path& folder,
                                         const std::string& name = "small.yaml",
                                         const std::string& head = "{type: DNC}",
                                         const std::string& more = "");

}  // namespace dnc
