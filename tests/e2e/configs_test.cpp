#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> configs() {
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(DNC_SOURCE_DIR "/configs")) {
    const auto& path = entry.path();
    if (path.extension() == ".yaml" && path.parent_path().filename() != "base") {
      found.push_back(path);
    }
  }
  return found;
}

// Each config with its own model and recipe, on drawn pictures instead of its data and with random
// weights instead of those that it starts from.
class Configs : public testing::TestWithParam<fs::path> {};

TEST_P(Configs, TrainAFewSteps) {
  const TemporaryFolder folder;
  const bool pixels = GetParam().parent_path().filename() == "camvid";
  const std::string pictures = pixels ? "{type: Synthetic, classes: 11, size: 64, task: pixels, "
                                      : "{type: Synthetic, classes: 10, size: 32, ";
  const std::string evaluated = pixels ? "val" : "test";
  const auto run = run_program(
      {"train", GetParam().string(),
       "-o",    (folder / "run").string(),
       "--set", "device=cpu",
       "--set", "data.train.dataset=" + pictures + "length: 16}",
       "--set", "data." + evaluated + ".dataset=" + pictures + "length: 8, split: test}",
       "--set", "data.batch_size=4",
       "--set", "data.eval_batch_size=8",
       "--set", "data.workers=0",
       "--set", "train.epochs=null",
       "--set", "train.steps=2",
       "--set", "load_from=''",
       "--set", "load_allow="});
  EXPECT_EQ(run.code, 0) << run.output;
  EXPECT_TRUE(fs::exists(folder / "run" / "result.json"));
}

INSTANTIATE_TEST_SUITE_P(All, Configs, testing::ValuesIn(configs()), [](const auto& test) {
  std::string name =
      test.param.parent_path().filename().string() + "_" + test.param.stem().string();
  for (auto& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
});

TEST(FashionMnist, TheShippedConfigsFitTheRealData) {
  if (!fs::exists("/usr/share/datasets/fashion-mnist")) {
    GTEST_SKIP() << "Fashion-MNIST is not installed (apt-get install dataset-fashion-mnist)";
  }
  for (const char* name :
       {"resnet8_linear", "resnet8_dnc", "resnet8_dnc_k1", "resnet8_dnc_fixed"}) {
    const auto checked = run_program(
        {"check", std::string(DNC_SOURCE_DIR "/configs/fashion_mnist/") + name + ".yaml"});
    EXPECT_EQ(checked.code, 0) << checked.output;
  }
}

}  // namespace
}  // namespace dnc
