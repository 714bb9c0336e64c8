#include "predictor/dnc_predictor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/predictor/trained.h"

namespace dnc {
namespace {

using testing::HasSubstr;

class CPredictor : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(dnc_predictor_open(Trained::instance().run().c_str(), &model_), DNC_OK)
        << dnc_last_error();
  }
  void TearDown() override { dnc_predictor_close(model_); }

  dnc_image image() const { return {reinterpret_cast<const uint8_t*>(pixels_.data()), 16, 16, 0}; }

  const std::string pixels_ = pixels_of(16, 16, 1);
  dnc_predictor* model_ = nullptr;
};

TEST_F(CPredictor, Classifies) {
  EXPECT_EQ(dnc_predictor_class_count(model_), 4);
  EXPECT_STREQ(dnc_predictor_class_name(model_, 1), "class 1");
  EXPECT_EQ(dnc_predictor_class_name(model_, 4), nullptr);
  EXPECT_EQ(dnc_predictor_class_name(model_, -1), nullptr);
  EXPECT_EQ(dnc_predictor_for_pixels(model_), 0);
  const std::vector<dnc_image> images{image(), image()};
  dnc_result* result = nullptr;
  ASSERT_EQ(dnc_predictor_predict(model_, images.data(), 2, 3, DNC_NEAREST, &result), DNC_OK)
      << dnc_last_error();
  EXPECT_EQ(dnc_result_count(result), 2u);
  size_t count = 0;
  const auto* classes = dnc_result_classes(result, 1, &count);
  ASSERT_EQ(count, 3u);
  EXPECT_GE(classes[0].score, classes[1].score);
  float similarity = 0;
  EXPECT_GE(dnc_result_sub_centroid(result, 0, &similarity), 0);
  EXPECT_NE(similarity, 0);
  EXPECT_EQ(dnc_result_labels(result, 0, nullptr, nullptr), nullptr) << "of models of pixels";

  const auto file = ppm_of(16, 16, 1);
  const dnc_encoded encoded{reinterpret_cast<const uint8_t*>(file.data()), file.size()};
  dnc_result* same = nullptr;
  ASSERT_EQ(dnc_predictor_predict_encoded(model_, &encoded, 1, 3, 0, &same), DNC_OK);
  EXPECT_EQ(dnc_result_classes(same, 0, nullptr)->label, classes[0].label);
  EXPECT_NEAR(dnc_result_classes(same, 0, nullptr)->score, classes[0].score, 1e-5F);
  EXPECT_EQ(dnc_result_sub_centroid(same, 0, nullptr), -1) << "not asked for";
  dnc_result_free(result);
  dnc_result_free(same);
}

TEST_F(CPredictor, ErrorsAreStatusesWithWords) {
  dnc_result* result = nullptr;
  const auto one = image();
  const auto refused = [&](dnc_status status, const char* words) {
    EXPECT_EQ(status, DNC_ERROR_CALLER) << words;
    EXPECT_THAT(dnc_last_error(), HasSubstr(words));
    EXPECT_EQ(result, nullptr) << words;
  };
  dnc_predictor* none = nullptr;
  refused(dnc_predictor_open("/none", &none), "/none: is not a run");
  refused(dnc_predictor_open(nullptr, &none), "path must not be NULL");
  refused(dnc_predictor_open(std::string(5000, 'a').c_str(), &none), "aaa");
  refused(dnc_predictor_open("/none", nullptr), "predictor must not be NULL");
  EXPECT_EQ(none, nullptr);
  refused(dnc_predictor_predict(nullptr, &one, 1, 1, 0, &result), "predictor must not be NULL");
  refused(dnc_predictor_predict(model_, nullptr, 1, 1, 0, &result), "images must not be NULL");
  refused(dnc_predictor_predict(model_, &one, 1, 1, 0, nullptr), "result must not be NULL");
  refused(dnc_predictor_predict(model_, &one, 1, 0, 0, &result), "top_k must be at least 1");
  refused(dnc_predictor_predict(model_, &one, 1, 1, 64, &result), "flags: 64 has unknown bits");
  auto broken = one;
  broken.height = -1;
  refused(dnc_predictor_predict(model_, &broken, 1, 1, 0, &result), "an image of -1 x 16 pixels");
  const dnc_encoded text{reinterpret_cast<const uint8_t*>("hello"), 5};
  refused(dnc_predictor_predict_encoded(model_, &text, 1, 1, 0, &result),
          "image 0: is not an image");
  EXPECT_EQ(dnc_predictor_predict(model_, nullptr, 0, 1, 0, &result), DNC_OK) << "none at all";
  EXPECT_EQ(dnc_result_count(result), 0u);
  dnc_result_free(result);
}

TEST_F(CPredictor, WordsOfAnErrorBelongToItsThread) {
  dnc_predictor* none = nullptr;
  std::thread([&] { dnc_predictor_open("/other", &none); }).join();
  EXPECT_THAT(dnc_last_error(), testing::Not(HasSubstr("/other")));
}

TEST(CResult, BeyondTheImagesThereIsNothing) {
  dnc_predictor_close(nullptr);
  dnc_result_free(nullptr);
  size_t count = 9;
  int64_t height = 9;
  EXPECT_EQ(dnc_result_count(nullptr), 0u);
  EXPECT_EQ(dnc_result_classes(nullptr, 0, &count), nullptr);
  EXPECT_EQ(count, 0u);
  EXPECT_EQ(dnc_result_labels(nullptr, 0, &height, nullptr), nullptr);
  EXPECT_EQ(height, 0);
  EXPECT_EQ(dnc_predictor_class_count(nullptr), 0);
}

}  // namespace
}  // namespace dnc
