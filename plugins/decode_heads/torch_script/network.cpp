#include "plugins/decode_heads/torch_script/network.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>

#include "registry/error.h"

namespace dnc {
namespace {

torch::Tensor embeddings_of(const c10::IValue& returned, Task task) {
  const int64_t dimensions = task == Task::kPixels ? 4 : 2;
  const char* expected = task == Task::kPixels ? "[N, D, h, w]" : "[N, D]";
  TORCH_CHECK(returned.isTensor(), "returns a ", returned.tagKind(), "; expected a tensor ",
              expected);
  const auto& tensor = returned.toTensor();
  TORCH_CHECK(tensor.is_floating_point() && tensor.dim() == dimensions, "returns a tensor ",
              tensor.sizes(), " of ", tensor.dtype(), "; expected floats ", expected);
  return tensor;
}

}  // namespace

void TorchScriptDecodeHead::Options::fields(Fields& f) {
  f("file", file, "The module, as torch.jit.save wrote it. It is a program: trust its source.")
      .required();
  f("frozen", frozen, "Nothing in it learns, and it stays in evaluation mode.");
  f("in_index", in_index,
    "Which of the backbone's maps its forward(x: Tensor) is given; negative ones count from the "
    "last. A forward(maps: List[Tensor]) is given all.");
  f("image_size", image_size, "Side of the square image for whose maps the module is tried out.")
      .between(1, 4096);
}

TorchScriptDecodeHead::TorchScriptDecodeHead(const Options& options, const Context& context)
    : module_(*this, options.file.value, options.frozen) {
  const auto& maps = context.features;
  const auto count = static_cast<int64_t>(maps.size());
  if (options.in_index < -count || options.in_index >= count) {
    throw OptionError("in_index", fmt::format("is {}, but the backbone gives {} map{}",
                                              options.in_index, count, count == 1 ? "" : "s"));
  }
  map_ = static_cast<size_t>(options.in_index < 0 ? options.in_index + count : options.in_index);
  const auto types = module_.arguments("forward");
  takes_list_ = types == std::vector<std::string>{"List[Tensor]"};
  if (!takes_list_ && types != std::vector<std::string>{"Tensor"}) {
    throw OptionError("file", fmt::format("is '{}', whose module has no forward(x: Tensor) or "
                                          "forward(maps: List[Tensor])",
                                          options.file.value));
  }
  Features example;
  for (const auto& map : maps) {
    const auto side = std::max<int64_t>(1, options.image_size / map.stride);
    example.push_back(torch::zeros({1, map.channels, side, side}));
  }
  try {
    const auto embeddings =
        embeddings_of(module_.try_out("forward", arguments(example)), context.task);
    TORCH_CHECK(embeddings.size(0) == 1, "returns ", embeddings.size(0), " samples for one image");
    channels_ = embeddings.size(1);
  } catch (const std::exception& error) {
    throw OptionError("file", fmt::format("is '{}', whose module fails on the maps of an image of "
                                          "{} x {} pixels (image_size): {}",
                                          options.file.value, options.image_size,
                                          options.image_size, reason_of(error)));
  }
  train();
}

std::vector<c10::IValue> TorchScriptDecodeHead::arguments(const Features& features) const {
  TORCH_CHECK(takes_list_ || map_ < features.size(), "TorchScript: map ", map_, " of ",
              features.size());
  if (takes_list_) return {c10::List<torch::Tensor>(features)};
  return {features[map_]};
}

torch::Tensor TorchScriptDecodeHead::forward(const Features& features) {
  return module_.call("forward", arguments(features)).toTensor();
}

void TorchScriptDecodeHead::train(bool on) {
  DecodeHead::train(on && !module_.frozen());
  module_.train(on);
}

}  // namespace dnc
