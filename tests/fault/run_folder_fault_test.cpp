// A run folder whose process is killed at any system call can be opened again, and its metrics hold
// each step once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults.h"
#include "host/train/run_folder.h"
#include "registry/error.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kConfig = "lr: 0.1\n";
constexpr const char* kEnvironment = "{}\n";

void train(RunFolder& run, int64_t from, int64_t to) {
  for (int64_t step = from; step <= to; ++step) {
    run.metrics().append(report::TrainEvent{.step = step, .losses = {{"loss", 1.0}}});
    run.log("a step");
  }
  run.metrics().sync();
}

/// A run that is resumed once, from step 2.
void run_twice(const fs::path& folder) {
  {
    RunFolder run(folder, kConfig, kEnvironment);
    train(run, 1, 3);
  }
  RunFolder run(folder, kConfig, kEnvironment);
  run.metrics().rewind(2);
  train(run, 3, 4);
}

std::vector<int64_t> steps_in(const fs::path& folder) {
  std::vector<int64_t> steps;
  for (const auto& event : report::read_metrics(folder / "metrics.jsonl").train) {
    steps.push_back(event.step);
  }
  return steps;
}

TEST(RunFolderWithFaults, KilledAtAnyCallGoesOn) {
  std::vector<SystemCall> calls;
  {
    const TemporaryFolder folder;
    Faults faults;
    run_twice(folder / "run");
    calls = faults.calls();
  }
  ASSERT_GT(calls.size(), 20u);
  for (const auto fault : {Fault::kKill, Fault::kTear}) {
    for (size_t at = 1; at <= calls.size(); ++at) {
      SCOPED_TRACE("call " + std::to_string(at) + ": " + calls[at - 1].name);
      const TemporaryFolder folder;
      const auto child = ::fork();
      ASSERT_GE(child, 0);
      if (child == 0) {
        const Faults faults(fault, static_cast<int64_t>(at));
        run_twice(folder / "run");
        ::_exit(0);
      }
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      ASSERT_TRUE(WIFEXITED(status));
      ASSERT_EQ(WEXITSTATUS(status), kKilled);
      RunFolder run(folder / "run", kConfig, kEnvironment);
      const auto before = steps_in(run.path());
      for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(before[i], static_cast<int64_t>(i) + 1);
      run.metrics().rewind(1);
      train(run, static_cast<int64_t>(std::min<size_t>(before.size(), 1)) + 1, 5);
      EXPECT_THAT(steps_in(run.path()), ElementsAre(1, 2, 3, 4, 5));
      EXPECT_EQ(bytes_of(run.path() / "config.yaml"), kConfig);
      EXPECT_EQ(bytes_of(run.path() / "environment.json"), kEnvironment);
      if (HasFailure()) return;
    }
  }
}

TEST(RunFolderWithFaults, FullDiskLeavesNoHalfLine) {
  const TemporaryFolder folder;
  RunFolder run(folder / "run", kConfig, kEnvironment);
  train(run, 1, 2);
  const auto before = bytes_of(run.path() / "metrics.jsonl");
  {
    const Faults faults(Fault::kDiskFull, 1);
    EXPECT_EQ(
        message_of<FileError>([&] { train(run, 3, 3); }),
        (run.path() / "metrics.jsonl").string() + ": cannot be written: No space left on device");
    run.log("does not throw");
  }
  EXPECT_EQ(bytes_of(run.path() / "metrics.jsonl"), before);
  train(run, 3, 3);
  EXPECT_THAT(steps_in(run.path()), ElementsAre(1, 2, 3));
}

}  // namespace
}  // namespace dnc
