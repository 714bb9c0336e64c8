#include "host/report/comparison_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/report/terminal_table.h"
#include "tests/host/report/fake_runs.h"

namespace dnc::report {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// Reads CSV by RFC 4180, independently of what wrote it.
std::vector<std::vector<std::string>> parse_csv(const std::string& text) {
  std::vector<std::vector<std::string>> rows(1, {""});
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '"' && i + 1 < text.size() && text[i + 1] == '"') {
      rows.back().back() += text[++i];
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && text[i] == ',') {
      rows.back().emplace_back();
    } else if (!quoted && text.compare(i, 2, "\r\n") == 0) {
      rows.push_back({""});
      ++i;
    } else {
      rows.back().back() += text[i];
    }
  }
  rows.pop_back();  // the last line ends, too
  return rows;
}

/// The value of a row under a column's name.
std::string value(const std::vector<std::vector<std::string>>& rows, size_t row,
                  const std::string& column) {
  for (size_t i = 0; i < rows[0].size(); ++i) {
    if (rows[0][i] == column) return rows[row][i];
  }
  return "no column " + column;
}

TEST(TerminalTable, ColumnsAreAlignedByWidthOnTheScreen) {
  const TerminalTable table{{"config", "top1"}, {{"日本", "1 ± 2"}, {"plain", "10"}}};
  EXPECT_EQ(table.to_text(false),
            "config   top1\n"
            "──────  ─────\n"
            "日本    1 ± 2\n"
            "plain      10\n");
}

TEST(TerminalTable, AnsiPrintsTheHeaderBoldOnly) {
  const TerminalTable table{{"a", "b"}, {{"1", "2"}}};
  EXPECT_EQ(table.to_text(true), "\x1b[1ma  b\x1b[0m\n─  ─\n1  2\n");
}

TEST(TerminalTable, ControlCharactersOfNamesDoNotReachTheTerminal) {
  const TerminalTable table{{"a"}, {{"\x1b[2Jgone!"}}};
  EXPECT_EQ(table.to_text(false),
            "a\n"
            "─────────\n"
            "\uFFFD[2Jgone!\n");
}

TEST(Terminal, ComparisonIsATableWithItsMeaning) {
  EXPECT_EQ(to_terminal(fake_comparison(), false),
            "config     accuracy/top1, %            difference  parameters  step, ms  memory, MiB  "
            "      time\n"
            "─────────  ────────────────  ────────────────────  ──────────  ────────  ───────────  "
            "──────────\n"
            "linear         91.00 ± 1.00                     –      78,042      5.25          612  "
            "1 min 02 s\n"
            "centroids      93.00 ± 1.73  +2.00 [-0.48, +4.48]      78,042      5.25          612  "
            "1 min 02 s\n"
            "\n"
            "On 'test'; mean ± standard deviation over seeds.\n"
            "Difference to linear by equal seeds, with its 95 % interval.\n");
}

TEST(Terminal, OneSeedSaysThatThereIsNoSpread) {
  auto comparison = fake_comparison();
  for (auto& config : comparison.configs) config.runs.resize(1);
  const auto text = to_terminal(comparison, false);
  EXPECT_THAT(text, HasSubstr("+1.00 (one seed)"));
  EXPECT_THAT(text, HasSubstr("On 'test'; one seed.\nDifference to linear.\n"
                              "Note: One seed: no spread, so"));
  EXPECT_THAT(text, Not(HasSubstr("±")));
}

TEST(Terminal, OneConfigHasNoDifference) {
  auto comparison = fake_comparison();
  comparison.configs.resize(1);
  EXPECT_THAT(to_terminal(comparison, false), Not(HasSubstr("ifference")));
}

TEST(Csv, FieldsAreQuotedWhereTheyMustBe) {
  EXPECT_EQ(csv_line({"a", "b c", "", "1.5"}), "a,b c,,1.5\r\n");
  EXPECT_EQ(csv_line({"a,b", "say \"hi\"", "two\nlines", "cr\r"}),
            "\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",\"cr\r\"\r\n");
}

TEST(Csv, HasARowForEachRunAndEachConfig) {
  const auto rows = parse_csv(to_csv(fake_comparison()));
  ASSERT_EQ(rows.size(), 9u);  // header, 6 runs, 2 configs
  for (const auto& row : rows) EXPECT_EQ(row.size(), rows[0].size());
  EXPECT_EQ(value(rows, 2, "row"), "run");
  EXPECT_EQ(value(rows, 2, "name"), "linear");
  EXPECT_EQ(value(rows, 2, "config"), "configs/linear.yaml");
  EXPECT_EQ(value(rows, 2, "seed"), "1");
  EXPECT_EQ(value(rows, 2, "accuracy/top1"), "0.92");
  EXPECT_EQ(value(rows, 2, "accuracy/top1 std"), "");
  EXPECT_EQ(value(rows, 2, "learnable_parameters"), "78042");
  EXPECT_EQ(value(rows, 2, "step_ms_median"), "5.25");
  EXPECT_EQ(value(rows, 2, "folder"), "runs/linear/1");

  EXPECT_EQ(value(rows, 7, "row"), "config");
  EXPECT_EQ(value(rows, 7, "name"), "linear");
  EXPECT_EQ(value(rows, 7, "runs"), "3");
  EXPECT_EQ(value(rows, 7, "accuracy/top1 difference"), "");
  EXPECT_EQ(value(rows, 7, "seconds"), "62");
  EXPECT_EQ(value(rows, 8, "name"), "centroids");
  EXPECT_NEAR(std::stod(value(rows, 8, "accuracy/top1")), 0.93, 1e-12);
  EXPECT_NEAR(std::stod(value(rows, 8, "accuracy/top1 std")), 0.0173205, 1e-7);
  EXPECT_NEAR(std::stod(value(rows, 8, "accuracy/top1 difference")), 0.02, 1e-12);
  EXPECT_NEAR(std::stod(value(rows, 8, "accuracy/top1 difference low")), -0.0048414, 1e-7);
  EXPECT_NEAR(std::stod(value(rows, 8, "accuracy/top1 difference high")), 0.0448414, 1e-7);
}

TEST(Csv, UnknownNumbersAreEmptyAndHostileNamesComeBackWhole) {
  Comparison comparison;
  comparison.configs = {{"a \"b\",\nc", "x,y.yaml", {fake_run("a", 0, 0.5)}}};
  comparison.configs[0].runs[0].result.peak_memory_mib = kUnknown;
  const auto rows = parse_csv(to_csv(comparison));
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(value(rows, 1, "name"), "a \"b\",\nc");
  EXPECT_EQ(value(rows, 1, "config"), "x,y.yaml");
  EXPECT_EQ(value(rows, 1, "peak_memory_mib"), "");
}

TEST(Csv, FigureThatOnlySomeConfigsHaveIsAColumn) {
  auto comparison = fake_comparison();
  comparison.configs[1].runs[0].result.figures.emplace_back("extra", 7);
  const auto rows = parse_csv(to_csv(comparison));
  EXPECT_EQ(value(rows, 1, "extra"), "");
  EXPECT_EQ(value(rows, 4, "extra"), "7");
}

}  // namespace
}  // namespace dnc::report
