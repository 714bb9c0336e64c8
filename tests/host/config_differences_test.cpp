#include "host/config_differences.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "registry/config.h"

namespace dnc {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Node config(const std::string& text, const std::string& name) { return parse_config(text, name); }

std::string difference(const std::string& a, const std::string& b) {
  const auto first = config(a, "a.yaml"), second = config(b, "b.yaml");
  return to_text(config_differences(first, second));
}

TEST(ConfigDifferences, NamesEachKeyWithBothValuesAndTheirOrigins) {
  EXPECT_EQ(difference("model: {head: {type: Linear, bias: true}}\nseed: 1\n",
                       "seed: 1\nmodel:\n  head: {type: DNC, sub_centroids: 4}\n"),
            "- model.head.type: \"Linear\"                       # a.yaml:1:22\n"
            "+ model.head.type: \"DNC\"                          # b.yaml:3:16\n"
            "- model.head.bias: true                           # a.yaml:1:36\n"
            "+ model.head.sub_centroids: 4                     # b.yaml:3:36\n");
}

TEST(ConfigDifferences, AreNoneWhereOnlyTheWritingDiffers) {
  EXPECT_EQ(difference("a: 1.0e-4\nb: [1, 2]\nc: {d: true}\n",
                       "c:\n  d: true\nb:\n- 1\n- 2\na: 0.0001\n"),
            "");
  EXPECT_EQ(difference("a: 1\n", "a: 1.0\n"), "");
  EXPECT_NE(difference("a: 1\n", "a: '1'\n"), "") << "a number and a text";
  EXPECT_NE(difference("a: null\n", "a: 0\n"), "");
}

TEST(ConfigDifferences, ItemsOfListsAreNamedByTheirIndex) {
  EXPECT_EQ(difference("m: [{type: A}, B]\n", "m: [{type: C}, B, {type: D, k: 1}]\n"),
            "- m.0.type: \"A\"                                   # a.yaml:1:12\n"
            "+ m.0.type: \"C\"                                   # b.yaml:1:12\n"
            "+ m.2.type: \"D\"                                   # b.yaml:1:26\n"
            "+ m.2.k: 1                                        # b.yaml:1:32\n");
}

TEST(ConfigDifferences, ValuesOfTwoKindsAreToldWhole) {
  EXPECT_EQ(difference("a: {b: 1, c: 2}\n", "a: [3]\n"),
            "- a.b: 1                                          # a.yaml:1:8\n"
            "- a.c: 2                                          # a.yaml:1:14\n"
            "+ a.0: 3                                          # b.yaml:1:5\n");
  EXPECT_EQ(difference("a: {}\n", "a: 1\n"),
            "- a: {}                                           # a.yaml:1:4\n"
            "+ a: 1                                            # b.yaml:1:4\n");
  EXPECT_EQ(difference("a: []\n", "b: 1\n"),
            "- a: []                                           # a.yaml:1:4\n"
            "+ b: 1                                            # b.yaml:1:4\n");
}

TEST(ConfigDifferences, ValueWithoutAnOriginIsADefault) {
  auto a = Node::make_map(), b = Node::make_map();
  a.set("lr", Node::make_scalar("0.1"));
  EXPECT_EQ(to_text(config_differences(a, b)),
            "- lr: 0.1                                         # default\n");
}

TEST(ConfigDifferences, AsJsonHaveNullForWhatIsNotThere) {
  const auto a = config("x: 1\n", "a.yaml"), b = config("y: [2]\n", "b.yaml");
  const auto json = nlohmann::json::parse(to_json(config_differences(a, b)));
  ASSERT_EQ(json.size(), 2);
  EXPECT_EQ(json[0], (nlohmann::json{{"key", "x"},
                                     {"a", 1},
                                     {"b", nullptr},
                                     {"a_origin", "a.yaml:1:4"},
                                     {"b_origin", nullptr}}));
  EXPECT_EQ(json[1]["key"], "y.0");
  EXPECT_THAT(nlohmann::json::parse(to_json(config_differences(a, a))), IsEmpty());
}

}  // namespace
}  // namespace dnc
