#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "host/data/image_decoder.h"
#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

void write_picture(const fs::path& path, int64_t width, int64_t height, int shade) {
  std::ofstream file(path, std::ios::binary);
  file << "P6 " << width << " " << height << " 255\n";
  for (int64_t i = 0; i < width * height * 3; ++i) {
    file.put(static_cast<char>((i * 7 + shade) % 256));
  }
}

json explanation_in(const fs::path& folder) {
  return json::parse(bytes_of(folder / "explanation.json"));
}

// ---- images ---------------------------------------------------------------------------------

class ExplainImages : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    const auto config = write_small_config(folder_->path());
    const auto trained =
        run_program({"train", config.string(), "-o", run(), "--set", "train.epochs=1"});
    ASSERT_EQ(trained.code, 0) << trained.output;
    fs::create_directory(*folder_ / "pictures");
    write_picture(*folder_ / "pictures" / "a.ppm", 16, 16, 1);
    write_picture(*folder_ / "pictures" / "b.ppm", 16, 16, 99);
  }
  static void TearDownTestSuite() { delete folder_; }

  static Finished explain(std::vector<std::string> more) {
    more.insert(more.begin(), {"explain", run()});
    return run_program(more);
  }
  static std::string run() { return (*folder_ / "run").string(); }
  static std::string pictures() { return (*folder_ / "pictures").string(); }
  static std::string picture() { return (*folder_ / "pictures" / "a.ppm").string(); }
  static fs::path out(const std::string& name) { return *folder_ / name; }
  static TemporaryFolder* folder_;
};
TemporaryFolder* ExplainImages::folder_ = nullptr;

TEST_F(ExplainImages, WritesPageNumbersAndPictures) {
  const auto done = explain({pictures(), "--out", out("why").string(), "--grid", "4"});
  ASSERT_EQ(done.code, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr("IF the image is more similar to "));
  const auto html = bytes_of(out("why") / "explanation.html");
  EXPECT_THAT(html, StartsWith("<!DOCTYPE html>"));
  EXPECT_THAT(html, HasSubstr("Counter-evidence"));
  EXPECT_THAT(html, Not(HasSubstr("<script")));

  const auto found = explanation_in(out("why"));
  ASSERT_EQ(found["images"].size(), 2u);
  EXPECT_EQ(found["sub_centroids"], 4);
  EXPECT_EQ(found["training_samples_searched"], 320);
  const auto predicted = run_program({"predict", run(), picture(), "--format", "jsonl", "-k", "4"});
  const auto classes = json::parse(predicted.output)["predictions"];
  const auto& image = found["images"][0];
  const auto& decision = image["decisions"][0];
  EXPECT_EQ(image["file"], picture());
  ASSERT_EQ(decision["classes"].size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(decision["classes"][i]["class"], classes[i]["class"]);
    EXPECT_NEAR(decision["classes"][i]["score"].get<double>(), classes[i]["score"].get<double>(),
                1e-5);
  }
  EXPECT_EQ(decision["rule"]["applies"], true) << "the score is that of the nearest";
  EXPECT_EQ(decision["nearest"][0]["class"], decision["prediction"]);
  EXPECT_EQ(decision["counter_evidence"]["class"], decision["classes"][1]["class"]);
  for (const auto& one : decision["nearest"]) {
    const auto sample = one["training_sample"]["index"].get<int64_t>();
    EXPECT_EQ("class " + std::to_string(sample % 4), one["class"]) << "of its own class";
  }
  const ImageDecoder decoder;
  ASSERT_EQ(image["files"].size(), 2u);
  for (const auto& file : image["files"]) {
    EXPECT_GE(decoder.open((out("why") / file.get<std::string>()).string()).width(), 16);
  }
}

TEST_F(ExplainImages, TheSecondTimeNeedsNoSearchAndNoData) {
  ASSERT_EQ(explain({picture(), "--out", out("first").string(), "--map", "none"}).code, 0);
  EXPECT_TRUE(fs::exists(fs::path(run()) / "prototype_samples.safetensors"));
  const auto again = explain({picture(), "--out", out("again").string(), "--map", "none"});
  ASSERT_EQ(again.code, 0) << again.output;
  EXPECT_THAT(again.output, Not(HasSubstr("training data")));
  EXPECT_EQ(explanation_in(out("again"))["images"], explanation_in(out("first"))["images"]);
}

TEST_F(ExplainImages, ADamagedOrForeignCacheIsMadeAnew) {
  const auto cache = fs::path(run()) / "prototype_samples.safetensors";
  ASSERT_EQ(explain({picture(), "--out", out("good").string(), "--map", "none"}).code, 0);
  const auto good = explanation_in(out("good"))["images"];
  auto bytes = bytes_of(cache);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  put_bytes(cache, bytes);
  const auto mended = explain({picture(), "--out", out("mended").string(), "--map", "none"});
  EXPECT_EQ(mended.code, 0);
  EXPECT_THAT(mended.output, HasSubstr("warning: " + cache.string() +
                                       ": is damaged; the training data is searched"));
  EXPECT_EQ(explanation_in(out("mended"))["images"], good);

  const auto fewer =
      explain({picture(), "--out", out("fewer").string(), "--map", "none", "--samples", "40"});
  EXPECT_EQ(fewer.code, 0);
  EXPECT_THAT(fewer.output, HasSubstr("is of other weights, data or options"));
  const auto found = explanation_in(out("fewer"));
  EXPECT_EQ(found["training_samples_searched"], 40);
  bool beyond = false;
  for (const auto& one : found["images"][0]["decisions"][0]["nearest"]) {
    const auto sample = one["training_sample"]["index"].get<int64_t>();
    EXPECT_EQ("class " + std::to_string(sample % 4), one["class"]) << "numbers of the whole data";
    beyond = beyond || sample >= 40;
  }
  EXPECT_TRUE(beyond) << "drawn from all of it";
}

TEST_F(ExplainImages, WithoutTheTrainingDataHasNumbersInPlaceOfImages) {
  const auto gone = explain({picture(), "--out", out("gone").string(), "--map", "none", "--set",
                             "data.train.dataset={type: ImageFolder, root: /nowhere}"});
  ASSERT_EQ(gone.code, 0) << gone.output;
  EXPECT_THAT(gone.output, HasSubstr("warning: sub-centroids have numbers in place of images"));
  EXPECT_THAT(gone.output, HasSubstr("IF the image is more similar to sub-centroid "));
  const auto found = explanation_in(out("gone"));
  EXPECT_TRUE(found["images"][0]["decisions"][0]["nearest"][0]["training_sample"].is_null());
  EXPECT_GT(found["images"][0]["decisions"][0]["nearest"][0]["share"], 0);
  EXPECT_THAT(bytes_of(out("gone") / "explanation.html"), HasSubstr("class=\"no-picture\""));
}

TEST_F(ExplainImages, ALinearHeadIsExplainedAsFarAsItCan) {
  const auto config = write_small_config(folder_->path(), "linear.yaml", "Linear");
  const auto linear = (*folder_ / "linear").string();
  ASSERT_EQ(run_program({"train", config.string(), "-o", linear, "--set", "train.epochs=1"}).code,
            0);
  for (const std::string map : {"occlusion", "gradient"}) {
    const auto folder = out("linear_" + map);
    const auto done = run_program(
        {"explain", linear, picture(), "--out", folder.string(), "--map", map, "--grid", "4"});
    ASSERT_EQ(done.code, 0) << done.output;
    EXPECT_THAT(bytes_of(folder / "explanation.html"), HasSubstr("The head has no sub-centroids"));
    const auto found = explanation_in(folder);
    EXPECT_EQ(found["sub_centroids"], 0);
    const auto& decision = found["images"][0]["decisions"][0];
    EXPECT_FALSE(decision.contains("nearest"));
    EXPECT_GT(decision["map"]["peak"], 0);
    EXPECT_TRUE(fs::exists(folder / "a_map.png"));
  }
}

TEST_F(ExplainImages, OthersAreExplainedWhereAFileIsDamaged) {
  const auto bad = (*folder_ / "bad.ppm").string();
  std::ofstream(bad) << "P6 16 16 255\ntoo short";
  const auto done = explain({bad, picture(), "--out", out("damaged").string(), "--map", "none"});
  EXPECT_EQ(done.code, 1);
  EXPECT_THAT(done.output, HasSubstr("error: " + bad + ": "));
  EXPECT_EQ(explanation_in(out("damaged"))["images"].size(), 1u);
}

TEST_F(ExplainImages, BadInputIsAnError) {
  const auto message = [&](std::vector<std::string> more) {
    const auto finished = explain(std::move(more));
    EXPECT_EQ(finished.code, 1) << finished.output;
    return finished.output;
  };
  const auto folder = out("bad").string();
  EXPECT_THAT(message({picture()}), HasSubstr("--out is required"));
  EXPECT_THAT(message({picture(), "--out", folder, "--at", "3,4"}),
              HasSubstr("--at: is for models of pixels"));
  EXPECT_THAT(message({picture(), "--out", folder, "--at", "3"}),
              HasSubstr("--at: '3' is not X,Y"));
  EXPECT_THAT(message({picture(), "--out", folder, "--region", "1,2,0,4"}),
              HasSubstr("--region: '1,2,0,4' is not X,Y,WIDTH,HEIGHT"));
  EXPECT_THAT(message({picture(), "--out", folder, "--map", "lime"}), HasSubstr("--map"));
  EXPECT_THAT(message({picture(), "--out", folder, "--grid", "1"}), HasSubstr("--grid"));
  EXPECT_THAT(message({picture(), picture(), "--out", folder}),
              HasSubstr("their pictures would overwrite each other"));
  fs::create_directories(out("empty"));
  EXPECT_THAT(message({out("empty").string(), "--out", folder}),
              HasSubstr("there is no image in this folder"));
  EXPECT_THAT(message({"nothing.png", "--out", folder}),
              HasSubstr("nothing.png: no such file or folder"));
  EXPECT_FALSE(fs::exists(folder)) << "nothing is written before all is checked";
  EXPECT_THAT(message({picture(), "--out", picture()}), HasSubstr(picture()));
  const auto none = run_program({"explain", out("empty").string(), picture(), "--out", folder});
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.output, HasSubstr("is not a run"));
}

// ---- pixels -----------------------------------------------------------------------------------

fs::path write_pixel_config(const fs::path& folder, const std::string& head) {
  std::ofstream(folder / "pixels.yaml") << R"(device: cpu
threads: 1
model:
  backbone: {type: ResNetCifar, depth: 8, width: 8}
  decode_head: {type: FCN, num_convs: 1, channels: 8, concat_input: false}
  head: )" << head << R"(
data:
  train:
    dataset: {type: Synthetic, task: pixels, classes: 3, length: 24, size: 32}
  test:
    dataset: {type: Synthetic, task: pixels, classes: 3, length: 8, size: 32, split: test}
  batch_size: 8
  eval_batch_size: 8
  workers: 1
optimizer: {type: AdamW, lr: 0.003}
metrics: [MeanIoU]
train: {epochs: 2}
)";
  return folder / "pixels.yaml";
}

class ExplainPixels : public testing::TestWithParam<std::string> {};

TEST_P(ExplainPixels, SaysWhyPickedPixelsAndRegionsGotTheirClass) {
  const bool prototypes = GetParam() != "Linear";
  const TemporaryFolder folder;
  const auto run = (folder / "run").string();
  const auto trained =
      run_program({"train", write_pixel_config(folder.path(), GetParam()).string(), "-o", run});
  ASSERT_EQ(trained.code, 0) << trained.output;
  const auto picture = (folder / "street.ppm").string();
  write_picture(picture, 50, 40, 3);
  const auto out = folder / "why";
  const auto done = run_program({"explain", run, picture, "--out", out.string(), "--at", "12,7",
                                 "--region", "20,10,8,4", "--grid", "3"});
  ASSERT_EQ(done.code, 0) << done.output;
  const auto found = explanation_in(out);
  EXPECT_EQ(found["task"], "pixels");
  const auto& image = found["images"][0];
  ASSERT_EQ(image["decisions"].size(), 2u);
  EXPECT_EQ(image["decisions"][0]["box"], (std::vector<int>{12, 7, 1, 1}));
  EXPECT_EQ(image["decisions"][1]["box"], (std::vector<int>{20, 10, 8, 4}));
  int64_t sum = 0;
  for (const auto& choice : image["pixels"]) sum += choice["pixels"].get<int64_t>();
  EXPECT_EQ(sum, 50 * 40);

  // The class of the picked pixel is the one that predict writes.
  const auto predicted =
      run_program({"predict", run, picture, "--out", (folder / "labels").string()});
  ASSERT_EQ(predicted.code, 0) << predicted.output;
  const ImageDecoder decoder;
  const auto labels = decoder.open_labels((folder / "labels" / "street_labels.png").string());
  const auto label = labels.pixels()[7 * 50 + 12];
  EXPECT_EQ(image["decisions"][0]["prediction"], "class " + std::to_string(label));

  for (const auto& decision : image["decisions"]) {
    EXPECT_EQ(decision.contains("nearest"), prototypes);
    EXPECT_TRUE(fs::exists(out / decision["map"]["file"].get<std::string>()));
    if (!prototypes) continue;
    const auto& place = decision["support"]["training_sample"]["place"];
    EXPECT_GT(place[0], 0);
    EXPECT_LT(place[1], 1);
  }
  const auto map = prototypes ? "street_sub_centroids.png" : "street_classes.png";
  EXPECT_EQ(decoder.open((out / map).string()).width(), 50);
  EXPECT_TRUE(fs::exists(out / "street_explained.png"));

  const auto beyond = run_program({"explain", run, picture, "--out", out.string(), "--at", "50,7"});
  EXPECT_EQ(beyond.code, 1);
  EXPECT_THAT(beyond.output,
              HasSubstr("--at: 50,7 is outside of " + picture + ", which is 50 x 40 pixels"));
  const auto wide =
      run_program({"explain", run, picture, "--out", out.string(), "--region", "45,0,6,2"});
  EXPECT_THAT(wide.output, HasSubstr("--region: 45,0,6,2 is outside of"));
}

INSTANTIATE_TEST_SUITE_P(Heads, ExplainPixels,
                         testing::Values("{type: DNC, sub_centroids: 3}", "Linear"),
                         [](const auto& info) {
                           return info.param == "Linear" ? "Linear" : "DNC";
                         });

TEST(ExplainPixelsByDefault, WithoutPixelsTakesTheLargestClassesWhereTheyAreWidest) {
  const TemporaryFolder folder;
  const auto run = (folder / "run").string();
  ASSERT_EQ(run_program({"train", write_pixel_config(folder.path(), "{type: DNC}").string(), "-o",
                         run, "--set", "train={steps: 2}"})
                .code,
            0);
  const auto picture = (folder / "street.ppm").string();
  write_picture(picture, 50, 40, 3);
  const auto out = folder / "why";
  const auto done = run_program({"explain", run, picture, "--out", out.string(), "--map", "none"});
  ASSERT_EQ(done.code, 0) << done.output;
  const auto found = explanation_in(out);
  const auto& decisions = found["images"][0]["decisions"];
  EXPECT_GE(decisions.size(), 1u);
  EXPECT_LE(decisions.size(), 3u);
  EXPECT_TRUE(decisions[0]["map"].is_null());
}

TEST(ExplainPixelsInWindows, GivesEachPixelTheClassThatPredictWrites) {
  const std::string windows = "model.inference={mode: slide, crop_size: [24, 24], stride: [8, 16]}";
  const TemporaryFolder folder;
  for (const std::string head : {"{type: DNC, sub_centroids: 3}", "Linear"}) {
    const auto run = (folder / (head.front() == '{' ? "dnc" : "linear")).string();
    const auto config = write_pixel_config(folder.path(), head).string();
    ASSERT_EQ(run_program({"train", config, "-o", run, "--set", windows}).code, 0);
    const auto picture = (folder / "street.ppm").string();
    write_picture(picture, 50, 40, 3);
    const auto out = (folder / "why").string();
    const auto done = run_program({"explain", run, picture, "--out", out, "--map", "gradient",
                                   "--at", "23,7", "--region", "10,10,30,20"});
    ASSERT_EQ(done.code, 0) << done.output;
    const auto predicted =
        run_program({"predict", run, picture, "--out", (folder / "labels").string()});
    ASSERT_EQ(predicted.code, 0) << predicted.output;
    const ImageDecoder decoder;
    const auto labels = decoder.open_labels((folder / "labels" / "street_labels.png").string());
    const auto found = explanation_in(out);
    std::map<std::string, int64_t> shown, written;
    for (const auto& choice : found["images"][0]["pixels"]) {
      shown[choice["class"]] += choice["pixels"].get<int64_t>();
    }
    for (int64_t i = 0; i < labels.size(); ++i) {
      ++written["class " + std::to_string(labels.pixels()[i])];
    }
    EXPECT_EQ(shown, written);
    const auto& pixel = found["images"][0]["decisions"][0];
    EXPECT_EQ(pixel["prediction"], "class " + std::to_string(labels.pixels()[7 * 50 + 23]));
    EXPECT_GT(pixel["map"]["peak"], 0);
    const bool says_so = found["notes"].dump().find("windows") != std::string::npos;
    EXPECT_EQ(says_so, head != "Linear") << found["notes"];
    // The windows that see the pixel end with row 23 and column 39; the map is smoothed by 4 and 5.
    const auto grid = pixel["map"]["grid"].get<std::vector<std::vector<double>>>();
    for (size_t row = 0; row < grid.size(); ++row) {
      EXPECT_EQ(grid[row].back(), 0) << row;
      for (const double value : grid[row]) EXPECT_TRUE(row < 12 || value == 0) << row;
    }
  }
}

TEST(ExplainCamVid, NamesTheTrainingFramesThatSubCentroidsStandFor) {
  const char* given = std::getenv("DNC_TEST_DATA");
  const auto root = fs::path(given ? given : DNC_TEST_DATA_DEFAULT) / "camvid";
  if (!fs::exists(root)) GTEST_SKIP() << root << " is missing (set DNC_TEST_DATA)";
  const TemporaryFolder folder;
  const auto config = write_pixel_config(folder.path(), "{type: DNC, sub_centroids: 2}").string();
  const auto split = [&](const std::string& name, const std::string& more) {
    return "data." + name + "={dataset: {type: CamVid, split: " + name +
           ", samples: 6, root: " + root.string() +
           "}, transforms: [{type: Resize, size: [60, 80]" + more + "}]}";
  };
  const auto run = (folder / "run").string();
  const auto trained =
      run_program({"train", config, "-o", run, "--set", "data.test=null", "--set",
                   "data.batch_size=2", "--set", split("train", ""), "--set",
                   split("val", ", resize_labels: false"), "--set", "train={steps: 2}"});
  ASSERT_EQ(trained.code, 0) << trained.output;
  fs::path frame;
  for (const auto& entry : fs::directory_iterator(root / "val" / "images")) {
    if (frame.empty() || entry.path() < frame) frame = entry.path();
  }
  const auto out = folder / "why";
  const auto done = run_program({"explain", run, frame.string(), "--out", out.string(), "--map",
                                 "gradient", "--at", "240,300"});
  ASSERT_EQ(done.code, 0) << done.output;
  const auto found = explanation_in(out);
  EXPECT_EQ(found["training_samples_searched"], 6);
  EXPECT_EQ(found["images"][0]["width"], 480);
  const auto& decision = found["images"][0]["decisions"][0];
  EXPECT_THAT(decision["support"]["training_sample"]["name"].get<std::string>(),
              HasSubstr("camvid/train/images/"));
  EXPECT_EQ(decision["map"]["width"], 80);
}

}  // namespace
}  // namespace dnc
