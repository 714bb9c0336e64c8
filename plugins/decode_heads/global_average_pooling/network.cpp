#include "plugins/decode_heads/global_average_pooling/network.h"

#include "registry/error.h"

namespace dnc {

GlobalAveragePooling::GlobalAveragePooling(const Context& context) {
  if (context.task == Task::kPixels) {
    throw OptionError("type",
                      "makes one embedding of an image, but the data has a label for each pixel; "
                      "take a decode head for pixels, such as FCN");
  }
  TORCH_CHECK(!context.features.empty(), "GlobalAveragePooling: the backbone gives no map");
  channels_ = context.features.back().channels;
}

torch::Tensor GlobalAveragePooling::forward(const Features& features) {
  const auto& map = features.back();
  TORCH_CHECK(map.dim() == 4 && map.size(1) == channels_, "GlobalAveragePooling: expected [N, ",
              channels_, ", H, W], got ", map.sizes());
  return map.mean({2, 3});
}

}  // namespace dnc
