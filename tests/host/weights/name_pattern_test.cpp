#include "host/weights/name_pattern.h"

#include <gtest/gtest.h>

#include <string>

#include "registry/error.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

/// The name that a tensor has on the right side; empty where its name does not fit the left one.
std::string renamed(const std::string& left, const std::string& right, const std::string& name) {
  const auto parts = NamePattern(left).match(name);
  return parts ? NamePattern(right).fill(*parts) : "";
}

std::string rejection(const std::string& pattern) {
  return message_of<Error>([&] { NamePattern{pattern}; });
}

TEST(NamePattern, TakesNumbersToTheirPlaces) {
  const std::string ours = "features.{2i+1}.{b}.norm";
  const std::string theirs = "layers.{i}.blocks.{b}.norm";
  EXPECT_EQ(renamed(ours, theirs, "features.1.0.norm"), "layers.0.blocks.0.norm");
  EXPECT_EQ(renamed(ours, theirs, "features.7.12.norm"), "layers.3.blocks.12.norm");
  EXPECT_EQ(renamed(theirs, ours, "layers.3.blocks.12.norm"), "features.7.12.norm");
  EXPECT_EQ(renamed(ours, theirs, "features.2.0.norm"), "");  // even
  EXPECT_EQ(renamed(ours, theirs, "features.0.0.norm"), "");  // below the offset
  EXPECT_EQ(renamed(ours, theirs, "features.1.0.norm.weight"), "");
  EXPECT_EQ(renamed(ours, theirs, "features..0.norm"), "");
  EXPECT_EQ(renamed(ours, theirs, "features.01.0.norm"), "");
  EXPECT_EQ(renamed(ours, theirs, "features.1.99999999999999999999.norm"), "");
}

TEST(NamePattern, NeedsTheSameNumberForTheSameLetter) {
  EXPECT_EQ(renamed("a.{i}.b.{i}", "{i}", "a.3.b.3"), "3");
  EXPECT_EQ(renamed("a.{i}.b.{i}", "{i}", "a.3.b.4"), "");
}

TEST(NamePattern, PairsChoicesByTheirPlace) {
  const std::string ours = "features.{1|2|11}.{0|1}.{*}";
  const std::string theirs = "blocks.{0.0|1.0|1.1}.{conv|bn}.{*}";
  EXPECT_EQ(renamed(ours, theirs, "features.11.1.running_mean"), "blocks.1.1.bn.running_mean");
  EXPECT_EQ(renamed(theirs, ours, "blocks.1.0.conv.weight"), "features.2.0.weight");
  EXPECT_EQ(renamed(ours, theirs, "features.3.0.weight"), "");
  EXPECT_EQ(renamed("{a|ab}{c|bc}", "{1|2}-{3|4}", "abc"), "1-4");  // the first way that goes
}

TEST(NamePattern, TakesTheRestAsItIs) {
  EXPECT_EQ(renamed("backbone.{*}", "{*}", "backbone.a.b"), "a.b");
  EXPECT_EQ(renamed("backbone.{*}", "{*}", "backbone."), "");
  EXPECT_EQ(renamed("backbone.{*}", "{*}", "head.a"), "");
}

TEST(NamePattern, KnowsWhetherTwoHaveTheSamePlaces) {
  const NamePattern pattern("a.{i}.{x|y}.{*}");
  EXPECT_TRUE(pattern.has_the_places_of(NamePattern("{u|v}.{2i+3}{*}")));
  EXPECT_FALSE(pattern.has_the_places_of(NamePattern("{u|v}.{j}{*}")));
  EXPECT_FALSE(pattern.has_the_places_of(NamePattern("{u|v|w}.{i}{*}")));
  EXPECT_FALSE(pattern.has_the_places_of(NamePattern("{u|v}.{i}")));
}

TEST(NamePattern, RefusesWhatIsNone) {
  EXPECT_EQ(rejection(""), "'' is no pattern of names: it is empty");
  EXPECT_EQ(rejection("a.{i"), "'a.{i' is no pattern of names: a { without its }");
  EXPECT_EQ(rejection("{*}.b"), "'{*}.b' is no pattern of names: nothing can come after {*}");
  for (const std::string place : {"", "I", "2", "i+", "i-1", "0i", "ij", "i+1x"}) {
    EXPECT_EQ(rejection("a.{" + place + "}"), "'a.{" + place + "}' is no pattern of names: '{" +
                                                  place + "}' is none of {i}, {2i+1}, {a|b}, {*}");
  }
}

TEST(Wildcard, StandsForAnyText) {
  EXPECT_TRUE(matches_wildcard("head.fc.weight", "head.*"));
  EXPECT_TRUE(matches_wildcard("head.fc.weight", "*.weight"));
  EXPECT_TRUE(matches_wildcard("a.b.a.b.c", "*a.b.c"));
  EXPECT_TRUE(matches_wildcard("abc", "a*b*c*"));
  EXPECT_TRUE(matches_wildcard("", "*"));
  EXPECT_FALSE(matches_wildcard("head", "head.*"));
  EXPECT_FALSE(matches_wildcard("my.head.fc", "head.*"));
  EXPECT_FALSE(matches_wildcard("abc", "abd"));
  EXPECT_FALSE(matches_wildcard("abc", ""));
  // As long as the square of its length at the worst, not 2 to its power.
  EXPECT_FALSE(matches_wildcard(std::string(2000, 'a'), "*a*a*a*a*a*a*a*a*a*b"));
}

}  // namespace
}  // namespace dnc
