#include "predictor/predictor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>

#include "tests/predictor/trained.h"

namespace dnc {
namespace {

using testing::HasSubstr;

std::span<const uint8_t> bytes_in(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

ImagePixels image_in(const std::string& pixels, int64_t height, int64_t width) {
  return {reinterpret_cast<const uint8_t*>(pixels.data()), height, width};
}

void expect_same(const Prediction& a, const Prediction& b, float tolerance = 1e-5F) {
  ASSERT_EQ(a.classes.size(), b.classes.size());
  for (size_t i = 0; i < a.classes.size(); ++i) {
    EXPECT_EQ(a.classes[i].label, b.classes[i].label);
    EXPECT_NEAR(a.classes[i].score, b.classes[i].score, tolerance);
  }
}

class PredictorTest : public testing::TestWithParam<bool> {
 protected:
  static Predictor open() {
    const auto& trained = Trained::instance();
    return Predictor(GetParam() ? trained.exported() : trained.run());
  }
};

TEST_P(PredictorTest, GivesWhatTheProgramGives) {
  const auto predictor = open();
  EXPECT_EQ(predictor.note(), "");
  EXPECT_FALSE(predictor.for_pixels());
  EXPECT_EQ(predictor.classes().size(), 4u);
  const auto picture = Trained::instance() / "picture.ppm";
  put_bytes(picture, ppm_of(20, 30, 1));
  const auto output = Trained::instance() / "output";
  ASSERT_TRUE(run_host(
      "predict '" + Trained::instance().run() + "' '" + picture.string() + "' --format jsonl",
      output));
  const auto expected = nlohmann::json::parse(bytes_of(output))["predictions"];
  const std::vector<std::string> files{picture.string()};
  const auto found = predictor.predict_files(files).front().classes;
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(predictor.classes()[static_cast<size_t>(found[i].label)], expected[i]["class"]);
    EXPECT_NEAR(found[i].score, expected[i]["score"].get<double>(), 1e-5);
  }
}

TEST_P(PredictorTest, PixelsAndFilesOfAnImageAreTheSame) {
  const auto predictor = open();
  const auto file = ppm_of(20, 30, 2), pixels = pixels_of(20, 30, 2);
  const std::vector<EncodedBytes> encoded{{bytes_in(file)}};
  const auto expected = predictor.predict(encoded).front();
  const std::vector<ImagePixels> plain{image_in(pixels, 20, 30)};
  expect_same(predictor.predict(plain).front(), expected, 0);
  std::string padded;
  for (size_t row = 0; row < 20; ++row) padded += pixels.substr(row * 90, 90) + "padding";
  auto strided = image_in(padded, 20, 30);
  strided.row_bytes = 97;
  const std::vector<ImagePixels> with_rows{strided};
  expect_same(predictor.predict(with_rows).front(), expected, 0);
}

TEST_P(PredictorTest, ImagesOfDifferentSizesComeBackInTheirOrder) {
  const auto predictor = open();
  std::vector<std::string> memory;
  std::vector<ImagePixels> images;
  for (int i = 0; i < 7; ++i) memory.push_back(pixels_of(16, 16 + i % 3, i));
  for (int i = 0; i < 7; ++i)
    images.push_back(image_in(memory[static_cast<size_t>(i)], 16, 16 + i % 3));
  const Predictor::Ask as_given{.top_k = 4, .transforms = false};
  const auto all = predictor.predict(images, as_given);
  ASSERT_EQ(all.size(), 7u);
  for (size_t i = 0; i < 7; ++i) {
    expect_same(all[i], predictor.predict(std::span(images).subspan(i, 1), as_given).front());
  }
  EXPECT_TRUE(predictor.predict(std::span<const ImagePixels>()).empty());
}

TEST_P(PredictorTest, ManyThreadsGetTheSame) {
  const auto predictor = open();
  const auto pixels = pixels_of(16, 16, 3);
  const std::vector<ImagePixels> images{image_in(pixels, 16, 16)};
  const auto expected = predictor.predict(images).front();
  std::vector<std::future<float>> threads;
  for (int i = 0; i < 6; ++i) {
    threads.push_back(std::async(std::launch::async, [&] {
      float furthest = 0;
      for (int j = 0; j < 30; ++j) {
        const auto found = predictor.predict(images).front();
        furthest = std::max(furthest, std::abs(found.classes[0].score - expected.classes[0].score));
        if (found.classes[0].label != expected.classes[0].label) furthest = 1;
      }
      return furthest;
    }));
  }
  for (auto& thread : threads) EXPECT_LT(thread.get(), 1e-5F);
}

TEST_P(PredictorTest, WrongImagesAndQuestionsAreSaid) {
  const auto predictor = open();
  const auto pixels = pixels_of(16, 16, 1);
  const auto complaint = [&](ImagePixels image, Predictor::Ask ask = {}) {
    const std::vector<ImagePixels> images{image};
    return message_of<Error>([&] { predictor.predict(images, ask); });
  };
  const auto good = image_in(pixels, 16, 16);
  EXPECT_THAT(complaint(image_in(pixels, 0, 16)), HasSubstr("an image of 0 x 16 pixels"));
  EXPECT_THAT(complaint(image_in(pixels, 16, int64_t{1} << 62)), HasSubstr("is none"));
  EXPECT_THAT(complaint({nullptr, 16, 16}), HasSubstr("no pixels"));
  EXPECT_THAT(complaint({good.pixels, 16, 16, 40}), HasSubstr("40 bytes from row to row"));
  EXPECT_THAT(complaint(good, {.top_k = 0}), HasSubstr("top_k must be at least 1"));
  const std::string text = "hello";
  const std::vector<EncodedBytes> no_image{{bytes_in(text), "upload 7"}};
  EXPECT_THAT(message_of<DataError>([&] { predictor.predict(no_image); }),
              HasSubstr("upload 7: is not an image"));
  const std::vector<std::string> missing{"/none.jpg"};
  EXPECT_THAT(message_of<DataError>([&] { predictor.predict_files(missing); }),
              HasSubstr("/none.jpg"));
}

INSTANTIATE_TEST_SUITE_P(, PredictorTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "OfAFile" : "OfARun"; });

TEST(Predictor, TellsTheNearestSubCentroidOfARun) {
  const Predictor predictor(Trained::instance().run());
  EXPECT_TRUE(predictor.has_sub_centroids());
  const auto pixels = pixels_of(16, 16, 5);
  const std::vector<ImagePixels> images{image_in(pixels, 16, 16)};
  EXPECT_EQ(predictor.predict(images).front().sub_centroid, -1) << "not asked for";
  const auto found = predictor.predict(images, {.nearest = true}).front();
  EXPECT_GE(found.sub_centroid, 0);
  EXPECT_LT(found.sub_centroid, 4);
  EXPECT_GT(found.similarity, -1);
  EXPECT_LE(found.similarity, 1.0001F);
}

TEST(Predictor, OfAModelOfPixelsLabelsEachOfThem) {
  const TemporaryFolder folder;
  const auto run = (folder / "run").string(), picture = (folder / "picture.ppm").string();
  std::ofstream(folder / "pixels.yaml") << R"(seed: 1
device: cpu
threads: 1
model:
  backbone: {type: ResNetCifar, depth: 8, width: 8}
  decode_head: {type: FCN, channels: 8}
  head: {type: DNC}
data:
  train: {dataset: {type: Synthetic, task: pixels, length: 32, classes: 4, size: 16}}
  test: {dataset: {type: Synthetic, task: pixels, length: 8, classes: 4, size: 16, split: test}}
  batch_size: 8
optimizer: {type: SGD, lr: 0.1, momentum: 0.9}
train: {epochs: 1}
)";
  put_bytes(picture, ppm_of(20, 36, 1));
  const auto output = folder / "output";
  ASSERT_TRUE(
      run_host("train '" + (folder / "pixels.yaml").string() + "' -o '" + run + "'", output))
      << bytes_of(output);
  ASSERT_TRUE(run_host("predict '" + run + "' '" + picture + "' --format jsonl --out '" +
                           (folder / "pictures").string() + "'",
                       output))
      << bytes_of(output);
  const auto expected = nlohmann::json::parse(bytes_of(output))["predictions"];
  const Predictor predictor(run);
  EXPECT_TRUE(predictor.for_pixels());
  EXPECT_FALSE(predictor.has_sub_centroids()) << "they differ from pixel to pixel";
  const std::vector<std::string> files{picture};
  const auto found = predictor.predict_files(files).front();
  EXPECT_EQ(found.height, 20);
  EXPECT_EQ(found.width, 36);
  ASSERT_EQ(found.labels.size(), 20u * 36u);
  for (const auto& each : expected) {
    const auto& names = predictor.classes();
    const auto label = std::ranges::find(names, each["class"].get<std::string>()) - names.begin();
    EXPECT_NEAR(static_cast<double>(std::ranges::count(found.labels, label)) / (20 * 36),
                each["score"].get<double>(), 1e-6);
  }
  EXPECT_NEAR(found.classes[0].score, expected[0]["score"].get<double>(), 1e-6);
}

TEST(Predictor, SaysWhatItCannotOpen) {
  const auto complaint = [](const std::string& path, const Predictor::Options& options = {}) {
    return message_of<Error>([&] { Predictor(path, options); });
  };
  EXPECT_THAT(complaint("/none"), HasSubstr("/none: is not a run"));
  const auto text = (Trained::instance() / "text").string();
  put_bytes(text, "hello");
  EXPECT_THAT(complaint(text), HasSubstr("neither a run's folder nor a file of"));
  const auto damaged = (Trained::instance() / "damaged.pt").string();
  put_bytes(damaged, bytes_of(Trained::instance().exported()).substr(0, 5000));
  EXPECT_THAT(complaint(damaged), HasSubstr("is no TorchScript file, or a damaged one"));
  EXPECT_THAT(complaint(Trained::instance().exported(), {.overrides = {"threads=1"}}),
              HasSubstr("overrides are for a run's config"));
  EXPECT_THAT(complaint(Trained::instance().run(), {.checkpoint = "step_9"}),
              HasSubstr("no such checkpoint"));
}

}  // namespace
}  // namespace dnc
