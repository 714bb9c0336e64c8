#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "host/weights/safetensors.h"
#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class Anchor : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    config_ = write_small_config(folder_->path());
    const auto trained = run_program({"train", config_.string(), "-o", run()});
    ASSERT_EQ(trained.code, 0) << trained.output;
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string run() { return in_folder("run"); }
  static std::string in_folder(const std::string& name) { return (*folder_ / name).string(); }
  static json json_in(const fs::path& file) { return json::parse(bytes_of(file)); }

  static TemporaryFolder* folder_;
  static fs::path config_;
};
TemporaryFolder* Anchor::folder_ = nullptr;
fs::path Anchor::config_;

TEST_F(Anchor, MakesANewRunWhoseSubCentroidsAreImages) {
  const auto before = bytes_of(fs::path(run()) / "checkpoints/best/model.safetensors");
  const auto done = run_program({"anchor", run()});
  ASSERT_EQ(done.code, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr("16 of 16 sub-centroids are training images now, found among "
                                     "320; similarity "));
  EXPECT_THAT(done.output, HasSubstr("accuracy/top1  "));
  EXPECT_EQ(bytes_of(fs::path(run()) / "checkpoints/best/model.safetensors"), before)
      << "the run stays as it is";

  const fs::path anchored = in_folder("run_anchored");
  const auto found = json_in(anchored / "anchors.json");
  std::set<int64_t> images;
  for (const auto& anchor : found["anchors"]) {
    images.insert(anchor["index"].get<int64_t>());
    EXPECT_EQ("class " + std::to_string(anchor["index"].get<int64_t>() % 4), anchor["class"]);
    EXPECT_THAT(anchor["name"].get<std::string>(), Not(testing::IsEmpty()));
    EXPECT_LE(anchor["similarity"], 1.0001);
  }
  EXPECT_EQ(images.size(), 16u) << "no image twice";

  // The figures are those that test gives for both runs.
  const auto figures_of = [](const std::string& path) {
    const auto tested = run_program({"test", path, "--json"});
    EXPECT_EQ(tested.code, 0) << tested.output;
    return json::parse(tested.output)["figures"];
  };
  EXPECT_EQ(found["figures"]["before"], figures_of(run()));
  EXPECT_EQ(found["figures"]["after"], figures_of(anchored.string()));
  EXPECT_EQ(json_in(anchored / "result.json")["figures"], found["figures"]["after"]);

  // Only the sub-centroids differ.
  const auto old_weights = read_safetensors(fs::path(run()) / "checkpoints/best/model.safetensors");
  const auto new_weights =
      read_safetensors(fs::canonical(fs::directory_iterator(anchored / "checkpoints")->path()) /
                       "model.safetensors");
  for (const auto& item : old_weights.tensors) {
    EXPECT_EQ(torch::equal(item.value(), new_weights.tensors[item.key()]),
              item.key() != "head.prototypes")
        << item.key();
  }
  EXPECT_EQ(run_program({"anchor", run()}).output, anchored.string() + ": done already\n");
}

TEST_F(Anchor, ExplainShowsExactlyTheAnchors) {
  const fs::path anchored = in_folder("explained");
  ASSERT_EQ(run_program({"anchor", run(), "-o", anchored.string()}).code, 0);
  std::ofstream(*folder_ / "a.ppm", std::ios::binary) << "P6 16 16 255\n"
                                                      << std::string(768, '\x50');
  const auto picture = in_folder("a.ppm");
  const auto check = [&](const std::string& name) {
    const auto done = run_program({"explain", anchored.string(), picture, "--out", in_folder(name),
                                   "--map", "none", "-k", "16"});
    ASSERT_EQ(done.code, 0) << done.output;
    const auto shown = json_in(fs::path(in_folder(name)) / "explanation.json");
    const auto nearest = shown["images"][0]["decisions"][0]["nearest"];
    ASSERT_EQ(nearest.size(), 16u);
    for (const auto& anchor : json_in(anchored / "anchors.json")["anchors"]) {
      for (const auto& one : nearest) {
        if (one["class"] != anchor["class"] || one["sub_centroid"] != anchor["sub_centroid"]) {
          continue;
        }
        EXPECT_EQ(one["training_sample"]["index"], anchor["index"]);
        EXPECT_EQ(one["training_sample"]["name"], anchor["name"]);
        EXPECT_NEAR(one["training_sample"]["similarity"].get<double>(), 1, 1e-4);
      }
    }
  };
  check("kept");  // by what anchor left
  ASSERT_TRUE(fs::remove(anchored / "prototype_samples.safetensors"));
  check("searched");  // by a search
}

TEST_F(Anchor, SaysWhatItCannotDo) {
  const auto linear = write_small_config(folder_->path(), "linear.yaml", "{type: Linear}");
  ASSERT_EQ(
      run_program({"train", linear.string(), "-o", in_folder("linear"), "--set", "train.epochs=1"})
          .code,
      0);
  const auto head = run_program({"anchor", in_folder("linear")});
  EXPECT_EQ(head.code, 1);
  EXPECT_THAT(head.output, HasSubstr("'model.head' has no sub-centroids that could become"));
  EXPECT_FALSE(fs::exists(in_folder("linear_anchored")));
  const auto data = run_program({"anchor", run(), "-o", in_folder("gone"), "--set",
                                 "data.train.dataset={type: ImageFolder, root: /nowhere}"});
  EXPECT_EQ(data.code, 1);
  EXPECT_THAT(data.output, HasSubstr("error: /nowhere"));
  const auto taken = run_program({"anchor", run(), "-o", run()});
  EXPECT_EQ(taken.code, 1);
  EXPECT_THAT(taken.output, HasSubstr("this folder belongs to a run with another config"));
  EXPECT_EQ(run_program({"anchor", in_folder("nothing")}).code, 1);
}

// ---- as a part of training ------------------------------------------------------------------

TEST_F(Anchor, TheLastEpochsOfATrainingMayDoIt) {
  const auto run = in_folder("scheduled");
  const auto trained = run_program({"train", config_.string(), "-o", run, "--set",
                                    "train.anchor_epochs=2", "--set", "train.ema=true"});
  ASSERT_EQ(trained.code, 0) << trained.output;
  size_t times = 0;
  for (size_t at = 0;
       (at = trained.output.find("are training images now", at)) != std::string::npos; ++at) {
    ++times;
  }
  EXPECT_EQ(times, 2u) << trained.output;
  const auto found = json_in(fs::path(run) / "anchors.json");
  EXPECT_EQ(found["anchors"].size(), 16u);
  // To anchor it once more changes nothing: each sub-centroid is nearest to itself.
  const auto again =
      run_program({"anchor", run, "--checkpoint", "newest", "-o", in_folder("twice")});
  ASSERT_EQ(again.code, 0) << again.output;
  EXPECT_THAT(again.output, HasSubstr("similarity 1.0000 in the mean, 1.0000 at least"));
  const auto second = json_in(fs::path(in_folder("twice")) / "anchors.json");
  for (size_t i = 0; i < 16; ++i) {
    EXPECT_EQ(second["anchors"][i]["index"], found["anchors"][i]["index"]);
  }
}

TEST_F(Anchor, ARunCutShortOfWholeEpochsIsAnchoredAtItsEnd) {
  const auto trained = run_program({"train", config_.string(), "-o", in_folder("cut"), "--set",
                                    "train={steps: 14, anchor_epochs: 1}"});
  ASSERT_EQ(trained.code, 0) << trained.output;
  EXPECT_THAT(trained.output, HasSubstr("step 14  16 of 16 sub-centroids are training images"));
  EXPECT_THAT(trained.output, Not(HasSubstr("step 10  16 of 16 sub-centroids")));
}

TEST_F(Anchor, AHeadWithoutPrototypesIsRefusedAtTheKey) {
  const auto linear =
      write_small_config(folder_->path(), "linear.yaml", "{type: Linear}", "  anchor_epochs: 1\n");
  for (const auto* command : {"train", "check"}) {
    const auto refused = run_program({command, linear.string()});
    EXPECT_EQ(refused.code, 1);
    EXPECT_THAT(refused.output,
                HasSubstr(linear.string() + ":21:18: 'train.anchor_epochs' is 1, but the head, "
                                            "Linear, has no prototypes; set it to 0"));
  }
  const auto negative = run_program({"check", config_.string(), "--set", "train.anchor_epochs=-1"});
  EXPECT_EQ(negative.code, 1);
  EXPECT_THAT(negative.output, HasSubstr("'train.anchor_epochs'"));
}

}  // namespace
}  // namespace dnc
