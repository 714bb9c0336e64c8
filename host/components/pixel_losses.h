#pragma once

#include <torch/types.h>

#include <optional>
#include <vector>

#include "registry/context.h"
#include "registry/fields.h"
#include "registry/loss.h"

namespace dnc {

/// Losses for pixels, with the options and defaults of mmsegmentation. All map scores [N, C, ...]
/// and labels int64 [N, ...] to a scalar; pixels with kIgnoredLabel do not count, and where there
/// are no others the loss is 0 and so are its gradients. They are computed in float32 (float64 for
/// float64 scores). Soft labels are refused with Error.

/// Cross entropy of the hardest pixels (Shrivastava et al., "OHEM", CVPR 2016), chosen as
/// mmsegmentation's OHEMPixelSampler does, among those of the whole batch.
///
/// With `thresh`: the pixels whose label has a probability below the threshold, which is raised to
/// the probability of the pixel number N * min_kept from below where fewer would be kept; that
/// pixel itself is not. Without: the N * min_kept pixels of the highest loss.
///
/// The mean is over the pixels that were kept; with `average: all` over all pixels, kept or not,
/// ignored or not, as there.
class OhemCrossEntropy final : public Loss {
 public:
  enum class Average { kKept, kAll };
  struct Options {
    double weight = 1;
    std::optional<double> thresh;
    int64_t min_kept = 100000;
    std::vector<double> class_weights;
    Average average = Average::kKept;
    void fields(Fields& f);
  };

  /// Throws OptionError where class_weights has not one number per class.
  OhemCrossEntropy(const Options& options, const Context& context);
  torch::Tensor forward(const torch::Tensor& scores, const torch::Tensor& targets) override;

 private:
  torch::Tensor below_threshold(const torch::Tensor& log_probabilities, const torch::Tensor& index,
                                const torch::Tensor& valid) const;
  torch::Tensor highest(const torch::Tensor& losses, const torch::Tensor& valid,
                        int64_t images) const;

  Options options_;
  torch::Tensor class_weights_;  // float32 [C], or undefined for equal ones
};

/// 1 - Dice of each image, over all of its pixels and classes together, and the mean over the
/// images that have labels (Milletari et al., "V-Net", 2016). With p = sigmoid(scores) or softmax
/// and t = 1 for the class of a label, else 0:
///
///   Dice = 2 sum(p t) / (sum(p^2) + eps + sum(t^2) + eps)
///   naive: (2 sum(p t) + eps) / (sum(p) + sum(t) + eps)
///
/// As DiceLoss of mmsegmentation 1.x, but that p of ignored pixels does not count.
class Dice final : public Loss {
 public:
  struct Options {
    double weight = 1;
    bool use_sigmoid = true;
    bool naive = false;
    double eps = 1e-3;
    void fields(Fields& f);
  };

  explicit Dice(const Options& options) : options_(options) {}
  torch::Tensor forward(const torch::Tensor& scores, const torch::Tensor& targets) override;

 private:
  Options options_;
};

/// A convex extension of 1 - IoU to probabilities: the mean over classes of the Lovász extension of
/// the Jaccard loss at the errors |t - softmax(scores)| (Berman, Rannen and Blaschko, CVPR 2018).
///
/// `classes: present` takes the classes that occur among the labels, `all` all of them. With
/// `per_image` it is the mean over images that have labels, else the batch is one large image.
class Lovasz final : public Loss {
 public:
  enum class Classes { kPresent, kAll };
  struct Options {
    double weight = 1;
    Classes classes = Classes::kPresent;
    bool per_image = false;
    std::vector<double> class_weights;
    void fields(Fields& f);
  };

  /// Throws OptionError where class_weights has not one number per class.
  Lovasz(const Options& options, const Context& context);
  torch::Tensor forward(const torch::Tensor& scores, const torch::Tensor& targets) override;

 private:
  torch::Tensor of_pixels(const torch::Tensor& probabilities, const torch::Tensor& labels) const;

  Options options_;
};

/// Binary cross entropy of each class in which what is easy counts little (Lin et al., "Focal
/// loss", ICCV 2017). With p = sigmoid(score) and t = 1 for the class of the label, else 0, it is
/// the mean over pixels and classes of
///
///   alpha (1 - p)^gamma (-log p) where t = 1, (1 - alpha) p^gamma (-log(1 - p)) where t = 0.
///
/// As FocalLoss of mmsegmentation, but that the mean is over the pixels that are not ignored.
class Focal final : public Loss {
 public:
  struct Options {
    double weight = 1;
    double gamma = 2;
    std::vector<double> alpha{0.5};
    std::vector<double> class_weights;
    void fields(Fields& f);
  };

  /// Throws OptionError where class_weights or a list of alpha has not one number per class.
  Focal(const Options& options, const Context& context);
  torch::Tensor forward(const torch::Tensor& scores, const torch::Tensor& targets) override;

 private:
  Options options_;
  torch::Tensor alpha_;          // float32 [C], or undefined for one number
  torch::Tensor class_weights_;  // float32 [C], or undefined for equal ones
};

}  // namespace dnc
