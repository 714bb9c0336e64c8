#include "host/report/unknown_section.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/host/report/xml.h"

namespace dnc::report {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

UnknownImages images() {
  UnknownImages unknown{"a <b>.yaml", 2, "run/reject.json", {}};
  unknown.scores.push_back({.score = "similarity",
                            .meaning = "cosine to the nearest",
                            .auroc = 0.9625,
                            .fpr_at_95 = 0.125,
                            .known = {0.9, 0.8, 0.7},
                            .unknown = {0.1, 0.7},
                            .rates = {{0.05, 0.75, 0.04, 0.2}}});
  return unknown;
}

std::vector<XmlElement> section_of(const UnknownImages& unknown) {
  return parse_xml("<div>" + unknown_section(unknown).html() + "</div>");
}

TEST(UnknownSection, ShowsScoresHistogramsAndThresholds) {
  const auto html = section_of(images());
  EXPECT_THAT(texts(html, "p")[0],
              HasSubstr("3 known images against 2 unknown ones of a <b>.yaml. 2 are damaged."));
  EXPECT_THAT(texts(html, "tr"), Contains("similarity96.2512.50"));
  EXPECT_THAT(texts(html, "tr"), Contains("similarity5.000.75004.0020.00"));
  EXPECT_THAT(texts(html, "dd"), ElementsAre("cosine to the nearest"));
  EXPECT_THAT(select(html, "polyline"), SizeIs(2)) << "an outline for known, one for unknown";
  EXPECT_THAT(texts(html, "p"), Contains("run/reject.json has them for predict --reject."));
}

TEST(UnknownSection, WithoutRatesHasNoThresholds) {
  auto unknown = images();
  unknown.scores[0].rates.clear();
  EXPECT_THAT(texts(section_of(unknown), "h3"), IsEmpty());
  EXPECT_TRUE(unknown_section({}).empty());
}

TEST(UnknownSection, OfScoresThatAreAllEqualHasNoChart) {
  auto unknown = images();
  unknown.scores[0].known = unknown.scores[0].unknown = {1, 1};
  EXPECT_THAT(select(section_of(unknown), "svg"), IsEmpty());
}

TEST(Histogram, CountsEachValueOnce) {
  EXPECT_EQ(histogram({0, 0.1, 0.5, 0.99, 1, 2}, 0, 1, 2), (std::vector<double>{2.0 / 6, 3.0 / 6}));
  EXPECT_EQ(histogram({}, 0, 1, 2), (std::vector<double>{0, 0}));
}

}  // namespace
}  // namespace dnc::report
