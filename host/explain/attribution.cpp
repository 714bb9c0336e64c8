#include "host/explain/attribution.h"

#include <torch/torch.h>

#include <algorithm>
#include <vector>

#include "host/inference.h"
#include "registry/image.h"

namespace dnc {
namespace {

// Steps of 1/grid of a side, and patches of two steps.
int64_t step_of(int64_t size, int64_t grid) {
  return std::max<int64_t>(1, (size + grid - 1) / grid);
}

std::vector<Box> patches(int64_t height, int64_t width, int64_t grid) {
  const auto down = step_of(height, grid), across = step_of(width, grid);
  const auto patch_height = std::min(height, 2 * down), patch_width = std::min(width, 2 * across);
  std::vector<Box> boxes;
  for (const auto top : window_starts(height, patch_height, down)) {
    for (const auto left : window_starts(width, patch_width, across)) {
      boxes.push_back({top, left, patch_height, patch_width});
    }
  }
  return boxes;
}

// [1, 3, 1, 1], of the image's type.
torch::Tensor mean_colour(const torch::Tensor& image) {
  const auto mean = image.to(torch::kFloat32).mean({2, 3}, /*keepdim=*/true);
  return image.is_floating_point() ? mean.to(image.scalar_type())
                                   : mean.round().to(image.scalar_type());
}

torch::Tensor part(const torch::Tensor& image, const Box& box) {
  return image.narrow(-2, box.top, box.height).narrow(-1, box.left, box.width);
}

}  // namespace

torch::Tensor occlusion_maps(const torch::Tensor& image, const Targets& targets,
                             const OcclusionOptions& options) {
  const torch::NoGradGuard no_grad;
  const auto height = image.size(2), width = image.size(3);
  const auto whole = targets(image).to(torch::kCPU, torch::kFloat32);  // [1, T]
  const auto colour = mean_colour(image);
  const auto boxes = patches(height, width, options.grid);
  auto sum = torch::zeros({whole.size(1), height, width});
  auto count = torch::zeros({height, width});
  for (size_t first = 0; first < boxes.size();) {
    const auto size = std::min(boxes.size() - first, static_cast<size_t>(options.batch_size));
    auto occluded = image.repeat({static_cast<int64_t>(size), 1, 1, 1});
    for (size_t i = 0; i < size; ++i) {
      part(occluded[static_cast<int64_t>(i)], boxes[first + i]).copy_(colour[0]);
    }
    const auto lost = whole - targets(occluded).to(torch::kCPU, torch::kFloat32);
    for (size_t i = 0; i < size; ++i) {
      part(sum, boxes[first + i]).add_(lost[static_cast<int64_t>(i)].view({-1, 1, 1}));
      part(count, boxes[first + i]).add_(1);
    }
    first += size;
    if (options.progress) {
      options.progress(static_cast<int64_t>(first), static_cast<int64_t>(boxes.size()));
    }
  }
  return sum / count;
}

torch::Tensor gradient_maps(const torch::Tensor& image, const Targets& targets, int64_t grid) {
  namespace F = torch::nn::functional;
  const torch::AutoGradMode with_gradients(true);
  const auto input = image.detach().clone().requires_grad_(true);
  const auto values = targets(input);
  const auto centred = (input - mean_colour(image)).detach();
  std::vector<torch::Tensor> maps;
  for (int64_t t = 0; t < values.size(1); ++t) {
    const bool last = t + 1 == values.size(1);
    const auto gradient = torch::autograd::grad({values[0][t]}, {input}, {}, !last)[0];
    maps.push_back((gradient * centred).sum(1));
  }
  const auto odd = [&](int64_t size) { return 2 * step_of(size, grid) + 1; };
  const auto kernel = std::vector<int64_t>{odd(image.size(2)), odd(image.size(3))};
  const auto smooth = F::avg_pool2d(torch::stack(maps), F::AvgPool2dFuncOptions(kernel)
                                                            .stride(1)
                                                            .padding({kernel[0] / 2, kernel[1] / 2})
                                                            .count_include_pad(false));
  return smooth.squeeze(1).to(torch::kCPU, torch::kFloat32).detach();
}

}  // namespace dnc
