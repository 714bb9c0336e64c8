#pragma once

#include <torch/types.h>

#include <string>
#include <utility>
#include <vector>

#include "registry/context.h"
#include "registry/fields.h"
#include "registry/metric.h"

namespace dnc {

/// What is usually reported for pixels, from one exact confusion matrix over the whole data set, by
/// the names of mmsegmentation. With I = pixels of a class that were given to it, L = pixels with
/// its label, P = pixels that were given to it:
///
///   IoU = I / (L + P - I)     Acc = Recall = I / L     Precision = I / P
///   Dice = 2 I / (L + P)      Fscore = (1 + beta^2) I / (beta^2 L + P)
///
/// The figures "mIoU", "aAcc" (the share of pixels that are right), "mAcc", "mDice", "mFscore",
/// "mPrecision" and "mRecall" are means over the classes for which there is something to divide by:
/// a class that neither labels nor predictions have is left out of all of them, one that has no
/// labels out of mAcc and mRecall. So mmsegmentation does it, but for one thing: an F-score of 0 is
/// 0 here, and is left out there.
///
/// The class of a pixel is its highest score; of equal ones the first, and a NaN before all others.
class MeanIoU final : public Metric {
 public:
  struct Options {
    double beta = 1;
    void fields(Fields& f);
  };

  MeanIoU(const Options& options, const Context& context);
  void reset() override { counts_.zero_(); }
  void update(const torch::Tensor& scores, const torch::Tensor& labels) override;
  std::vector<torch::Tensor> counts() override { return {counts_}; }
  std::vector<std::pair<std::string, double>> compute() const override;
  /// "per_class": one row a class, NaN where there is nothing to divide by; "support" is L.
  std::vector<Table> tables() const override;

 private:
  std::vector<std::string> names_;
  double beta_;
  torch::Tensor counts_;  // int64 [C, C]: rows are labels, columns are predictions
};

/// IoU of the boundaries of each class only (Cheng et al., "Boundary IoU", CVPR 2021): of the
/// pixels of a class that are at most d rows and columns from its contour, in the labels and in the
/// predictions. d is `dilation` times the diagonal of the image, rounded, at least 1. The edge of
/// the image is a contour.
///
/// Ignored pixels belong to no class, in the labels and in the predictions. Needs scores
/// [N, C, H, W] of whole images. The figure "mBoundaryIoU" is the mean over the classes that have a
/// boundary in either.
class BoundaryIoU final : public Metric {
 public:
  struct Options {
    double dilation = 0.02;
    void fields(Fields& f);
  };

  BoundaryIoU(const Options& options, const Context& context);
  void reset() override { counts_.zero_(); }
  void update(const torch::Tensor& scores, const torch::Tensor& labels) override;
  std::vector<torch::Tensor> counts() override { return {counts_}; }
  std::vector<std::pair<std::string, double>> compute() const override;
  /// "boundary": one row a class.
  std::vector<Table> tables() const override;

 private:
  std::vector<std::string> names_;
  double dilation_;
  torch::Tensor counts_;  // int64 [3, C]: pixels in both boundaries, the labels', the predictions'
};

}  // namespace dnc
