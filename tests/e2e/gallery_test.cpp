#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// ---- gallery ----------------------------------------------------------------------------------

class Gallery : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    config_ = write_small_config(folder_->path()).string();
    const auto trained = run_program({"train", config_, "-o", run(), "--set", "train.epochs=1"});
    ASSERT_EQ(trained.code, 0) << trained.output;
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string run() { return (*folder_ / "run").string(); }

  static TemporaryFolder* folder_;
  static std::string config_;
};
TemporaryFolder* Gallery::folder_ = nullptr;
std::string Gallery::config_;

TEST_F(Gallery, HasAPageForEachClassAndAgreesWithTestAndExplain) {
  const auto done = run_program({"gallery", run(), "--shown", "3"});
  ASSERT_EQ(done.code, 0) << done.output;
  const auto folder = fs::path(run()) / "gallery";
  EXPECT_THAT(done.output, HasSubstr((folder / "index.html").string()));
  for (const auto* page : {"index.html", "class_0000.html", "class_0003.html"}) {
    const auto html = bytes_of(folder / page);
    EXPECT_THAT(html, StartsWith("<!DOCTYPE html>"));
    EXPECT_THAT(html, HasSubstr("data:image/png;base64,"));
    EXPECT_THAT(html, Not(HasSubstr("<script")));
  }
  EXPECT_FALSE(fs::exists(folder / "class_0004.html"));

  const auto found = json::parse(bytes_of(folder / "gallery.json"));
  const auto tested = json::parse(run_program({"test", run(), "--json"}).output);
  EXPECT_NEAR(found["accuracy"].get<double>(), tested["figures"]["accuracy/top1"].get<double>(),
              1e-9);
  const auto& confusion = tested["tables"]["confusion"]["values"];
  ASSERT_EQ(found["classes"].size(), 4u);
  for (size_t label = 0; label < 4; ++label) {
    const auto& one = found["classes"][label];
    EXPECT_EQ(one["samples"], 80);
    EXPECT_EQ(one["tested"], 25);
    EXPECT_EQ(one["right"], confusion[label * 4 + label]);
    for (const auto& rival : one["taken_for"]) {
      const auto other = std::stoul(rival["class"].get<std::string>().substr(6));
      EXPECT_EQ(rival["count"], confusion[label * 4 + other]);
      int64_t by = 0;
      for (const auto& each : rival["by"]) by += each["count"].get<int64_t>();
      EXPECT_EQ(by, rival["count"]);
    }
    double mass = 0;
    for (const auto& prototype : one["sub_centroids"]) {
      mass += prototype["mass"].get<double>();
      for (const auto* list : {"typical", "atypical"}) {
        EXPECT_LE(prototype[list].size(), 3u);
        for (const auto& sample : prototype[list]) {
          EXPECT_EQ(sample["index"].get<size_t>() % 4, label) << "of its own class";
        }
      }
    }
    EXPECT_NEAR(mass, 1, 1e-9);
  }

  // The nearest image is the one that explain names: both take the same file and the same pass.
  std::ofstream(*folder_ / "a.ppm", std::ios::binary) << "P6 16 16 255\n" << std::string(768, 'x');
  ASSERT_EQ(run_program({"explain", run(), (*folder_ / "a.ppm").string(), "--map", "none", "-k",
                         "16", "--out", (*folder_ / "why").string()})
                .code,
            0);
  const auto why = json::parse(bytes_of(*folder_ / "why" / "explanation.json"));
  for (const auto& one : why["images"][0]["decisions"][0]["nearest"]) {
    const auto label = std::stoul(one["class"].get<std::string>().substr(6));
    const auto index = one["sub_centroid"].get<size_t>();
    const auto& nearest = found["classes"][label]["sub_centroids"][index]["nearest"];
    EXPECT_EQ(nearest["index"], one["training_sample"]["index"]);
  }
}

TEST_F(Gallery, OfAConfigWithWeightsOrOfAPartOfTheData) {
  const auto out = (*folder_ / "part").string();
  const auto done = run_program(
      {"gallery", config_, "--weights", run(), "--out", out, "--samples", "40", "--shown", "0"});
  ASSERT_EQ(done.code, 0) << done.output;
  const auto found = json::parse(bytes_of(fs::path(out) / "gallery.json"));
  EXPECT_EQ(found["training_samples_searched"], 40);
  EXPECT_TRUE(found["classes"][0]["sub_centroids"][0]["typical"].empty());
  const auto nowhere = run_program({"gallery", config_, "--weights", run()});
  EXPECT_EQ(nowhere.code, 1);
  EXPECT_THAT(nowhere.output, HasSubstr("--out: is missing"));
}

TEST_F(Gallery, WithoutTestDataHasNoConfusionsAndWithoutTrainingDataIsAnError) {
  const auto out = (*folder_ / "untested").string();
  const auto untested = run_program({"gallery", run(), "--out", out, "--set",
                                     "data.test.dataset={type: ImageFolder, root: /nowhere}"});
  ASSERT_EQ(untested.code, 0) << untested.output;
  EXPECT_THAT(untested.output, HasSubstr("warning: there are no confusions"));
  EXPECT_TRUE(json::parse(bytes_of(fs::path(out) / "gallery.json"))["test_split"].is_null());
  EXPECT_THAT(bytes_of(fs::path(out) / "index.html"),
              HasSubstr("nothing is said about confusions"));
  const auto gone = run_program(
      {"gallery", run(), "--set", "data.train.dataset={type: ImageFolder, root: /nowhere}"});
  EXPECT_EQ(gone.code, 1);
  EXPECT_THAT(gone.output, HasSubstr("/nowhere"));
}

TEST_F(Gallery, OfALinearHeadIsRefusedWithTheWayToOne) {
  const auto config = write_small_config(folder_->path(), "linear.yaml", "Linear").string();
  const auto linear = (*folder_ / "linear").string();
  ASSERT_EQ(run_program({"train", config, "-o", linear, "--set", "train.steps=2", "--set",
                         "train.epochs=null"})
                .code,
            0);
  const auto refused = run_program({"gallery", linear});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.output, HasSubstr("its head has no sub-centroids"));
  EXPECT_THAT(refused.output, HasSubstr("dnc-host fit CONFIG --weights "));
  EXPECT_FALSE(fs::exists(fs::path(linear) / "gallery"));
  // The way that the message names.
  const auto fitted = (*folder_ / "fitted").string();
  ASSERT_EQ(run_program({"fit", config_, "--weights", linear, "-o", fitted}).code, 0);
  EXPECT_EQ(run_program({"gallery", fitted}).code, 0);
}

TEST(GalleryOfPixels, ShowsCropsOfTrainingImages) {
  const TemporaryFolder folder;
  std::ofstream(folder / "pixels.yaml") << R"(device: cpu
threads: 1
model:
  backbone: {type: ResNetCifar, depth: 8, width: 8}
  decode_head: {type: FCN, num_convs: 1, channels: 8, concat_input: false}
  head: {type: DNC, sub_centroids: 3}
data:
  train:
    dataset: {type: Synthetic, task: pixels, classes: 3, length: 24, size: 32}
  test:
    dataset: {type: Synthetic, task: pixels, classes: 3, length: 8, size: 32, split: test}
  batch_size: 8
  workers: 1
optimizer: {type: AdamW, lr: 0.003}
metrics: [MeanIoU]
train: {epochs: 1}
)";
  const auto run = (folder / "run").string();
  ASSERT_EQ(run_program({"train", (folder / "pixels.yaml").string(), "-o", run}).code, 0);
  const auto done = run_program({"gallery", run, "--shown", "2"});
  ASSERT_EQ(done.code, 0) << done.output;
  const auto found = json::parse(bytes_of(fs::path(run) / "gallery" / "gallery.json"));
  EXPECT_EQ(found["task"], "pixels");
  int64_t tested = 0;
  for (const auto& one : found["classes"]) {
    tested += one["tested"].get<int64_t>();
    for (const auto& prototype : one["sub_centroids"]) {
      for (const auto& sample : prototype["typical"]) {
        EXPECT_GT(sample["place"][0], 0);
        EXPECT_LT(sample["place"][1], 1);
      }
    }
  }
  EXPECT_GT(tested, 8) << "locations, not images";
  EXPECT_THAT(bytes_of(fs::path(run) / "gallery" / "class_0001.html"),
              HasSubstr("training locations"));
}

// ---- subcategories ------------------------------------------------------------------------------

const std::string kGroups =
    "{type: ClassGroups, groups: [{name: even, classes: [class 0, class 2]}, {name: odd, classes: "
    "[class 1, class 3]}], dataset: {type: Synthetic, length: 320, classes: 4, size: 16";

class Subcategories : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    fine_ = write_small_config(folder_->path()).string();
    const auto trained =
        run_program({"train", fine_, "-o", run(), "--set", "data.train.dataset=" + kGroups + "}}",
                     "--set", "data.test.dataset=" + kGroups + ", split: test}}"});
    ASSERT_EQ(trained.code, 0) << trained.output;
    std::ofstream(*folder_ / "fine.yaml") << "base: small.yaml\ndata:\n  test:\n    dataset: "
                                             "{length: 320}\n";
  }
  static void TearDownTestSuite() { delete folder_; }
  static Finished ask(std::vector<std::string> more) {
    more.insert(more.begin(), {"subcategories", run()});
    return run_program(more);
  }
  static std::string run() { return (*folder_ / "run").string(); }
  static std::string fine() { return (*folder_ / "fine.yaml").string(); }

  static TemporaryFolder* folder_;
  static std::string fine_;
};
TemporaryFolder* Subcategories::folder_ = nullptr;
std::string Subcategories::fine_;

TEST_F(Subcategories, ScoresFineLabelsThatWereNotLearnt) {
  const auto done = ask({"--fine", fine(), "--json"});
  ASSERT_EQ(done.code, 0) << done.output;
  const auto found = json::parse(done.output.substr(done.output.find('{')));  // behind progress
  EXPECT_EQ(found["coarse_classes"], 2);
  EXPECT_EQ(found["fine_classes"], 4);
  EXPECT_EQ(found["most_that_sub_centroids_can_tell"], 1);
  const auto& scores = found["scores"];
  EXPECT_DOUBLE_EQ(scores["one for all"]["accuracy"].get<double>(), 0.25);
  EXPECT_EQ(scores["one for all"]["nmi"], 0);
  const double coarse = found["coarse_accuracy"];
  EXPECT_LE(scores["coarse classes"]["accuracy"].get<double>(), 0.5);
  EXPECT_LE(scores["sub-centroids"]["accuracy"].get<double>(), coarse + 1e-9)
      << "what is in the wrong coarse class has the wrong fine class";
  EXPECT_GE(scores["sub-centroids"]["purity"].get<double>(),
            scores["coarse classes"]["purity"].get<double>());
  EXPECT_GE(scores["k-NN, k = 1"]["accuracy"].get<double>(), 0.25);
  EXPECT_TRUE(scores["k-NN, k = 20"]["nmi"].is_null());
  int64_t samples = 0;
  for (const auto& each : found["sub_centroids"]) {
    samples += each["train_samples"].get<int64_t>();
    if (each["fine_class"].is_null()) continue;
    const auto number = std::stol(each["fine_class"].get<std::string>().substr(6));
    EXPECT_EQ(each["class"], number % 2 == 0 ? "even" : "odd");
    EXPECT_GE(each["share"].get<double>(), 0.5) << "of two fine classes";
  }
  EXPECT_EQ(samples, 320);
  // The same by the keys that change.
  const auto keys =
      ask({"--fine", "data.train.dataset={type: Synthetic, length: 320, classes: 4, size: 16}",
           "--fine",
           "data.test.dataset={type: Synthetic, length: 320, classes: 4, size: 16, split: test}",
           "--json"});
  EXPECT_EQ(keys.output, done.output);
  const auto text = ask({"--fine", fine(), "-k", "3"});
  EXPECT_THAT(text.output, HasSubstr("2 coarse classes, 4 fine ones; 320 training and 320 test"));
  EXPECT_THAT(text.output, HasSubstr("k-NN, k = 3"));
}

TEST_F(Subcategories, OfTheSameLabelsNothingIsFiner) {
  const auto same = run_program({"subcategories", fine_, "--weights", run(), "--fine", fine_,
                                 "--set", "data.train.dataset.length=319"});
  EXPECT_EQ(same.code, 1) << "other classes than the weights, or other samples";
  const auto other = ask({"--fine", fine_});
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.output, HasSubstr("--fine: its test split has 100 samples, that of the model "
                                      "320: they must be the same samples in the same order"));
  const auto mixed =
      ask({"--fine", fine(), "--set",
           "data.train.dataset.groups=[{name: even, "
           "classes: [class 0]}, {name: odd, classes: [class 1, class 2, class 3]}]"});
  EXPECT_EQ(mixed.code, 1);
  EXPECT_THAT(mixed.output, HasSubstr("--fine: 'class 2' lies in 'odd' and in 'even'"));
}

TEST_F(Subcategories, BadInputIsAnError) {
  EXPECT_THAT(ask({}).output, HasSubstr("--fine is required"));
  EXPECT_THAT(ask({"--fine", "nothing.yaml"}).output, HasSubstr("nothing.yaml"));
  EXPECT_THAT(ask({"--fine", "a.yaml", "--fine", "b=c"}).output,
              HasSubstr("--fine: 'a.yaml' is not KEY=VALUE"));
  EXPECT_THAT(ask({"--fine", fine(), "-k", "500"}).output,
              HasSubstr("-k: 500 neighbours of 320 training samples; give less"));
}

// Real pictures: the ten classes of CIFAR-10 as animals and vehicles.
TEST(SubcategoriesOfCifar, NeighboursTellThemBetterThanTheCoarseClasses) {
  const auto* const data = std::getenv("DNC_TEST_DATA");
  const fs::path root = fs::path(data ? data : DNC_TEST_DATA_DEFAULT) / "cifar10_small";
  if (!fs::exists(root)) GTEST_SKIP() << root << " is not there; set DNC_TEST_DATA";
  const TemporaryFolder folder;
  const auto dataset = [&](const std::string& split) {
    return "{type: CIFAR10, batches: 1, split: " + split + ", root: " + root.string() + "}";
  };
  const auto groups = [&](const std::string& split) {
    return "{type: ClassGroups, dataset: " + dataset(split) +
           ", groups: [{name: vehicles, classes: [airplane, automobile, ship, truck]}, {name: "
           "animals, classes: [bird, cat, deer, dog, frog, horse]}]}";
  };
  const auto config = write_small_config(folder.path(), "cifar.yaml").string();
  const auto run = (folder / "run").string();
  const std::vector<std::string> set{"--set", "data.train.dataset=" + groups("train"),
                                     "--set", "data.test.dataset=" + groups("test"),
                                     "--set", "data.train.transforms=[{type: RandomFlip}]",
                                     "--set", "train.epochs=4",
                                     "--set", "model.head.sub_centroids=6"};
  std::vector<std::string> train{"train", config, "-o", run};
  train.insert(train.end(), set.begin(), set.end());
  const auto trained = run_program(train);
  ASSERT_EQ(trained.code, 0) << trained.output;
  const auto asked =
      run_program({"subcategories", run, "--fine", "data.train.dataset=" + dataset("train"),
                   "--fine", "data.test.dataset=" + dataset("test"), "--json"});
  ASSERT_EQ(asked.code, 0) << asked.output;
  const auto found = json::parse(asked.output.substr(asked.output.find("{")));
  EXPECT_EQ(found["fine_classes"], 10);
  EXPECT_GE(found["scores"]["sub-centroids"]["purity"].get<double>(),
            found["scores"]["coarse classes"]["purity"].get<double>())
      << "they divide the coarse classes further";
  EXPECT_GT(found["scores"]["k-NN, k = 20"]["accuracy"].get<double>(),
            found["scores"]["coarse classes"]["accuracy"].get<double>());
}

}  // namespace
}  // namespace dnc
