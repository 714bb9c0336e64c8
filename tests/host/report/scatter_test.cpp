#include "host/report/scatter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tests/host/report/xml.h"

namespace dnc::report {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

double number(const XmlElement& element, const std::string& name) {
  return std::stod(element.attributes.at(name));
}

TEST(ScatterChart, DrawsAUnitAsLongAcrossAsUp) {
  ScatterChart chart{"a map", {}, {}};
  for (const PlanePoint at : {PlanePoint{0, 0}, {4, 0}, {0, 2}}) {
    chart.marks.push_back({at, 1, false, "", "t", ""});
  }
  const auto circles = select(parse_xml(scatter_chart(chart).html()), "circle");
  ASSERT_THAT(circles, SizeIs(3));
  const double across = number(circles[1], "cx") - number(circles[0], "cx");
  const double up = number(circles[0], "cy") - number(circles[2], "cy");
  EXPECT_GT(across, 0);
  EXPECT_NEAR(across, 2 * up, 0.2);
}

TEST(ScatterChart, AllLiesOnThePaperAndLabelsDoNotCoverEachOther) {
  ScatterChart chart{"a map", {{0, {{-3, 5}, {90, -7}}}}, {}};
  for (int i = 0; i < 3; ++i) chart.marks.push_back({{90, -7}, 0, false, "some class", "t", ""});
  const auto svg = parse_xml(scatter_chart(chart).html());
  std::istringstream box(svg[0].attributes.at("viewBox"));
  double left = 0, top = 0, width = 0, height = 0;
  box >> left >> top >> width >> height;
  std::vector<double> lines;
  for (const auto& label : select(svg, "text")) {
    EXPECT_GE(number(label, "x"), 0);
    EXPECT_LT(number(label, "x"), width);
    EXPECT_LT(number(label, "y"), height);
    for (const double other : lines) EXPECT_GE(std::abs(number(label, "y") - other), 10);
    lines.push_back(number(label, "y"));
  }
  EXPECT_EQ(lines.size(), 3u);
}

TEST(ScatterChart, DotsAreOnePathAndMarksMayLead) {
  ScatterChart chart{"a <map>", {{9, {{0, 0}, {1, 1}, {std::nan(""), 0}}}}, {}};
  chart.marks.push_back({{0.5, 0.5}, 2, true, "cat & dog", "title", "class_0001.html"});
  const auto svg = parse_xml(scatter_chart(chart).html());
  EXPECT_EQ(svg[0].attributes.at("aria-label"), "a <map>");
  const auto paths = select(svg, "path");
  ASSERT_THAT(paths, SizeIs(1));
  EXPECT_EQ(paths[0].attributes.at("class"), "cloud series-1");
  EXPECT_EQ(std::ranges::count(paths[0].attributes.at("d"), 'M'), 2)
      << "no point that is not there";
  EXPECT_EQ(select(svg, "a")[0].attributes.at("href"), "class_0001.html");
  EXPECT_EQ(select(svg, "circle", "hollow").size(), 1u);
  EXPECT_EQ(texts(svg, "text")[0], "cat & dog");
}

TEST(ScatterChart, WithoutPointsIsNothing) {
  EXPECT_TRUE(scatter_chart({"empty", {{0, {}}}, {}}).empty());
  const auto one = scatter_chart({"one", {{0, {{2, 3}}}}, {}});
  EXPECT_THAT(select(parse_xml(one.html()), "path"), SizeIs(1));
}

}  // namespace
}  // namespace dnc::report
