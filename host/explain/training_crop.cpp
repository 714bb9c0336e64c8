#include "host/explain/training_crop.h"

#include <algorithm>

#include "host/explain/network_input.h"
#include "host/report/explanation_picture.h"

namespace dnc {

constexpr int64_t kSmallestCrop = 16;

Image training_crop(const Dataset& dataset,
                    const std::vector<std::shared_ptr<const Transform>>& transforms, int64_t sample,
                    double x, double y) {
  const auto picture = network_input(dataset, transforms, sample, 0).picture;
  const auto side = std::max(kSmallestCrop, std::min(picture.height(), picture.width()) / 3);
  return report::marked_crop(picture,
                             static_cast<int64_t>(x * static_cast<double>(picture.width())),
                             static_cast<int64_t>(y * static_cast<double>(picture.height())), side);
}

}  // namespace dnc
