#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

// A picture of noise, which is like no drawn picture with rings.
void write_noise(const fs::path& path, uint32_t seed) {
  std::ofstream file(path, std::ios::binary);
  file << "P6 16 16 255\n";
  for (int i = 0; i < 16 * 16 * 3; ++i) {
    seed = seed * 1664525u + 1013904223u;
    file.put(static_cast<char>(seed >> 24));
  }
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

class Rejection : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    config_ = write_small_config(folder_->path()).string();
    const auto trained = run_program({"train", config_, "-o", run()});
    ASSERT_EQ(trained.code, 0) << trained.output;
    fs::create_directory(*folder_ / "noise");
    for (uint32_t i = 0; i < 40; ++i) {
      write_noise(*folder_ / "noise" / fmt::format("n{}.ppm", 100 + i), i);
    }
  }
  static void TearDownTestSuite() { delete folder_; }

  static Finished test(std::vector<std::string> more) {
    more.insert(more.begin(), {"test", run()});
    return run_program(more);
  }
  static Finished predict(std::vector<std::string> more) {
    more.insert(more.begin(), {"predict", run()});
    return run_program(more);
  }
  static std::string run() { return (*folder_ / "run").string(); }
  static std::string noise() { return (*folder_ / "noise").string(); }
  static fs::path thresholds() { return fs::path(run()) / "reject.json"; }

  static TemporaryFolder* folder_;
  static std::string config_;
};
TemporaryFolder* Rejection::folder_ = nullptr;
std::string Rejection::config_;

TEST_F(Rejection, TestSaysHowWellUnknownImagesAreTold) {
  const auto report = (*folder_ / "report").string();
  const auto done = test({"--unknown", noise(), "--report", report});
  ASSERT_EQ(done.code, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr("unknown: 40 images of " + noise() + ", against "));
  EXPECT_THAT(done.output, HasSubstr("similarity"));
  EXPECT_THAT(done.output, Not(HasSubstr("reject.json"))) << "no rate was asked for";
  const auto page = bytes_of(fs::path(report) / "report.html");
  EXPECT_THAT(page, HasSubstr("<h2>Unknown images</h2>"));
  EXPECT_THAT(page, HasSubstr("aria-label=\"energy, share of the images, % by energy\""));

  const auto asked = test({"--unknown", noise(), "--json"});
  ASSERT_EQ(asked.code, 0) << asked.output;
  const auto found = json::parse(asked.output.substr(asked.output.find("{\"")))["unknown"];
  EXPECT_EQ(found["unknown_images"], 40);
  for (const auto* score : {"similarity", "probability", "energy"}) {
    const double auroc = found["scores"][score]["auroc"];
    EXPECT_GE(auroc, 0);
    EXPECT_LE(auroc, 1);
  }
  EXPECT_FALSE(fs::exists(thresholds()));
}

TEST_F(Rejection, TheModelsOwnTestDataIsNotToldApart) {
  const auto same = test({"--unknown", config_, "--json"});
  ASSERT_EQ(same.code, 0) << same.output;
  const auto found = json::parse(same.output.substr(same.output.find("{\"")))["unknown"];
  EXPECT_EQ(found["known_images"], found["unknown_images"]);
  for (const auto& [name, score] : found["scores"].items()) {
    EXPECT_EQ(score["auroc"], 0.5) << name;
    EXPECT_GE(score["fpr_at_95"], 0.95) << name;
  }
}

TEST_F(Rejection, PredictRejectsByTheThresholdsThatTestChose) {
  const auto without = predict({noise(), "--reject"});
  EXPECT_EQ(without.code, 1);
  EXPECT_EQ(without.output, "error: " + thresholds().string() +
                                ": there is no such file; make it with `dnc-host test " + run() +
                                " --unknown CONFIG --far 0.05`\n");

  const auto done = test({"--unknown", noise(), "--far", "0.1,0.5", "--json"});
  ASSERT_EQ(done.code, 0) << done.output;
  const auto scores = json::parse(done.output.substr(done.output.find("{\"")))["unknown"]["scores"];
  for (const auto* score : {"similarity", "probability", "energy"}) {
    for (size_t i = 0; i < 2; ++i) {
      const auto& wanted = scores[score]["thresholds"][i];
      const double rate = wanted["false_accept_rate"];
      const auto predicted = predict({noise(), "--reject", "--far", i == 0 ? "0.1" : "0.5",
                                      "--score", score, "--format", "jsonl"});
      ASSERT_EQ(predicted.code, 0) << predicted.output;
      int64_t accepted = 0;
      for (const auto& line : lines_of(predicted.output)) {
        const auto image = json::parse(line);
        EXPECT_EQ(image["threshold"], wanted["threshold"]);
        EXPECT_EQ(image["score"], score);
        EXPECT_EQ(image["known"], image["confidence"] >= image["threshold"]);
        accepted += image["known"].get<bool>();
      }
      // The half that the threshold was chosen on, and what was measured on the other half.
      const double measured = wanted["measured"];
      EXPECT_LE(static_cast<double>(accepted), 20 * rate + 20 * measured + 1e-9);
      EXPECT_GE(static_cast<double>(accepted), 20 * measured - 1e-9);
    }
  }

  const auto table = predict({noise(), "--reject", "-k", "1"});
  EXPECT_THAT(table.output, HasSubstr(".ppm  unknown (similarity "));
  const auto csv = lines_of(predict({noise(), "--reject", "-k", "1", "--format", "csv"}).output);
  ASSERT_EQ(csv.size(), 41u);
  EXPECT_EQ(csv[0], "file,known,confidence,class_1,score_1\r");
  for (size_t i = 1; i < csv.size(); ++i) {
    EXPECT_THAT(csv[i], AnyOf(HasSubstr(".ppm,0,"), HasSubstr(".ppm,1,")));
  }

  const auto rate = predict({noise(), "--reject", "--far", "0.2"});
  EXPECT_EQ(rate.code, 1);
  EXPECT_THAT(rate.output, HasSubstr("has no threshold of similarity at a false-accept rate of "
                                     "0.2; it has similarity at 0.1, similarity at 0.5"));
  const auto other = run_program(
      {"predict", run(), noise(), "--reject", "--set", "model.preprocess.mean=[1, 2, 3]"});
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.output, HasSubstr("is of other weights, transforms or preprocessing"));
}

TEST_F(Rejection, ALinearHeadHasNoSimilarity) {
  const auto config = write_small_config(folder_->path(), "linear.yaml", "Linear").string();
  const auto linear = (*folder_ / "linear").string();
  ASSERT_EQ(run_program({"train", config, "-o", linear, "--set", "train.epochs=1"}).code, 0);
  const auto done = run_program({"test", linear, "--unknown", noise(), "--far", "0.1", "--json"});
  ASSERT_EQ(done.code, 0) << done.output;
  const auto scores = json::parse(done.output.substr(done.output.find("{\"")))["unknown"]["scores"];
  EXPECT_FALSE(scores.contains("similarity"));
  EXPECT_TRUE(scores.contains("energy"));
  const auto predicted = run_program({"predict", linear, noise(), "--reject", "--format", "jsonl"});
  ASSERT_EQ(predicted.code, 0) << predicted.output;
  EXPECT_EQ(json::parse(lines_of(predicted.output)[0])["score"], "probability");
  const auto similarity =
      run_program({"predict", linear, noise(), "--reject", "--score", "similarity"});
  EXPECT_EQ(similarity.code, 1);
  EXPECT_THAT(similarity.output, HasSubstr("has no threshold of similarity; it has probability"));
}

TEST_F(Rejection, BadInputIsAnError) {
  const auto message = [&](const std::vector<std::string>& more) {
    const auto finished = test(more);
    EXPECT_EQ(finished.code, 1) << finished.output;
    return finished.output;
  };
  EXPECT_THAT(message({"--far", "0.1"}), HasSubstr("--far requires --unknown"));
  EXPECT_THAT(message({"--unknown", noise(), "--far", "1"}), HasSubstr("--far"));
  EXPECT_THAT(message({"--unknown", "/nowhere"}),
              HasSubstr("--unknown: /nowhere: no such file or folder"));
  EXPECT_THAT(message({"--unknown", noise(), "--tta", "flip"}),
              HasSubstr("--unknown: is for one view of each image"));
  fs::create_directories(*folder_ / "empty");
  EXPECT_THAT(message({"--unknown", (*folder_ / "empty").string()}),
              HasSubstr("there is no image in this folder"));
  fs::create_directories(*folder_ / "single");
  write_noise(*folder_ / "single" / "a.ppm", 1);
  EXPECT_THAT(message({"--unknown", (*folder_ / "single").string(), "--far", "0.1"}),
              HasSubstr("--far: needs two unknown images or more"));
  std::ofstream(*folder_ / "single" / "b.ppm") << "P6 16 16 255\ntoo short";
  EXPECT_THAT(message({"--unknown", (*folder_ / "single").string()}), HasSubstr("b.ppm: "));

  const auto config =
      run_program({"test", config_, "--weights", run(), "--unknown", noise(), "--far", "0.1"});
  EXPECT_EQ(config.code, 1);
  EXPECT_THAT(config.output, HasSubstr("--far: is for a run, in whose folder reject.json lies"));
  const auto predicted = run_program({"predict", config_, noise(), "--weights", run(), "--reject"});
  EXPECT_EQ(predicted.code, 1);
  EXPECT_THAT(predicted.output, HasSubstr("--reject: is for a run"));
  EXPECT_THAT(predict({noise(), "--far", "0.1"}).output, HasSubstr("--far requires --reject"));
}

TEST_F(Rejection, ImagesOfAnotherSizeAreWarnedOf) {
  const auto done = test({"--unknown", config_, "--set", "data.test.dataset.size=20"});
  ASSERT_EQ(done.code, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr("warning: the network gets unknown images of 16 x 16 pixels "
                                     "and known ones of 20 x 20"));
}

}  // namespace
}  // namespace dnc
