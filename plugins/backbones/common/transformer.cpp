#include "plugins/backbones/common/transformer.h"

namespace dnc {

Mlp::Mlp(int64_t channels)
    : first_(register_module("0", torch::nn::Linear(channels, 4 * channels))),
      second_(register_module("3", torch::nn::Linear(4 * channels, channels))) {}

torch::Tensor Mlp::forward(const torch::Tensor& x) { return second_(torch::gelu(first_(x))); }

std::vector<torch::Tensor> split_heads(const torch::Tensor& qkv, int64_t heads) {
  return qkv.unflatten(2, {3, heads, -1}).permute({2, 0, 3, 1, 4}).unbind(0);
}

torch::Tensor join_heads(const torch::Tensor& heads) { return heads.transpose(1, 2).flatten(2); }

torch::Tensor pad_to_multiple(const torch::Tensor& images, int64_t side) {
  const int64_t bottom = (side - images.size(2) % side) % side;
  const int64_t right = (side - images.size(3) % side) % side;
  if (bottom == 0 && right == 0) return images;
  return torch::constant_pad_nd(images, {0, right, 0, bottom});
}

}  // namespace dnc
