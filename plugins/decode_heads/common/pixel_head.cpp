#include "plugins/decode_heads/common/pixel_head.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/feature_dropout.h>

#include <algorithm>
#include <functional>

#include "plugins/decode_heads/common/conv_module.h"
#include "registry/error.h"
#include "registry/text.h"

namespace dnc {
namespace {

std::string text_of(const std::vector<int64_t>& numbers) {
  std::vector<std::string> texts;
  for (const auto number : numbers) texts.push_back(std::to_string(number));
  return join(texts);
}

}  // namespace

void PixelHeadOptions::fields(Fields& f) {
  f("in_index", in_index,
    "Which of the backbone's maps are taken, from 0, or from -1 back; without it the last one, or "
    "all where several are taken.");
  f("in_channels", in_channels, "Channels of these maps. The backbone says them; to be left out.");
  f("channels", channels, "Channels of the embeddings.").between(1, 16384);
  f("dropout", dropout, "Share of the embeddings' channels that is zeroed in training.")
      .at_least(0)
      .below(1)
      .alias("dropout_ratio");
  f("align_corners", align_corners,
    "Maps are resized so that the centres of their corner pixels stay where they are.");
  f.group("norm", norm, "What follows each convolution.").alias("norm_cfg");
  f.group("projection", projection, "1x1 convolutions at the end, into the space of the classes.");
}

void OneMapHeadOptions::fields(Fields& f) {
  f.choice("input_transform", input_transform,
           {{"single", InputTransform::kSingle}, {"resize_concat", InputTransform::kResizeConcat}},
           "One map, as it is (single), or several, resized to the first of them, as one "
           "(resize_concat).");
  PixelHeadOptions::fields(f);
}

PixelHead::PixelHead(const OneMapHeadOptions& options, const Context& context)
    : PixelHead(options, context,
                options.input_transform == OneMapHeadOptions::InputTransform::kSingle
                    ? Takes::kOneMap
                    : Takes::kSeveralMaps) {}

PixelHead::PixelHead(const PixelHeadOptions& options, const Context& context, Takes takes)
    : options_(options) {
  options_.norm.ranks = context.ranks;
  if (context.task != Task::kPixels) {
    throw OptionError("type",
                      "is for pixels, but the data has one label an image; there "
                      "GlobalAveragePooling is the decode head");
  }
  index_ = indices(context.features, takes == Takes::kSeveralMaps);
  for (const auto index : index_) in_channels_.push_back(context.features[index].channels);
  if (options.projection.layers > 0) {
    projection_ = register_module(
        "projection", std::make_shared<Projection>(options.channels, options.projection, norm()));
  } else if (options.projection.channels > 0) {
    throw OptionError("projection.channels",
                      "has no use with projection.layers: 0; the channels of the embeddings are "
                      "`channels` then");
  }
  if (options.in_channels.empty() || options.in_channels == in_channels_) return;
  throw OptionError("in_channels", "is " + text_of(options.in_channels) +
                                       ", but the backbone's maps have " + text_of(in_channels_) +
                                       "; leave the key out");
}

std::vector<size_t> PixelHead::indices(const std::vector<FeatureShape>& maps, bool several) const {
  const auto count = std::ssize(maps);
  const std::string given = "the backbone gives " + std::to_string(count) +
                            (count == 1 ? " map" : " maps") + "; its out_stages says which";
  auto wanted = options_.in_index;
  if (wanted.empty()) {
    for (int64_t i = several ? 0 : count - 1; i < count; ++i) wanted.push_back(i);
  }
  if (several ? wanted.size() < 2 : wanted.size() != 1) {
    throw OptionError("in_index", std::string("must name ") +
                                      (several ? "at least two maps" : "one map") + ", not " +
                                      std::to_string(wanted.size()) + "; " + given);
  }
  std::vector<size_t> found;
  for (const auto index : wanted) {
    const auto from_first = index < 0 ? index + count : index;
    if (from_first < 0 || from_first >= count) {
      throw OptionError("in_index", "names map " + std::to_string(index) + ", but " + given);
    }
    found.push_back(static_cast<size_t>(from_first));
  }
  if (std::adjacent_find(found.begin(), found.end(), std::greater_equal<>()) != found.end()) {
    throw OptionError("in_index", "must name each map once, from fine to coarse");
  }
  return found;
}

int64_t PixelHead::in_channels_of_one() const {
  int64_t sum = 0;
  for (const auto channels : in_channels_) sum += channels;
  return sum;
}

Features PixelHead::select(const Features& features) const {
  Features maps;
  bool pooled = true;
  for (size_t i = 0; i < index_.size(); ++i) {
    const auto& map = features.at(index_[i]);
    TORCH_CHECK(map.dim() == 4 && map.size(1) == in_channels_[i], "decode head: expected [N, ",
                in_channels_[i], ", H, W] as map ", index_[i], ", got ", map.sizes());
    pooled = pooled && map.size(2) == 1 && map.size(3) == 1;
    maps.push_back(map);
  }
  if (pooled) {
    throw Error(
        "the decode head is for maps, but each that it takes has a single pixel: the backbone "
        "gives pooled features (set its output: map), or the images are too small for it");
  }
  return maps;
}

torch::Tensor PixelHead::select_one(const Features& features) const {
  auto maps = select(features);
  if (maps.size() == 1) return maps.front();
  for (auto& map : maps) map = resize(map, maps.front());
  return at::cat(maps, 1);
}

torch::Tensor PixelHead::resize(const torch::Tensor& x, const torch::Tensor& target) const {
  return resize_to(x, target, options_.align_corners);
}

torch::Tensor PixelHead::embed(const torch::Tensor& x) const {
  const bool drops = options_.dropout > 0 && is_training();
  const auto kept = drops ? at::feature_dropout(x, options_.dropout, /*train=*/true) : x;
  return projection_ ? projection_->forward(kept) : kept;
}

}  // namespace dnc
