#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

namespace dnc {

/// linear(gelu(linear(x))): [..., C] to [..., C], with 4 * C channels between. The modules are
/// named 0 and 3, as in torchvision, which counts the activation and the dropout between them.
class Mlp final : public torch::nn::Module {
 public:
  explicit Mlp(int64_t channels);
  torch::Tensor forward(const torch::Tensor& x);
  torch::nn::Linear first() const { return first_; }
  torch::nn::Linear second() const { return second_; }

 private:
  torch::nn::Linear first_;
  torch::nn::Linear second_;
};

/// Queries, keys and values [N, heads, L, C / heads] from their joint projection [N, L, 3 * C].
std::vector<torch::Tensor> split_heads(const torch::Tensor& qkv, int64_t heads);

/// The heads' results [N, heads, L, C / heads] side by side: [N, L, C].
torch::Tensor join_heads(const torch::Tensor& heads);

/// Images [N, C, H, W] with zeros at the bottom and right, so that H and W are multiples of `side`.
torch::Tensor pad_to_multiple(const torch::Tensor& images, int64_t side);

}  // namespace dnc
