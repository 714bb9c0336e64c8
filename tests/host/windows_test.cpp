#include "host/windows.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <memory>
#include <vector>

#include "tests/one_convolution.h"

namespace dnc {
namespace {

struct Twice : Head {
  torch::Tensor forward(const torch::Tensor& embeddings) override { return embeddings * 2; }
};

InferenceOptions slide_options() {
  InferenceOptions options;
  options.mode = InferenceOptions::Mode::kSlide;
  options.crop_size = {8, 20};
  options.stride = {5, 6};
  return options;
}

TEST(Windows, LieRowByRowAndWithinTheImage) {
  const auto windows = windows_of({13, 22}, slide_options());
  EXPECT_EQ(windows.tops, (std::vector<int64_t>{0, 5}));
  EXPECT_EQ(windows.lefts, (std::vector<int64_t>{0, 2}));
  ASSERT_EQ(windows.count(), 4u);
  EXPECT_EQ(windows.at(0), (Box{0, 0, 8, 20}));
  EXPECT_EQ(windows.at(1), (Box{0, 2, 8, 20}));
  EXPECT_EQ(windows.at(2), (Box{5, 0, 8, 20}));
  EXPECT_EQ(windows.at(3), (Box{5, 2, 8, 20}));
  EXPECT_EQ(windows_of({6, 10}, slide_options()).at(0), (Box{0, 0, 6, 10})) << "a smaller image";
}

TEST(Windows, OfAWholeImageAreOne) {
  const auto windows = windows_of({13, 22}, {});
  ASSERT_EQ(windows.count(), 1u);
  EXPECT_EQ(windows.at(0), (Box{0, 0, 13, 22}));
}

TEST(Slide, TellsOfEachWindowInItsOrder) {
  const torch::NoGradGuard no_grad;
  Model model(Preprocess{}, std::make_shared<OneConvolution>(),
              {std::make_shared<MapOfOneConvolution>(), std::make_shared<Twice>()});
  const auto images = torch::randn({1, 3, 13, 22});
  const auto windows = windows_of({13, 22}, slide_options());
  std::vector<torch::Tensor> embeddings;
  const auto scores = slide(model, images, windows, [&](const Model::Output& output) {
    embeddings.push_back(output.embeddings);
  });
  EXPECT_EQ(scores.sizes(), (std::vector<int64_t>{1, 4, 13, 22}));
  ASSERT_EQ(embeddings.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(torch::equal(embeddings[i], model.embed(part_of(images, windows.at(i))))) << i;
  }
}

}  // namespace
}  // namespace dnc
