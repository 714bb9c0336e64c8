#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
using testing::HasSubstr;

// A small network for pixels on drawn pictures, with an auxiliary head.
fs::path write_pixel_config(const fs::path& folder, const std::string& head) {
  std::ofstream(folder / "pixels.yaml") << R"(device: cpu
model:
  backbone: {type: ResNetCifar, depth: 8}
  decode_head: {type: FCN, num_convs: 1, channels: 16, concat_input: false}
  head: )" << head << R"(
  auxiliary_heads:
    - {decode_head: {type: FCN, num_convs: 1, channels: 8, concat_input: false}, head: Linear}
data:
  train:
    dataset: {type: Synthetic, task: pixels, classes: 4, length: 64, size: 48}
    transforms: [{type: RandomCrop, size: 32}, {type: RandomFlip}]
  test:
    dataset: {type: Synthetic, task: pixels, classes: 4, length: 16, size: 48, split: test}
    transforms: [{type: Resize, size: 32, resize_labels: false}]
  batch_size: 16
  eval_batch_size: 8
  workers: 1
optimizer: {type: AdamW, lr: 0.003}
metrics: [MeanIoU]
train: {epochs: 4}
)";
  return folder / "pixels.yaml";
}

double mean_iou(const std::vector<std::string>& arguments) {
  const auto tested = run_program(arguments);
  EXPECT_EQ(tested.code, 0) << tested.output;
  return nlohmann::json::parse(tested.output)["figures"]["mIoU"];
}

TEST(Segmentation, BothHeadsLearnAndAreTestedAtTheSizeOfTheLabels) {
  for (const std::string head :
       {"Linear", "{type: DNC, sub_centroids: 3, ppc: 0.01, ppd: 0.001}"}) {
    const TemporaryFolder folder;
    const auto config = write_pixel_config(folder.path(), head);
    const auto run = (folder / "run").string();
    const auto trained = run_program({"train", config.string(), "-o", run});
    ASSERT_EQ(trained.code, 0) << trained.output;
    const double whole = mean_iou({"test", run, "--json"});
    EXPECT_GT(whole, 0.25) << "chance is about 0.14";

    const double views = mean_iou({"test", run, "--json", "--tta", "flip", "--scales", "0.75,1"});
    EXPECT_GT(views, 0.25);
    EXPECT_NE(views, whole);
    const std::string windows =
        "model.inference={mode: slide, crop_size: [24, 24], stride: [8, 8]}";
    const double windowed = mean_iou({"test", run, "--json", "--set", windows});
    EXPECT_GT(windowed, 0.2);
    EXPECT_NE(windowed, whole);
  }
}

TEST(Segmentation, FitPlacesTheSubCentroidsOfPixels) {
  const TemporaryFolder folder;
  const auto run = (folder / "run").string();
  const auto config = write_pixel_config(folder.path(), "Linear").string();
  ASSERT_EQ(run_program({"train", config, "-o", run}).code, 0);
  for (const std::string K : {"1", "3"}) {
    const auto fitted = (folder / K).string();
    const auto fit =
        run_program({"fit", config, "--weights", run, "-o", fitted, "--memory", "0.0001", "--set",
                     "model.head={type: DNC, sub_centroids: " + K + "}"});
    ASSERT_EQ(fit.code, 0) << fit.output;
    // Maps of 8 x 8, 120 of whose pixels are ignored; 0.0001 GiB hold 1677, so 209 of each batch.
    EXPECT_THAT(fit.output, HasSubstr("4 classes with " + K + " prototypes each from " +
                                      (K == "1" ? "3976" : "1672") +
                                      " pixels; mean cosine of a pixel with the nearest"));
    EXPECT_GT(mean_iou({"test", fitted, "--json"}), 0.25) << "chance is about 0.14";
  }
}

// How often a text is in the event file of a run.
int64_t count_in_events(const fs::path& run, const std::string& text) {
  int64_t count = 0;
  for (const auto& entry : fs::directory_iterator(run)) {
    if (!entry.path().filename().string().starts_with("events.")) continue;
    const auto bytes = bytes_of(entry.path());
    for (auto at = bytes.find(text); at != std::string::npos; at = bytes.find(text, at + 1))
      ++count;
  }
  return count;
}

TEST(Segmentation, TensorBoardGetsPicturesAndTheRunStaysTheSame) {
  const TemporaryFolder folder;
  const auto config = write_pixel_config(folder.path(), "{type: DNC}").string();
  const auto train = [&](const std::string& name, const std::string& hooks) {
    const auto trained = run_program({"train", config, "-o", (folder / name).string(), "--set",
                                      "train={epochs: 2}", "--set", "hooks=" + hooks});
    EXPECT_EQ(trained.code, 0) << trained.output;
    return bytes_of(folder / name / "checkpoints/best/model.safetensors");
  };
  const auto weights = train("plain", "[]");
  EXPECT_EQ(train("seen", "[TensorBoard]"), weights);
  EXPECT_EQ(count_in_events(folder / "seen", "train/batch"), 1);
  EXPECT_EQ(count_in_events(folder / "seen", "val/predictions"), 2) << "one for each evaluation";
  EXPECT_EQ(train("numbers", "[{type: TensorBoard, images: 0}]"), weights);
  EXPECT_EQ(count_in_events(folder / "numbers", "\x89PNG"), 0);
  EXPECT_GT(count_in_events(folder / "numbers", "val/mIoU"), 0);
}

TEST(Segmentation, PredictWritesPicturesOfAnImagesOwnSize) {
  const TemporaryFolder folder;
  const auto run = (folder / "run").string();
  const auto trained =
      run_program({"train", write_pixel_config(folder.path(), "{type: DNC}").string(), "-o", run,
                   "--set", "train={steps: 2}"});
  ASSERT_EQ(trained.code, 0) << trained.output;
  const auto picture = (folder / "street.ppm").string();
  {
    std::ofstream file(picture, std::ios::binary);
    file << "P6 50 37 255\n";
    for (int i = 0; i < 50 * 37 * 3; ++i) file.put(static_cast<char>(i * 7 % 256));
  }
  const auto out = (folder / "pictures").string();
  const auto predicted =
      run_program({"predict", run, picture, "--out", out, "--format", "jsonl", "-k", "4"});
  ASSERT_EQ(predicted.code, 0) << predicted.output;
  const auto shares = nlohmann::json::parse(predicted.output)["predictions"];
  double sum = 0;
  for (const auto& each : shares) sum += each["score"].get<double>();
  EXPECT_NEAR(sum, 1, 1e-6);

  const ImageDecoder decoder;
  const auto labels = decoder.open_labels(out + "/street_labels.png");
  EXPECT_EQ(labels.height(), 37);
  EXPECT_EQ(labels.width(), 50);
  std::map<int, double> counted;
  for (int64_t i = 0; i < labels.size(); ++i) counted[labels.pixels()[i]] += 1.0 / (37 * 50);
  for (const auto& each : shares) {
    const auto name = each["class"].get<std::string>();
    EXPECT_NEAR(counted[name.back() - '0'], each["score"].get<double>(), 1e-6) << name;
  }
  EXPECT_EQ(decoder.open(out + "/street_overlay.png").width(), 50);
  EXPECT_EQ(decoder.open(out + "/street_both.png").width(), 3 * 50 + 2 * 4);

  const auto without = run_program({"predict", run, picture});
  EXPECT_EQ(without.code, 1);
  EXPECT_THAT(without.output, HasSubstr("--out: is missing"));
  const auto same = run_program({"predict", run, picture, picture, "--out", out});
  EXPECT_EQ(same.code, 1);
  EXPECT_THAT(same.output, HasSubstr("their pictures would overwrite each other"));
}

TEST(Segmentation, AHeadForImagesIsRefusedBeforeTraining) {
  const TemporaryFolder folder;
  const auto config = write_pixel_config(folder.path(), "Linear");
  const auto checked =
      run_program({"check", config.string(), "--set", "model.decode_head=GlobalAveragePooling"});
  EXPECT_EQ(checked.code, 1);
  EXPECT_THAT(checked.output, HasSubstr("the data has a label for each pixel"));
}

TEST(Segmentation, WindowsWithoutASizeAreRefusedBeforeTraining) {
  const TemporaryFolder folder;
  const auto config = write_pixel_config(folder.path(), "Linear");
  const auto checked =
      run_program({"check", config.string(), "--set", "model.inference={mode: slide}"});
  EXPECT_EQ(checked.code, 1);
  EXPECT_THAT(checked.output,
              HasSubstr("'model.inference.crop_size' must be [height, width] with 'mode: slide'"));
}

TEST(Segmentation, CheckRunsOneBatchOfEachSplit) {
  const TemporaryFolder folder;
  const auto checked =
      run_program({"check", write_pixel_config(folder.path(), "{type: DNC}").string()});
  EXPECT_EQ(checked.code, 0) << checked.output;
  EXPECT_THAT(checked.output, HasSubstr("auxiliary_0.CrossEntropy"));
  EXPECT_THAT(checked.output, HasSubstr("scores Float [8, 4, 48, 48]"));
}

}  // namespace
}  // namespace dnc
