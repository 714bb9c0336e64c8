#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <memory>
#include <vector>

#include "registry/decode_head.h"
#include "registry/head.h"
#include "registry/prototypes.h"

namespace dnc {

/// What turns the bytes of an image into the network's input: (x - mean) / std per channel, in the
/// units of the bytes, 0 to 255.
struct Preprocess {
  std::vector<double> mean{0, 0, 0};
  std::vector<double> std{255, 255, 255};
};

/// Learnable parameters, all parameters, and numbers kept in buffers.
struct ModelSize {
  int64_t learnable = 0;
  int64_t total = 0;
  int64_t buffers = 0;
};

/// What turns features into scores: a decode head and the head behind it. Its parameters are
/// decode_head.* and head.*.
struct Branch {
  std::shared_ptr<DecodeHead> decode_head;
  std::shared_ptr<Head> head;
};

/// images -> backbone -> features -> decode head -> embeddings -> head -> scores.
/// One model for images and for pixels: the head sees embeddings [N, D] or [N, D, h, w] only.
/// Auxiliary branches (auxiliary_heads.0.*, ...) look at the same features in training, where their
/// losses help the backbone, and nowhere else.
class Model : public torch::nn::Module {
 public:
  struct Output {
    torch::Tensor embeddings;  // [N, D, ...]
    torch::Tensor scores;      // [N, classes, ...]
  };

  Model(Preprocess preprocess, std::shared_ptr<Backbone> backbone, Branch main,
        std::vector<Branch> auxiliary = {});

  /// Images [N, 3, H, W]: uint8 ones are normalised, float ones are taken as they are.
  Output forward(const torch::Tensor& images);
  /// Those of the main branch and then of the auxiliary ones.
  std::vector<Output> forward_all(const torch::Tensor& images);
  torch::Tensor embed(const torch::Tensor& images);
  /// uint8 images as the backbone takes them, float32; float ones as they are.
  torch::Tensor normalise(const torch::Tensor& images);

  Head& head() { return *main_.head; }
  /// Of an auxiliary branch.
  Head& auxiliary_head(size_t branch) { return *auxiliary_[branch].head; }
  /// The head's prototypes, or nullptr where it has none.
  Prototypes* prototypes();
  ModelSize size() const;
  /// Buffers of all but the heads: the running statistics of batch norms.
  std::vector<torch::Tensor> batch_statistics() const;

  /// Lays the weights of convolutions out channels-last.
  void to_channels_last();

 private:
  std::shared_ptr<Backbone> backbone_;
  Branch main_;
  std::vector<Branch> auxiliary_;
  torch::Tensor mean_;   // [1, 3, 1, 1]; not buffers: they belong to the config, not to the weights
  torch::Tensor scale_;  // 1 / std
};

}  // namespace dnc
