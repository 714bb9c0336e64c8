#include "host/explain/pixels.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "tests/host/explain/prototype_head.h"

namespace dnc {
namespace {

TEST(MeanOver, EqualsTheMeanOfTheResizedGrid) {
  const auto grid = torch::randn({2, 5, 6, 7});
  const PixelSize size{23, 40};
  const auto resized = resize_scores(grid, size);
  for (const Region region :
       {Region{0, 0}, Region{39, 22}, Region{13, 8}, Region{3, 2, 9, 11}, Region{0, 0, 40, 23}}) {
    const auto expected =
        resized.narrow(2, region.y, region.height).narrow(3, region.x, region.width).mean({2, 3});
    EXPECT_TRUE(torch::allclose(mean_over(grid, region, size), expected, 1e-4, 1e-5))
        << region.x << "," << region.y;
  }
}

TEST(PixelChoice, IsTheNearestPrototypeOfThePredictedClass) {
  const auto prototypes = unit_points({3, 4, 5});
  const auto points = unit_points({1, 4, 6, 5}).movedim(-1, 1);  // [1, 5, 4, 6]
  const auto scores = torch::randn({1, 3, 4, 6});
  const PixelSize size{13, 17};
  const auto choice = choose_prototypes(points, scores, prototypes, size);
  const auto labels = resize_scores(scores, size).argmax(1)[0];
  EXPECT_TRUE(torch::equal(choice.labels, labels));
  for (int64_t y = 0; y < 13; ++y) {
    for (int64_t x = 0; x < 17; ++x) {
      const auto row = static_cast<int64_t>((y + 0.5) / 13 * 4);
      const auto column = static_cast<int64_t>((x + 0.5) / 17 * 6);
      const auto point = points[0].select(1, row).select(1, column);
      const auto nearest = prototypes[labels[y][x]].mv(point).argmax().item<int64_t>();
      EXPECT_EQ(choice.indices[y][x].item<int64_t>(), nearest) << y << "," << x;
    }
  }
  EXPECT_EQ(choose_prototypes({}, scores, {}, size).indices.abs().sum().item<int64_t>(), 0);
}

TEST(WidestPlaces, AreInTheMiddleOfTheLargestClasses) {
  auto labels = torch::zeros({40, 60}, torch::kLong);
  labels.narrow(1, 30, 30).fill_(1);                  // the right half
  labels.narrow(0, 10, 5).narrow(1, 5, 5).fill_(2);   // a square of 25 pixels
  labels.narrow(0, 39, 1).narrow(1, 0, 20).fill_(3);  // a line of 20
  const auto places = widest_places(labels, 3);
  ASSERT_EQ(places.size(), 3u);
  EXPECT_EQ(labels[places[0].y][places[0].x].item<int64_t>(), 1) << "the largest first";
  EXPECT_GE(places[0].x, 44);
  EXPECT_LE(places[0].x, 45);
  EXPECT_GE(places[0].y, 14);
  EXPECT_LE(places[0].y, 25);
  EXPECT_EQ(labels[places[1].y][places[1].x].item<int64_t>(), 0);
  EXPECT_EQ(places[2], (Region{7, 12}));
  EXPECT_TRUE(places[0].is_pixel());
  EXPECT_EQ(widest_places(labels, 10).size(), 4u);
}

}  // namespace
}  // namespace dnc
