#pragma once

#include <torch/types.h>

namespace dnc {

/// How a map [N, H, W, C] is cut into windows of `side` x `side`: padded with zeros at the bottom
/// and right to whole windows, and where windows are shifted, first rolled up and left by half a
/// window (Liu et al. 2021, "Swin Transformer", section 3.2).
class WindowLayout {
 public:
  enum class Shift {
    kNone,
    kWhereMoreThanOne,  // not along a direction in which there is one window only
    kAlways,
  };

  WindowLayout() = default;
  WindowLayout(int64_t height, int64_t width, int64_t side, Shift shift,
               const torch::Device& device);

  /// [N, H, W, C] to [N * windows, side * side, C].
  torch::Tensor split(const torch::Tensor& map) const;
  /// The inverse, without the padding.
  torch::Tensor join(const torch::Tensor& windows) const;

  /// The bias [1, heads, L, L] of the L = side * side positions in a window to each other, as the
  /// attention in the windows that split() gives adds it: [1 or N * windows, heads, L, L], with
  /// -100 between positions that are neighbours only because the map was rolled.
  torch::Tensor mask(const torch::Tensor& bias, const torch::Tensor& windows) const;

  bool fits(const torch::Tensor& map) const;

 private:
  bool is_shifted() const { return shift_rows_ > 0 || shift_columns_ > 0; }
  torch::Tensor cut(const torch::Tensor& map) const;
  torch::Tensor make_mask() const;

  int64_t height_ = 0, width_ = 0;
  int64_t side_ = 1;
  int64_t rows_ = 0, columns_ = 0;  // of windows
  int64_t shift_rows_ = 0, shift_columns_ = 0;
  torch::Device device_ = torch::kCPU;
  torch::Tensor mask_;  // [windows, 1, L, L], where windows are shifted
};

}  // namespace dnc
