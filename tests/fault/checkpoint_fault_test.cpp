// What becomes of checkpoints when the process is killed, or a system call fails, at any moment of
// a save: every system call of it is tried.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <ostream>
#include <set>

#include "faults.h"
#include "host/files.h"
#include "host/train/checkpoint.h"
#include "registry/error.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

/// All of a checkpoint follows from its step, and from `round` where a step is saved twice.
Checkpoint make_checkpoint(int64_t step, int64_t round = 0) {
  Checkpoint checkpoint;
  checkpoint.model.insert("weight", torch::arange(50) * 100 + step * 10 + round);
  checkpoint.model.insert("bias", torch::full({7}, 0.1 * static_cast<double>(step)));
  checkpoint.state.insert("momentum", torch::arange(50.0) / (step + 1));
  checkpoint.progress.step = step;
  checkpoint.progress.stale = round;
  checkpoint.progress.best = Best{"top1", 0.5, 1};
  return checkpoint;
}

bool is_whole(const Checkpoint& found) {
  const auto& progress = found.progress;
  const auto wanted = make_checkpoint(progress.step, progress.stale);
  const auto same = [](const TensorMap& a, const TensorMap& b) {
    return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const auto& item) {
             return b.contains(item.key()) && torch::equal(item.value(), b[item.key()]);
           });
  };
  return progress == wanted.progress && same(found.model, wanted.model) &&
         same(found.state, wanted.state);
}

/// A save, and what stood in the folder before it.
struct Scenario {
  const char* name;
  std::function<void(const fs::path&)> prepare;
  Checkpoint saved;
  int64_t keep = 1;
  int64_t step_before = 0;  // of the newest good one; 0 where there is none
  bool exchange = true;     // whether the file system can exchange two names
};

void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }

void save(const fs::path& folder, const Checkpoint& checkpoint, int64_t keep) {
  save_checkpoint(folder, checkpoint, keep);
}

/// Steps 1 and 2, of which 2 is damaged: the run is taken up from 1 and comes to 2 again.
void prepare_damaged(const fs::path& folder) {
  save(folder, make_checkpoint(1), 2);
  save(folder, make_checkpoint(2), 2);
  put_bytes(folder / "step_00000002/state.safetensors", "damaged");
}

std::vector<Scenario> scenarios() {
  return {
      {"First", [](const fs::path&) {}, make_checkpoint(1)},
      {"Second", [](const fs::path& folder) { save(folder, make_checkpoint(1), 1); },
       make_checkpoint(2), 1, 1},
      {"RemovesOldOnes",
       [](const fs::path& folder) {
         for (const int64_t step : {1, 2, 3}) save(folder, make_checkpoint(step), 2);
       },
       make_checkpoint(4), 1, 3},
      {"SameStepAgain", [](const fs::path& folder) { save(folder, make_checkpoint(1), 1); },
       make_checkpoint(1, /*round=*/1), 1, 1},
      {"ReplacesADamagedOne", prepare_damaged, make_checkpoint(2, /*round=*/1), 1, 1},
      {"ReplacesADamagedOneWithoutExchange", prepare_damaged, make_checkpoint(2, /*round=*/1), 1, 1,
       /*exchange=*/false},
  };
}

class SaveWithFaults : public testing::TestWithParam<Scenario> {
 protected:
  /// Runs the save with a fault. Returns what it threw, or nothing.
  std::string save_with(const fs::path& folder, Fault fault, int64_t at) {
    const auto& scenario = GetParam();
    Faults faults(fault, at);
    if (!scenario.exchange) faults.forbid_exchange();
    const auto message = message_of<Error>([&] { save(folder, scenario.saved, scenario.keep); });
    calls_ = faults.calls();
    return message;
  }

  /// The number of system calls of a save that nothing disturbs.
  int64_t count_calls() {
    const TemporaryFolder folder;
    GetParam().prepare(folder.path());
    EXPECT_EQ(save_with(folder.path(), Fault::kNone, 0), "");
    EXPECT_THAT(calls_, Contains(testing::Field(&SystemCall::name, "fsync")));
    return static_cast<int64_t>(calls_.size());
  }

  /// The step that a resumed run would find; 0 where there is none. It is whole in any case, and
  /// either the new one or the newest from before.
  int64_t expect_good(const fs::path& folder) {
    std::set<std::string> warnings;
    const auto found =
        load_newest_checkpoint(folder, [&](const std::string& text) { warnings.insert(text); });
    const auto& scenario = GetParam();
    if (!found) {
      EXPECT_EQ(scenario.step_before, 0);
      return 0;
    }
    const auto& progress = found->checkpoint.progress;
    EXPECT_TRUE(is_whole(found->checkpoint)) << found->folder;
    if (progress == scenario.saved.progress) {
      EXPECT_THAT(warnings, IsEmpty());
    } else {
      EXPECT_EQ(progress.step, scenario.step_before);
      EXPECT_EQ(progress.stale, 0);
    }
    return progress.step;
  }

  /// What the next start does, and a save after it, leave the folder in order.
  void expect_recovers(const fs::path& folder) {
    remove_temporaries(folder);
    save(folder, make_checkpoint(9), 1);
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
    names.erase("best");
    names.erase("step_00000001");  // the best, and pinned
    EXPECT_EQ(names, std::set<std::string>({"step_00000009"}));
  }

  std::vector<SystemCall> calls_;  // of the last save
};

TEST_P(SaveWithFaults, KilledAtAnyCallLeavesAWholeCheckpoint) {
  const auto count = count_calls();
  for (const auto fault : {Fault::kKill, Fault::kTear}) {
    std::set<int64_t> found;
    for (int64_t at = 1; at <= count; ++at) {
      SCOPED_TRACE("call " + std::to_string(at) + ": " + calls_[at - 1].name);
      const TemporaryFolder folder;
      GetParam().prepare(folder.path());
      const auto child = ::fork();
      ASSERT_GE(child, 0);
      if (child == 0) {
        const bool saved = save_with(folder.path(), fault, at).empty();
        ::_exit(saved ? 0 : 1);
      }
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      ASSERT_TRUE(WIFEXITED(status));
      ASSERT_EQ(WEXITSTATUS(status), kKilled);
      found.insert(expect_good(folder.path()));
      expect_recovers(folder.path());
      if (HasFailure()) return;
    }
    // Early and late kills have different ends, or nothing was tested.
    EXPECT_THAT(found, Contains(GetParam().step_before));
    EXPECT_THAT(found, Contains(GetParam().saved.progress.step));
  }
}

TEST_P(SaveWithFaults, FullDiskLeavesTheOldOneAndSaysWhatIsNeeded) {
  const auto count = count_calls();
  int failed = 0;
  for (int64_t at = 1; at <= count; ++at) {
    SCOPED_TRACE("call " + std::to_string(at) + ": " + calls_[at - 1].name);
    const TemporaryFolder folder;
    GetParam().prepare(folder.path());
    const auto message = save_with(folder.path(), Fault::kDiskFull, at);
    const auto step = expect_good(folder.path());
    for (const auto& entry : fs::directory_iterator(folder.path())) {
      EXPECT_FALSE(is_temporary(entry.path())) << entry.path();
    }
    if (message.empty()) {
      EXPECT_EQ(step, GetParam().saved.progress.step);
    } else {
      ++failed;
      EXPECT_THAT(
          message,
          AllOf(StartsWith(checkpoint_path(folder.path(), GetParam().saved.progress.step).string() +
                           ": cannot be saved: "),
                HasSubstr(": No space left on device (it needs 628 bytes, "),
                HasSubstr(" are free). Free some space and start the same command again. The "
                          "checkpoints before it are untouched.")));
    }
    expect_recovers(folder.path());
    if (HasFailure()) return;
  }
  EXPECT_GT(failed, 10);
}

TEST_P(SaveWithFaults, FailingDiskLeavesTheOldOne) {
  const auto count = count_calls();
  int failed = 0;
  for (int64_t at = 1; at <= count; ++at) {
    SCOPED_TRACE("call " + std::to_string(at) + ": " + calls_[at - 1].name);
    const TemporaryFolder folder;
    GetParam().prepare(folder.path());
    const auto message = save_with(folder.path(), Fault::kInputOutput, at);
    const auto step = expect_good(folder.path());
    if (message.empty()) {
      EXPECT_EQ(step, GetParam().saved.progress.step);
    } else {
      ++failed;
      EXPECT_THAT(message, HasSubstr(": Input/output error. The checkpoints before it"));
    }
    expect_recovers(folder.path());
    if (HasFailure()) return;
  }
  EXPECT_GT(failed, 10);
}

TEST_P(SaveWithFaults, InterruptedCallsAreMadeAgain) {
  const auto count = count_calls();
  for (int64_t at = 1; at <= count; ++at) {
    SCOPED_TRACE("call " + std::to_string(at) + ": " + calls_[at - 1].name);
    const TemporaryFolder folder;
    GetParam().prepare(folder.path());
    EXPECT_EQ(save_with(folder.path(), Fault::kInterrupt, at), "");
    EXPECT_EQ(expect_good(folder.path()), GetParam().saved.progress.step);
    if (HasFailure()) return;
  }
}

TEST_P(SaveWithFaults, ShortWritesAreContinued) {
  const TemporaryFolder folder;
  GetParam().prepare(folder.path());
  EXPECT_EQ(save_with(folder.path(), Fault::kShortWrites, 0), "");
  EXPECT_EQ(expect_good(folder.path()), GetParam().saved.progress.step);
}

TEST_P(SaveWithFaults, FlushesEverythingBeforeItsNameAndTheNameBeforeRemoving) {
  const TemporaryFolder folder;
  GetParam().prepare(folder.path());
  ASSERT_EQ(save_with(folder.path(), Fault::kNone, 0), "");
  const auto target = checkpoint_path(folder.path(), GetParam().saved.progress.step).string();
  // Where the new folder gets its name, in whichever way.
  const auto named = std::find_if(calls_.begin(), calls_.end(), [&](const SystemCall& call) {
    return call.target == target && (call.name == "rename" || call.name == "renameat2") &&
           !(call.name == "rename" &&
             fs::path(call.path).filename().string().find(".old.") != std::string::npos);
  });
  ASSERT_NE(named, calls_.end());
  const auto temporary = named->path;

  std::set<std::string> open, flushed;
  for (auto call = calls_.begin(); call != named; ++call) {
    if (call->name == "fsync") {
      flushed.insert(call->path);
    } else if (call->path.starts_with(temporary)) {
      if (call->name == "open" || call->name == "write") {
        open.insert(call->path);
        flushed.erase(call->path);
        flushed.erase(temporary);  // it has got a new entry
      }
    }
  }
  EXPECT_EQ(open.size(), 4u);
  for (const auto& path : open) EXPECT_TRUE(flushed.contains(path)) << path;
  EXPECT_TRUE(flushed.contains(temporary));

  const auto flush = std::find_if(named, calls_.end(), [&](const SystemCall& call) {
    return call.name == "fsync" && call.path == folder.path();
  });
  ASSERT_NE(flush, calls_.end());
  for (auto call = named; call != flush; ++call) {
    EXPECT_TRUE(call->name.starts_with("rename")) << call->name << " " << call->path;
  }
}

INSTANTIATE_TEST_SUITE_P(All, SaveWithFaults, testing::ValuesIn(scenarios()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace dnc
