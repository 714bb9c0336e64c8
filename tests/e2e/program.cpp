#include "tests/e2e/program.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>

#include "tests/temporary_folder.h"

extern char** environ;

namespace dnc {
namespace {

pid_t start(const std::vector<std::string>& arguments, const std::filesystem::path& output,
            const std::map<std::string, std::string>& environment) {
  std::vector<std::string> words{DNC_PROGRAM};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  std::vector<std::string> variables;
  for (char** variable = environ; *variable; ++variable) {
    const std::string text = *variable;
    if (!environment.count(text.substr(0, text.find('=')))) variables.push_back(text);
  }
  for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);
  std::vector<char*> envp;
  for (auto& variable : variables) envp.push_back(variable.data());
  envp.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t pid = 0;
  const int failed = posix_spawn(&pid, DNC_PROGRAM, &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (failed) throw std::runtime_error(std::string(DNC_PROGRAM) + ": cannot be started");
  return pid;
}

int exit_code(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

Finished run_program(const std::vector<std::string>& arguments,
                     const std::map<std::string, std::string>& environment) {
  const TemporaryFolder folder;
  int status = 0;
  waitpid(start(arguments, folder / "output", environment), &status, 0);
  return {exit_code(status), bytes_of(folder / "output")};
}

Running::Running(const std::vector<std::string>& arguments, const std::filesystem::path& output)
    : pid_(start(arguments, output, {})), output_(output) {}

Running::~Running() {
  if (is_over()) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Running::signal(int number) const { kill(pid_, number); }

bool Running::is_over() {
  if (!reaped_) reaped_ = waitpid(pid_, &status_, WNOHANG) == pid_;
  return reaped_;
}

Finished Running::finish() {
  if (!reaped_) {
    waitpid(pid_, &status_, 0);
    reaped_ = true;
  }
  return {exit_code(status_), bytes_of(output_)};
}

std::filesystem::path write_small_config(const std::filesystem::path& folder,
                                         const std::string& name, const std::string& head,
                                         const std::string& more) {
  const auto path = folder / name;
  std::ofstream(path) << R"(seed: 1
device: cpu
threads: 1
model:
  backbone: {type: ResNetCifar, depth: 8, width: 8}
  decode_head: {type: GlobalAveragePooling}
  head: )" << head << R"(
data:
  train:
    dataset: {type: Synthetic, length: 320, classes: 4, size: 16}
    transforms: [{type: RandomCrop, size: 16, padding: 2}, {type: RandomFlip}]
  test:
    dataset: {type: Synthetic, length: 100, classes: 4, size: 16, split: test}
  batch_size: 32
  workers: 1
optimizer: {type: SGD, lr: 0.1, momentum: 0.9, weight_decay: 1.0e-4}
schedule: {type: Cosine}
train:
  epochs: 3
  save: {steps: 5}
)" << more;
  return path;
}

}  // namespace dnc
