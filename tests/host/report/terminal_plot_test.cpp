#include "host/report/terminal_plot.h"

#include <gtest/gtest.h>

#include <limits>

namespace dnc::report {
namespace {

TEST(TerminalPlot, DrawsEighthsOfARow) {
  TerminalPlot plot;
  plot.values = {0, 1, 2, 3, 4};
  plot.high = 4;
  plot.rows = 2;
  plot.x_first = "a";
  plot.x_last = "b";
  EXPECT_EQ(plot.to_text(),
            "4.00 ┤   ▄█\n"
            "   0 ┤▁▄███\n"
            "      a   b\n");
}

TEST(TerminalPlot, ColumnShowsTheMeanOfItsValues) {
  TerminalPlot plot;
  plot.values = {0, 1, 1, 1};
  plot.columns = 2;
  plot.rows = 1;
  EXPECT_EQ(plot.to_text(), "1.00 ┤▄█\n");
}

TEST(TerminalPlot, GapsExtremesAndConstantsAreDrawn) {
  TerminalPlot plot;
  plot.values = {std::numeric_limits<double>::quiet_NaN(), -1e9, 1e9};
  plot.rows = 1;
  EXPECT_EQ(plot.to_text(), "1.00 ┤ ▁█\n");
  plot.low = plot.high = 3;
  plot.values = {3, 3};
  EXPECT_EQ(plot.to_text(), "3.00 ┤▁▁\n");
  plot.values = {};
  EXPECT_EQ(plot.to_text(), "");
}

}  // namespace
}  // namespace dnc::report
