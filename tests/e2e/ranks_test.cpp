// Training in several processes: launch, torchrun, failures, stops, resumes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "host/weights/safetensors.h"
#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

constexpr const char* kEverything = "  ema: true\n  accumulate: 2\n  clip_norm: 1.0\n";

fs::path config_in(const TemporaryFolder& folder) {
  return write_small_config(folder.path(), "small.yaml", "{type: DNC, memory: 16, momentum: 0.9}",
                            kEverything);
}

std::vector<std::string> launch(int64_t ranks, const std::vector<std::string>& command,
                                const std::vector<std::string>& options = {}) {
  std::vector<std::string> words{"launch", "-n", std::to_string(ranks)};
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

std::vector<std::string> train(const fs::path& config, const fs::path& run,
                               const std::vector<std::string>& more = {}) {
  std::vector<std::string> words{"train", config.string(), "-o", run.string()};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// Endless, but for a signal; saves every 5 steps.
const std::vector<std::string> kLong{"--set", "train.epochs=2000", "--set",
                                     "train.evaluate.epochs=1000"};

std::vector<double> losses_of(const fs::path& run) {
  std::vector<double> losses;
  std::ifstream file(run / "metrics.jsonl");
  for (std::string line; std::getline(file, line);) {
    const auto json = nlohmann::json::parse(line);
    if (json["event"] == "train") losses.push_back(json["losses"]["loss"]);
  }
  return losses;
}

nlohmann::json result_of(const fs::path& run) {
  return nlohmann::json::parse(bytes_of(run / "result.json"));
}

bool wait_for(const fs::path& path, Running& running) {
  for (int i = 0; i < 6000 && !running.is_over(); ++i) {
    if (fs::exists(path)) return true;
    std::this_thread::sleep_for(10ms);
  }
  return fs::exists(path);
}

int free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  close(fd);
  return ntohs(address.sin_port);
}

/// The process of a rank of a `launch`.
pid_t process_of(const Running& launcher, int64_t rank) {
  std::istringstream children(bytes_of(fs::path("/proc") / std::to_string(launcher.pid()) / "task" /
                                       std::to_string(launcher.pid()) / "children"));
  for (pid_t child = 0; children >> child;) {
    const auto environment = bytes_of(fs::path("/proc") / std::to_string(child) / "environ");
    if (environment.find('\0' + ("RANK=" + std::to_string(rank)) + '\0') != std::string::npos) {
      return child;
    }
  }
  return 0;
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

int64_t count_of(const std::string& text, const std::string& part) {
  int64_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(Ranks, TwoAndFourTrainLikeOne) {
  const TemporaryFolder folder;
  const auto config = config_in(folder);
  // Without batch norms of parts, and with a line for each step.
  const std::vector<std::string> more{
      "--set",
      "model.backbone={type: ResNet_CIFAR, depth: 18, width: 4, norm: {type: group, "
      "groups: 4}}",
      "--set",
      "train.log_every=1",
      "--set",
      "train.epochs=1",
      "--set",
      "train.accumulate=1",
      "--check-ranks",
      "3"};
  const auto alone = run_program(train(config, folder / "alone", more));
  ASSERT_EQ(alone.code, 0) << alone.output;
  const auto expected = losses_of(folder / "alone");
  ASSERT_EQ(expected.size(), 10u);
  for (const int64_t ranks : {2, 4}) {
    const auto run = folder / std::to_string(ranks);
    const auto finished = run_program(launch(ranks, train(config, run, more)));
    ASSERT_EQ(finished.code, 0) << finished.output;
    EXPECT_EQ(count_of(finished.output, run.string() + ": done"), 1) << finished.output;
    const auto losses = losses_of(run);
    ASSERT_EQ(losses.size(), expected.size());
    for (size_t i = 0; i < losses.size(); ++i) EXPECT_NEAR(losses[i], expected[i], 1e-3) << i;
    EXPECT_EQ(result_of(run)["steps"], 10);
    EXPECT_TRUE(fs::exists(run / "checkpoints" / "step_00000010" / "manifest.json"));
    EXPECT_FALSE(fs::exists(run / "ranks"));
  }
}

int64_t newest_step(const fs::path& run) {
  int64_t newest = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints", error)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with("step_")) newest = std::max<int64_t>(newest, std::stoll(name.substr(5)));
  }
  return newest;
}

TEST(Ranks, AnyNumberGoesOnFromACheckpointOfAnyOther) {
  const TemporaryFolder folder;
  const auto config = config_in(folder);
  const auto run = folder / "run";
  int64_t saved = 0;
  for (const int64_t ranks : {2, 1, 4, 2}) {
    Running running(launch(ranks, train(config, run, kLong)), folder / "output");
    for (int i = 0; i < 6000 && newest_step(run) <= saved && !running.is_over(); ++i) {
      std::this_thread::sleep_for(10ms);
    }
    running.signal(SIGTERM);
    const auto finished = running.finish();
    EXPECT_EQ(finished.code, 130) << finished.output;
    EXPECT_THAT(finished.output, HasSubstr(run.string() + ": terminated"));
    const auto goes_on = "goes on at step " + std::to_string(saved) + " of";
    if (saved > 0) {
      EXPECT_THAT(finished.output, HasSubstr(goes_on));
    }
    EXPECT_GT(newest_step(run), saved) << finished.output;
    saved = newest_step(run);
  }
}

TEST(Ranks, AResumedRunOfTwoEqualsOneThatWasNotInterrupted) {
  const TemporaryFolder folder;
  const auto config = config_in(folder);
  const auto whole = run_program(launch(2, train(config, folder / "whole")));
  ASSERT_EQ(whole.code, 0) << whole.output;
  {
    Running running(launch(2, train(config, folder / "killed")), folder / "output");
    ASSERT_TRUE(wait_for(folder / "killed" / "checkpoints" / "step_00000015", running));
    running.signal(SIGKILL);  // the ranks go with their launcher
    running.finish();
  }
  std::this_thread::sleep_for(300ms);
  const auto resumed = run_program(launch(2, train(config, folder / "killed")));
  ASSERT_EQ(resumed.code, 0) << resumed.output;
  for (const char* file : {"model.safetensors", "state.safetensors"}) {
    const auto name = fs::path("checkpoints") / "step_00000030" / file;
    EXPECT_EQ(bytes_of(folder / "whole" / name), bytes_of(folder / "killed" / name)) << file;
  }
}

TEST(Ranks, OneSignalledRankStopsAllAfterOneSave) {
  const TemporaryFolder folder;
  const auto config = config_in(folder);
  const auto run = folder / "run";
  Running running(launch(2, train(config, run, kLong)), folder / "output");
  ASSERT_TRUE(wait_for(run / "checkpoints" / "step_00000005", running));
  const auto rank = process_of(running, 1);
  ASSERT_GT(rank, 0);
  kill(rank, SIGTERM);
  const auto finished = running.finish();
  EXPECT_EQ(finished.code, 130) << finished.output;
  EXPECT_EQ(count_of(finished.output, ": terminated"), 1) << finished.output;
  EXPECT_THAT(finished.output, Not(HasSubstr("error")));
}

/// Kills or stops a rank in the middle of a run, and returns how that ended.
Finished disturb(int signal, int64_t rank, const std::vector<std::string>& more,
                 double most_seconds) {
  const TemporaryFolder folder;
  const auto config = config_in(folder);
  auto command = train(config, folder / "run", kLong);
  command.insert(command.end(), more.begin(), more.end());
  Running running(launch(2, command, {"--grace", "2"}), folder / "output");
  EXPECT_TRUE(wait_for(folder / "run" / "checkpoints" / "step_00000005", running))
      << bytes_of(folder / "output");
  const auto process = process_of(running, rank);
  EXPECT_GT(process, 0);
  if (process > 0) kill(process, signal);
  const auto begin = std::chrono::steady_clock::now();
  auto finished = running.finish();
  EXPECT_LT(seconds_since(begin), most_seconds) << finished.output;
  return finished;
}

TEST(Ranks, AKilledRankEndsAllWithOneMessage) {
  for (const int64_t rank : {0, 1}) {
    const auto finished = disturb(SIGKILL, rank, {}, 15);
    EXPECT_EQ(finished.code, 137) << finished.output;
    EXPECT_EQ(count_of(finished.output, "error:"), 1) << finished.output;
    EXPECT_THAT(finished.output, HasSubstr("error: rank " + std::to_string(rank) +
                                           " of 2 was ended by signal 9 (Killed)"));
  }
}

TEST(Ranks, AStoppedRankEndsAllWhenTheTimeIsOver) {
  const auto finished = disturb(SIGSTOP, 1, {"--rank-timeout", "5"}, 60);
  EXPECT_NE(finished.code, 0);
  EXPECT_EQ(count_of(finished.output, "error:"), 1) << finished.output;
  EXPECT_THAT(finished.output, HasSubstr("error: rank 1 of 2 is gone: it was killed or crashed, "
                                         "hangs, or its machine cannot be reached (last known: "));
}

TEST(Ranks, ARankThatThrowsEndsAllWithItsMessage) {
  const TemporaryFolder folder;
  const auto images = folder / "images";
  for (int i = 0; i < 8; ++i) {
    for (const char* name : {"a", "b"}) {
      fs::create_directories(images / name);
      std::ofstream(images / name / (std::to_string(i) + ".ppm"))
          << "P6\n2 2\n255\n"
          << (i == 6 ? "oops" : "twelve bytes");
    }
  }
  const auto config = config_in(folder);
  const auto finished = run_program(
      launch(2, train(config, folder / "run",
                      {"--set",
                       "data.train={dataset: {type: ImageFolder, root: " + images.string() +
                           "}, transforms: [{type: Resize, size: 16}]}",
                       "--set",
                       "data.test={dataset: {type: ImageFolder, root: " + images.string() +
                           "}, transforms: [{type: Resize, size: 16}]}",
                       "--set", "data.batch_size=4"})));
  EXPECT_EQ(finished.code, 1) << finished.output;
  EXPECT_EQ(count_of(finished.output, "error:"), 1) << finished.output;
  EXPECT_THAT(finished.output, HasSubstr("error: rank "));
  EXPECT_THAT(finished.output, HasSubstr("6.ppm"));
}

// As under srun or mpirun, where rank 0 serves the board that the others look at.
TEST(Ranks, AFailureOfRank0IsToldOnceWithoutALauncherOfOursToo) {
  const TemporaryFolder folder;
  const auto config = config_in(folder);
  fs::create_directories(folder / "run");
  put_bytes(folder / "run" / "other", "rank 0 does not take such a folder");
  const auto port = std::to_string(free_port());
  const auto start = [&](const std::string& rank) {
    return std::async(std::launch::async, [&, rank] {
      return run_program(train(config, folder / "run"), {{"RANK", rank},
                                                         {"WORLD_SIZE", "2"},
                                                         {"LOCAL_RANK", rank},
                                                         {"LOCAL_WORLD_SIZE", "2"},
                                                         {"MASTER_ADDR", "127.0.0.1"},
                                                         {"MASTER_PORT", port}});
    });
  };
  auto other = start("1");
  const auto first = start("0").get(), second = other.get();
  EXPECT_EQ(first.code, 1);
  EXPECT_THAT(first.output, HasSubstr("is not the folder of a run"));
  EXPECT_NE(second.code, 0);
  EXPECT_EQ(count_of(second.output, "error:"), 0) << second.output;
}

TEST(Ranks, ARestartedRunGoesOnFromTheNewestCheckpoint) {
  const TemporaryFolder folder;
  const auto config = config_in(folder);
  const auto run = folder / "run";
  Running running(launch(2, train(config, run, {"--set", "train.epochs=30"}),
                         {"--max-restarts", "1", "--grace", "1"}),
                  folder / "output");
  ASSERT_TRUE(wait_for(run / "checkpoints" / "step_00000015", running));
  kill(process_of(running, 1), SIGKILL);
  const auto finished = running.finish();
  EXPECT_EQ(finished.code, 0) << finished.output;
  EXPECT_THAT(finished.output, HasSubstr("all 2 ranks are started again (1 of 1 times)"));
  EXPECT_THAT(finished.output, HasSubstr("goes on at step "));
  EXPECT_EQ(result_of(run)["steps"], 300);
}

TEST(Ranks, TestIsSharedAndGivesTheSameFigures) {
  const TemporaryFolder folder;
  const auto config = config_in(folder);
  ASSERT_EQ(run_program(train(config, folder / "run")).code, 0);
  const auto test = std::vector<std::string>{"test", (folder / "run").string(), "--json"};
  const auto alone = run_program(test);
  for (const int64_t ranks : {2, 3}) {
    const auto together = run_program(launch(ranks, test));
    EXPECT_EQ(together.code, 0) << together.output;
    EXPECT_EQ(together.output, alone.output);
  }
  for (const std::string option : {"--out", "--unknown"}) {
    auto refused = test;
    refused.insert(refused.end(), {option, (folder / "some.csv").string()});
    const auto done = run_program(launch(2, refused));
    EXPECT_EQ(done.code, 1) << done.output;
    EXPECT_EQ(count_of(done.output, option + ": is for one process, which sees all samples, but 2 "
                                             "were started; run `dnc-host test` without"),
              1)
        << done.output;
  }
}

TEST(Ranks, OtherCommandsAreLeftToRank0) {
  const auto listed = run_program(launch(2, {"version"}));
  EXPECT_EQ(listed.code, 0) << listed.output;
  EXPECT_EQ(count_of(listed.output, "`dnc-host version` runs in one process"), 1) << listed.output;
}

TEST(Ranks, LogsOfOthersOnRequest) {
  const TemporaryFolder folder;
  const auto config = config_in(folder);
  const auto run = folder / "run";
  const auto finished = run_program(launch(2, train(config, run, {"--log-ranks"})));
  ASSERT_EQ(finished.code, 0) << finished.output;
  EXPECT_THAT(bytes_of(run / "ranks" / "rank_1.txt"), HasSubstr(run.string() + ": done"));
}

TEST(Ranks, BadStartsSayWhatIsWrong) {
  const TemporaryFolder folder;
  const auto config = config_in(folder);
  const auto run = train(config, folder / "run", {"--rank-timeout", "5"});
  const std::map<std::string, std::string> first{{"RANK", "0"},
                                                 {"WORLD_SIZE", "2"},
                                                 {"LOCAL_RANK", "0"},
                                                 {"LOCAL_WORLD_SIZE", "2"},
                                                 {"MASTER_ADDR", "127.0.0.1"},
                                                 {"MASTER_PORT", "1"}};
  auto missing = first;
  missing.erase("MASTER_PORT");
  EXPECT_THAT(run_program(run, missing).output, HasSubstr("error: MASTER_PORT: is not set"));

  // A port that is taken, and then one where nobody else comes.
  const int taken = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(taken, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(taken, 1), 0);
  socklen_t size = sizeof address;
  getsockname(taken, reinterpret_cast<sockaddr*>(&address), &size);
  auto with_port = first;
  with_port["MASTER_PORT"] = std::to_string(ntohs(address.sin_port));
  const auto in_use = run_program(run, with_port);
  EXPECT_EQ(in_use.code, 1);
  EXPECT_THAT(in_use.output, HasSubstr("is in use by another program"));
  close(taken);
  const auto alone = run_program(run, with_port);
  EXPECT_EQ(alone.code, 1);
  EXPECT_THAT(alone.output,
              HasSubstr("of 2 ranks by torchrun, 1 did not start within 5 s (--rank-timeout)"));

  const auto odd = run_program(launch(3, train(config, folder / "odd")));
  EXPECT_EQ(odd.code, 1);
  EXPECT_THAT(odd.output, HasSubstr("32 cannot be shared equally by 3 processes"));
  EXPECT_THAT(run_program({"launch", "-n", "2"}).output, HasSubstr("what shall be run?"));
}

TEST(Ranks, TorchrunStartsThem) {
  const char* set = std::getenv("DNC_TORCHRUN");
  const std::string torchrun = set ? set : "torchrun";
  if (std::system(("'" + torchrun + "' --help > /dev/null 2>&1").c_str()) != 0) {
    GTEST_SKIP() << "no torchrun (DNC_TORCHRUN names one)";
  }
  const TemporaryFolder folder;
  const auto config = config_in(folder);
  const auto output = folder / "output";
  const auto command = torchrun + " --standalone --no-python --nproc-per-node 2 " + DNC_PROGRAM +
                       " train " + config.string() + " -o " + (folder / "run").string() + " > " +
                       output.string() + " 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0) << bytes_of(output);
  EXPECT_EQ(result_of(folder / "run")["steps"], 30);
  EXPECT_EQ(count_of(bytes_of(output), ": done"), 1) << bytes_of(output);
  // Its summary has our message.
  const auto bad = command.substr(0, command.find(" -o ")) + " --set optimizer.lr=-1 > " +
                   output.string() + " 2>&1";
  EXPECT_NE(std::system(bad.c_str()), 0);
  EXPECT_THAT(bytes_of(output), HasSubstr("optimizer.lr"));
}

}  // namespace
}  // namespace dnc
