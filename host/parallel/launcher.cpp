#include "host/parallel/launcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <iostream>
#include <map>
#include <string_view>
#include <utility>

#include "host/parallel/store.h"
#include "host/parallel/watch.h"
#include "registry/error.h"

extern char** environ;

namespace dnc {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kLook = 50ms;      // between two looks at the processes
constexpr auto kTerminate = 10s;  // between SIGTERM and SIGKILL

// Written by the handler: how many signals came, and the last one.
volatile std::sig_atomic_t signals = 0;
volatile std::sig_atomic_t last_signal = 0;

void on_signal(int number) {
  signals = signals + 1;
  last_signal = number;
}

/// While it lives, signals are counted in place of ending this process. One that whoever started
/// it has set to be ignored (nohup) stays so, here and in the processes.
class CountedSignals {
 public:
  CountedSignals() {
    signals = 0;
    last_signal = 0;
    struct sigaction action {};
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < kNumbers.size(); ++i) {
      sigaction(kNumbers[i], nullptr, &before_[i]);
      if (before_[i].sa_handler != SIG_IGN) sigaction(kNumbers[i], &action, nullptr);
    }
  }
  ~CountedSignals() {
    for (size_t i = 0; i < kNumbers.size(); ++i) sigaction(kNumbers[i], &before_[i], nullptr);
  }
  CountedSignals(const CountedSignals&) = delete;
  CountedSignals& operator=(const CountedSignals&) = delete;

 private:
  static constexpr std::array<int, 3> kNumbers{SIGINT, SIGTERM, SIGHUP};
  std::array<struct sigaction, kNumbers.size()> before_{};
};

/// Text that is printed line by line, each behind a prefix.
class PrefixedLines {
 public:
  explicit PrefixedLines(std::string prefix) : prefix_(std::move(prefix)) {}
  void add(std::string_view text) {
    rest_ += text;
    for (size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n')) {
      std::cerr << prefix_ << rest_.substr(0, end + 1);
      rest_.erase(0, end + 1);
    }
  }
  void finish() {
    if (!rest_.empty()) add("\n");
  }

 private:
  std::string prefix_;
  std::string rest_;
};

/// The processes of one attempt.
class Processes {
 public:
  Processes(const LaunchOptions& options, const std::vector<std::string>& command, uint16_t port,
            int64_t restart);
  ~Processes() { end_all(SIGKILL); }
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  /// Prints what comes within `wait`, some of it; false where nothing did.
  bool print(std::chrono::milliseconds wait);
  /// Of those that have ended since the last call: rank and status.
  std::vector<std::pair<int64_t, int>> ended();
  bool any() const { return !running_.empty(); }
  void signal_all(int number) const;

 private:
  void start(int64_t rank, const std::vector<std::string>& command,
             const std::vector<std::string>& variables);
  void end_all(int number);

  std::map<pid_t, int64_t> running_;  // to its rank
  std::map<int, PrefixedLines> outputs_;
};

/// The environment of this process with these instead of its own.
std::vector<std::string> variables_with(const std::map<std::string, std::string>& more) {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable; ++variable) {
    const std::string text = *variable;
    if (!more.contains(text.substr(0, text.find('=')))) variables.push_back(text);
  }
  for (const auto& [name, value] : more) variables.push_back(name + "=" + value);
  return variables;
}

Processes::Processes(const LaunchOptions& options, const std::vector<std::string>& command,
                     uint16_t port, int64_t restart) {
  const auto size = std::to_string(options.ranks);
  for (int64_t rank = 0; rank < options.ranks; ++rank) {
    const auto number = std::to_string(rank);
    start(rank, command,
          variables_with({{"RANK", number},
                          {"LOCAL_RANK", number},
                          {"WORLD_SIZE", size},
                          {"LOCAL_WORLD_SIZE", size},
                          {"MASTER_ADDR", "127.0.0.1"},
                          {"MASTER_PORT", std::to_string(port)},
                          {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                          {"TORCHELASTIC_RESTART_COUNT", std::to_string(restart)}}));
  }
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> list;
  for (auto& word : words) list.push_back(word.data());
  list.push_back(nullptr);
  return list;
}

void Processes::start(int64_t rank, const std::vector<std::string>& command,
                      const std::vector<std::string>& variables) {
  auto words = command;
  auto settings = variables;
  const auto argv = pointers(words);
  const auto envp = pointers(settings);
  std::array<int, 2> output{-1, -1};
  if (rank > 0 && pipe2(output.data(), O_CLOEXEC) != 0) {
    throw Error(fmt::format("no pipe for rank {}: {}", rank, std::strerror(errno)));
  }
  const auto failed = fmt::format("error: {}: cannot be started\n", command.front());
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {  // only calls that are safe beside threads, up to exec
    setpgid(0, 0);   // a Ctrl-C comes by this process, once
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    if (rank > 0) {
      dup2(output[1], STDOUT_FILENO);
      dup2(output[1], STDERR_FILENO);
    }
    execvpe(argv[0], argv.data(), envp.data());
    [[maybe_unused]] const auto written = write(STDERR_FILENO, failed.data(), failed.size());
    _exit(127);
  }
  if (rank > 0) close(output[1]);
  if (child < 0) throw Error(fmt::format("{}: cannot be started", command.front()));
  running_[child] = rank;
  if (rank > 0) outputs_.emplace(output[0], PrefixedLines(fmt::format("[rank {}] ", rank)));
}

bool Processes::print(std::chrono::milliseconds wait) {
  std::vector<pollfd> waiting;
  for (const auto& output : outputs_) waiting.push_back({output.first, POLLIN, 0});
  const auto ready = poll(waiting.data(), waiting.size(), static_cast<int>(wait.count()));
  for (const auto& each : waiting) {
    if (ready <= 0 || each.revents == 0) continue;
    std::array<char, 4096> bytes{};
    const auto size = read(each.fd, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    auto& lines = outputs_.at(each.fd);
    if (size > 0) {
      lines.add({bytes.data(), static_cast<size_t>(size)});
    } else {
      lines.finish();
      close(each.fd);
      outputs_.erase(each.fd);
    }
  }
  return ready > 0;
}

std::vector<std::pair<int64_t, int>> Processes::ended() {
  std::vector<std::pair<int64_t, int>> found;
  for (auto each = running_.begin(); each != running_.end();) {
    int status = 0;
    if (waitpid(each->first, &status, WNOHANG) == each->first) {
      found.emplace_back(each->second, status);
      each = running_.erase(each);
    } else {
      ++each;
    }
  }
  return found;
}

void Processes::signal_all(int number) const {
  for (const auto& [pid, rank] : running_) kill(pid, number);
}

void Processes::end_all(int number) {
  signal_all(number);
  for (const auto& [pid, rank] : running_) waitpid(pid, nullptr, 0);
  running_.clear();
  for (auto& [fd, lines] : outputs_) {
    lines.finish();
    close(fd);
  }
}

int code_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/// Ends the processes that are left after a failure, one step after the other.
class GradualEnd {
 public:
  explicit GradualEnd(double grace) : grace_(grace) {}
  void begin() {
    if (step_ == 0) next(grace_);
  }
  void go_on(const Processes& processes) {
    if (step_ == 0 || Clock::now() < due_) return;
    processes.signal_all(step_ == 1 ? SIGTERM : SIGKILL);
    next(std::chrono::duration<double>(kTerminate).count());
  }

 private:
  void next(double seconds) {
    ++step_;
    due_ = Clock::now() +
           std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  }
  double grace_;
  int step_ = 0;
  Clock::time_point due_;
};

/// Runs one attempt; the exit code of the first process that failed.
int run_once(const LaunchOptions& options, const std::vector<std::string>& command,
             const c10::intrusive_ptr<c10d::Store>& store, uint16_t port, int64_t restart) {
  FailureBoard board(store_of_restart(store, restart));
  Processes processes(options, command, port, restart);
  GradualEnd ending(options.grace);
  int code = 0;
  for (int forwarded = 0; processes.any();) {
    processes.print(kLook);
    if (signals > forwarded) {
      forwarded = signals;
      processes.signal_all(last_signal);
    }
    for (const auto& [rank, status] : processes.ended()) {
      if (code_of(status) == 0) continue;
      if (code == 0) code = code_of(status);
      ending.begin();
      if (!WIFSIGNALED(status)) continue;
      const auto text = fmt::format("rank {} of {} was ended by signal {} ({})", rank,
                                    options.ranks, WTERMSIG(status), strsignal(WTERMSIG(status)));
      if (board.claim(text)) std::cerr << "error: " << text << "\n";
    }
    ending.go_on(processes);
  }
  // Their last words are still in the pipes. Who has inherited one may write to it for ever.
  for (const auto end = Clock::now() + 1s; Clock::now() < end && processes.print(0ms);) {
  }
  return code;
}

}  // namespace

int launch(const LaunchOptions& options, const std::vector<std::string>& command) {
  const auto [store, port] = serve_store();
  const CountedSignals counted;
  for (int64_t restart = 0;; ++restart) {
    const int code = run_once(options, command, store, port, restart);
    if (code == 0 || signals > 0 || restart == options.max_restarts) return code;
    std::cerr << fmt::format("launch: all {} ranks are started again ({} of {} times)\n",
                             options.ranks, restart + 1, options.max_restarts);
  }
}

}  // namespace dnc
