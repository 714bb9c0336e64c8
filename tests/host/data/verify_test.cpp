#include "host/data/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "registry/error.h"

namespace dnc {
namespace {

using testing::ElementsAre;

// Samples whose images all differ, until `on_sample` changes them.
class Samples : public Dataset {
 public:
  int64_t size() const override { return count; }
  const ClassInfo& classes() const override { return classes_; }
  Task task() const override { return kind; }
  std::string name(int64_t index) const override { return "sample " + std::to_string(index); }
  Sample load(int64_t index) const override {
    Sample sample;
    sample.index = index;
    sample.label = index % 2;
    sample.image = Image(4, 6, 3);
    auto* pixels = sample.image.pixels();
    for (int64_t i = 0; i < sample.image.size(); ++i) {
      pixels[i] = static_cast<uint8_t>(7 * i + index + shift);
    }
    if (kind == Task::kPixels) sample.labels = Image(4, 6, 1);
    on_sample(sample);
    return sample;
  }

  int64_t count = 5;
  int64_t shift = 0;
  Task kind = Task::kImages;
  std::function<void(Sample&)> on_sample = [](Sample&) {};

 private:
  ClassInfo classes_{{"cat", "dog", "cow"}, {}};
};

std::vector<std::string> texts(const std::vector<DataFinding>& findings) {
  std::vector<std::string> all;
  for (const auto& finding : findings) all.push_back(finding.text);
  return all;
}

DataReport look(const Dataset& dataset, int64_t workers = 1) {
  return verify(dataset, workers, [](int64_t) {});
}

TEST(VerifyData, CountsTheClassesOfGoodData) {
  const auto report = look(Samples());
  EXPECT_EQ(report.samples, 5);
  EXPECT_THAT(report.class_counts, ElementsAre(3, 2, 0));
  EXPECT_TRUE(report.broken.empty());
  EXPECT_TRUE(report.suspicious.empty());
  EXPECT_EQ(report.smallest_side, 4);
  EXPECT_EQ(report.largest_side, 6);
}

TEST(VerifyData, ListsEverySampleThatCannotBeUsed) {
  Samples data;
  data.count = 40;
  data.on_sample = [](Sample& sample) {
    if (sample.index == 7) throw DataError("sample 7: is damaged");
    if (sample.index == 31) sample.label = 3;
    if (sample.index == 32) sample.label = -1;
  };
  for (const int64_t workers : {1, 4}) {
    const auto report = look(data, workers);
    EXPECT_THAT(
        texts(report.broken),
        ElementsAre("sample 7: is damaged", "sample 31: label 3 is beyond the 3 classes (0 to 2)"));
    EXPECT_THAT(report.class_counts, ElementsAre(19, 18, 0));
    EXPECT_EQ(report.ignored, 1);
  }
}

TEST(VerifyData, SuspectsImagesOfOneColourAndCopies) {
  Samples data;
  data.on_sample = [](Sample& sample) {
    auto* pixels = sample.image.pixels();
    if (sample.index == 1) std::fill_n(pixels, sample.image.size(), uint8_t{9});
    for (int64_t i = 0; sample.index >= 3 && i < sample.image.size(); ++i) {
      pixels[i] = static_cast<uint8_t>(7 * i + 2);  // as sample 2
    }
  };
  EXPECT_THAT(texts(look(data).suspicious),
              ElementsAre("sample 1: its image is of one colour only",
                          "sample 3: is the same image as sample 2, with another label",
                          "sample 4: is the same image as sample 2"));
}

TEST(VerifyData, CountsPixelsAndNamesTheValueThatIsBeyondTheClasses) {
  Samples data;
  data.kind = Task::kPixels;
  data.count = 4;
  data.on_sample = [](Sample& sample) {
    auto* labels = sample.labels.pixels();
    if (sample.index == 0) labels[0] = 2;
    if (sample.index == 1) std::fill_n(labels, 3, uint8_t{3});
    if (sample.index == 2) std::fill_n(labels, sample.labels.size(), uint8_t{255});
    if (sample.index == 3) sample.labels = Image(2, 6, 1);
  };
  const auto report = look(data);
  EXPECT_THAT(texts(report.broken),
              ElementsAre("sample 1: 3 pixels of its label image are 3, beyond the 3 classes (0 to "
                          "2); 255 stands for ignored. If 0 is the background, set "
                          "reduce_zero_label: true"));
  EXPECT_THAT(texts(report.suspicious),
              ElementsAre("sample 2: no pixel of its label image has a label",
                          "sample 3: its label image is 2 x 6, but the image 4 x 6"));
  EXPECT_THAT(report.class_counts, ElementsAre(23 + 12, 0, 1));
  EXPECT_EQ(report.ignored, 24);
}

TEST(VerifyData, FindsImagesThatTwoSplitsShare) {
  const Samples train;
  Samples test;
  test.shift = 3;  // its samples 0 and 1 are the training data's 3 and 4
  EXPECT_THAT(texts(find_shared(train, look(train), test, look(test))),
              ElementsAre("sample 0: is the same image as sample 3",
                          "sample 1: is the same image as sample 4"));
}

TEST(VerifyData, AFaultOfTheProgramIsNotTakenForOneOfTheData) {
  Samples data;
  data.on_sample = [](Sample&) { throw std::logic_error("a transform was called twice"); };
  EXPECT_THROW(look(data, 2), std::logic_error);
}

}  // namespace
}  // namespace dnc
