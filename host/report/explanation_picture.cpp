#include "host/report/explanation_picture.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace dnc::report {
namespace {

constexpr std::array<double, 3> kFor{240, 110, 10};
constexpr std::array<double, 3> kAgainst{40, 110, 230};
constexpr double kStrongest = 0.8;  // share of the colour at the peak
constexpr int64_t kCropSide = 96;
constexpr int64_t kLowestRow = 96;  // pixels, of a sheet
constexpr int64_t kHighestRow = 192;
constexpr int64_t kGap = 6;
constexpr int64_t kGroupGap = 24;
constexpr uint8_t kGround = 200;

uint8_t mixed(double a, double b, double share_of_b) {
  return static_cast<uint8_t>(std::lround(a + (b - a) * share_of_b));
}

void draw_frame(Image& image, const Box& box, uint8_t level) {
  const auto dot = [&](int64_t y, int64_t x) {
    if (y < 0 || x < 0 || y >= image.height() || x >= image.width()) return;
    std::fill_n(image.pixels() + (y * image.width() + x) * 3, 3, level);
  };
  for (int64_t x = box.left; x < box.left + box.width; ++x) {
    dot(box.top, x);
    dot(box.top + box.height - 1, x);
  }
  for (int64_t y = box.top; y < box.top + box.height; ++y) {
    dot(y, box.left);
    dot(y, box.left + box.width - 1);
  }
}

Box grown(const Box& box, int64_t by) {
  return {box.top - by, box.left - by, box.height + 2 * by, box.width + 2 * by};
}

int64_t row_height(const PictureRow& row) {
  const auto first = row.front().front().height();
  if (first >= kLowestRow) return std::min(first, kHighestRow);
  return first * ((kLowestRow + first - 1) / first);
}

Image to_height(const Image& image, int64_t height) {
  const double scale = static_cast<double>(height) / static_cast<double>(image.height());
  const auto width = std::max<int64_t>(1, std::llround(static_cast<double>(image.width()) * scale));
  const bool sharp = height % image.height() == 0;
  return image.to_channels(3).resize(height, width,
                                     sharp ? Interpolation::kNearest : Interpolation::kBilinear);
}

void paste(const Image& image, int64_t top, int64_t left, Image& sheet) {
  for (int64_t y = 0; y < image.height(); ++y) {
    std::copy_n(image.pixels() + y * image.width() * 3, image.width() * 3,
                sheet.pixels() + ((top + y) * sheet.width() + left) * 3);
  }
}

}  // namespace

double HeatMap::peak() const {
  double peak = 0;
  for (const float value : values) {
    if (std::isfinite(value)) peak = std::max(peak, std::abs(static_cast<double>(value)));
  }
  return peak;
}

Image heat_picture(const Image& image, const HeatMap& map) {
  if (map.height != image.height() || map.width != image.width()) {
    throw std::invalid_argument("heat_picture: expected a map of the image's size");
  }
  const double peak = map.peak();
  auto picture = image.to_channels(1).to_channels(3);
  auto* out = picture.pixels();
  for (const float value : map.values) {
    const double share = peak > 0 && std::isfinite(value) ? std::abs(value) / peak : 0;
    const auto& colour = value > 0 ? kFor : kAgainst;
    for (size_t c = 0; c < 3; ++c) out[c] = mixed(out[c], colour[c], share * kStrongest);
    out += 3;
  }
  return picture;
}

void outline(Image& image, const Box& box) {
  draw_frame(image, grown(box, 1), 255);
  draw_frame(image, grown(box, 2), 0);
}

Image marked_crop(const Image& image, int64_t x, int64_t y, int64_t side) {
  const auto start = [&](int64_t at, int64_t size) {
    return size < side ? (size - side) / 2 : std::clamp<int64_t>(at - side / 2, 0, size - side);
  };
  const auto top = start(y, image.height()), left = start(x, image.width());
  auto crop = image.to_channels(3).crop({top, left, side, side}, Border{});
  const auto scale = std::max<int64_t>(1, (kCropSide + side - 1) / side);
  crop = crop.resize(side * scale, side * scale, Interpolation::kNearest);
  outline(crop, grown({(y - top) * scale, (x - left) * scale, scale, scale}, 2));
  return crop;
}

Image picture_sheet(const std::vector<PictureRow>& rows) {
  struct Placed {
    Image image;
    int64_t top = 0;
    int64_t left = 0;
  };
  std::vector<Placed> all;
  int64_t width = 0, top = kGap;
  for (const auto& row : rows) {
    const auto height = row_height(row);
    int64_t left = kGap;
    for (const auto& group : row) {
      for (const auto& image : group) {
        all.push_back({to_height(image, height), top, left});
        left += all.back().image.width() + kGap;
        width = std::max(width, left);
      }
      if (!group.empty()) left += kGroupGap - kGap;
    }
    top += height + kGap;
  }
  Image sheet(top, width, 3);
  std::fill_n(sheet.pixels(), sheet.size(), kGround);
  for (const auto& placed : all) paste(placed.image, placed.top, placed.left, sheet);
  return sheet;
}

Palette shades_of(const std::array<uint8_t, 3>& colour, int64_t count) {
  const int sum = std::accumulate(colour.begin(), colour.end(), 0);
  // From -1, dark, to 1, light; nearly black and nearly white colours have one way to go.
  const double darkest = sum < 120 ? 0 : -1, lightest = sum > 700 ? 0 : 1;
  Palette shades;
  for (int64_t k = 0; k < count; ++k) {
    const double place = count == 1 ? 0 : static_cast<double>(k) / static_cast<double>(count - 1);
    const double way = count == 1 ? 0 : darkest + (lightest - darkest) * place;
    auto& shade = shades.emplace_back();
    for (size_t c = 0; c < 3; ++c) {
      shade[c] = mixed(colour[c], way < 0 ? 0 : 255, std::abs(way) * 0.65);
    }
  }
  return shades;
}

}  // namespace dnc::report
