#include "host/train/views.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "registry/error.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

using testing::HasSubstr;

// Scores are the means of an image's left columns, its right ones, and all of it: a mirror image
// and each crop have others.
struct Halves : Backbone {
  Features forward(const torch::Tensor& images) override { return {images}; }
  std::vector<FeatureShape> shapes() const override { return {{3, 1}}; }
};
struct Sides : DecodeHead {
  torch::Tensor forward(const Features& features) override {
    const auto& x = features.back();
    const auto half = x.size(3) / 2;
    return torch::stack({x.narrow(3, 0, half).mean({1, 2, 3}),
                         x.narrow(3, half, half).mean({1, 2, 3}), x.mean({1, 2, 3})},
                        1);
  }
  int64_t channels() const override { return 3; }
};
struct Columns : DecodeHead {  // scores of pixels
  torch::Tensor forward(const Features& features) override {
    return torch::cat({features.back(), features.back().cumsum(3)}, 1);
  }
  int64_t channels() const override { return 6; }
};
struct Same : Head {
  torch::Tensor forward(const torch::Tensor& embeddings) override { return embeddings; }
};

template <typename Decode>
std::shared_ptr<Model> model() {
  return std::make_shared<Model>(Preprocess{}, std::make_shared<Halves>(),
                                 Branch{std::make_shared<Decode>(), std::make_shared<Same>()});
}

torch::Tensor pictures() { return torch::randn({4, 3, 9, 10}) * 3; }

TEST(Views, FlipShowsTheMirrorImageToo) {
  const auto images = pictures();
  const auto views = Views{Views::Kind::kFlip}.of(images);
  ASSERT_EQ(views.size(), 2u);
  EXPECT_TRUE(views[0].equal(images));
  EXPECT_TRUE(views[1].equal(images.flip({3})));
}

// torchvision.transforms.functional.five_crop and ten_crop take the same parts.
TEST(Views, CropsAreTheMiddleAndTheCorners) {
  const auto images = pictures();
  const auto views = Views{Views::Kind::kTenCrops, 6}.of(images);
  ASSERT_EQ(views.size(), 10u);
  const auto part = [&](int64_t top, int64_t left) {
    return images.narrow(2, top, 6).narrow(3, left, 6);
  };
  EXPECT_TRUE(views[0].equal(part(2, 2))) << "(9 - 6) / 2 = 1.5 is rounded to even";
  EXPECT_TRUE(views[1].equal(part(0, 0)));
  EXPECT_TRUE(views[2].equal(part(0, 4)));
  EXPECT_TRUE(views[3].equal(part(3, 0)));
  EXPECT_TRUE(views[4].equal(part(3, 4)));
  for (size_t i = 0; i < 5; ++i) EXPECT_TRUE(views[5 + i].equal(views[i].flip({3}))) << i;
  EXPECT_EQ((Views{Views::Kind::kFiveCrops, 6}.of(images).size()), 5u);
}

TEST(Views, CropIsSevenEighthsOfTheShorterSideByItself) {
  const auto views = Views{Views::Kind::kFiveCrops}.of(torch::zeros({1, 3, 256, 300}));
  EXPECT_EQ(views[0].sizes(), (at::IntArrayRef{1, 3, 224, 224}));
}

TEST(Views, CropLargerThanTheImageIsAnError) {
  const auto message = message_of<Error>([] {
    Views{Views::Kind::kFiveCrops, 32}.of(torch::zeros({1, 3, 28, 64}));
  });
  EXPECT_THAT(message, HasSubstr("--crop: is 32, but the test transforms leave images of 28 x 64"));
}

TEST(ForwardViews, PlainIsTheModelItself) {
  const auto images = pictures();
  EXPECT_TRUE(forward_views(*model<Sides>(), images, {})
                  .scores.equal(model<Sides>()->forward(images).scores));
}

TEST(ForwardViews, SharesAreTheMeanOfTheSharesOfTheViews) {
  const auto images = pictures();
  const auto net = model<Sides>();
  for (const Views& views : {Views{Views::Kind::kFlip}, Views{Views::Kind::kTenCrops, 6}}) {
    torch::Tensor sum;
    for (const auto& view : views.of(images)) {
      const auto shares = net->forward(view).scores.softmax(1);
      sum = sum.defined() ? sum + shares : shares;
    }
    const auto expected = sum / static_cast<double>(views.of(images).size());
    const auto output = forward_views(*net, images, views);
    EXPECT_LT((output.scores.exp() - expected).abs().max().item<double>(), 1e-6) << "log p";
    EXPECT_LT((output.scores.softmax(1) - expected).abs().max().item<double>(), 1e-6);
    EXPECT_TRUE(output.embeddings.equal(net->forward(views.of(images)[0]).embeddings));
  }
}

TEST(ForwardViews, OfAnImageAndItsMirrorImageAreTheSame) {
  const auto images = pictures();
  const auto net = model<Sides>();
  const Views views{Views::Kind::kTenCrops, 6};
  const auto a = forward_views(*net, images.narrow(2, 0, 8), views).scores;
  const auto b = forward_views(*net, images.narrow(2, 0, 8).flip({3}), views).scores;
  EXPECT_LT((a - b).abs().max().item<double>(), 1e-5);
}

TEST(ForwardViews, OfPixelsAreMirroredBack) {
  const auto images = pictures();
  const auto net = model<Columns>();
  const auto plain = net->forward(images).scores.softmax(1);
  const auto mirrored = net->forward(images.flip({3})).scores.softmax(1).flip({3});
  const auto both = forward_views(*net, images, {Views::Kind::kFlip}).scores.exp();
  EXPECT_LT((both - (plain + mirrored) / 2).abs().max().item<double>(), 1e-6);
  EXPECT_THROW(forward_views(*net, images, {Views::Kind::kFiveCrops}), Error);
}

TEST(ForwardViews, OfPixelsAtSeveralScalesAreAveragedAtTheAskedSize) {
  const auto images = pictures();
  const auto net = model<Columns>();
  Views views;
  views.scales = {0.5, 1.0};
  const auto small = at::upsample_bilinear2d(images, {5, 5}, false);  // 4.5 is rounded up
  const auto expected =
      (at::upsample_bilinear2d(net->forward(small).scores, {18, 20}, false).softmax(1) +
       at::upsample_bilinear2d(net->forward(images).scores, {18, 20}, false).softmax(1)) /
      2;
  const auto both = forward_views(*net, images, views, PixelSize{18, 20}).scores.exp();
  EXPECT_LT((both - expected).abs().max().item<double>(), 1e-5);
  EXPECT_EQ(views.text(), "plain, scales 0.5, 1");
}

TEST(ForwardViews, SharesTooSmallForAFloatStayFiniteLogarithms) {
  const auto images = pictures() * 1e3;
  const auto scores = forward_views(*model<Sides>(), images, {Views::Kind::kFlip}).scores;
  EXPECT_TRUE(scores.isfinite().all().item<bool>());
}

}  // namespace
}  // namespace dnc
