#include "plugins/heads/linear/network.h"

#include <torch/nn/init.h>

namespace dnc {

void LinearHead::Options::fields(Fields& f) {
  f("dropout", dropout,
    "Share of the embedding's values, for pixels of its channels, that is zeroed in training.")
      .at_least(0)
      .below(1)
      .alias("dropout_ratio");
}

LinearHead::LinearHead(const Options& options, const Context& context) : dropout_(options.dropout) {
  TORCH_CHECK(context.channels > 0 && context.classes.size() > 0, "Linear: ", context.channels,
              " channels to ", context.classes.size(), " classes");
  fc_ = register_module("fc", torch::nn::Linear(context.channels, context.classes.size()));
  torch::nn::init::normal_(fc_->weight, 0, 0.01);
  torch::nn::init::zeros_(fc_->bias);
}

torch::Tensor LinearHead::forward(const torch::Tensor& embeddings) {
  const bool pixels = embeddings.dim() == 4;
  TORCH_CHECK((pixels || embeddings.dim() == 2) && embeddings.size(1) == fc_->options.in_features(),
              "Linear: expected [N, ", fc_->options.in_features(), "] or [N, ",
              fc_->options.in_features(), ", h, w], got ", embeddings.sizes());
  auto x = embeddings;
  if (dropout_ > 0) {
    x = pixels ? torch::feature_dropout(x, dropout_, is_training())
               : torch::dropout(x, dropout_, is_training());
  }
  if (!pixels) return fc_(x);
  return torch::conv2d(x, fc_->weight.unsqueeze(-1).unsqueeze(-1), fc_->bias);
}

}  // namespace dnc
