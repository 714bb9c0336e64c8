#include "host/explain/pixels.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <utility>
#include <vector>

#include "tests/host/explain/prototype_head.h"

namespace dnc {
namespace {

InferenceOptions slide_options(std::vector<int64_t> crop_size, std::vector<int64_t> stride) {
  InferenceOptions options;
  options.mode = InferenceOptions::Mode::kSlide;
  options.crop_size = std::move(crop_size);
  options.stride = std::move(stride);
  return options;
}

// The values of all windows at the input's size, as scores are made: each resized to its window,
// in the mean where they overlap.
torch::Tensor averaged(const WindowGrids& values) {
  const auto& windows = values.windows;
  const auto channels = values.grids[0].size(1);
  auto sum = torch::zeros({1, channels, windows.image.height, windows.image.width});
  auto count = torch::zeros_like(sum);
  for (size_t i = 0; i < values.grids.size(); ++i) {
    part_of(sum, windows.at(i)).add_(resize_scores(values.grids[i], windows.window));
    part_of(count, windows.at(i)).add_(1);
  }
  return sum / count;
}

torch::Tensor mean_of(const torch::Tensor& image, const Region& region) {
  return image.narrow(2, region.y, region.height)
      .narrow(3, region.x, region.width)
      .mean(std::vector<int64_t>{2, 3});
}

TEST(MeanOver, EqualsTheMeanOfTheResizedGrid) {
  const auto grid = torch::randn({2, 5, 6, 7});
  const PixelSize size{23, 40};
  const auto resized = resize_scores(grid, size);
  for (const Region region :
       {Region{0, 0}, Region{39, 22}, Region{13, 8}, Region{3, 2, 9, 11}, Region{0, 0, 40, 23}}) {
    EXPECT_TRUE(torch::allclose(mean_over(whole_grid(grid), region, size), mean_of(resized, region),
                                1e-4, 1e-5))
        << region.x << "," << region.y;
  }
}

TEST(MeanOver, OfWindowsEqualsTheMeanWhereTheyOverlap) {
  const PixelSize size{23, 40};
  WindowGrids values{windows_of(size, slide_options({12, 16}, {7, 11})), {}};
  for (size_t i = 0; i < values.windows.count(); ++i) {
    values.grids.push_back(torch::randn({1, 3, 3, 4}));
  }
  ASSERT_EQ(values.grids.size(), 12u);
  const auto all = averaged(values);
  for (const Region region : {Region{0, 0}, Region{39, 22}, Region{11, 7}, Region{15, 11},
                              Region{3, 2, 9, 11}, Region{20, 3, 1, 20}, Region{0, 0, 40, 23}}) {
    EXPECT_TRUE(torch::allclose(mean_over(values, region, size), mean_of(all, region), 1e-4, 1e-5))
        << region.x << "," << region.y;
    // The windows that are left out are those that add nothing.
    for (size_t i = 0; i < values.grids.size(); ++i) {
      const auto ones = torch::ones({1, 1, 3, 4});
      const auto share = share_of_mean(ones, values.windows, i, region, size).item<double>();
      EXPECT_EQ(share > 0, sees(values.windows, i, region, size)) << i;
    }
  }
}

TEST(MeanOver, OfAnImageOfAnotherSizeThanTheInputCountsEachPixelOnce) {
  const PixelSize input{20, 30}, size{47, 61};
  WindowGrids values{windows_of(input, slide_options({8, 9}, {5, 9})), {}};
  for (size_t i = 0; i < values.windows.count(); ++i) {
    values.grids.push_back(torch::full({1, 1, 2, 3}, 4.0));
  }
  for (const Region region : {Region{0, 0}, Region{60, 46}, Region{5, 9, 30, 21}}) {
    EXPECT_NEAR(mean_over(values, region, size).item<double>(), 4, 1e-5);
  }
}

TEST(PixelChoice, IsTheNearestPrototypeOfThePredictedClass) {
  const auto prototypes = unit_points({3, 4, 5});
  const auto points = unit_points({1, 4, 6, 5}).movedim(-1, 1);  // [1, 5, 4, 6]
  const auto scores = torch::randn({1, 3, 4, 6});
  const PixelSize size{13, 17};
  const auto choice = choose_prototypes(whole_grid(points), scores, prototypes, size);
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

TEST(PixelChoice, OfWindowsAveragesTheSimilarities) {
  const auto prototypes = unit_points({2, 3, 5});
  const PixelSize size{12, 17};
  WindowGrids points{windows_of(size, slide_options({8, 9}, {4, 5})), {}};
  for (size_t i = 0; i < points.windows.count(); ++i) {
    points.grids.push_back(unit_points({1, 4, 3, 5}).movedim(-1, 1));  // cells of 2 x 3 pixels
  }
  const auto scores = torch::randn({1, 2, 12, 17});
  const auto choice = choose_prototypes(points, scores, prototypes, size);
  for (int64_t y = 0; y < 12; ++y) {
    for (int64_t x = 0; x < 17; ++x) {
      auto sum = torch::zeros({5});
      for (size_t i = 0; i < points.windows.count(); ++i) {
        const auto box = points.windows.at(i);
        const bool inside = y >= box.top && y < box.top + 8 && x >= box.left && x < box.left + 9;
        if (!inside) continue;
        sum += points.grids[i][0].select(1, (y - box.top) / 2).select(1, (x - box.left) / 3);
      }
      const auto nearest = prototypes[choice.labels[y][x]].mv(sum).argmax();
      EXPECT_EQ(choice.indices[y][x].item<int64_t>(), nearest.item<int64_t>()) << y << "," << x;
    }
  }
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
