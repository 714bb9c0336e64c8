#include "host/train/saved_weights.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "registry/error.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

/// A network of a parameter and a buffer. With `averages` the run keeps those too.
Checkpoint make_checkpoint(bool averages) {
  Checkpoint checkpoint;
  checkpoint.model.insert("fc.weight", torch::tensor({1.F, 2.F}));
  checkpoint.model.insert("norm.running_mean", torch::tensor({3.F}));
  checkpoint.state.insert("optimizer.fc.weight.momentum", torch::tensor({4.F, 5.F}));
  if (averages) {
    checkpoint.state.insert("ema.average.fc.weight", torch::tensor({6.F, 7.F}));
    checkpoint.state.insert("ema.updates", torch::tensor(int64_t{8}));
  }
  checkpoint.progress.step = 9;
  checkpoint.progress.batch_size = 1;
  return checkpoint;
}

/// Its folder, in a new folder of checkpoints.
fs::path save(const fs::path& checkpoints, bool averages) {
  fs::create_directories(checkpoints);
  return save_checkpoint(checkpoints, make_checkpoint(averages), 1);
}

TEST(SavedWeights, AreTheAveragesOfTheParametersWhereTheRunKeepsThem) {
  const TemporaryFolder folder;
  const auto checkpoint = save(folder / "run/checkpoints", true);
  std::ofstream(folder / "run/result.json") << "{}";
  for (const auto& given : {folder / "run", checkpoint}) {
    const auto weights = read_weights(given);
    EXPECT_EQ(weights.origin, checkpoint.string());
    EXPECT_EQ(weights.format, "checkpoint, averaged parameters");
    ASSERT_EQ(weights.tensors.size(), 2U) << given;
    EXPECT_TRUE(torch::equal(weights.tensors["fc.weight"], torch::tensor({6.F, 7.F})));
    EXPECT_TRUE(torch::equal(weights.tensors["norm.running_mean"], torch::tensor({3.F})));
  }
}

TEST(SavedWeights, AreTheLiveParametersWithoutAveragesAndInTheFileOfTheModel) {
  const TemporaryFolder folder;
  const auto plain = save(folder / "plain", false);
  EXPECT_EQ(read_weights(plain).format, "checkpoint");
  const auto averaged = save(folder / "averaged", true);
  for (const auto& given : {plain, averaged / "model.safetensors"}) {
    EXPECT_TRUE(torch::equal(read_weights(given).tensors["fc.weight"], torch::tensor({1.F, 2.F})));
  }
}

TEST(SavedWeights, OfARunThatIsNotCompleteSaySo) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  fs::create_directories(run / "checkpoints");
  std::ofstream(run / "config.yaml") << "seed: 1\n";
  try {
    read_weights(run);
    FAIL() << "no checkpoint is there";
  } catch (const CheckpointError& error) {
    EXPECT_EQ(
        std::string(error.what()),
        run.string() +
            ": the run has no checkpoint yet, so there are no weights to take; train it first");
  }
  save_checkpoint(run / "checkpoints", make_checkpoint(false), 1);
  EXPECT_EQ(read_weights(run).format, "checkpoint of an unfinished run");
  std::ofstream(run / "result.json") << "{}";
  EXPECT_EQ(read_weights(run).format, "checkpoint");
}

TEST(SavedWeights, OfADamagedCheckpointAreRefused) {
  const TemporaryFolder folder;
  const auto checkpoint = save(folder.path(), true);
  fs::resize_file(checkpoint / "state.safetensors", 100);
  EXPECT_THROW(read_weights(checkpoint), CheckpointError);
  EXPECT_THROW(read_weights(folder / "nowhere"), Error);
}

}  // namespace
}  // namespace dnc
