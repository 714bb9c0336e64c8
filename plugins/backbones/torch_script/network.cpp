#include "plugins/backbones/torch_script/network.h"

#include <c10/util/StringUtil.h>
#include <fmt/format.h>

#include <algorithm>

#include "registry/error.h"

namespace dnc {
namespace {

Features maps_of(const c10::IValue& returned) {
  std::vector<c10::IValue> elements;
  if (returned.isTensor()) {
    elements = {returned};
  } else if (returned.isTuple()) {
    elements = returned.toTupleRef().elements().vec();
  } else if (returned.isList()) {
    elements = returned.toListRef().vec();
  } else if (returned.isGenericDict()) {
    for (const auto& item : returned.toGenericDict()) elements.push_back(item.value());
  }
  Features maps;
  for (const auto& element : elements) {
    TORCH_CHECK(element.isTensor(), "returns a ", element.tagKind(), " inside a ",
                returned.tagKind(), "; expected tensors");
    const auto& tensor = element.toTensor();
    TORCH_CHECK(tensor.is_floating_point() && (tensor.dim() == 4 || tensor.dim() == 2),
                "returns a tensor ", tensor.sizes(), " of ", tensor.dtype(),
                "; expected floats [N, C, H, W] or [N, C]");
    maps.push_back(tensor.dim() == 2 ? tensor.unsqueeze(2).unsqueeze(3) : tensor);
  }
  TORCH_CHECK(!maps.empty(), "returns a ", returned.tagKind(),
              "; expected a tensor, or a tuple, list or dict of tensors");
  return maps;
}

void check_expected(const std::string& option, const std::vector<int64_t>& expected,
                    const std::vector<int64_t>& found) {
  if (expected.empty() || expected == found) return;
  throw OptionError(
      option, fmt::format("is {}, but the module gives {}", c10::str(at::IntArrayRef(expected)),
                          c10::str(at::IntArrayRef(found))));
}

}  // namespace

void TorchScript::Options::fields(Fields& f) {
  f("file", file, "The module, as torch.jit.save wrote it. It is a program: trust its source.")
      .required();
  f("frozen", frozen,
    "Nothing in it learns, and it stays in evaluation mode. Otherwise those parameters learn that "
    "did where it was saved.");
  f("image_size", image_size,
    "Side of the square image on which the module is tried out; for one that takes one size only.")
      .between(1, 4096);
  f("out_channels", out_channels, "Channels of the maps. They are found out; given, they must fit.")
      .at_least(1);
  f("strides", strides, "Pixels of the image per step of the maps; the same holds.").at_least(1);
}

TorchScript::TorchScript(const Options& options)
    : module_(*this, options.file.value, options.frozen) {
  if (!options.frozen && parameters().empty()) {
    throw OptionError("file",
                      fmt::format("is '{}', which has no parameter that learns; set frozen: "
                                  "true, or save the module without torch.jit.freeze",
                                  options.file.value));
  }
  measure(options);
  train();
}

void TorchScript::measure(const Options& options) {
  const int64_t side = options.image_size;
  std::vector<int64_t> channels, strides;
  try {
    for (const auto& map :
         maps_of(module_.try_out("forward", {torch::zeros({1, 3, side, side})}))) {
      TORCH_CHECK(map.size(0) == 1, "returns ", map.size(0), " samples for one image");
      const int64_t steps = std::max<int64_t>(1, map.size(2));
      channels.push_back(map.size(1));
      strides.push_back(std::max<int64_t>(1, (side + steps / 2) / steps));
      shapes_.push_back({channels.back(), strides.back()});
    }
  } catch (const std::exception& error) {
    throw OptionError("file", fmt::format("is '{}', whose module fails on an image of {} x {} "
                                          "pixels (image_size): {}",
                                          options.file.value, side, side, reason_of(error)));
  }
  check_expected("out_channels", options.out_channels, channels);
  check_expected("strides", options.strides, strides);
}

void TorchScript::train(bool on) {
  Backbone::train(on && !module_.frozen());
  module_.train(on);
}

Features TorchScript::forward(const torch::Tensor& images) {
  return maps_of(module_.call("forward", {images}));
}

}  // namespace dnc
