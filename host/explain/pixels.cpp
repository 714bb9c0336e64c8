#include "host/explain/pixels.h"

#include <torch/torch.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace dnc {
namespace {

// The rows, or the columns, of an image and the windows over them.
struct Side {
  int64_t pixels;  // of the image
  int64_t input;   // pixels of the network's input
  int64_t window;  // the same, of a window
  const std::vector<int64_t>& starts;

  // Places are counted in whole parts of a pixel, so that no rounding moves a pixel to a neighbour.
  int64_t parts() const { return 2 * pixels; }
  // Where the middle of a pixel of the image lies.
  int64_t middle(int64_t pixel) const { return (2 * pixel + 1) * input; }
  // How far into a window that begins at `start` it lies; outside: nothing.
  std::optional<int64_t> inside(int64_t pixel, int64_t start) const {
    const auto place = middle(pixel) - start * parts();
    return place >= 0 && place < window * parts() ? std::optional(place) : std::nullopt;
  }
};

Side rows_of(const Windows& windows, PixelSize size) {
  return {size.height, windows.image.height, windows.window.height, windows.tops};
}

Side columns_of(const Windows& windows, PixelSize size) {
  return {size.width, windows.image.width, windows.window.width, windows.lefts};
}

// How much each of the `cells` of a window that begins at `start` counts in a sum over `count`
// pixels. A pixel counts 1, in equal parts in all windows that see it.
torch::Tensor weights_of(const Side& side, int64_t start, int64_t cells, int64_t first,
                         int64_t count) {
  auto weights = torch::zeros({cells}, torch::kFloat64);
  auto* weight = weights.data_ptr<double>();
  for (int64_t pixel = first; pixel < first + count; ++pixel) {
    const auto place = side.inside(pixel, start);
    if (!place) continue;
    const auto windows = std::ranges::count_if(
        side.starts, [&](int64_t other) { return side.inside(pixel, other).has_value(); });
    const double share = 1.0 / static_cast<double>(windows);
    const double middle =
        static_cast<double>(*place * cells) / static_cast<double>(side.window * side.parts());
    const double cell = std::clamp(middle - 0.5, 0.0, static_cast<double>(cells - 1));
    const auto low = static_cast<int64_t>(cell);
    const double rest = cell - static_cast<double>(low);
    weight[low] += (1 - rest) * share;
    weight[std::min(low + 1, cells - 1)] += rest * share;
  }
  return weights;
}

bool sees(const Side& side, int64_t start, int64_t first, int64_t count) {
  for (int64_t pixel = first; pixel < first + count; ++pixel) {
    if (side.inside(pixel, start)) return true;
  }
  return false;
}

// The pixels that a window sees, and the cell that each of them lies in.
struct Seen {
  int64_t first = 0;
  torch::Tensor cells;  // int64 [n]
};

Seen cells_of(const Side& side, int64_t start, int64_t cells) {
  Seen seen;
  std::vector<int64_t> all;
  for (int64_t pixel = 0; pixel < side.pixels; ++pixel) {
    const auto place = side.inside(pixel, start);
    if (!place) continue;
    if (all.empty()) seen.first = pixel;
    all.push_back(*place * cells / (side.window * side.parts()));
  }
  seen.cells = torch::tensor(all, torch::kLong);
  return seen;
}

// Adds to `sums` [K, H, W] how similar each pixel that a window sees is to the prototypes of its
// class. `points` [1, D, h, w] of the window, `labels` [H, W].
void add_similarities(const torch::Tensor& points, const Windows& windows, size_t window,
                      PixelSize size, const torch::Tensor& labels, const torch::Tensor& prototypes,
                      torch::Tensor& sums) {
  const auto box = windows.at(window);
  const auto rows = cells_of(rows_of(windows, size), box.top, points.size(2));
  const auto columns = cells_of(columns_of(windows, size), box.left, points.size(3));
  const auto part = [&](const torch::Tensor& all) {
    return all.narrow(0, rows.first, rows.cells.size(0))
        .narrow(1, columns.first, columns.cells.size(0));
  };
  const auto cells = rows.cells.unsqueeze(1) * points.size(3) + columns.cells;
  const auto at = cells * prototypes.size(0) + part(labels);  // in [h * w, C]
  const auto locations = points[0].flatten(1).t();            // [h * w, D]
  for (int64_t k = 0; k < prototypes.size(1); ++k) {
    const auto similarities = locations.matmul(prototypes.select(1, k).t()).cpu();
    part(sums[k]).add_(similarities.take(at));
  }
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

WindowGrids whole_grid(const torch::Tensor& grid) {
  const PixelSize size{grid.size(2), grid.size(3)};
  return {windows_of(size, {}), {grid}};
}

bool sees(const Windows& windows, size_t window, const Region& region, PixelSize size) {
  const auto box = windows.at(window);
  return sees(rows_of(windows, size), box.top, region.y, region.height) &&
         sees(columns_of(windows, size), box.left, region.x, region.width);
}

torch::Tensor share_of_mean(const torch::Tensor& grid, const Windows& windows, size_t window,
                            const Region& region, PixelSize size) {
  const auto box = windows.at(window);
  const auto down =
      weights_of(rows_of(windows, size), box.top, grid.size(2), region.y, region.height);
  const auto across =
      weights_of(columns_of(windows, size), box.left, grid.size(3), region.x, region.width);
  const auto options = grid.options().dtype(torch::kFloat32);
  const auto sum = grid.to(torch::kFloat32).matmul(across.to(options)).matmul(down.to(options));
  return sum / static_cast<double>(region.width * region.height);
}

torch::Tensor mean_over(const WindowGrids& values, const Region& region, PixelSize size) {
  torch::Tensor mean;
  for (size_t i = 0; i < values.grids.size(); ++i) {
    if (!sees(values.windows, i, region, size)) continue;
    const auto share = share_of_mean(values.grids[i], values.windows, i, region, size);
    mean = mean.defined() ? mean + share : share;
  }
  return mean;
}

PixelChoice choose_prototypes(const WindowGrids& points, const torch::Tensor& scores,
                              const torch::Tensor& prototypes, PixelSize size) {
  PixelChoice choice;
  choice.labels = resize_scores(scores.to(torch::kFloat32), size).argmax(1)[0].cpu();
  if (!prototypes.defined()) {
    choice.indices = torch::zeros_like(choice.labels);
    return choice;
  }
  auto sums = torch::zeros({prototypes.size(1), size.height, size.width});
  for (size_t i = 0; i < points.grids.size(); ++i) {
    add_similarities(points.grids[i], points.windows, i, size, choice.labels, prototypes, sums);
  }
  choice.indices = sums.argmax(0);
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
