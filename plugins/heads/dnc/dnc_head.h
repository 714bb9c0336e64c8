#pragma once

#include <torch/nn/modules/normalization.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ops/groups.h"
#include "plugins/heads/dnc/sample_memory.h"
#include "registry/context.h"
#include "registry/fields.h"
#include "registry/head.h"
#include "registry/prototypes.h"

namespace dnc {

/// Deep Nearest Centroids (Wang et al., "Visual Recognition with Deep Nearest Centroids", ICLR
/// 2023): embeddings [N, D] or, pixel by pixel, [N, D, h, w] to scores [N, C] or [N, C, h, w]. A
/// class is described by K sub-centroids of its training embeddings, points of length 1, and scores
/// with the nearest of them:
///
///   score of c = max over k of cosine(x, p_ck) / temperature
///
/// Nothing of it is learned by gradient. update() moves the sub-centroids: the samples of a class
/// are divided among its K sub-centroids in equal parts, near ones first (sinkhorn.h), and
///
///   p_ck <- momentum * p_ck + (1 - momentum) * mean of the batch's samples given to (c, k),
///
/// then to length 1. Remembered samples of earlier batches (`memory`) take part in the division
/// only: the network has changed since, and they have moved the sub-centroids once. Classes that
/// are not in the batch stay as they are and cost nothing, and the host waits for nothing that the
/// device computes.
///
/// With several ranks, each gathers the points and labels of all and does the same with the whole
/// batch, so all end with the same bits as one process alone. Sinkhorn over distributed sums would
/// be exact too, but for many classes the sums (K per sample) are larger than the samples.
///
/// Labels of pixels are taken to the size of the embeddings by the nearest, and ignored pixels
/// count nowhere. Of the many pixels of a batch `samples_per_class` picks some: the work and the
/// memory of update(), ppc and ppd are then those of the picked ones. What is picked follows from
/// the seed and the step, and is the same for any number of ranks.
///
/// Images that Mixup or CutMix made of two classes count for the class of the larger share, or with
/// `mixed: skip` neither in update() nor in ppc and ppd: their embeddings lie between the classes.
///
/// An embedding with NaN or infinity scores NaN, which ends a training run; update() leaves it out
/// and counts it (figure "refused").
///
/// `embedding_norm: layer_norm` and `score_norm: layer_norm` give the forward pass of the released
/// head SubCentroids_Head_Formal, under its names: prototypes, feat_norm, mask_norm.
class DncHead final : public Head, public Prototypes {
 public:
  enum class Assignment { kSinkhorn, kNearest, kNone };
  enum class Samples { kAll, kCorrect };
  enum class Mixed { kDominant, kSkip };
  enum class Norm { kNone, kLayerNorm };
  enum class Revive { kNone, kResample };
  enum class Start { kNoise, kData };

  struct Sinkhorn {
    int64_t iterations = 3;
    double epsilon = 0.05;
    void fields(Fields& f);
  };

  struct Options {
    int64_t sub_centroids = 4;
    double momentum = 0.999;
    double temperature = 0.1;
    Assignment assignment = Assignment::kSinkhorn;
    Sinkhorn sinkhorn;
    int64_t memory = 0;
    int64_t samples_per_class = 0;
    Samples samples = Samples::kAll;
    Mixed mixed = Mixed::kDominant;
    Start start = Start::kNoise;
    Revive revive = Revive::kNone;
    int64_t patience = 100;
    Norm embedding_norm = Norm::kNone;
    Norm score_norm = Norm::kNone;
    double ppc = 0;
    double ppc_temperature = 0.1;
    double ppd = 0;
    void fields(Fields& f);
  };

  /// Draws the start from LibTorch's default generator. Throws OptionError.
  DncHead(const Options& options, const Context& context);

  torch::Tensor forward(const torch::Tensor& embeddings) override;
  /// "ppc" and "ppd" of ProtoSeg (Zhou et al., CVPR 2022), where their weights are above 0.
  void add_losses(const HeadStep& step, Losses& losses) override;
  void update(const HeadStep& step, Communicator& communicator) override;

  /// Of the last update, of all ranks: the sub-centroid 0..K-1 that each sample or pixel went to,
  /// int64 [R], -1 where it did not count. Not defined before the first one.
  torch::Tensor assignment() const;

  torch::Tensor prototypes() const override;
  torch::Tensor project(const torch::Tensor& embeddings) override;
  torch::Tensor mass() const override;
  void set_prototypes(const torch::Tensor& classes, const torch::Tensor& indices,
                      const torch::Tensor& points) override;
  /// dead: share of sub-centroids, of the classes seen so far, without a sample in the last
  /// `patience` updates that had their class. refused: embeddings with NaN or infinity so far.
  /// After an update also agreement: share of the batch's samples that were given to their nearest
  /// sub-centroid; and marginal_deviation: how far the parts of a class are from equal, as a share
  /// of an equal part, at most, in the mean over the classes of which K samples or more were
  /// divided.
  std::vector<std::pair<std::string, double>> figures() const override;

 private:
  /// The samples or pixels of a step, of all ranks, or those that were picked of them.
  struct Batch {
    torch::Tensor points;  // [R, D] of length 1; 0 where it does not count
    torch::Tensor labels;  // int64 [R], negative where it does not count
    torch::Tensor places;  // int64 [R] among all, where some were picked; else not defined
    torch::Tensor counts() const { return labels.ge(0); }
    torch::Tensor classes() const { return labels.clamp_min(0); }  // to index with
  };
  /// How the samples of each class are divided among its sub-centroids.
  struct Division {
    torch::Tensor similarities;  // [R, K] to the sub-centroids of the own class
    torch::Tensor index;         // int64 [R], which one a sample is given to, 0..K-1
    // With the remembered samples after the batch's, R + M in all:
    torch::Tensor plan_logits;  // [R + M, K], the softmax is the shares of each sample
    torch::Tensor plan_labels;  // int64 [R + M], negative where it does not count
  };

  enum class Use : uint64_t { kLosses, kUpdate };

  torch::Tensor inputs(const torch::Tensor& embeddings);
  torch::Tensor labels(const HeadStep& step) const;
  Batch pick(const torch::Tensor& labels, const HeadStep& step, Use use) const;
  torch::Tensor points(const torch::Tensor& embeddings, const Batch& batch);
  torch::Tensor gather_points(const HeadStep& step, const Batch& batch, Communicator& communicator);
  Division divide(const Batch& batch) const;
  void start_from(const Batch& batch);
  void move(const Batch& batch, const torch::Tensor& index);
  void count(const Batch& batch, const torch::Tensor& index);
  void resample(const Batch& batch, const Division& division);

  Options options_;
  torch::nn::LayerNorm feat_norm_{nullptr};
  torch::nn::LayerNorm mask_norm_{nullptr};
  torch::Tensor prototypes_;  // [C, K, D], each of length 1
  std::shared_ptr<SampleMemory> memory_;
  torch::Tensor mass_;     // [C, K] samples, older ones weighing less
  torch::Tensor idle_;     // int64 [C, K], updates of the class since it got a sample
  torch::Tensor started_;  // int64 [C], sub-centroids that have started from data
  torch::Tensor refused_;  // int64 [], embeddings that were not finite
  uint64_t seed_;
  // Of the last update, for figures() and assignment(); not a part of the state.
  Division last_;
  torch::Tensor last_places_;  // as Batch::places
  int64_t last_size_ = 0;      // of all samples
};

}  // namespace dnc
