#include "plugins/backbones/swin_transformer/window_layout.h"

namespace dnc {

WindowLayout::WindowLayout(int64_t height, int64_t width, int64_t side, Shift shift,
                           const torch::Device& device)
    : height_(height),
      width_(width),
      side_(side),
      rows_((height + side - 1) / side),
      columns_((width + side - 1) / side),
      device_(device) {
  if (shift == Shift::kNone) return;
  const bool always = shift == Shift::kAlways;
  shift_rows_ = rows_ > 1 || always ? side / 2 : 0;
  shift_columns_ = columns_ > 1 || always ? side / 2 : 0;
  if (is_shifted()) mask_ = make_mask().to(device);
}

bool WindowLayout::fits(const torch::Tensor& map) const {
  return map.size(1) == height_ && map.size(2) == width_ && map.device() == device_;
}

torch::Tensor WindowLayout::cut(const torch::Tensor& map) const {
  return map.reshape({-1, rows_, side_, columns_, side_, map.size(3)})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({-1, side_ * side_, map.size(3)});
}

torch::Tensor WindowLayout::split(const torch::Tensor& map) const {
  auto x = map;
  const int64_t bottom = rows_ * side_ - height_;
  const int64_t right = columns_ * side_ - width_;
  if (bottom > 0 || right > 0) x = torch::constant_pad_nd(x, {0, 0, 0, right, 0, bottom});
  if (is_shifted()) x = x.roll({-shift_rows_, -shift_columns_}, {1, 2});
  return cut(x);
}

torch::Tensor WindowLayout::join(const torch::Tensor& windows) const {
  const int64_t channels = windows.size(2);
  auto x = windows.reshape({-1, rows_, columns_, side_, side_, channels})
               .permute({0, 1, 3, 2, 4, 5})
               .reshape({-1, rows_ * side_, columns_ * side_, channels});
  if (is_shifted()) x = x.roll({shift_rows_, shift_columns_}, {1, 2});
  return x.slice(1, 0, height_).slice(2, 0, width_);
}

torch::Tensor WindowLayout::make_mask() const {
  // The rolled map has up to three regions each way: the windows that nothing wrapped into, and
  // the two parts of the last row of windows. Pixels of different regions do not attend.
  const auto regions = [this](int64_t length, int64_t shift) {
    const auto position = torch::arange(length);
    return (position >= length - side_).to(torch::kLong) + (position >= length - shift);
  };
  const auto region = 3 * regions(rows_ * side_, shift_rows_).unsqueeze(1) +
                      regions(columns_ * side_, shift_columns_).unsqueeze(0);
  const auto windows = cut(region.unsqueeze(0).unsqueeze(3)).squeeze(2);  // [windows, L]
  const auto apart = windows.unsqueeze(1) != windows.unsqueeze(2);
  return (-100 * apart.to(torch::kFloat32)).unsqueeze(1);
}

torch::Tensor WindowLayout::mask(const torch::Tensor& bias, const torch::Tensor& windows) const {
  if (!is_shifted()) return bias;
  const auto each = bias + mask_;  // [windows, heads, L, L]
  // Repeated for each image; N is never read as a number, so that a traced model takes any.
  const auto images = windows.slice(2, 0, 1).reshape({-1, each.size(0), each.size(2), 1, 1});
  const auto shape =
      images.slice(2, 0, 1).expand({-1, -1, each.size(1), each.size(2), each.size(3)});
  return each.expand_as(shape).flatten(0, 1);
}

}  // namespace dnc
