#include "host/train/views.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "registry/error.h"

namespace dnc {
namespace {

torch::Tensor crop_at(const torch::Tensor& images, int64_t top, int64_t left, int64_t side) {
  return images.narrow(2, top, side).narrow(3, left, side);
}

// The middle first, then the corners in the order of reading. The middle is torchvision's: halves
// of a pixel are rounded to even.
std::vector<torch::Tensor> five_crops(const torch::Tensor& images, int64_t crop) {
  const auto height = images.size(2);
  const auto width = images.size(3);
  const auto side = crop > 0 ? crop : std::max<int64_t>(1, std::min(height, width) * 7 / 8);
  if (side > std::min(height, width)) {
    throw Error(
        fmt::format("--crop: is {}, but the test transforms leave images of {} x {} pixels "
                    "(height x width); take a smaller crop, or larger images",
                    side, height, width));
  }
  const auto middle = [&](int64_t size) {
    return static_cast<int64_t>(std::nearbyint(static_cast<double>(size - side) / 2));
  };
  return {crop_at(images, middle(height), middle(width), side), crop_at(images, 0, 0, side),
          crop_at(images, 0, width - side, side), crop_at(images, height - side, 0, side),
          crop_at(images, height - side, width - side, side)};
}

// Images of another size; normalised, for bytes cannot be between others.
torch::Tensor scaled(Model& model, const torch::Tensor& images, double scale) {
  if (scale == 1) return images;
  const auto side = [&](int64_t dim) {
    return std::max<int64_t>(1, std::lround(static_cast<double>(images.size(dim)) * scale));
  };
  return at::upsample_bilinear2d(model.normalise(images), {side(2), side(3)},
                                 /*align_corners=*/false);
}

}  // namespace

std::vector<torch::Tensor> Views::of(const torch::Tensor& images) const {
  auto views = has_crops() ? five_crops(images, crop) : std::vector<torch::Tensor>{images};
  if (kind != Kind::kFlip && kind != Kind::kTenCrops) return views;
  const auto count = views.size();
  for (size_t i = 0; i < count; ++i) views.push_back(views[i].flip({3}));
  return views;
}

std::string Views::text() const {
  const auto name = kind_text();
  if (scales == std::vector<double>{1.0}) return name;
  return fmt::format("{}, scales {}", name, fmt::join(scales, ", "));
}

std::string Views::kind_text() const {
  switch (kind) {
    case Kind::kFlip:
      return "flip";
    case Kind::kFiveCrops:
    case Kind::kTenCrops: {
      const auto* const name = kind == Kind::kFiveCrops ? "five_crops" : "ten_crops";
      return crop > 0 ? fmt::format("{} of {}", name, crop) : fmt::format("{} of 7/8", name);
    }
    default:
      return "plain";
  }
}

Model::Output forward_views(Model& model, const torch::Tensor& images, const Views& views,
                            std::optional<PixelSize> size) {
  if (views.is_plain()) {
    auto output = infer(model, images, views.inference);
    if (size) output.scores = resize_scores(output.scores, *size);
    return output;
  }
  torch::Tensor embeddings;
  std::vector<torch::Tensor> logs;  // of the shares that each view gives
  for (const double scale : views.scales) {
    const auto shown = views.of(scaled(model, images, scale));
    for (size_t i = 0; i < shown.size(); ++i) {
      auto output = infer(model, shown[i], views.inference);
      auto scores = output.scores.to(torch::kFloat32);
      if (scores.dim() == 4) {
        if (views.has_crops()) throw Error("--tta: crops are for models of images, not of pixels");
        if (size) scores = resize_scores(scores, *size);
        if (i > 0) scores = scores.flip({3});
      }
      logs.push_back(scores.log_softmax(1));
      if (!embeddings.defined()) embeddings = std::move(output.embeddings);
    }
  }
  const auto views_log = std::log(static_cast<double>(logs.size()));
  return {std::move(embeddings), torch::stack(logs).logsumexp(0) - views_log};
}

}  // namespace dnc
