#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "plugins/datasets/wrappers/class_balanced.h"
#include "plugins/datasets/wrappers/class_groups.h"
#include "plugins/datasets/wrappers/concat.h"
#include "plugins/datasets/wrappers/repeat.h"
#include "plugins/datasets/wrappers/subset.h"
#include "tests/plugins/component.h"
#include "tests/plugins/datasets/files_testing.h"

namespace dnc {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Samples with these labels and no pictures; what is loaded says its number as the image's width.
class Labels : public Dataset {
 public:
  struct Options {
    std::vector<int64_t> labels;
    std::vector<int64_t> shards;
    std::vector<std::string> classes{"a", "b", "c"};
    bool pixels = false;
    void fields(Fields& f) {
      f("labels", labels, "");
      f("shards", shards, "");
      f("classes", classes, "");
      f("pixels", pixels, "");
    }
  };
  explicit Labels(const Options& options) : options_(options) { classes_.names = options.classes; }
  int64_t size() const override { return static_cast<int64_t>(options_.labels.size()); }
  Sample load(int64_t index) const override {
    Sample sample;
    sample.index = index;
    sample.label = label(index);
    sample.image = Image(1, index + 1, 1);
    return sample;
  }
  const ClassInfo& classes() const override { return classes_; }
  Task task() const override { return options_.pixels ? Task::kPixels : Task::kImages; }
  int64_t label(int64_t index) const override {
    return options_.labels.at(static_cast<size_t>(index));
  }
  std::vector<int64_t> shards() const override { return options_.shards; }
  std::string name(int64_t index) const override { return "#" + std::to_string(index); }

 private:
  Options options_;
  ClassInfo classes_;
};

std::shared_ptr<Dataset> build(const std::string& yaml) {
  Registry registry;
  registry.add(detail::describe<Dataset, Labels>("Labels", "", {}));
  registry.add(detail::describe<Dataset, Subset>("Subset", "", {}));
  registry.add(detail::describe<Dataset, Concat>("Concat", "", {}));
  registry.add(detail::describe<Dataset, Repeat>("Repeat", "", {}));
  registry.add(detail::describe<Dataset, ClassBalanced>("ClassBalanced", "", {}));
  registry.add(detail::describe<Dataset, ClassGroups>("ClassGroups", "", {}));
  return registry.build<Dataset>(parse_config(yaml, "test.yaml"), {});
}

std::string config_error(const std::string& yaml) {
  try {
    build(yaml);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

// The numbers of the samples in the innermost data set, as load() gives them; checks that label()
// and the index in the sample agree with it.
std::vector<int64_t> contents(const Dataset& data) {
  std::vector<int64_t> all;
  for (int64_t i = 0; i < data.size(); ++i) {
    const auto sample = data.load(i);
    EXPECT_EQ(sample.index, i);
    EXPECT_EQ(sample.label, data.label(i));
    all.push_back(sample.image.width() - 1);
  }
  return all;
}

std::map<int64_t, int64_t> counts_of(const Dataset& data) {
  std::map<int64_t, int64_t> counts;
  for (int64_t i = 0; i < data.size(); ++i) ++counts[data.label(i)];
  return counts;
}

// 300 samples, of class i % 3.
std::string many() {
  std::string labels;
  for (int i = 0; i < 300; ++i) labels += std::to_string(i % 3) + ", ";
  return "dataset: {type: Labels, labels: [" + labels + "]}";
}

// ---- Subset ----

TEST(SubsetDataset, KeepsTheSamplesThatAreNamedInTheirOrder) {
  const auto data =
      build("{type: Subset, indices: [3, 0, 4], dataset: {type: Labels, labels: [0, 1, 2, 1, 0]}}");
  EXPECT_THAT(contents(*data), ElementsAre(0, 3, 4));
  EXPECT_EQ(data->name(1), "#3");
  EXPECT_THAT(data->classes().names, ElementsAre("a", "b", "c"));
  EXPECT_EQ(data->task(), Task::kImages);
  EXPECT_THROW(data->load(3), std::out_of_range);
  EXPECT_THROW(data->load(-1), std::out_of_range);
}

TEST(SubsetDataset, ReadsIndicesFromAFile) {
  const TemporaryFolder folder;
  const auto file = folder.write("few.txt", "4\r\n\n1\n");
  const auto with =
      "{type: Subset, index_file: " + file + ", dataset: {type: Labels, labels: [0, 1, 2, 1, 0]}}";
  EXPECT_THAT(contents(*build(with)), ElementsAre(1, 4));
  folder.write("few.txt", "1\nsecond\n");
  EXPECT_EQ(data_error([&] { build(with); }),
            file + ":2: 'second' is no index of a sample; expected one number a line");
  folder.write("few.txt", "1\n2 3\n");
  EXPECT_THAT(data_error([&] { build(with); }), HasSubstr(":2: '2 3' is no index"));
  folder.write("few.txt", "\n");
  EXPECT_EQ(data_error([&] { build(with); }), file + ": empty; expected one index a line");
  folder.write("few.txt", "5\n");
  EXPECT_THAT(config_error(with), EndsWith("'index_file' names sample 5, but the data set has 5 "
                                           "(0 to 4)"));
}

TEST(SubsetDataset, DrawsAFractionThatTheSeedDecides) {
  const auto draw = [](const std::string& seed) {
    return contents(*build("{type: Subset, fraction: 0.1, seed: " + seed + ", " + many() + "}"));
  };
  const auto first = draw("0");
  EXPECT_EQ(first.size(), 30U);
  EXPECT_EQ(std::set<int64_t>(first.begin(), first.end()).size(), 30U);
  EXPECT_TRUE(std::is_sorted(first.begin(), first.end()));
  EXPECT_EQ(draw("0"), first);
  EXPECT_NE(draw("1"), first);
  EXPECT_EQ(build("{type: Subset, fraction: 1, " + many() + "}")->size(), 300);
}

// A few-shot result of a paper must be repeatable: these samples never change.
TEST(SubsetDataset, DrawStaysWhatItWas) {
  EXPECT_THAT(contents(*build("{type: Subset, per_class: 2, " + many() + "}")),
              ElementsAre(3, 219, 271, 272, 289, 299));
}

TEST(SubsetDataset, DrawsAsManyOfEachClass) {
  const auto few = build("{type: Subset, per_class: 5, seed: 3, " + many() + "}");
  EXPECT_EQ(counts_of(*few), (std::map<int64_t, int64_t>{{0, 5}, {1, 5}, {2, 5}}));
  EXPECT_NE(contents(*few),
            contents(*build("{type: Subset, per_class: 5, seed: 4, " + many() + "}")));
  const auto short_class = build(
      "{type: Subset, per_class: 2, dataset: {type: Labels, labels: [0, 0, 0, 2, -1, -1, -1]}}");
  EXPECT_EQ(counts_of(*short_class), (std::map<int64_t, int64_t>{{0, 2}, {2, 1}}));
}

// Over many seeds each sample of a class is drawn equally often: 100 expected of 300 draws.
TEST(SubsetDataset, EachSampleIsAsLikely) {
  std::vector<int> drawn(9);
  for (int seed = 0; seed < 300; ++seed) {
    const auto data = build("{type: Subset, per_class: 1, seed: " + std::to_string(seed) +
                            ", dataset: {type: Labels, labels: [0, 1, 2, 0, 1, 2, 0, 1, 2]}}");
    for (const int64_t index : contents(*data)) ++drawn[static_cast<size_t>(index)];
  }
  EXPECT_THAT(drawn, Each(::testing::AllOf(::testing::Gt(65), ::testing::Lt(135))));
}

TEST(SubsetDataset, ShardsKeepTheirSamples) {
  const auto data = build(
      "{type: Subset, indices: [0, 2, 6], dataset: "
      "{type: Labels, labels: [0, 0, 0, 1, 1, 1, 2], shards: [3, 3, 1]}}");
  EXPECT_THAT(data->shards(), ElementsAre(2, 1));
  EXPECT_THAT(build("{type: Subset, per_class: 1, " + many() + "}")->shards(), IsEmpty());
}

TEST(SubsetDataset, OptionsThatCannotBeAreRefused) {
  const std::string inner = ", dataset: {type: Labels, labels: [0, 1]}}";
  EXPECT_EQ(config_error("{type: Subset" + inner),
            "test.yaml:1:1: 'fraction' is missing: give it, per_class, indices or index_file");
  EXPECT_EQ(config_error("{type: Subset, fraction: 0.5, per_class: 1" + inner),
            "test.yaml:1:42: 'per_class' is given beside `fraction`; leave one out");
  EXPECT_THAT(config_error("{type: Subset, indices: [0, 2]" + inner),
              EndsWith("'indices' names sample 2, but the data set has 2 (0 to 1)"));
  EXPECT_THAT(config_error("{type: Subset, indices: [-1]" + inner), HasSubstr("names sample -1"));
  EXPECT_THAT(config_error("{type: Subset, indices: [1, 0, 1]" + inner),
              EndsWith("'indices' names sample 1 twice"));
  EXPECT_THAT(config_error("{type: Subset, fraction: 0" + inner), HasSubstr("must be above 0"));
  EXPECT_THAT(config_error("{type: Subset, per_class: 1}"), HasSubstr("'dataset' is missing"));
  EXPECT_THAT(config_error("{type: Subset, per_class: 1, dataset: {type: Labels, labels: [-1], "
                           "pixels: true}}"),
              EndsWith("'per_class' needs one label for each image, but this data set labels "
                       "pixels"));
}

// ---- Concat ----

TEST(ConcatDataset, PutsDataSetsOneAfterTheOther) {
  const auto data = build(
      "{type: Concat, datasets: [{type: Labels, labels: [0, 1]}, {type: Labels, labels: []}, "
      "{type: Labels, labels: [2, 2, 1]}]}");
  ASSERT_EQ(data->size(), 5);
  EXPECT_THAT(contents(*data), ElementsAre(0, 1, 0, 1, 2));
  EXPECT_EQ(data->label(4), 1);
  EXPECT_EQ(data->name(4), "#2");
  EXPECT_THAT(data->shards(), IsEmpty());
  EXPECT_THROW(data->load(5), std::out_of_range);
  EXPECT_THROW(data->load(-1), std::out_of_range);
}

TEST(ConcatDataset, WhatIsNotInShardsIsShuffledWhole) {
  const auto data = build(
      "{type: Concat, datasets: [{type: Labels, labels: [0, 1, 0], shards: [2, 1]}, "
      "{type: Labels, labels: [2, 2]}]}");
  EXPECT_THAT(data->shards(), ElementsAre(2, 1, 1, 1));
}

TEST(ConcatDataset, OtherClassesAreRefused) {
  const auto with = [](const std::string& second) {
    return config_error("{type: Concat, datasets: [{type: Labels, labels: [0]}, {type: Labels, " +
                        second + "}]}");
  };
  EXPECT_EQ(with("labels: [0], classes: [a, b]"),
            "test.yaml:1:56: 'datasets.1' has 2 classes, but the first data set has 3; all need "
            "the same classes in the same order");
  EXPECT_THAT(with("labels: [0], classes: [a, c, b]"),
              HasSubstr("calls class 1 'c', but the first data set calls it 'b'; all need"));
  EXPECT_THAT(with("labels: [-1], pixels: true"), HasSubstr("does not label the same"));
  EXPECT_THAT(config_error("{type: Concat, datasets: []}"), HasSubstr("'datasets'"));
}

// ---- Repeat ----

TEST(RepeatDataset, GoesThroughTheDataSetSeveralTimes) {
  const auto data =
      build("{type: Repeat, times: 3, dataset: {type: Labels, labels: [0, 1], shards: [1, 1]}}");
  EXPECT_THAT(contents(*data), ElementsAre(0, 1, 0, 1, 0, 1));
  EXPECT_EQ(data->name(3), "#1");
  EXPECT_THAT(data->shards(), ElementsAre(1, 1, 1, 1, 1, 1));
  EXPECT_THROW(data->load(6), std::out_of_range);
  EXPECT_THROW(data->name(-1), std::out_of_range);
  EXPECT_THAT(config_error("{type: Repeat, dataset: {type: Labels, labels: [0]}}"),
              HasSubstr("'times' is missing"));
  EXPECT_THAT(config_error("{type: Repeat, times: 0, dataset: {type: Labels, labels: [0]}}"),
              HasSubstr("must be"));
}

// ---- ClassBalanced ----

// Shares 0.7, 0.2, 0.1 at threshold 0.4: factors 1, sqrt(2) and 2, rounded up as mmcls does.
TEST(ClassBalancedDataset, RepeatsRareClassesByTheFactorOfLvis) {
  const auto data = build(
      "{type: ClassBalanced, oversample_thr: 0.4, dataset: "
      "{type: Labels, labels: [0, 0, 1, 0, 0, 2, 0, 0, 1, 0], shards: [5, 5]}}");
  EXPECT_THAT(contents(*data), ElementsAre(0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9));
  EXPECT_THAT(data->shards(), ElementsAre(6, 7));
}

TEST(ClassBalancedDataset, FactorGrowsWithTheRootOfRarity) {
  std::string labels = "1";
  for (int i = 0; i < 99; ++i) labels += ", 0";
  const auto data = build(
      "{type: ClassBalanced, oversample_thr: 0.5, dataset: {type: Labels, "
      "labels: [" +
      labels + "]}}");
  EXPECT_EQ(counts_of(*data)[1], static_cast<int64_t>(std::ceil(std::sqrt(0.5 / 0.01))));  // 8
  EXPECT_EQ(counts_of(*data)[0], 99);
}

TEST(ClassBalancedDataset, SamplesWithoutALabelStayAsTheyAre) {
  const auto data = build(
      "{type: ClassBalanced, oversample_thr: 1, dataset: {type: Labels, labels: [-1, -1, 0, -1]}}");
  EXPECT_THAT(contents(*data), ElementsAre(0, 1, 2, 2, 3));
}

TEST(ClassBalancedDataset, OptionsThatCannotBeAreRefused) {
  EXPECT_THAT(config_error("{type: ClassBalanced, dataset: {type: Labels, labels: [0]}}"),
              HasSubstr("'oversample_thr' is missing"));
  EXPECT_THAT(config_error("{type: ClassBalanced, oversample_thr: 0.1, dataset: {type: Labels, "
                           "labels: [-1], pixels: true}}"),
              EndsWith("must have one label for each image; this one labels pixels"));
}

// ---- ClassGroups ----

TEST(ClassGroupsDataset, GivesSamplesTheLabelOfTheirGroup) {
  const auto data = build(
      "{type: ClassGroups, groups: [{name: ends, classes: [c, a]}, {name: middle, classes: [b]}], "
      "dataset: {type: Labels, labels: [0, 1, 2, -1, 0], shards: [2, 3]}}");
  EXPECT_THAT(data->classes().names, ElementsAre("ends", "middle"));
  EXPECT_THAT(contents(*data), ElementsAre(0, 1, 2, 3, 4)) << "in their order";
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < data->size(); ++i) labels.push_back(data->label(i));
  EXPECT_THAT(labels, ElementsAre(0, 1, 0, -1, 0));
  EXPECT_THAT(data->shards(), ElementsAre(2, 3));
  EXPECT_EQ(data->name(4), "#4");
}

TEST(ClassGroupsDataset, ALabelBeyondTheClassesStaysBeyondThem) {
  const auto data = build(
      "{type: ClassGroups, groups: [{name: all, classes: [a, b, c]}], "
      "dataset: {type: Labels, labels: [7]}}");
  EXPECT_EQ(data->label(0), 1);
}

TEST(ClassGroupsDataset, EachClassIsInOneGroup) {
  const auto error = [](const std::string& groups, const std::string& more = "") {
    return config_error("{type: ClassGroups, groups: [" + groups +
                        "], dataset: {type: Labels, labels: [0]" + more + "}}");
  };
  EXPECT_THAT(error("{name: g, classes: [a, b]}"), EndsWith("'c' is in none of them"));
  EXPECT_THAT(error("{name: g, classes: [a, b]}, {name: h, classes: [b, c]}"),
              EndsWith("'b' is named twice"));
  EXPECT_THAT(error("{name: g, classes: [a, zebra]}"),
              EndsWith("'g' has 'zebra', which is no class of the data set"));
  EXPECT_THAT(error("{classes: [a]}"), HasSubstr("name' is missing"));
  EXPECT_THAT(error("{name: g, classes: [a, b, c]}", ", pixels: true"),
              EndsWith("must have one label for each image; this one labels pixels"));
}

// ---- One inside the other ----

TEST(DatasetWrappers, MayStandInsideEachOther) {
  const auto data = build(
      "{type: Repeat, times: 2, dataset: {type: Concat, datasets: [{type: Subset, indices: [1], "
      "dataset: {type: Labels, labels: [0, 1]}}, {type: Labels, labels: [2]}]}}");
  EXPECT_THAT(contents(*data), ElementsAre(1, 0, 1, 0));
  EXPECT_EQ(data->label(2), 1);
}

}  // namespace
}  // namespace dnc
