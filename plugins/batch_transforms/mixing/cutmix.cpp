#include "plugins/batch_transforms/mixing/cutmix.h"

#include <algorithm>
#include <cmath>

namespace dnc {
namespace {

// Whether 0, 1, ..., size - 1 lie in [first, last), bool [n, size].
torch::Tensor inside(const std::vector<int64_t>& first, const std::vector<int64_t>& last,
                     int64_t size, torch::Device device) {
  const auto place = at::arange(size, torch::TensorOptions(torch::kInt64).device(device));
  const auto send = [&](const std::vector<int64_t>& borders) {
    return torch::tensor(borders, torch::kInt64).unsqueeze(1).to(device, /*non_blocking=*/true);
  };
  return place.ge(send(first)).logical_and(place.lt(send(last)));
}

}  // namespace

Mix CutMix::draw(double share, int64_t height, int64_t width, Random& random) const {
  const int64_t y = random.integer(0, height);
  const int64_t x = random.integer(0, width);
  return cut(share, height, width, y, x);
}

torch::Tensor CutMix::mix(const torch::Tensor& images, const std::vector<Mix>& mixes) const {
  return paste(images, mixes);
}

Mix cut(double share, int64_t height, int64_t width, int64_t y, int64_t x) {
  const double half = std::sqrt(1 - share) / 2;
  const auto half_height = static_cast<int64_t>(half * static_cast<double>(height));
  const auto half_width = static_cast<int64_t>(half * static_cast<double>(width));
  const int64_t top = std::max<int64_t>(y - half_height, 0);
  const int64_t left = std::max<int64_t>(x - half_width, 0);
  const Box box{top, left, std::min(y + half_height, height) - top,
                std::min(x + half_width, width) - left};
  const auto area = static_cast<double>(box.height * box.width);
  return {1 - area / static_cast<double>(height * width), box};
}

torch::Tensor paste(const torch::Tensor& images, const std::vector<Mix>& mixes) {
  std::vector<int64_t> top, bottom, left, right;
  for (const auto& [share, box] : mixes) {
    top.push_back(box.top);
    bottom.push_back(box.top + box.height);
    left.push_back(box.left);
    right.push_back(box.left + box.width);
  }
  const auto rows = inside(top, bottom, images.size(2), images.device());     // [n, H]
  const auto columns = inside(left, right, images.size(3), images.device());  // [n, W]
  const auto replaced = rows.unsqueeze(2).logical_and(columns.unsqueeze(1)).unsqueeze(1);
  return at::where(replaced, images.flip(0), images);
}

}  // namespace dnc
