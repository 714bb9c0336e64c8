#include "host/report/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "host/report/run_result.h"
#include "registry/error.h"
#include "tests/host/report/fake_runs.h"
#include "tests/temporary_folder.h"

namespace dnc::report {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Writes a finished run's folder.
fs::path put_run(const TemporaryFolder& folder, const std::string& name, const RunResult& result) {
  fs::create_directories(folder / name);
  put_bytes(folder / name / "metrics.jsonl", "{\"event\":\"end\",\"reason\":\"done\"}\n");
  write_result(folder / name / "result.json", result);
  return folder / name;
}

TEST(ReadComparison, GroupsRunsByConfigInTheOrderGivenAndSortsThemBySeed) {
  const TemporaryFolder folder;
  const auto comparison = read_comparison({put_run(folder, "a", fake_run("b", 1, 0.5).result),
                                           put_run(folder, "b", fake_run("a", 0, 0.6).result),
                                           put_run(folder, "c", fake_run("b", 0, 0.7).result)});
  ASSERT_EQ(comparison.configs.size(), 2u);
  EXPECT_EQ(comparison.configs[0].name, "b");
  EXPECT_EQ(comparison.configs[0].config, "configs/b.yaml");
  ASSERT_EQ(comparison.configs[0].runs.size(), 2u);
  EXPECT_EQ(comparison.configs[0].runs[0].result.seed, 0);
  EXPECT_EQ(comparison.configs[0].runs[0].folder, folder / "c");
  EXPECT_EQ(comparison.configs[0].runs[1].result.seed, 1);
  EXPECT_EQ(comparison.configs[1].name, "a");
}

TEST(ReadComparison, WrittenResultsAreReadBackWhole) {
  const TemporaryFolder folder;
  const auto written = fake_prototype_run("a", 4, 0.75).result;
  const auto read = read_comparison({put_run(folder, "a", written)}).configs[0].runs[0].result;
  EXPECT_EQ(read.figures, written.figures);
  EXPECT_EQ(read.prototype_figures, written.prototype_figures);
  EXPECT_EQ(read.mass, written.mass);
  ASSERT_EQ(read.tables.size(), written.tables.size());
  EXPECT_EQ(read.tables[0].values, written.tables[0].values);
  EXPECT_EQ(read.step_ms_p90, written.step_ms_p90);
  EXPECT_EQ(read.learnable_parameters, written.learnable_parameters);
  EXPECT_EQ(read.date, written.date);
}

TEST(ReadComparison, TwoRunsOfOneConfigAndSeedAreRefused) {
  const TemporaryFolder folder;
  const auto first = put_run(folder, "first", fake_run("a", 3, 0.5).result);
  const auto second = put_run(folder, "second", fake_run("a", 3, 0.5).result);
  EXPECT_EQ(message_of<Error>([&] {
              read_comparison({first, second});
            }),
            second.string() + ": is a run of config 'a' with seed 3, and so is " + first.string() +
                "; expected one run for each config and seed: leave one of the two out");
}

TEST(ReadComparison, NoFolderIsRefused) {
  EXPECT_EQ(message_of<Error>([] { read_comparison({}); }),
            "compare: no run folder was given; expected at least one finished run");
}

TEST(ReadComparison, ConfigsOfOneNameAreToldApartByTheirFiles) {
  const TemporaryFolder folder;
  auto other = fake_run("a", 0, 0.5).result;
  other.config = "others/a.yaml";
  const auto comparison = read_comparison(
      {put_run(folder, "1", fake_run("a", 0, 0.5).result), put_run(folder, "2", other)});
  ASSERT_EQ(comparison.configs.size(), 2u);
  EXPECT_EQ(comparison.configs[0].name, "a (configs/a.yaml)");
  EXPECT_EQ(comparison.configs[1].name, "a (others/a.yaml)");
}

TEST(Summarise, HasMeanSpreadAndPairedDifference) {
  const auto summary = summarise(fake_comparison());
  EXPECT_EQ(summary.figure, "accuracy/top1");
  EXPECT_EQ(summary.split, "test");
  EXPECT_TRUE(summary.share);
  ASSERT_EQ(summary.configs.size(), 2u);
  EXPECT_THAT(summary.notes, IsEmpty());
  const auto& linear = summary.configs[0];
  EXPECT_EQ(linear.name, "linear");
  EXPECT_THAT(linear.seeds, ElementsAre(0, 1, 2));
  EXPECT_NEAR(linear.figure.mean, 0.91, 1e-12);
  EXPECT_NEAR(linear.figure.deviation, 0.01, 1e-12);
  EXPECT_EQ(linear.difference.pairs, 0);
  const auto& centroids = summary.configs[1];
  EXPECT_NEAR(centroids.figure.mean, 0.93, 1e-12);
  // Differences 0.01, 0.02, 0.03.
  EXPECT_EQ(centroids.difference.pairs, 3);
  EXPECT_NEAR(centroids.difference.mean, 0.02, 1e-12);
  EXPECT_NEAR(centroids.difference.deviation, 0.01, 1e-12);
  EXPECT_NEAR(centroids.difference.low, 0.02 - 0.04302653 / std::sqrt(3.0), 1e-8);
}

TEST(Summarise, CostsAreMedianLargestAndMean) {
  auto comparison = fake_comparison();
  auto& runs = comparison.configs[0].runs;
  runs[0].result.step_ms_median = 9;
  runs[1].result.step_ms_median = 5;
  runs[2].result.step_ms_median = 6;
  runs[1].result.peak_memory_mib = 700;
  const auto linear = summarise(comparison).configs[0];
  EXPECT_EQ(linear.step_ms, 6);
  EXPECT_EQ(linear.peak_memory_mib, 700);
  EXPECT_EQ(linear.seconds, 62);  // 61, 62, 63
  EXPECT_EQ(linear.learnable_parameters, 78042);
  EXPECT_EQ(linear.images_per_second, 24800);
}

TEST(Summarise, UnknownMemoryOfOneRunDoesNotHideTheOthers) {
  auto comparison = fake_comparison();
  comparison.configs[0].runs[0].result.peak_memory_mib = kUnknown;
  EXPECT_EQ(summarise(comparison).configs[0].peak_memory_mib, 612);
}

TEST(Summarise, OneSeedIsNoted) {
  auto comparison = fake_comparison();
  for (auto& config : comparison.configs) config.runs.resize(1);
  const auto summary = summarise(comparison);
  EXPECT_THAT(summary.notes,
              ElementsAre("One seed: no spread, so a difference between configs may be chance. "
                          "Train with several seeds to tell."));
  EXPECT_TRUE(std::isnan(summary.configs[0].figure.deviation));
  EXPECT_EQ(summary.configs[1].difference.pairs, 1);
}

TEST(Summarise, OneConfigNeedsNoNote) {
  Comparison comparison;
  comparison.configs = {{"a", "a.yaml", {fake_run("a", 0, 0.5)}}};
  EXPECT_THAT(summarise(comparison).notes, IsEmpty());
}

TEST(Summarise, WhatSpoilsTheComparisonIsNoted) {
  auto comparison = fake_comparison();
  auto& centroids = comparison.configs[1].runs;
  centroids.pop_back();
  centroids[0].result.split = "val";
  centroids[0].result.threads = 8;
  centroids[0].result.version = "0.2.0";
  centroids[1].metrics.end_reason = "time limit of 5 minutes";
  centroids[1].metrics.bad_samples = {{"train", 20, 3, "a.png: damaged"}};
  centroids[1].result.figures = {{"f1", 0.5}};
  EXPECT_THAT(
      summarise(comparison).notes,
      ElementsAre(
          "linear has seeds 0, 1, 2, centroids has seeds 0, 1: their difference is over the "
          "seeds that both have.",
          "centroids, seed 0 was tested on 'val', the first run on 'test': their figures "
          "cannot be compared.",
          "centroids, seed 1 has no accuracy/top1.",
          "centroids, seed 1: damaged samples of 'train' that do not count: 3.",
          "centroids, seed 1 ended early: time limit of 5 minutes.",
          "The runs were made on several machines, devices or numbers of threads: their "
          "times cannot be compared.",
          "The runs were made by several versions of the program: 0.1.0, 0.2.0."));
}

TEST(Summarise, RunsWithoutFiguresAreSaidToHaveNone) {
  Comparison comparison;
  comparison.configs = {{"a", "a.yaml", {fake_run("a", 0, 0.5)}}};
  comparison.configs[0].runs[0].result.figures.clear();
  const auto summary = summarise(comparison);
  EXPECT_TRUE(std::isnan(summary.configs[0].figure.mean));
  EXPECT_THAT(summary.notes, ElementsAre("a, seed 0 has no figure."));
}

TEST(Summarise, ShareIsWhatLiesBetweenZeroAndOneAndIsNoLoss) {
  EXPECT_TRUE(is_share("accuracy/top1", {0, 0.5, 1}));
  EXPECT_TRUE(is_share("f1", {0.5, std::numeric_limits<double>::quiet_NaN()}));
  EXPECT_FALSE(is_share("psnr", {0.5, 31.2}));
  EXPECT_FALSE(is_share("margin", {-0.1}));
  EXPECT_FALSE(is_share("val_loss", {0.3}));
}

TEST(ComparisonTexts, SpreadAndDifferenceReadWell) {
  EXPECT_EQ(spread_text({3, 0.914, 0.0012}, 100, 2), "91.40 ± 0.12");
  EXPECT_EQ(spread_text(spread({0.914}), 100, 2), "91.40");
  EXPECT_EQ(spread_text(spread({}), 100, 2), "–");
  EXPECT_EQ(difference_text({3, 0.0031, 0.01, -0.001, 0.0072}, 100, 2), "+0.31 [-0.10, +0.72]");
  EXPECT_EQ(difference_text(paired_difference({{0, 0.5}}, {{0, 0.25}}), 100, 2),
            "-25.00 (one seed)");
  EXPECT_EQ(difference_text(PairedDifference(), 100, 2), "–");
}

}  // namespace
}  // namespace dnc::report
