#include "host/inference.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <memory>
#include <vector>

#include "host/model.h"
#include "registry/error.h"
#include "tests/one_convolution.h"

namespace dnc {
namespace {

struct MeanOfMap : DecodeHead {
  torch::Tensor forward(const Features& features) override { return features.back().mean({2, 3}); }
  int64_t channels() const override { return 4; }
};

struct AsTheyAre : Head {
  torch::Tensor forward(const torch::Tensor& embeddings) override { return embeddings * 3; }
};

class InferenceTest : public testing::Test {
 protected:
  InferenceTest() { model_.eval(); }

  torch::NoGradGuard no_grad_;
  Model model_{Preprocess{},
               std::make_shared<OneConvolution>(),
               {std::make_shared<MapOfOneConvolution>(), std::make_shared<AsTheyAre>()}};
  torch::Tensor images_ = torch::randn({2, 3, 13, 18});
  InferenceOptions options_;
};

torch::Tensor upsample(const torch::Tensor& scores, int64_t height, int64_t width) {
  namespace F = torch::nn::functional;
  return F::interpolate(scores, F::InterpolateFuncOptions()
                                    .size(std::vector<int64_t>{height, width})
                                    .mode(torch::kBilinear)
                                    .align_corners(false));
}

TEST(WindowStarts, CoverTheSideAndEndWithIt) {
  EXPECT_EQ(window_starts(10, 4, 3), (std::vector<int64_t>{0, 3, 6}));
  EXPECT_EQ(window_starts(11, 4, 3), (std::vector<int64_t>{0, 3, 6, 7}));
  EXPECT_EQ(window_starts(4, 4, 3), (std::vector<int64_t>{0}));
  EXPECT_EQ(window_starts(3, 4, 3), (std::vector<int64_t>{0}));
  EXPECT_EQ(window_starts(1024, 769, 513), (std::vector<int64_t>{0, 255}));
}

TEST_F(InferenceTest, AWholeImageGivesTheNetworksScores) {
  const auto output = infer(model_, images_, options_);
  EXPECT_TRUE(torch::equal(output.scores, model_.forward(images_).scores));
  EXPECT_EQ(output.embeddings.sizes(), output.scores.sizes());
}

TEST(ResizeScores, IsBilinearAndForPixelsOnly) {
  const auto scores = torch::randn({2, 4, 7, 9});
  EXPECT_TRUE(torch::equal(resize_scores(scores, {13, 18}), upsample(scores, 13, 18)));
  const auto of_images = torch::randn({2, 4});
  EXPECT_TRUE(torch::equal(resize_scores(of_images, {13, 18}), of_images));
}

TEST(ClassesAtSize, AreThoseOfTheHighestScores) {
  const auto scores = torch::randn({1, 30, 9, 11});
  for (const PixelSize size : {PixelSize{9, 11}, {20, 30}, {800, 700}}) {  // at once, and in parts
    EXPECT_TRUE(torch::equal(classes_at_size(scores, size), resize_scores(scores, size).argmax(1)));
  }
}

TEST_F(InferenceTest, WindowsAreThoseOfMmsegAndAveragedWhereTheyOverlap) {
  options_.mode = InferenceOptions::Mode::kSlide;
  options_.crop_size = {8, 7};
  options_.stride = {5, 6};
  const auto scores = infer(model_, images_, options_).scores;

  // The loop of mmseg's slide_inference, with its last window moved back inside.
  const int64_t height = 13, width = 18, crop_h = 8, crop_w = 7, stride_h = 5, stride_w = 6;
  auto sum = torch::zeros({2, 4, height, width});
  auto count = torch::zeros({1, 1, height, width});
  const int64_t rows = std::max<int64_t>(height - crop_h + stride_h - 1, 0) / stride_h + 1;
  const int64_t columns = std::max<int64_t>(width - crop_w + stride_w - 1, 0) / stride_w + 1;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      const int64_t bottom = std::min(row * stride_h + crop_h, height);
      const int64_t right = std::min(column * stride_w + crop_w, width);
      const int64_t top = std::max<int64_t>(bottom - crop_h, 0);
      const int64_t left = std::max<int64_t>(right - crop_w, 0);
      using torch::indexing::Slice;
      const auto window = images_.index({Slice(), Slice(), Slice(top, bottom), Slice(left, right)});
      sum.index({Slice(), Slice(), Slice(top, bottom), Slice(left, right)}) +=
          upsample(model_.forward(window).scores, bottom - top, right - left);
      count.index({Slice(), Slice(), Slice(top, bottom), Slice(left, right)}) += 1;
    }
  }
  EXPECT_TRUE(torch::equal(scores, sum / count));
  EXPECT_FALSE(torch::allclose(scores, upsample(model_.forward(images_).scores, 13, 18)));
}

TEST_F(InferenceTest, AWindowLargerThanTheImageIsTheImage) {
  const auto whole = upsample(model_.forward(images_).scores, 13, 18);
  options_.mode = InferenceOptions::Mode::kSlide;
  options_.crop_size = {20, 40};
  options_.stride = {10, 10};
  EXPECT_TRUE(torch::equal(infer(model_, images_, options_).scores, whole));
}

TEST_F(InferenceTest, WindowsAreForPixels) {
  Model model(Preprocess{}, std::make_shared<OneConvolution>(),
              {std::make_shared<MeanOfMap>(), std::make_shared<AsTheyAre>()});
  model.eval();
  options_.mode = InferenceOptions::Mode::kSlide;
  options_.crop_size = {8, 8};
  options_.stride = {8, 8};
  EXPECT_THROW(infer(model, images_, options_), Error);
}

TEST(InferenceOptionsTest, WindowsNeedTheirSizes) {
  InferenceOptions options;
  options.check();
  options.mode = InferenceOptions::Mode::kSlide;
  EXPECT_THROW(options.check(), OptionError);
  options.crop_size = {8, 8};
  EXPECT_THROW(options.check(), OptionError);
  options.stride = {8, 9};  // a gap between windows
  EXPECT_THROW(options.check(), OptionError);
  options.stride = {8, 8};
  options.check();
}

}  // namespace
}  // namespace dnc
