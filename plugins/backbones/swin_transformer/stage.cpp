#include "plugins/backbones/swin_transformer/stage.h"

#include <string>

#include "plugins/backbones/common/gradient_checkpointing.h"
#include "plugins/backbones/common/stochastic_depth.h"

namespace dnc {
namespace {

torch::nn::LayerNorm layer_norm(int64_t channels) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({channels}));
}

}  // namespace

WindowAttention::WindowAttention(int64_t channels, int64_t heads, int64_t side)
    : heads_(heads),
      side_(side),
      table_(register_parameter("relative_position_bias_table",
                                torch::randn({(2 * side - 1) * (2 * side - 1), heads}) * 0.02)),
      qkv_(register_module("qkv", torch::nn::Linear(channels, 3 * channels))),
      proj_(register_module("proj", torch::nn::Linear(channels, channels))) {}

// bias[head, (i, j), (k, l)] is table[(i - k + side - 1, j - l + side - 1), head]. Unfolding gives
// table[(a + i, b + j), head] at [a, b, head, i, j]; a and b run backwards through k and l.
torch::Tensor WindowAttention::position_bias() const {
  const int64_t positions = side_ * side_;
  return table_.view({2 * side_ - 1, 2 * side_ - 1, heads_})
      .unfold(0, side_, 1)
      .unfold(1, side_, 1)
      .flip({0, 1})
      .permute({2, 3, 4, 0, 1})
      .reshape({1, heads_, positions, positions});
}

torch::Tensor WindowAttention::forward(const torch::Tensor& map, const WindowLayout& layout) {
  const auto windows = layout.split(map);
  const auto qkv = split_heads(qkv_(windows), heads_);
  const auto bias = layout.mask(position_bias(), windows).to(qkv[0].scalar_type());
  const auto out = torch::scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], bias);
  return layout.join(proj_(join_heads(out)));
}

SwinBlock::SwinBlock(int64_t channels, int64_t heads, int64_t side, double drop_rate)
    : drop_rate_(drop_rate),
      norm1_(register_module("norm1", layer_norm(channels))),
      attention_(register_module("attn", std::make_shared<WindowAttention>(channels, heads, side))),
      norm2_(register_module("norm2", layer_norm(channels))),
      mlp_(register_module("mlp", std::make_shared<Mlp>(channels))) {}

torch::Tensor SwinBlock::forward(const torch::Tensor& map, const WindowLayout& layout) {
  const auto drop = [this](const torch::Tensor& x) {
    return stochastic_depth(x, drop_rate_, is_training());
  };
  const auto x = map + drop(attention_->forward(norm1_(map), layout));
  return x + drop(mlp_->forward(norm2_(x)));
}

PatchMerging::PatchMerging(int64_t channels)
    : reduction_(register_module(
          "reduction",
          torch::nn::Linear(torch::nn::LinearOptions(4 * channels, 2 * channels).bias(false)))),
      norm_(register_module("norm", layer_norm(4 * channels))) {}

torch::Tensor PatchMerging::forward(const torch::Tensor& map) {
  auto x = map;
  const int64_t bottom = x.size(1) % 2;
  const int64_t right = x.size(2) % 2;
  if (bottom > 0 || right > 0) x = torch::constant_pad_nd(x, {0, 0, 0, right, 0, bottom});
  const auto pixel = [&x](int64_t row, int64_t column) {
    return x.slice(1, row, std::nullopt, 2).slice(2, column, std::nullopt, 2);
  };
  return reduction_(norm_(torch::cat({pixel(0, 0), pixel(1, 0), pixel(0, 1), pixel(1, 1)}, 3)));
}

SwinStage::SwinStage(const SwinStageOptions& options)
    : side_(options.side), shift_(options.shift), recompute_(options.recompute) {
  for (const double rate : options.drop_rates) {
    const auto block =
        std::make_shared<SwinBlock>(options.channels, options.heads, options.side, rate);
    blocks_.push_back(register_module(std::to_string(blocks_.size()), block));
  }
}

std::shared_ptr<const SwinStage::Layouts> SwinStage::layouts_for(const torch::Tensor& map) {
  const std::scoped_lock lock(mutex_);
  if (!layouts_ || !layouts_->still.fits(map)) {
    const int64_t height = map.size(1), width = map.size(2);
    const auto layout = [&](WindowLayout::Shift shift) {
      return WindowLayout(height, width, side_, shift, map.device());
    };
    layouts_ = std::make_shared<const Layouts>(
        Layouts{layout(WindowLayout::Shift::kNone), layout(shift_)});
  }
  return layouts_;
}

torch::Tensor SwinStage::forward(torch::Tensor map) {
  const auto layouts = layouts_for(map);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const auto& layout = i % 2 == 0 ? layouts->still : layouts->shifted;
    map = forward_block(blocks_[i], recompute_, map, layout);
  }
  return map;
}

}  // namespace dnc
