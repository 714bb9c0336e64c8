#include "host/report/svg.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <sstream>

#include "tests/host/report/xml.h"

namespace dnc::report {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

/// "x,y x,y" as numbers.
std::vector<std::pair<double, double>> points(const XmlElement& element) {
  std::istringstream stream(element.attributes.at("points"));
  std::vector<std::pair<double, double>> points;
  double x = 0, y = 0;
  char comma = 0;
  while (stream >> x >> comma >> y) points.emplace_back(x, y);
  return points;
}

Curve curve(int64_t style, const std::vector<double>& values) {
  Curve curve{.name = "c", .style = style, .points = {}};
  for (const double value : values) {
    curve.points.push_back({static_cast<double>(curve.points.size()), value, value - 1, value + 1});
  }
  return curve;
}

std::vector<XmlElement> draw(std::vector<Curve> curves) {
  return parse_xml(line_chart({"accuracy <b>, %", "epoch", std::move(curves)}).html());
}

/// Where the ticks of the y axis stand, by their text.
double y_of(const std::vector<XmlElement>& svg, const std::string& tick) {
  for (const auto& text : select(svg, "text", "tick")) {
    if (text.text == tick && text.attributes.at("text-anchor") == "end") {
      return std::stod(text.attributes.at("y"));
    }
  }
  ADD_FAILURE() << "no tick " << tick;
  return 0;
}

TEST(RoundTicks, AreOneTwoOrFiveTimesAPowerOfTenApart) {
  EXPECT_THAT(round_ticks(0, 10, 6), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(round_ticks(0, 2.1, 6), ElementsAre(0, 0.5, 1, 1.5, 2));
  EXPECT_THAT(round_ticks(73, 92, 6), ElementsAre(75, 80, 85, 90));
  EXPECT_THAT(round_ticks(-1, 1, 5), ElementsAre(-1, -0.5, 0, 0.5, 1));
  EXPECT_THAT(round_ticks(0, 0.003, 4),
              ElementsAre(0, 0.001, DoubleNear(0.002, 1e-12), DoubleNear(0.003, 1e-12)));
}

TEST(RoundTicks, AreNeverMoreThanAskedFor) {
  for (const double range : {0.0007, 0.9, 1.0, 1.1, 3.3, 7.0, 99.0, 12345.0}) {
    for (int64_t at_most = 2; at_most < 12; ++at_most) {
      EXPECT_LE(round_ticks(0, range, at_most).size(), static_cast<size_t>(at_most)) << range;
    }
  }
}

TEST(LineChart, PointsLieWhereTheAxesSay) {
  const auto svg = draw({curve(0, {10, 20, 40})});
  const auto lines = select(svg, "polyline");
  ASSERT_THAT(lines, SizeIs(1));
  const auto line = points(lines[0]);
  ASSERT_THAT(line, SizeIs(3));
  EXPECT_NEAR(line[0].second, y_of(svg, "10"), 0.011);
  EXPECT_NEAR(line[1].second, y_of(svg, "20"), 0.011);
  EXPECT_NEAR(line[2].second, y_of(svg, "40"), 0.011);
  EXPECT_LT(line[2].second, line[0].second) << "y grows upwards";
  EXPECT_NEAR(line[1].first - line[0].first, line[2].first - line[1].first, 0.011);
}

TEST(LineChart, SaysWhatItIsToThoseWhoDoNotSeeIt) {
  const auto svg = draw({curve(0, {1, 2})});
  EXPECT_EQ(svg[0].tag, "svg");
  EXPECT_EQ(svg[0].attributes.at("role"), "img");
  EXPECT_EQ(svg[0].attributes.at("aria-label"), "accuracy <b>, % by epoch");
  EXPECT_THAT(texts(svg, "text", "axis-title"), ElementsAre("epoch"));
}

TEST(LineChart, BandReachesFromLowToHigh) {
  const auto svg = draw({curve(0, {10, 20})});
  const auto bands = select(svg, "polygon", "band");
  ASSERT_THAT(bands, SizeIs(1));
  const auto outline = points(bands[0]);
  const auto line = points(select(svg, "polyline")[0]);
  ASSERT_THAT(outline, SizeIs(4));  // high from left to right, low from right to left
  const double one = (line[0].second - line[1].second) / 10;
  EXPECT_NEAR(outline[0].second, line[0].second - one, 0.02);
  EXPECT_NEAR(outline[1].second, line[1].second - one, 0.02);
  EXPECT_NEAR(outline[2].second, line[1].second + one, 0.02);
  EXPECT_NEAR(outline[3].second, line[0].second + one, 0.02);
}

TEST(LineChart, OneRunHasNoBand) {
  const auto svg = draw({{.name = "c", .style = 0, .points = {{0, 1, 1, 1}, {1, 2, 2, 2}}}});
  EXPECT_THAT(select(svg, "polygon"), IsEmpty());
}

TEST(LineChart, PointThatIsNotFiniteBreaksTheLine) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const auto svg = draw({curve(0, {1, 2, nan, 4, infinity, 5, 6, 7})});
  const auto lines = select(svg, "polyline");
  ASSERT_THAT(lines, SizeIs(2));  // 1-2 and 5-6-7; 4 stands alone as a dot
  EXPECT_THAT(points(lines[0]), SizeIs(2));
  EXPECT_THAT(points(lines[1]), SizeIs(3));
  EXPECT_THAT(select(svg, "circle"), SizeIs(6));
}

TEST(LineChart, NothingToDrawGivesEmptyAxes) {
  for (const auto& curves : {std::vector<Curve>{}, std::vector<Curve>{curve(0, {})}}) {
    const auto svg = draw(curves);
    EXPECT_THAT(select(svg, "polyline"), IsEmpty());
    EXPECT_FALSE(select(svg, "text", "tick").empty());
  }
}

TEST(LineChart, ConstantsAndExtremesStayOnThePaper) {
  for (const auto& values : std::vector<std::vector<double>>{
           {0, 0}, {0.5, 0.5, 0.5}, {1e12, 1e12 + 10}, {1e-9, 2e-9}, {-3, 5e6}, {1}}) {
    auto one = curve(0, values);
    for (auto& point : one.points) point.low = point.high = point.mean;
    for (const auto& circle : select(draw({one}), "circle")) {
      EXPECT_GE(std::stod(circle.attributes.at("cx")), 40);
      EXPECT_LE(std::stod(circle.attributes.at("cx")), 460);
      EXPECT_GE(std::stod(circle.attributes.at("cy")), 0);
      EXPECT_LE(std::stod(circle.attributes.at("cy")), 260);
    }
  }
}

TEST(LineChart, TicksThatFollowEachOtherHaveDifferentTexts) {
  for (const auto& values : std::vector<std::vector<double>>{
           {99.5, 99.76}, {0.66, 0.985}, {0.1, 0.4}, {87, 90.2}, {-0.7, 0.7}}) {
    auto one = curve(0, values);
    for (auto& point : one.points) point.low = point.high = point.mean;
    for (const auto* anchor : {"end", "middle"}) {  // y, x
      std::string before;
      for (const auto& text : select(draw({one}), "text", "tick")) {
        if (text.attributes.at("text-anchor") != anchor) continue;
        EXPECT_NE(text.text, before) << values[0];
        before = text.text;
      }
    }
  }
  LineChart narrow{"share", "similarity", {{"c", 0, {{0.66, 1, 1, 1}, {0.985, 2, 2, 2}}}}};
  narrow.x_from_zero = false;
  std::vector<std::string> ticks;
  for (const auto& text : select(parse_xml(line_chart(narrow).html()), "text", "tick")) {
    if (text.attributes.at("text-anchor") == "middle") ticks.push_back(text.text);
  }
  EXPECT_THAT(ticks, ElementsAre("0.7", "0.8", "0.9"));
}

TEST(LineChart, NothingButZerosLieOnTheAxis) {
  auto zeros = curve(0, {0, 0, 0});
  for (auto& point : zeros.points) point.low = point.high = point.mean;
  const auto svg = draw({zeros});
  EXPECT_NEAR(points(select(svg, "polyline")[0])[1].second, y_of(svg, "0.0"), 0.011);
  EXPECT_LT(y_of(svg, "1.0"), y_of(svg, "0.0"));
}

TEST(LineChart, LongNumbersBesideTheAxisStayOnThePaper) {
  for (const auto& values : std::vector<std::vector<double>>{
           {1e12, 1e12 + 10}, {0, 250'000}, {0, 3e-5}, {0, 3e-9}, {-0.0125, 0.01}}) {
    auto one = curve(0, values);
    for (auto& point : one.points) point.low = point.high = point.mean;
    const auto svg = draw({one});
    std::set<std::string> labels;
    size_t ticks = 0;
    for (const auto& text : select(svg, "text", "tick")) {
      if (text.attributes.at("text-anchor") != "end") continue;
      ++ticks;
      labels.insert(text.text);
      const auto digits = std::ranges::count_if(text.text, [](char each) { return each != '.'; });
      EXPECT_GE(std::stod(text.attributes.at("x")), 8.0 * static_cast<double>(digits));
    }
    EXPECT_THAT(labels, SizeIs(ticks)) << "each another";
    EXPECT_NEAR(points(select(svg, "polyline")[0])[0].first,
                std::stod(select(svg, "line", "grid")[0].attributes.at("x1")), 0.011);
  }
}

TEST(LineChart, CurvesAreToldApartByColourAndByDashes) {
  std::vector<Curve> curves;
  for (int64_t i = 0; i < 40; ++i) curves.push_back(curve(i, {1, 2}));
  std::set<std::pair<std::string, std::string>> looks;
  std::set<std::string> first_dashes;
  const auto lines = select(draw(curves), "polyline");
  for (size_t i = 0; i < lines.size(); ++i) {
    const auto dashes = lines[i].attributes.find("stroke-dasharray");
    const auto text = dashes == lines[i].attributes.end() ? "" : dashes->second;
    looks.emplace(lines[i].attributes.at("class"), text);
    if (i < 5) first_dashes.insert(text);
  }
  EXPECT_THAT(looks, SizeIs(40));
  EXPECT_THAT(first_dashes, SizeIs(5)) << "five curves differ without colours";
}

TEST(LineChart, LogarithmicAxisCountsPowersOfTen) {
  LineChart chart{"loss", "lr", {{.name = "c", .style = 0, .points = {}}}, true};
  for (const double x : {0.0, 1e-6, 1e-4, 1e-2, 1.0, 10.0})
    chart.curves[0].points.push_back({x, x, x, x});
  const auto svg = parse_xml(line_chart(chart).html());
  const auto line = points(select(svg, "polyline")[0]);
  ASSERT_THAT(line, SizeIs(5)) << "0 has no logarithm";
  EXPECT_NEAR(line[1].first - line[0].first, line[2].first - line[1].first, 0.011);
  EXPECT_NEAR(line[4].first - line[3].first, (line[1].first - line[0].first) / 2, 0.011);
  std::vector<std::string> ticks;
  for (const auto& text : select(svg, "text", "tick")) {
    if (text.attributes.at("text-anchor") == "middle") ticks.push_back(text.text);
  }
  EXPECT_THAT(ticks, ElementsAre("1e-6", "1e-5", "1e-4", "0.001", "0.01", "0.1", "1", "10"));
}

TEST(LineChart, ShortLogarithmicAxisHasTicksBetweenThePowersOfTen) {
  LineChart chart{"loss", "lr", {{.name = "c", .style = 0, .points = {}}}, true};
  for (const double x : {1.5e-5, 6e-5}) chart.curves[0].points.push_back({x, x, x, x});
  std::vector<std::string> ticks;
  for (const auto& text : select(parse_xml(line_chart(chart).html()), "text", "tick")) {
    if (text.attributes.at("text-anchor") == "middle") ticks.push_back(text.text);
  }
  EXPECT_THAT(ticks, ElementsAre("2e-5", "5e-5"));
}

TEST(SvgFile, IsAChartWithItsOwnTitleAndColours) {
  const LineChart chart{"lr <b>", "step", {curve(0, {1, 2})}};
  const auto svg = parse_xml(svg_file(chart));
  EXPECT_EQ(svg[0].attributes.at("xmlns"), "http://www.w3.org/2000/svg");
  EXPECT_THAT(texts(svg, "text", "axis-title"), ElementsAre("lr <b>", "step"));
  EXPECT_THAT(texts(svg, "style"), ElementsAre(testing::HasSubstr(".series-0")));
  EXPECT_THAT(select(svg, "polyline"), SizeIs(1));
}

TEST(Legend, ShowsEachNameWithTheLineOfItsCurve) {
  const auto page = parse_xml(legend({"linear", "a <b>"}).html());
  EXPECT_THAT(texts(page, "li"), ElementsAre("linear", "a <b>"));
  const auto chart = draw({curve(0, {1, 2}), curve(1, {1, 2})});
  for (size_t i = 0; i < 2; ++i) {
    const auto swatch = select(page, "line")[i].attributes;
    const auto line = select(chart, "polyline")[i].attributes;
    EXPECT_EQ(swatch.at("class"), line.at("class"));
    EXPECT_EQ(swatch.contains("stroke-dasharray"), line.contains("stroke-dasharray"));
  }
}

}  // namespace
}  // namespace dnc::report
