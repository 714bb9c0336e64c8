#include "host/report/series.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace dnc::report {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

Metrics metrics() {
  Metrics metrics;
  metrics.train = {{.step = 10, .epoch = 0.5, .lr = 0.1, .losses = {{"loss", 2}, {"Aux", 0.5}}},
                   {.step = 20, .epoch = 1, .lr = 0.05, .losses = {{"loss", 1}}}};
  metrics.evaluations = {{.split = "val",
                          .step = 20,
                          .epoch = 1,
                          .figures = {{"accuracy/top1", 0.75}},
                          .prototypes = {{"dead", 0.25}}}};
  return metrics;
}

TEST(Series, AreNamedAsTensorBoardShowsThemEvaluationsFirst) {
  EXPECT_THAT(series_names(metrics()),
              ElementsAre("val/accuracy/top1", "prototypes/dead", "train/loss", "train/Aux",
                          "train/lr", "train/step_ms", "train/wait_ms"));
  EXPECT_THAT(series_names({}), IsEmpty());
}

TEST(Series, HasTheValuesOfTheEventsThatHaveThem) {
  const auto losses = series(metrics(), "train/loss");
  ASSERT_THAT(losses, SizeIs(2));
  EXPECT_EQ(losses[0].step, 10);
  EXPECT_EQ(losses[0].epoch, 0.5);
  EXPECT_EQ(losses[0].value, 2);
  EXPECT_EQ(losses[1].value, 1);
  EXPECT_THAT(series(metrics(), "train/Aux"), SizeIs(1));
  EXPECT_EQ(series(metrics(), "val/accuracy/top1").at(0).value, 0.75);
  EXPECT_EQ(series(metrics(), "prototypes/dead").at(0).value, 0.25);
  EXPECT_TRUE(std::isnan(series(metrics(), "train/step_ms").at(0).value)) << "not in the log";
  EXPECT_THAT(series(metrics(), "train/accuracy/top1"), IsEmpty());
}

TEST(Series, OnlyFiguresOfEvaluationsCanBeShares) {
  EXPECT_TRUE(is_figure("val/accuracy/top1"));
  EXPECT_FALSE(is_figure("train/lr"));
  EXPECT_FALSE(is_figure("prototypes/dead"));
}

}  // namespace
}  // namespace dnc::report
