#include "host/explain/attribution.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace dnc {
namespace {

// Gray noise with a bright patch at rows 8 to 11, columns 20 to 23.
torch::Tensor planted() {
  auto image = torch::randint(100, 120, {1, 3, 32, 32}, torch::kUInt8);
  image.narrow(2, 8, 4).narrow(3, 20, 4).fill_(250);
  return image;
}

// How bright the patch is, and how dark.
torch::Tensor brightness(const torch::Tensor& images) {
  const auto mean = images.to(torch::kFloat32).narrow(2, 8, 4).narrow(3, 20, 4).mean({1, 2, 3});
  return torch::stack({mean, -mean}, 1);
}

bool inside_patch(int64_t at) {
  return at / 32 >= 8 && at / 32 < 12 && at % 32 >= 20 && at % 32 < 24;
}

TEST(OcclusionMaps, FindThePlantedPatch) {
  OcclusionOptions options;
  options.grid = 16;
  options.batch_size = 7;
  int64_t done = 0, all = 0;
  options.progress = [&](int64_t now, int64_t of) { done = now, all = of; };
  const auto maps = occlusion_maps(planted(), brightness, options);
  ASSERT_EQ(maps.sizes(), (std::vector<int64_t>{2, 32, 32}));
  EXPECT_TRUE(inside_patch(maps[0].argmax().item<int64_t>()));
  EXPECT_TRUE(torch::allclose(maps[1], -maps[0]));
  // A patch of 4 x 4 cannot hide the planted one from more than 4 pixels away.
  EXPECT_EQ(maps[0].narrow(1, 0, 16).abs().max().item<float>(), 0);
  EXPECT_EQ(maps[0].narrow(0, 16, 16).abs().max().item<float>(), 0);
  EXPECT_GT(maps[0].narrow(0, 8, 4).narrow(1, 20, 4).min().item<float>(), 10);
  EXPECT_EQ(done, all);
  EXPECT_EQ(all, 15 * 15);
}

TEST(OcclusionMaps, TakeImagesThatAreSmallerThanTheGrid) {
  OcclusionOptions options;
  options.grid = 12;
  const auto image = torch::randint(0, 256, {1, 3, 5, 3}, torch::kUInt8);
  const auto maps = occlusion_maps(
      image,
      [](const torch::Tensor& images) {
        return images.to(torch::kFloat32).mean({1, 2, 3}).unsqueeze(1);
      },
      options);
  EXPECT_EQ(maps.sizes(), (std::vector<int64_t>{1, 5, 3}));
  EXPECT_TRUE(maps.isfinite().all().item<bool>());
}

TEST(GradientMaps, OfALinearFunctionAreItsPartsAveragedOverAPatch) {
  const auto image = planted().to(torch::kFloat32) / 50 - 2;
  const auto weights = torch::randn({3, 32, 32});
  const auto maps = gradient_maps(
      image,
      [&](const torch::Tensor& images) {
        return torch::stack({(images * weights).sum({1, 2, 3}), images.sum({1, 2, 3})}, 1);
      },
      16);
  ASSERT_EQ(maps.sizes(), (std::vector<int64_t>{2, 32, 32}));
  const auto centred = (image - image.mean({2, 3}, true))[0];
  const auto expected = (centred * weights).sum(0).narrow(0, 8, 5).narrow(1, 18, 5).mean();
  EXPECT_NEAR(maps[0][10][20].item<double>(), expected.item<double>(), 1e-4);
  EXPECT_TRUE(inside_patch(maps[1].argmax().item<int64_t>()));
}

}  // namespace
}  // namespace dnc
