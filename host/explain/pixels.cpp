#include "host/explain/pixels.h"

#include <torch/torch.h>

#include <algorithm>
#include <map>
#include <utility>

namespace dnc {
namespace {

constexpr int64_t kMostValues = 16'000'000;  // floats at once

// The cell, of `cells`, that each of `pixels` lies in.
torch::Tensor cells_of(int64_t pixels, int64_t cells) {
  const auto middles = (torch::arange(pixels, torch::kFloat64) + 0.5) / static_cast<double>(pixels);
  return (middles * static_cast<double>(cells)).to(torch::kLong);
}

// The nearest prototype of each class at each location, int64 [C, h * w].
torch::Tensor nearest_of_classes(const torch::Tensor& points, const torch::Tensor& prototypes) {
  const auto C = prototypes.size(0), K = prototypes.size(1);
  const auto rows = points[0].flatten(1).t();  // [h * w, D]
  const auto all = prototypes.flatten(0, 1).t();
  std::vector<torch::Tensor> parts;
  for (const auto& part : rows.split(std::max<int64_t>(1, kMostValues / (C * K)))) {
    parts.push_back(part.matmul(all).view({-1, C, K}).argmax(2));
  }
  return torch::cat(parts).t().cpu();
}

// For each pixel its distance, in steps, to the nearest pixel of another class or beyond the edge.
std::vector<int64_t> depths(const int64_t* labels, int64_t height, int64_t width) {
  std::vector<int64_t> depth(static_cast<size_t>(height * width), height + width);
  const auto look = [&](int64_t y, int64_t x, int64_t dy, int64_t dx) {
    auto& own = depth[static_cast<size_t>(y * width + x)];
    const auto ny = y + dy, nx = x + dx;
    const bool inside = ny >= 0 && ny < height && nx >= 0 && nx < width;
    const auto there = inside ? ny * width + nx : -1;
    const bool same = inside && labels[there] == labels[y * width + x];
    own = std::min(own, same ? depth[static_cast<size_t>(there)] + 1 : 1);
  };
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      look(y, x, -1, 0);
      look(y, x, 0, -1);
    }
  }
  for (int64_t y = height - 1; y >= 0; --y) {
    for (int64_t x = width - 1; x >= 0; --x) {
      look(y, x, 1, 0);
      look(y, x, 0, 1);
    }
  }
  return depth;
}

}  // namespace

torch::Tensor mean_over(const torch::Tensor& grid, const Region& region, PixelSize size) {
  namespace F = torch::nn::functional;
  const auto N = grid.size(0), C = grid.size(1);
  const auto options = grid.options().dtype(torch::kFloat32);
  const auto values = grid.to(torch::kFloat32);
  // Middles of pixels from -1 to 1, as grid_sample counts.
  const auto middles = [&](int64_t first, int64_t count, int64_t all) {
    return (2 * (torch::arange(first, first + count, options) + 0.5) / static_cast<double>(all)) -
           1;
  };
  const auto across = middles(region.x, region.width, size.width);
  const auto rows = std::max<int64_t>(1, kMostValues / (N * C * region.width));
  auto sum = torch::zeros({N, C}, options);
  for (int64_t done = 0; done < region.height; done += rows) {
    const auto height = std::min(rows, region.height - done);
    const auto down = middles(region.y + done, height, size.height);
    const auto places = torch::meshgrid({down, across}, "ij");
    const auto where = torch::stack({places[1], places[0]}, -1).expand({N, -1, -1, -1});
    const auto found = F::grid_sample(values, where,
                                      F::GridSampleFuncOptions()
                                          .mode(torch::kBilinear)
                                          .padding_mode(torch::kBorder)
                                          .align_corners(false));
    sum = sum + found.sum({2, 3});
  }
  return sum / static_cast<double>(region.width * region.height);
}

PixelChoice choose_prototypes(const torch::Tensor& points, const torch::Tensor& scores,
                              const torch::Tensor& prototypes, PixelSize size) {
  PixelChoice choice;
  choice.labels = resize_scores(scores.to(torch::kFloat32), size).argmax(1)[0].cpu();
  if (!prototypes.defined()) {
    choice.indices = torch::zeros_like(choice.labels);
    return choice;
  }
  const auto nearest = nearest_of_classes(points, prototypes);
  const auto cells = cells_of(size.height, points.size(2)).unsqueeze(1) * points.size(3) +
                     cells_of(size.width, points.size(3)).unsqueeze(0);
  choice.indices = nearest.flatten().take(choice.labels * nearest.size(1) + cells);
  return choice;
}

std::vector<Region> widest_places(const torch::Tensor& labels, int64_t most) {
  const auto values = labels.contiguous();
  const auto width = values.size(1);
  const auto* label = values.const_data_ptr<int64_t>();
  const auto depth = depths(label, values.size(0), width);
  struct Found {
    int64_t pixels = 0;
    size_t deepest = 0;
  };
  std::map<int64_t, Found> classes;
  for (size_t i = 0; i < depth.size(); ++i) {
    auto& found = classes.try_emplace(label[i], Found{0, i}).first->second;
    ++found.pixels;
    if (depth[i] > depth[found.deepest]) found.deepest = i;
  }
  std::vector<Found> by_size;
  for (const auto& [id, found] : classes) by_size.push_back(found);
  std::ranges::stable_sort(by_size, std::ranges::greater{}, &Found::pixels);
  by_size.resize(std::min(by_size.size(), static_cast<size_t>(most)));
  std::vector<Region> places;
  for (const auto& found : by_size) {
    const auto at = static_cast<int64_t>(found.deepest);
    places.push_back({at % width, at / width});
  }
  return places;
}

}  // namespace dnc
