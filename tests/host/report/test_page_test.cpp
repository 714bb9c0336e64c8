#include "host/report/test_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/host/report/xml.h"

namespace dnc::report {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

TestReport report(size_t classes) {
  TestReport report;
  report.title = "run on test";
  report.split = "test";
  report.samples = 1234;
  report.figures = {{"accuracy/top1", 0.9137}, {"loss", 1.5}};
  Table per_class{"per_class", {"precision", "recall", "f1", "support"}, {}, {}};
  Table confusion{"confusion", {}, {}, std::vector<double>(classes * classes)};
  for (size_t i = 0; i < classes; ++i) {
    per_class.rows.push_back("<class " + std::to_string(i) + ">");
    per_class.values.insert(per_class.values.end(), {0.5, std::nan(""), 0.25, 40});
    confusion.values[i * classes + i] = 30;
    confusion.values[i * classes + (i + 1) % classes] = 10;
  }
  confusion.rows = confusion.columns = per_class.rows;
  report.tables = {per_class, confusion};
  report.mistakes = {77, {{"photo & 1.png", "cat", "dog", 0.987, 0.004, {"AAAA", 8, 8}}}};
  return report;
}

// All but the line of the document type.
std::vector<XmlElement> page(const TestReport& report) {
  const auto html = to_html(report);
  return parse_xml(html.substr(html.find('\n') + 1));
}

TEST(TestPage, ShowsFiguresClassesConfusionAndMistakes) {
  const auto html = page(report(3));
  EXPECT_THAT(texts(html, "h2"), ElementsAre("Figures", "Classes", "Confusion", "Worst mistakes"));
  EXPECT_THAT(texts(html, "header")[0],
              HasSubstr("1,234 samples of the test split. accuracy/top1: 91.37 %"));
  const auto rows = texts(html, "tr");
  EXPECT_THAT(rows, Contains("accuracy/top1,\u00A0%91.37"));
  EXPECT_THAT(rows, Contains("loss1.5000")) << "no share";
  EXPECT_THAT(rows, Contains("classprecision,\u00A0%recall,\u00A0%f1,\u00A0%support"));
  EXPECT_THAT(rows, Contains("<class 1>50.0–25.040"));
  EXPECT_THAT(select(html, "table", "matrix"), SizeIs(1));
  EXPECT_THAT(texts(html, "figcaption"), ElementsAre("cat → dog98.7 % against 0.4 %photo & 1.png"));
  EXPECT_THAT(texts(html, "p"), Contains(HasSubstr("1 of 77 mistakes")));
}

TEST(TestPage, OfManyClassesFoldsThemAndDrawsTheMatrix) {
  const auto html = page(report(200));
  EXPECT_THAT(select(html, "table", "matrix"), IsEmpty());
  EXPECT_THAT(texts(html, "summary"), ElementsAre("All 200 classes"));
  ASSERT_THAT(select(html, "div", "matrix-picture"), SizeIs(1));
  const auto images = select(html, "img");
  EXPECT_EQ(images[0].attributes.at("width"), "1000");
  EXPECT_EQ(images[0].attributes.at("alt"), "Confusion matrix of 200 classes");
  EXPECT_THAT(texts(html, "tr"), Contains("<class 0><class 1>1025.0")) << "confused pairs";
}

TEST(TestPage, OfAThousandClassesStaysSmall) { EXPECT_LT(to_html(report(1000)).size(), 2u << 20); }

TEST(TestPage, WithoutTablesAndMistakesHasNoEmptyParts) {
  auto bare = report(3);
  bare.tables.clear();
  bare.mistakes = {};
  EXPECT_THAT(texts(page(bare), "h2"), ElementsAre("Figures"));
  bare.damaged = "test: 1 damaged sample";
  EXPECT_THAT(texts(page(bare), "li"), ElementsAre("test: 1 damaged sample"));
}

TEST(TestPage, TableAsCsvIsNotRounded) {
  const Table table{"per_class", {"f1", "support"}, {"a,b", "c"}, {1.0 / 3, 7, std::nan(""), 0}};
  EXPECT_EQ(to_csv(table), "per_class,f1,support\r\n\"a,b\",0.3333333333333333,7\r\nc,,0\r\n");
}

}  // namespace
}  // namespace dnc::report
