#include "plugins/transforms/geometry/padding.h"

#include <fmt/format.h>

#include "plugins/transforms/common/sample.h"
#include "registry/error.h"

namespace dnc {

Padding to_padding(const std::vector<int64_t>& numbers) {
  switch (numbers.size()) {
    case 1:
      return {numbers[0], numbers[0], numbers[0], numbers[0]};
    case 2:
      return {numbers[0], numbers[1], numbers[0], numbers[1]};
    case 4:
      return {numbers[0], numbers[1], numbers[2], numbers[3]};
    default:
      throw OptionError("padding",
                        fmt::format("has {} numbers; give one, two or four", numbers.size()));
  }
}

void border_fields(Fields& fields, std::vector<double>& fill, Border::Mode& mode) {
  fields("fill", fill, "Value of added pixels: one number, or one each for red, green and blue.")
      .length(1, 3)
      .between(0, 255)
      .alias("pad_val");
  fields.choice(
      "padding_mode", mode,
      {{"constant", Border::Mode::kConstant},
       {"reflect", Border::Mode::kReflect},
       {"edge", Border::Mode::kEdge}},
      "What is added: `fill`, the image mirrored at its outermost pixels, or those repeated.");
}

Border to_border(const std::vector<double>& fill, Border::Mode mode) {
  check_channels("fill", fill);
  return {mode, to_channels(fill)};
}

}  // namespace dnc
