#pragma once

#include <torch/types.h>

#include <cstdint>

#include "host/model.h"
#include "host/report/contact_sheet.h"
#include "host/report/label_picture.h"
#include "registry/batch.h"
#include "registry/image.h"

namespace dnc::report {

/// How the images of a batch are shown: as the bytes that they were before `preprocess`, and the
/// classes of pixels in the colours of `palette` over them.
struct BatchLook {
  Preprocess preprocess;
  Palette palette;
};

/// The first `count` images of a batch as the network gets them, augmented and mixed, from left to
/// right. RGB, at most 768 pixels a side. Floats that `preprocess` cannot have made of bytes are
/// stretched from the lowest to the highest.
Image batch_picture(const Batch& batch, int64_t count, const BatchLook& look);

/// What a model says of pixels: for each image of an evaluation a row of it, its labels, and the
/// classes of the largest scores.
class PredictionPicture {
 public:
  /// Of the first `count` images.
  PredictionPicture(int64_t count, BatchLook look);

  /// Scores [N, classes, h, w] for images [N, 3, H, W] and labels [N, h', w'], all on any device.
  void add(const Batch& batch, const torch::Tensor& scores);
  /// RGB, at most 768 pixels a side; an empty image where nothing was added.
  Image finish();

 private:
  int64_t count_;
  BatchLook look_;
  ContactSheet sheet_;
};

}  // namespace dnc::report
