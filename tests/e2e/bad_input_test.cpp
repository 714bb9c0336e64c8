#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

// The program on a config with one thing changed; expects exit code 1 and exactly this message.
void expect_error(const std::vector<std::string>& changes, const std::string& message,
                  const std::string& command = "check") {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path());
  std::vector<std::string> arguments{command, config.string()};
  if (command == "train") {
    arguments.insert(arguments.end(), {"-o", (folder / "run").string()});
  }
  for (const auto& change : changes) arguments.insert(arguments.end(), {"--set", change});
  const auto finished = run_program(arguments);
  EXPECT_EQ(finished.code, 1) << finished.output;
  const auto at = finished.output.find("error: ");
  ASSERT_NE(at, std::string::npos) << finished.output;
  EXPECT_EQ(finished.output.substr(at), "error: " + message + "\n");
}

TEST(BadInput, AMisspeltKeyGetsTheNearestOne) {
  expect_error({"optimizer.momentun=0.9"},
               "--set optimizer.momentun=0.9: 'optimizer.momentun' is not a known key; did you mean "
               "'momentum'? (known: lr, momentum, dampening, weight_decay, nesterov)");
}

TEST(BadInput, AWrongTypeSaysWhatIsExpected) {
  expect_error({"optimizer.lr=fast"},
               "--set optimizer.lr=fast: 'optimizer.lr' must be a number, not 'fast'");
  expect_error({"data.batch_size=2.5"},
               "--set data.batch_size=2.5: 'data.batch_size' must be an integer, not '2.5'");
}

TEST(BadInput, OutOfBoundsSaysTheBounds) {
  expect_error({"model.head.sub_centroids=0"},
               "--set model.head.sub_centroids=0: 'model.head.sub_centroids' must be from 1 to 256, "
               "not 0");
}

TEST(BadInput, AClassCountThatDiffersFromTheDataIsRefused) {
  expect_error({"model.head.num_classes=10"},
               "--set model.head.num_classes=10: 'model.head.num_classes' is '10', but the data has "
               "4; leave the key out");
}

TEST(BadInput, BothEpochsAndStepsAreRefused) {
  expect_error({"train.steps=7"},
               "--set train.steps=7: 'train.steps' is given as well as 'epochs'; give one of them");
}

TEST(BadInput, WarmupInStepsAndEpochsIsRefused) {
  expect_error({"warmup={steps: 5, epochs: 1}"},
               "--set warmup={steps: 5, epochs: 1}: 'warmup.epochs' is given beside steps; give one "
               "of them");
}

TEST(BadInput, ADeviceThatIsNotThereIsRefused) {
  expect_error({"device=tpu"},
               "--set device=tpu: 'device' must be auto, cpu, cuda or cuda:N, not 'tpu'");
}

TEST(BadInput, TooLargeABatchIsRefused) {
  expect_error({"data.batch_size=1000"},
               "--set data.batch_size=1000: 'data.batch_size' is 1000, but the training data has 320 "
               "samples; make it smaller, or set data.drop_last: false");
}

TEST(BadInput, AnUnknownComponentGetsNearNames) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path());
  const auto finished =
      run_program({"check", config.string(), "--set", "model.backbone={type: ResNetCifra}"});
  EXPECT_EQ(finished.code, 1);
  EXPECT_EQ(finished.output.rfind("error: --set model.backbone={type: ResNetCifra}: "
                                  "'model.backbone.type' names no backbone: 'ResNetCifra'; did you "
                                  "mean 'ResNetCifar'? (known: ",
                                  0),
            0u)
      << finished.output;
}

TEST(BadInput, AMissingSectionIsNamed) {
  const TemporaryFolder folder;
  const auto path = (folder / "empty.yaml").string();
  std::ofstream(path) << "seed: 1\nmodel: {}\n";
  const auto finished = run_program({"check", path});
  EXPECT_EQ(finished.code, 1);
  EXPECT_EQ(finished.output, "error: " + path +
                                 ":2:8: 'model.backbone' is missing: Images to feature maps.\n");
}

TEST(BadInput, AFileThatIsNoConfigIsRefused) {
  const TemporaryFolder folder;
  const auto path = (folder / "x.yaml").string();
  EXPECT_EQ(run_program({"check", path}).output, "error: " + path + ": no such file\n");
  std::ofstream(path) << "a: [1, 2\n";
  const auto broken = run_program({"check", path});
  EXPECT_EQ(broken.code, 1);
  EXPECT_NE(broken.output.find(path + ":2:1: is not valid YAML: "), std::string::npos)
      << broken.output;
}

TEST(BadInput, ALossThatIsNoNumberStopsTheRunWithTheLastGoodCheckpoint) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path(), "small.yaml", "{type: Linear}");
  const auto run = (folder / "run").string();
  const auto finished = run_program({"train", config.string(), "-o", run, "--set",
                                     "optimizer.lr=1.0e+20", "--set", "train.save.steps=1"});
  EXPECT_EQ(finished.code, 1) << finished.output;
  EXPECT_NE(finished.output.find("error: " + run + ": the loss became "), std::string::npos)
      << finished.output;
  EXPECT_NE(finished.output.find("The last good checkpoint is " + run + "/checkpoints/step_"),
            std::string::npos)
      << finished.output;
}

TEST(BadInput, AFullDiskLeavesTheOldCheckpoint) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path());
  const auto run = folder / "run";
  ASSERT_EQ(run_program({"train", config.string(), "-o", run.string()}).code, 0);
  const auto before = bytes_of(run / "checkpoints/step_00000030/model.safetensors");
  // The log of figures is on a full disk.
  fs::remove(run / "metrics.jsonl");
  fs::create_symlink("/dev/full", run / "metrics.jsonl");
  const auto finished = run_program({"train", config.string(), "-o", run.string()});
  EXPECT_EQ(finished.code, 1) << finished.output;
  EXPECT_EQ(bytes_of(run / "checkpoints/step_00000030/model.safetensors"), before);
}

TEST(BadInput, ACheckpointOfAnotherWidthIsRefused) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path());
  const auto run = (folder / "run").string();
  ASSERT_EQ(run_program({"train", config.string(), "-o", run}).code, 0);
  const auto wider = run_program({"test", run, "--set", "model.backbone.width=16"});
  EXPECT_EQ(wider.code, 1);
  EXPECT_NE(wider.output.find("does not fit"), std::string::npos) << wider.output;
  EXPECT_NE(wider.output.find("of another shape"), std::string::npos) << wider.output;
  const auto other = run_program({"train", config.string(), "-o", (folder / "other").string(),
                                  "--set", "load_from=" + run, "--set", "model.backbone.width=16"});
  EXPECT_EQ(other.code, 1);
  EXPECT_NE(other.output.find("of another shape"), std::string::npos) << other.output;
}

}  // namespace
}  // namespace dnc
