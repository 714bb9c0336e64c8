#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

/// Those for large images, or the others.
std::vector<fs::path> configs(bool large) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(DNC_SOURCE_DIR "/configs")) {
    const auto& path = entry.path();
    const auto folder = path.parent_path().filename();
    if (path.extension() != ".yaml" || folder == "base") continue;
    if ((folder == "ade20k" || folder == "cityscapes") == large) found.push_back(path);
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

// Millions of parameters with 19 classes and the auxiliary head, as published: of FCN, DeepLabV3
// and SegFormer by mmseg's get_flops, of UPerNet by Liu et al. 2021, of HRNet by Sun et al. 2019.
const std::map<std::string, double> kParameters{
    {"fcn_resnet50_d8_linear", 49.5},       {"fcn_resnet101_d8_linear", 68.5},
    {"deeplabv3_resnet50_d8_linear", 68.1}, {"deeplabv3_resnet101_d8_linear", 87.1},
    {"upernet_swin_tiny_linear", 60},       {"upernet_swin_small_linear", 81},
    {"upernet_swin_base_linear", 121},      {"segformer_b0_linear", 3.72},
    {"fcn_hrnet_w48_linear", 65.9},
};

// Those for large images: with their own transforms, to crops of 64 x 64, one step of training and
// one batch of evaluation. No checkpoint is written, which for some would be 1.5 GB.
class LargeConfigs : public testing::TestWithParam<fs::path> {};

TEST_P(LargeConfigs, TakeAStep) {
  const std::string pictures = "{type: Synthetic, classes: 19, size: 64, task: pixels, ";
  std::vector<std::string> arguments{"check", GetParam().string()};
  for (const std::string override :
       {"device=cpu", "data.batch_size=2", "data.workers=0", "load_from=''",
        "data.train.transforms.0.scale=[128, 64]", "data.train.transforms.1.size=[64, 64]"}) {
    arguments.insert(arguments.end(), {"--set", override});
  }
  for (const auto& [split, length] : {std::pair("train", "4"), std::pair("val", "2")}) {
    arguments.insert(arguments.end(), {"--set", "data." + std::string(split) + ".dataset=" +
                                                    pictures + "length: " + length + "}"});
  }
  if (GetParam().parent_path().filename() == "ade20k") {
    arguments.insert(arguments.end(), {"--set", "data.val.transforms.0.size=64"});
  }
  const auto checked = run_program(arguments);
  EXPECT_EQ(checked.code, 0) << checked.output;
  EXPECT_NE(checked.output.find("val data: 2 samples, images Byte [1, 3, 64, 64], scores Float "
                                "[1, 19, 64, 64]"),
            std::string::npos)
      << checked.output;
  const auto published = kParameters.find(GetParam().stem().string());
  if (published == kParameters.end()) return;
  const auto at = checked.output.find("model: ");
  ASSERT_NE(at, std::string::npos) << checked.output;
  const double millions = std::stod(checked.output.substr(at + 7)) / 1e6;
  EXPECT_NEAR(millions, published->second, 0.005 * published->second);
}

std::string test_name(const testing::TestParamInfo<fs::path>& test) {
  std::string name =
      test.param.parent_path().filename().string() + "_" + test.param.stem().string();
  for (auto& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, Configs, testing::ValuesIn(configs(false)), test_name);
INSTANTIATE_TEST_SUITE_P(All, LargeConfigs, testing::ValuesIn(configs(true)), test_name);

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
