#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kTolerance = 1e-5;  // of a probability

// The probabilities of one line of `predict --format jsonl` in the order of the classes.
std::vector<double> probabilities_of(const json& line) {
  std::vector<double> found(line["predictions"].size());
  for (const auto& one : line["predictions"]) {
    const auto name = one["class"].get<std::string>();  // "class 3"
    found.at(std::stoull(name.substr(6))) = one["score"];
  }
  return found;
}

// Weights of another program through `dnc-host predict CONFIG --weights FILE`, against what that
// program made of the same image files: cases.json of tests/golden/predict_parity.py.
void expect_parity(const fs::path& folder, const json& one) {
  const auto name = one["name"].get<std::string>();
  SCOPED_TRACE(name);
  std::vector<std::string> arguments{"predict", (folder / (name + ".yaml")).string()};
  for (const auto& image : one["images"]) {
    arguments.push_back((folder / image.get<std::string>()).string());
  }
  arguments.insert(arguments.end(),
                   {"--weights", (folder / one["weights"].get<std::string>()).string(), "--classes",
                    (folder / "classes.txt").string(), "--format", "jsonl", "--top-k", "100"});
  const auto finished = run_program(arguments);
  ASSERT_EQ(finished.code, 0) << finished.output;
  std::vector<std::vector<double>> found;
  std::istringstream lines(finished.output);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('{')) found.push_back(probabilities_of(json::parse(line)));
  }
  const auto expected = one["probabilities"].get<std::vector<std::vector<double>>>();
  ASSERT_EQ(found.size(), expected.size()) << finished.output;
  double largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(found[i].size(), expected[i].size());
    for (size_t c = 0; c < expected[i].size(); ++c) {
      largest = std::max(largest, std::abs(found[i][c] - expected[i][c]));
    }
  }
  EXPECT_LT(largest, kTolerance);
  std::cout << name << ": largest difference of a probability " << largest << "\n";
}

json cases_in(const fs::path& folder) { return json::parse(bytes_of(folder / "cases.json")); }

const fs::path kFixtures = DNC_SOURCE_DIR "/tests/golden/predict";

class PredictParity : public testing::TestWithParam<std::string> {};

TEST_P(PredictParity, WeightsOfAnotherProgramGiveItsScores) {
  for (const auto& one : cases_in(kFixtures)) {
    if (one["name"] == GetParam()) return expect_parity(kFixtures, one);
  }
  FAIL() << "cases.json has no " << GetParam();
}

INSTANTIATE_TEST_SUITE_P(Small, PredictParity,
                         testing::Values("resnet_torchvision", "mobilenet_v2_mmcls", "swin_mmcls",
                                         "swin_microsoft", "swin_timm", "vision_transformer_mmcls",
                                         "convnext_facebook", "convnext_mmcls",
                                         "convnext_torchvision"),
                         [](const auto& test) { return test.param; });

TEST(PredictParityInPython, NetworksOfTorchvisionAndTimmInTheirSizeGiveTheirScores) {
  const char* given = std::getenv("DNC_PYTHON");
  const std::string python = given ? given : "python3";
  const auto packages = python + " -c 'import torch, torchvision, timm, safetensors' 2>/dev/null";
  if (std::system(packages.c_str()) != 0) {
    GTEST_SKIP() << python << " has no torch, torchvision, timm and safetensors; name one that has "
                 << "by DNC_PYTHON";
  }
  const TemporaryFolder folder;
  const auto command = python + " -W ignore " DNC_SOURCE_DIR "/tests/golden/predict_parity.py '" +
                       folder.path().string() + "'";
  ASSERT_EQ(std::system(command.c_str()), 0);
  const auto cases = cases_in(folder.path());
  ASSERT_EQ(cases.size(), 11u);
  for (const auto& one : cases) expect_parity(folder.path(), one);
}

}  // namespace
}  // namespace dnc
