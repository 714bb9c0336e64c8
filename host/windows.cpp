#include "host/windows.h"

#include <torch/torch.h>

#include <algorithm>

#include "registry/error.h"

namespace dnc {

Box Windows::at(size_t index) const {
  return {tops[index / lefts.size()], lefts[index % lefts.size()], window.height, window.width};
}

Windows windows_of(PixelSize image, const InferenceOptions& options) {
  if (options.mode == InferenceOptions::Mode::kWhole) return {image, image, {0}, {0}};
  Windows windows;
  windows.image = image;
  windows.window = {std::min(options.crop_size[0], image.height),
                    std::min(options.crop_size[1], image.width)};
  windows.tops = window_starts(image.height, windows.window.height, options.stride[0]);
  windows.lefts = window_starts(image.width, windows.window.width, options.stride[1]);
  return windows;
}

torch::Tensor part_of(const torch::Tensor& images, const Box& box) {
  return images.narrow(2, box.top, box.height).narrow(3, box.left, box.width);
}

torch::Tensor slide(Model& model, const torch::Tensor& images, const Windows& windows,
                    const UseWindow& also_use) {
  const auto& [height, width] = windows.image;
  torch::Tensor sum;
  auto count = torch::zeros({1, 1, height, width}, images.options().dtype(torch::kFloat32));
  for (size_t i = 0; i < windows.count(); ++i) {
    const auto box = windows.at(i);
    const auto output = model.forward(part_of(images, box));
    if (also_use) also_use(output);
    const auto scores = resize_scores(output.scores, windows.window);
    if (scores.dim() != 4) {
      throw Error("model.inference.mode: slide is for models of pixels; take whole");
    }
    if (!sum.defined()) {
      sum = torch::zeros({images.size(0), scores.size(1), height, width},
                         scores.options().dtype(torch::kFloat32));
    }
    part_of(sum, box).add_(scores);
    part_of(count, box).add_(1);
  }
  return sum.div_(count);
}

}  // namespace dnc
