#include "host/report/explanation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/host/report/xml.h"

namespace dnc::report {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

ShownEvidence evidence(int64_t label, int64_t index, double similarity, double share) {
  ShownEvidence shown;
  shown.evidence = {label, index, similarity, share};
  shown.stands_for = {
      label * 10 + index, "train <" + std::to_string(index) + ">", 0.987, {}, {"AAAA", 8, 8}};
  return shown;
}

Explanation of_an_image() {
  ShownDecision shown;
  shown.decision.classes = {{1, 0.9}, {0, 0.1}};
  shown.nearest = {evidence(1, 2, 0.75, 0.8), evidence(0, 1, 0.5, 0.15)};
  for (const auto& one : shown.nearest) shown.decision.nearest.push_back(one.evidence);
  shown.support = shown.nearest[0];
  shown.rival = shown.counter = shown.nearest[1];
  shown.decision.support = shown.support->evidence;
  shown.decision.rival = shown.decision.counter = shown.rival->evidence;
  shown.rule = "IF so THEN dog.";
  shown.verdict = "It is: 0.750 against at most 0.500.";
  shown.map = {2, 3, {0, 1, 2, -4, 0, 1}};
  shown.map_file = "a_map.png";
  shown.map_picture = {"CCCC", 28, 28};
  ShownImage image;
  image.file = "photos/a & b.png";
  image.width = image.height = 28;
  image.picture = {"BBBB", 28, 28};
  image.decisions = {shown};
  image.files = {"a_map.png"};
  Explanation explanation;
  explanation.title = "Why run decides as it does";
  explanation.sub_centroids = 3;
  explanation.classes = {"cat", "dog"};
  explanation.searched = 1234;
  explanation.map = "occlusion";
  explanation.images = {image};
  explanation.command = "dnc-host explain run a.png";
  explanation.checkpoint = "run/checkpoints/best";
  explanation.version = "0.1.0";
  explanation.date = "2026-01-01T00:00:00Z";
  return explanation;
}

// All but the line of the document type.
std::vector<XmlElement> page(const Explanation& explanation) {
  const auto html = to_html(explanation);
  return parse_xml(html.substr(html.find('\n') + 1));
}

TEST(ExplanationPage, ShowsPredictionRuleEvidenceAndMap) {
  const auto html = page(of_an_image());
  EXPECT_THAT(texts(html, "h2"), ElementsAre("photos/a & b.png"));
  EXPECT_THAT(
      texts(html, "h3"),
      ElementsAre("Nearest sub-centroids", "Counter-evidence: the nearest of the runner-up class"));
  EXPECT_THAT(texts(html, "p"), Contains("dog 90.0 %, cat 10.0 %"));
  EXPECT_THAT(texts(html, "p", "rule"), ElementsAre("IF so THEN dog."));
  EXPECT_THAT(texts(html, "figcaption"),
              ElementsAre("As the network sees it.",
                          "Where the similarity to sub-centroid 2 of dog comes from (occlusion): "
                          "orange speaks for it, blue against.",
                          "80.0 % · 0.750dogsub-centroid 2train <2> (0.987)",
                          "15.0 % · 0.500catsub-centroid 1train <1> (0.987)",
                          "15.0 % · 0.500catsub-centroid 1train <1> (0.987)"));
  EXPECT_THAT(select(html, "img"), SizeIs(5));
  EXPECT_THAT(texts(html, "dd"), Contains("1,234"));
}

TEST(ExplanationPage, HasNumbersInPlaceOfMissingImages) {
  auto explanation = of_an_image();
  auto& shown = explanation.images[0].decisions[0];
  shown.nearest[0].stands_for = {};
  explanation.notes = {"The training data is not there."};
  const auto html = page(explanation);
  EXPECT_THAT(texts(html, "div", "no-picture"), ElementsAre("#2"));
  EXPECT_THAT(texts(html, "li"), ElementsAre("The training data is not there."));
}

TEST(ExplanationPage, OfAHeadWithoutPrototypesHasNoRule) {
  auto explanation = of_an_image();
  explanation.sub_centroids = 0;
  auto& shown = explanation.images[0].decisions[0];
  const auto classes = shown.decision.classes;
  shown = {};
  shown.decision.classes = classes;
  shown.map_picture = {"CCCC", 28, 28};
  const auto html = page(explanation);
  EXPECT_THAT(texts(html, "p", "rule"), IsEmpty());
  EXPECT_THAT(texts(html, "h3"), IsEmpty());
  EXPECT_THAT(texts(html, "figcaption"), Contains(HasSubstr("Where the score of dog comes from")));
}

TEST(ExplanationPage, OfPixelsShowsWhatEachChose) {
  auto explanation = of_an_image();
  explanation.pixels = true;
  auto& image = explanation.images[0];
  image.choices = {{evidence(1, 2, 0, 0), 588, {1, 2, 3}}, {evidence(0, 0, 0, 0), 196, {9, 9, 9}}};
  image.choices[0].evidence.stands_for.place = {0.25, 0.5};
  image.decisions[0].input = "Pixel 3, 4";
  image.choices[0].evidence.stands_for.name = "/data/train/street.jpg";
  image.choice_picture = {"DDDD", 28, 28};
  const auto html = page(explanation);
  EXPECT_THAT(texts(html, "h3"), Contains("Which sub-centroid each pixel chose"));
  EXPECT_THAT(texts(html, "h3"), Contains("Pixel 3, 4"));
  EXPECT_THAT(texts(html, "figcaption"),
              Contains("75.0 %dogsub-centroid 2street.jpg at 25 % across, 50 % down (0.987)"));
  EXPECT_THAT(texts(html, "h4"), Contains("Nearest sub-centroids")) << "below that of the pixel";
  const auto images = select(html, "img");
  EXPECT_EQ(images[0].attributes.at("alt"), "photos/a & b.png");
  EXPECT_EQ(images[1].attributes.at("alt"), "Which sub-centroid each pixel chose, in colours");
  EXPECT_EQ(images[2].attributes.at("title"), "/data/train/street.jpg") << "in full";
  EXPECT_EQ(select(html, "span", "swatch")[0].attributes.at("style"), "background:rgb(1 2 3)");
}

TEST(ExplanationJson, HasEverythingInNumbers) {
  const auto json = nlohmann::json::parse(to_json(of_an_image()));
  EXPECT_EQ(json["task"], "images");
  EXPECT_EQ(json["training_samples_searched"], 1234);
  const auto& image = json["images"][0];
  EXPECT_EQ(image["file"], "photos/a & b.png");
  const auto& decision = image["decisions"][0];
  EXPECT_EQ(decision["prediction"], "dog");
  EXPECT_EQ(decision["classes"][1]["class"], "cat");
  EXPECT_EQ(decision["classes"][1]["score"], 0.1);
  const auto& nearest = decision["nearest"][0];
  EXPECT_EQ(nearest["class"], "dog");
  EXPECT_EQ(nearest["sub_centroid"], 2);
  EXPECT_EQ(nearest["similarity"], 0.75);
  EXPECT_EQ(nearest["share"], 0.8);
  EXPECT_EQ(nearest["training_sample"]["index"], 12);
  EXPECT_EQ(nearest["training_sample"]["name"], "train <2>");
  EXPECT_EQ(decision["counter_evidence"]["class"], "cat");
  EXPECT_EQ(decision["rule"]["text"], "IF so THEN dog.");
  EXPECT_EQ(decision["rule"]["applies"], true);
  EXPECT_EQ(decision["map"]["peak"], 4);
  EXPECT_EQ(decision["map"]["strongest_at"], (std::vector<int>{2, 0}));
  EXPECT_EQ(decision["map"]["grid"], (std::vector<std::vector<double>>{{0, 1, 2}, {-4, 0, 1}}));
  EXPECT_EQ(image["files"], (std::vector<std::string>{"a_map.png"}));
}

TEST(ExplanationJson, OfPixelsHasBoxesAndWhatEachChose) {
  auto explanation = of_an_image();
  explanation.pixels = true;
  auto& image = explanation.images[0];
  image.decisions[0].box = {3, 4, 1, 1};
  image.decisions[0].support->stands_for.place = {0.25, 0.5};
  image.choices = {{evidence(1, 2, 0, 0), 588, {1, 2, 3}}};
  const auto json = nlohmann::json::parse(to_json(explanation))["images"][0];
  EXPECT_EQ(json["decisions"][0]["box"], (std::vector<int>{3, 4, 1, 1}));
  EXPECT_EQ(json["decisions"][0]["support"]["training_sample"]["place"],
            (std::vector<double>{0.25, 0.5}));
  EXPECT_EQ(json["pixels"][0]["pixels"], 588);
  EXPECT_EQ(json["pixels"][0]["colour"], (std::vector<int>{1, 2, 3}));
}

TEST(ExplanationJson, OfAHeadWithoutPrototypesHasNoEvidence) {
  auto explanation = of_an_image();
  explanation.sub_centroids = 0;
  const auto decision = nlohmann::json::parse(to_json(explanation))["images"][0]["decisions"][0];
  EXPECT_FALSE(decision.contains("nearest"));
  EXPECT_FALSE(decision.contains("rule"));
}

}  // namespace
}  // namespace dnc::report
