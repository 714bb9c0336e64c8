#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

// All tensors of a run's last checkpoint, as bytes.
std::string tensors_of(const fs::path& run) {
  const auto last = run / "checkpoints" / "step_00000030";
  return bytes_of(last / "model.safetensors") + bytes_of(last / "state.safetensors");
}

fs::path train(const TemporaryFolder& folder, const std::string& name, const fs::path& config,
               const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments{"train", config.string(), "-o", (folder / name).string()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const auto finished = run_program(arguments);
  EXPECT_EQ(finished.code, 0) << finished.output;
  return folder / name;
}

bool wait_for(const fs::path& path, Running& running) {
  for (int i = 0; i < 3000 && !running.is_over(); ++i) {
    if (fs::exists(path)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return fs::exists(path);
}

// Everything that has state: momentum, averaged weights, a memory of samples, accumulation.
constexpr const char* kEverything = "  ema: true\n  accumulate: 2\n  clip_norm: 1.0\n";
constexpr const char* kHead = "{type: DNC, memory: 16, start: data, revive: resample}";

TEST(Resume, ARunKilledAtAnyMomentEndsBitEqualToOneThatWasNot) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path(), "small.yaml", kHead, kEverything);
  const auto whole = tensors_of(train(folder, "whole", config));
  // Killed once a certain checkpoint is there, and some moments after it.
  int number = 0;
  for (const char* seen : {"step_00000005", "step_00000015", "step_00000025"}) {
    for (const int later : {0, 7, 60}) {
      const auto run = folder / ("killed_" + std::to_string(number++));
      {
        Running running({"train", config.string(), "-o", run.string()}, folder / "output");
        ASSERT_TRUE(wait_for(run / "checkpoints" / seen, running));
        std::this_thread::sleep_for(std::chrono::milliseconds(later));
        running.signal(SIGKILL);
        running.finish();
      }
      train(folder, run.filename(), config);
      EXPECT_EQ(tensors_of(run), whole) << seen << " + " << later << " ms";
    }
  }
}

TEST(Resume, ARunThatIsAnchoredToImagesGoesOnExactly) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path(), "small.yaml", kHead,
                                         std::string(kEverything) + "  anchor_epochs: 2\n");
  const auto whole = tensors_of(train(folder, "whole", config));
  EXPECT_NE(tensors_of(train(folder, "free", config, {"--set", "train.anchor_epochs=0"})), whole);
  for (const char* seen : {"step_00000015", "step_00000020", "step_00000025"}) {
    const auto run = folder / (std::string("killed_") + seen);
    {
      Running running({"train", config.string(), "-o", run.string()}, folder / "output");
      ASSERT_TRUE(wait_for(run / "checkpoints" / seen, running));
      running.signal(SIGKILL);
      running.finish();
    }
    train(folder, run.filename(), config);
    EXPECT_EQ(tensors_of(run), whole) << seen;
  }
}

TEST(Resume, MixedBatchesAreDrawnAgainAndLambGoesOn) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path());
  const std::vector<std::string> mixed = {
      "--set",
      "data.train.batch_transforms={type: RandomChoice, transforms: [Mixup, {type: CutMix, mode: "
      "elem}]}",
      "--set", "optimizer={type: LAMB, lr: 0.01}"};
  const auto whole = tensors_of(train(folder, "whole", config, mixed));
  EXPECT_NE(tensors_of(train(folder, "unmixed", config, {mixed[2], mixed[3]})), whole);
  std::vector<std::string> arguments{"train", config.string(), "-o", (folder / "killed").string()};
  arguments.insert(arguments.end(), mixed.begin(), mixed.end());
  {
    Running running(arguments, folder / "output");
    ASSERT_TRUE(wait_for(folder / "killed" / "checkpoints" / "step_00000015", running));
    running.signal(SIGKILL);
    running.finish();
  }
  EXPECT_EQ(tensors_of(train(folder, "killed", config, mixed)), whole);
}

TEST(Resume, TheSameSeedRepeatsAndAnotherDiffers) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path());
  const auto first = tensors_of(train(folder, "first", config));
  EXPECT_EQ(tensors_of(train(folder, "again", config)), first);
  EXPECT_NE(tensors_of(train(folder, "other", config, {"--seed", "2"})), first);
}

TEST(Resume, TheNumberOfWorkersDoesNotMatter) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path());
  const auto none = tensors_of(train(folder, "none", config, {"--set", "data.workers=0"}));
  EXPECT_EQ(tensors_of(train(folder, "three", config, {"--set", "data.workers=3"})), none);
}

TEST(Resume, ASignalSavesAndEndsWith130AndTheRunGoesOn) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path());
  const auto whole = tensors_of(train(folder, "whole", config));
  for (const int number : {SIGINT, SIGTERM}) {
    const auto run = folder / ("stopped_" + std::to_string(number));
    Running running({"train", config.string(), "-o", run.string()}, folder / "output");
    ASSERT_TRUE(wait_for(run / "checkpoints" / "step_00000005", running));
    running.signal(number);
    const auto finished = running.finish();
    EXPECT_EQ(finished.code, 130) << finished.output;
    EXPECT_NE(finished.output.find(number == SIGINT ? "interrupted" : "terminated"),
              std::string::npos)
        << finished.output;
    EXPECT_FALSE(fs::exists(run / "result.json"));
    train(folder, run.filename(), config);
    EXPECT_EQ(tensors_of(run), whole);
  }
}

TEST(Resume, AFinishedRunIsLeftAsItIs) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path());
  const auto run = train(folder, "run", config);
  const auto before = tensors_of(run);
  const auto again = run_program({"train", config.string(), "-o", run.string()});
  EXPECT_EQ(again.code, 0);
  EXPECT_NE(again.output.find("goes on at step 30 of 30"), std::string::npos) << again.output;
  EXPECT_EQ(tensors_of(run), before);
}

TEST(Resume, AnotherConfigIsRefused) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path());
  const auto run = train(folder, "run", config);
  const auto other =
      run_program({"train", config.string(), "-o", run.string(), "--set", "optimizer.lr=0.2"});
  EXPECT_EQ(other.code, 1);
  EXPECT_NE(other.output.find("0.2"), std::string::npos) << other.output;
}

TEST(Resume, ADamagedCheckpointFallsBackToTheOneBefore) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path());
  const auto whole = tensors_of(train(folder, "whole", config));
  const auto run = train(folder, "run", config);
  const auto model = run / "checkpoints" / "step_00000030" / "model.safetensors";
  auto bytes = bytes_of(model);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  put_bytes(model, bytes);
  const auto again = run_program({"train", config.string(), "-o", run.string()});
  EXPECT_EQ(again.code, 0);
  EXPECT_NE(again.output.find("warning: step_00000030 cannot be used"), std::string::npos)
      << again.output;
  EXPECT_NE(again.output.find("goes on at step 25 of 30"), std::string::npos) << again.output;
  EXPECT_EQ(tensors_of(run), whole);
}

TEST(Resume, AFolderInUseIsRefused) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path(), "long.yaml", "{type: Linear}",
                                         "  evaluate: {epochs: 1000}\n");
  const auto run = folder / "run";
  Running running({"train", config.string(), "-o", run.string(), "--set", "train.epochs=2000"},
                  folder / "output");
  ASSERT_TRUE(wait_for(run / "checkpoints" / "step_00000005", running));
  const auto second =
      run_program({"train", config.string(), "-o", run.string(), "--set", "train.epochs=2000"});
  EXPECT_EQ(second.code, 1);
  EXPECT_NE(second.output.find("the work folder is in use by process"), std::string::npos)
      << second.output;
}

}  // namespace
}  // namespace dnc
