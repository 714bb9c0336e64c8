#include "host/serve/service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/host/serve/fake_model.h"
#include "tests/temporary_folder.h"

namespace dnc::serve {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

std::string picture(int64_t height, int64_t width, int value) {
  return "P6 " + std::to_string(width) + " " + std::to_string(height) + " 255\n" +
         std::string(static_cast<size_t>(height * width * 3), static_cast<char>(value));
}

class ServiceTest : public testing::Test {
 protected:
  Response get(const std::string& path) { return service_.handle({.method = "GET", .path = path}); }
  Response post(const std::string& path, const std::string& body,
                std::map<std::string, std::string> query = {}) {
    return service_.handle(
        {.method = "POST", .path = path, .query = std::move(query), .body = body});
  }
  static std::string error_of(const Response& response) {
    return json::parse(response.body)["error"];
  }

  FakeModel model_;
  Service service_{model_, {.max_pixels = 10'000}, nullptr};
};

TEST_F(ServiceTest, AnswersTheProtocolsQuestions) {
  EXPECT_EQ(json::parse(get("/v2").body)["name"], "dnc-host");
  EXPECT_EQ(json::parse(get("/v2/health/live").body)["live"], true);
  EXPECT_EQ(json::parse(get("/v2/health/ready").body)["ready"], true);
  for (const auto* path : {"/v2/models/fake", "/v2/models/fake/versions/7"}) {
    EXPECT_EQ(json::parse(get(path).body)["name"], "fake") << path;
    EXPECT_EQ(json::parse(get(std::string(path) + "/ready").body)["ready"], true) << path;
  }
  EXPECT_THAT(get("/").body, StartsWith("<!DOCTYPE html>"));
  EXPECT_THAT(get("/").type, StartsWith("text/html"));
  EXPECT_THAT(get("/metrics").body, HasSubstr("dnc_requests_total{endpoint=\"other\""));
}

TEST_F(ServiceTest, WhileItStopsItIsAliveButNotReady) {
  service_.begin_stop();
  EXPECT_EQ(get("/v2/health/live").status, 200);
  EXPECT_EQ(get("/v2/health/ready").status, 503);
  EXPECT_EQ(get("/v2/models/fake/ready").status, 503);
  EXPECT_EQ(post("/predict", picture(4, 4, 9)).status, 200) << "what was accepted is answered";
}

TEST_F(ServiceTest, WrongAddressesAndMethodsAreSaid) {
  for (const auto* path :
       {"/no", "/v2/no", "/v3", "/v2/models", "/v2/models/fake/no", "//",
        "/v2/models/fake/infer/more", "/v2/models/fake/versions", "", "predict"}) {
    const auto response = get(path);
    EXPECT_EQ(response.status, 404) << path;
    EXPECT_NE(error_of(response), "") << path;
  }
  EXPECT_EQ(error_of(get("/v2/models/other")), "there is no model 'other' here, only 'fake'");
  EXPECT_EQ(error_of(get("/v2/models/fake/versions/8")),
            "there is no version '8' of 'fake' here, only 7");
  EXPECT_EQ(get("/predict").status, 405);
  EXPECT_EQ(get("/v2/models/fake/infer").status, 405);
  EXPECT_EQ(post("/metrics", "").status, 405);
}

TEST_F(ServiceTest, AnImageGetsItsClasses) {
  const auto response = post("/predict", picture(5, 6, 10), {{"k", "2"}});
  ASSERT_EQ(response.status, 200) << response.body;
  const auto answer = json::parse(response.body);
  EXPECT_EQ(answer["model"], "fake");
  ASSERT_EQ(answer["predictions"].size(), 2u);
  EXPECT_EQ(answer["predictions"][0]["class"], "cat");
  EXPECT_NEAR(answer["predictions"][0]["score"].get<double>(), 0.999909, 1e-6);  // 1/(1+2e^-10)
}

TEST_F(ServiceTest, AnImageOfPixelsGetsPicturesOfItsSize) {
  FakeModel model(Task::kPixels);
  Service service(model, {}, nullptr);
  const auto response =
      service.handle({.method = "POST", .path = "/predict", .body = picture(5, 6, 70)});
  ASSERT_EQ(response.status, 200) << response.body;
  const auto answer = json::parse(response.body);
  EXPECT_EQ(answer["predictions"][0], json::parse(R"({"class":"cat","label":0,"score":1.0})"));
  EXPECT_THAT(answer["pictures"]["labels"].get<std::string>(),
              StartsWith("data:image/png;base64,"));
}

TEST_F(ServiceTest, ATensorIsInferred) {
  const auto response = post("/v2/models/fake/versions/7/infer", R"({"id": "a",
    "inputs": [{"name": "images", "datatype": "UINT8", "shape": [2, 1, 1, 3],
                "data": [0, 0, 0, 6, 6, 6]}],
    "outputs": [{"name": "scores"}]})");
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(json::parse(response.body)["outputs"][0]["data"], json::parse("[0, 0, 0, 6, 0, 0]"));
}

TEST_F(ServiceTest, ImagesThatAreNoneAreTheClientsFault) {
  const std::string bomb("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0\x08\2\0\0\0\0\0\0\0", 33);
  const std::vector<std::pair<std::string, std::string>> bodies{
      {"", "the body is empty"},
      {"hello", "the image: is not an image"},
      {picture(200, 200, 1), "200 x 200 pixels are more than the limit of 10000"},
      {bomb, "the image: "},
      {picture(8, 8, 1).substr(0, 40), "the image: "},
      {"\xff\xd8\xff\xe0\0\0", "the image: "},
      {picture(4, FakeModel::kRefusedWidth, 1), "the model does not take such images"},
  };
  for (const auto& [body, words] : bodies) {
    const auto response = post("/predict", body);
    EXPECT_EQ(response.status, 400) << words;
    EXPECT_THAT(error_of(response), HasSubstr(words));
  }
  EXPECT_EQ(post("/predict", picture(4, 4, 1)).status, 200) << "the service lives on";
}

TEST_F(ServiceTest, WrongQuestionsAreTheClientsFault) {
  for (const auto* k : {"0", "-1", "a", "", "99999999999999999999"}) {
    EXPECT_EQ(post("/predict", picture(4, 4, 1), {{"k", k}}).status, 400) << k;
  }
  const auto response = post("/predict", picture(4, 4, 1), {{"explain", "1"}});
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(error_of(response), "this server explains nothing; start it with --explain");
}

TEST_F(ServiceTest, WhereTheMemoryEndsTheClientMayComeAgain) {
  const auto response = post("/predict", picture(4, FakeModel::kHugeWidth, 1));
  EXPECT_EQ(response.status, 503);
  EXPECT_THAT(error_of(response), StartsWith("out of memory"));
}

TEST_F(ServiceTest, AFaultOfOursIs500InOneLine) {
  const auto response = post("/predict", picture(4, FakeModel::kBrokenWidth, 1));
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(error_of(response), "internal error: broken");
}

TEST(Service, RefusesWhenItIsBusyAndSaysWhenToComeAgain) {
  FakeModel model;
  Service service(model, {.timeout = std::chrono::milliseconds(50)}, nullptr);
  model.hold();
  const auto late =
      service.handle({.method = "POST", .path = "/predict", .body = picture(4, 4, 1)});
  EXPECT_EQ(late.status, 504);
  model.release();
}

}  // namespace
}  // namespace dnc::serve
