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

/// images -> backbone -> features -> decode head -> embeddings -> head -> scores.
/// One model for images and for pixels: the head sees embeddings [N, D] or [N, D, h, w] only.
class Model : public torch::nn::Module {
 public:
  struct Output {
    torch::Tensor embeddings;  // [N, D, ...]
    torch::Tensor scores;      // [N, classes, ...]
  };

  Model(Preprocess preprocess, std::shared_ptr<Backbone> backbone,
        std::shared_ptr<DecodeHead> decode_head, std::shared_ptr<Head> head);

  /// Images [N, 3, H, W]: uint8 ones are normalised, float ones are taken as they are.
  Output forward(const torch::Tensor& images);
  torch::Tensor embed(const torch::Tensor& images);

  Head& head() { return *head_; }
  /// The head's prototypes, or nullptr where it has none.
  Prototypes* prototypes();
  ModelSize size() const;

  /// Lays the weights of convolutions out channels-last.
  void to_channels_last();

 private:
  torch::Tensor normalise(const torch::Tensor& images);

  std::shared_ptr<Backbone> backbone_;
  std::shared_ptr<DecodeHead> decode_head_;
  std::shared_ptr<Head> head_;
  torch::Tensor mean_;   // [1, 3, 1, 1]; not buffers: they belong to the config, not to the weights
  torch::Tensor scale_;  // 1 / std
};

}  // namespace dnc
