#include "host/report/predictions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace dnc::report {
namespace {

using testing::ElementsAre;

const Prediction kPrediction{3, "a,b \"c\".png", "cat", {{"dog", 0.75}, {"cat", 0.25}}};

TEST(Predictions, JsonLine) {
  const auto line = to_json_line(kPrediction);
  EXPECT_EQ(line.back(), '\n');
  EXPECT_EQ(nlohmann::json::parse(line), nlohmann::json::parse(R"({
    "index": 3, "name": "a,b \"c\".png", "label": "cat", "prediction": "dog",
    "predictions": [{"class": "dog", "score": 0.75}, {"class": "cat", "score": 0.25}]})"));
  EXPECT_TRUE(nlohmann::json::parse(to_json_line({0, "x", "", {{"dog", 1}}}))["label"].is_null());
}

TEST(Predictions, NameThatIsNotUtf8IsStillJson) {
  const auto json = nlohmann::json::parse(to_json_line({0, "\xff.png", "cat", {{"dog", 1}}}));
  EXPECT_EQ(json["name"], "\xEF\xBF\xBD.png");
}

TEST(Predictions, CsvLine) {
  EXPECT_EQ(prediction_csv_header(2),
            "index,name,label,prediction,class_1,score_1,class_2,score_2\r\n");
  EXPECT_EQ(to_csv_line(kPrediction),
            "3,\"a,b \"\"c\"\".png\",cat,dog,dog,0.750000,cat,0.250000\r\n");
}

std::vector<int64_t> indices(const WorstMistakes& mistakes) {
  std::vector<int64_t> indices;
  for (const auto& mistake : mistakes.sorted()) indices.push_back(mistake.index);
  return indices;
}

TEST(WorstMistakes, KeepsThoseOfTheHighestScore) {
  WorstMistakes mistakes(3);
  const double scores[]{0.5, 0.9, 0.4, 0.9, 0.7, 0.6};
  for (int64_t i = 0; i < 6; ++i) mistakes.add({i, 0, 1, scores[i], 0});
  EXPECT_THAT(indices(mistakes), ElementsAre(1, 3, 4)) << "equal ones by index";
  EXPECT_EQ(mistakes.count(), 6);
}

TEST(WorstMistakes, OfNoneToKeepAreCountedAllTheSame) {
  WorstMistakes none(0);
  none.add({1, 0, 1, 0.5, 0});
  EXPECT_TRUE(none.sorted().empty());
  EXPECT_EQ(none.count(), 1);
  EXPECT_TRUE(WorstMistakes(5).sorted().empty());
}

}  // namespace
}  // namespace dnc::report
