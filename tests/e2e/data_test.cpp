#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/program.h"
#include "tests/plugins/datasets/tar_testing.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;
using ::testing::HasSubstr;

// A picture of 16 x 16 pixels in the colour of its class, darker from one sample to the next.
std::string picture(int label, int number) {
  std::string pixels = "P6\n16 16\n255\n";
  for (int i = 0; i < 256; ++i) {
    for (int channel = 0; channel < 3; ++channel) {
      pixels += static_cast<char>(label == channel ? 255 - number : 40 + i % 7);
    }
  }
  return pixels;
}

std::string shard(int first, int count) {
  std::string bytes;
  for (int i = first; i < first + count; ++i) {
    const auto key = "sample" + std::to_string(i);
    bytes += tar_member(key + ".ppm", picture(i % 4, i % 100));
    bytes += tar_member(key + ".cls", std::to_string(i % 4));
  }
  return bytes + tar_end();
}

// 4 shards of 80 samples to train with, and one of 40 to test.
class TarShards : public ::testing::Test {
 protected:
  TarShards() {
    for (int i = 0; i < 4; ++i) {
      put_bytes(folder_ / ("train-" + std::to_string(i) + ".tar"), shard(80 * i, 80));
    }
    put_bytes(folder_ / "test.tar", shard(0, 40));
    config_ = write_small_config(folder_.path());
  }

  std::vector<std::string> arguments(const std::string& run, const std::string& set = "seed=1") {
    const auto dataset = [this](const std::string& shards) {
      return "{type: WebDataset, images: ppm, shards: \"" + folder_.path().string() + "/" + shards +
             "\"}";
    };
    return {"train", config_.string(),
            "-o",    (folder_ / run).string(),
            "--set", "data.train.dataset=" + dataset("train-{0..3}.tar"),
            "--set", "data.test.dataset=" + dataset("test.tar"),
            "--set", "data.shuffle_buffer=60",
            "--set", "data.repeats=2",
            "--set", set};
  }
  // All tensors of the last checkpoint, as bytes.
  std::string tensors_of(const std::string& run) {
    const auto last = folder_ / run / "checkpoints" / "step_00000030";
    return bytes_of(last / "model.safetensors") + bytes_of(last / "state.safetensors");
  }

  TemporaryFolder folder_;
  fs::path config_;
};

TEST_F(TarShards, RunThatIsKilledInTheMiddleOfAnEpochEndsBitEqualWithAnyNumberOfWorkers) {
  const auto whole = run_program(arguments("whole", "data.workers=0"));
  ASSERT_EQ(whole.code, 0) << whole.output;
  const auto seen = folder_ / "killed" / "checkpoints" / "step_00000015";  // of 10 steps an epoch
  const auto killed = arguments("killed", "data.workers=3");
  {
    Running running(killed, folder_ / "output");
    for (int i = 0; i < 3000 && !running.is_over() && !fs::exists(seen); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ASSERT_TRUE(fs::exists(seen)) << bytes_of(folder_ / "output");
    running.signal(SIGKILL);
    running.finish();
  }
  const auto resumed = run_program(killed);
  EXPECT_EQ(resumed.code, 0) << resumed.output;
  EXPECT_EQ(tensors_of("killed"), tensors_of("whole"));
}

TEST_F(TarShards, BufferAndRepeatsMatterToTheResult) {
  ASSERT_EQ(run_program(arguments("one")).code, 0);
  ASSERT_EQ(run_program(arguments("buffer", "data.shuffle_buffer=1000")).code, 0);
  ASSERT_EQ(run_program(arguments("repeats", "data.repeats=1")).code, 0);
  EXPECT_NE(tensors_of("one"), tensors_of("buffer"));
  EXPECT_NE(tensors_of("one"), tensors_of("repeats"));
}

TEST_F(TarShards, OptionsOutOfBoundsAreRefused) {
  const auto buffer = run_program(arguments("run", "data.shuffle_buffer=0"));
  EXPECT_EQ(buffer.code, 1);
  EXPECT_THAT(buffer.output, HasSubstr("'data.shuffle_buffer' must be at least 1, not 0"));
  const auto repeats = run_program(arguments("run", "data.repeats=1001"));
  EXPECT_EQ(repeats.code, 1);
  EXPECT_THAT(repeats.output, HasSubstr("'data.repeats' must be from 1 to 1000, not 1001"));
}

TEST_F(TarShards, DamagedSampleStopsTheRunOrIsCounted) {
  auto bytes = shard(0, 80);
  bytes.replace(512, 2, "??");  // the beginning of the first picture
  put_bytes(folder_ / "train-0.tar", bytes);
  const auto stopped = run_program(arguments("stopped"));
  EXPECT_EQ(stopped.code, 1) << stopped.output;
  EXPECT_THAT(stopped.output, HasSubstr("train-0.tar: sample0: is not an image"));
  const auto counted = run_program(arguments("counted", "data.max_bad_samples=1"));
  EXPECT_EQ(counted.code, 0) << counted.output;
  EXPECT_THAT(counted.output, HasSubstr("train: 1 damaged sample does not count"));
}

TEST_F(TarShards, ShardThatEndsEarlyIsAnErrorBeforeTheRun) {
  put_bytes(folder_ / "train-2.tar", shard(160, 80).substr(0, 20000));
  const auto finished = run_program(arguments("run"));
  EXPECT_EQ(finished.code, 1) << finished.output;
  EXPECT_THAT(finished.output, HasSubstr("train-2.tar: at byte 20000: the file ends without"));
}

TEST_F(TarShards, ShardThatEndsEarlyIsUsedAndCountedWhereTheConfigSaysSo) {
  put_bytes(folder_ / "train-2.tar", shard(160, 80).substr(0, 20000));
  const auto train = [this](const std::string& run, int64_t max_bad_samples) {
    auto all = arguments(run, "data.train.dataset.damaged_shards=use");
    const auto limit = "data.max_bad_samples=" + std::to_string(max_bad_samples);
    // Each sample comes in each epoch.
    for (const auto& set : {limit, "data.repeats=1"s, "data.drop_last=false"s}) {
      all.insert(all.end(), {"--set", set});
    }
    return run_program(all);
  };
  const auto stopped = train("stopped", 0);
  EXPECT_EQ(stopped.code, 1) << stopped.output;
  EXPECT_THAT(stopped.output, HasSubstr("train-2.tar: at byte 20000: the file ends without"));
  const auto counted = train("counted", 1);
  EXPECT_EQ(counted.code, 0) << counted.output;
  EXPECT_THAT(counted.output, HasSubstr("train: 1 damaged sample does not count"));
}

TEST(Cifar10Recipe, RunsOnTheBinaryFilesAndOnPickles) {
  const TemporaryFolder folder;
  const auto golden = fs::path(DNC_SOURCE_DIR) / "tests" / "golden" / "cifar";
  for (const char* batch : {"data_batch_1", "test_batch"}) {
    fs::copy_file(golden / "python2_protocol2", folder / batch);
  }
  std::vector<fs::path> roots{folder.path()};
  const char* given = std::getenv("DNC_TEST_DATA");
  const auto binary = fs::path(given ? given : DNC_TEST_DATA_DEFAULT) / "cifar10_small";
  if (fs::exists(binary)) roots.push_back(binary);
  for (const auto& root : roots) {
    const auto finished =
        run_program({"check", std::string(DNC_SOURCE_DIR) + "/configs/cifar10/resnet18_dnc.yaml",
                     "--set", "data.train.dataset.batches=1", "--set", "data.batch_size=3", "--set",
                     "device=cpu", "--set", "threads=1", "--set", "model.backbone.width=8"},
                    {{"CIFAR10", root.string()}});
    EXPECT_EQ(finished.code, 0) << finished.output;
    EXPECT_THAT(finished.output, HasSubstr("first step: "));
  }
  if (roots.size() == 1) GTEST_SKIP() << binary << " is missing (set DNC_TEST_DATA)";
}

}  // namespace
}  // namespace dnc
