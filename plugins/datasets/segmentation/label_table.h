#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "registry/fields.h"
#include "registry/image.h"

namespace dnc {

/// What the values of label files are to become.
struct LabelRules {
  /// All values `from` become `to`.
  struct Rename {
    std::vector<int64_t> from;
    int64_t to = 0;
    void fields(Fields& f);
  };
  std::vector<Rename> renames;
  std::vector<int64_t> ignored;    // besides 255
  bool reduce_zero_label = false;  // 0 is no class; the classes are 1, 2, ...
};

/// The meaning of each of the 256 values of a label file: a class, ignored, or unknown.
///
/// The rules are read at once, each from the file's own value: first `ignored`, then `renames`
/// (which win), then `reduce_zero_label`, as in mmsegmentation 1.x. Whatever is 255 then is
/// ignored, and whatever else is not below the number of classes is unknown.
class LabelTable {
 public:
  /// Throws OptionError for `label_map` where a value becomes something beyond the classes or is
  /// renamed twice, for `classes` where there are more than 255.
  LabelTable(int64_t classes, const LabelRules& rules);

  /// Keeps some classes, in another order: class i is what was `kept[i]`. The others are ignored.
  void select(const std::vector<int64_t>& kept);

  /// Values to class ids, 255 where ignored. False where a value is unknown; the image is of no use
  /// then.
  bool apply(Image& labels) const;

  /// A file's values that are unknown, with their numbers of pixels: "150 (12 pixels), 151 (1
  /// pixel)". Names at most five.
  std::string describe_unknown(const Image& labels) const;
  /// Whether the values look as if 0 stood for no class: it occurs, and so does `classes`, but
  /// nothing above.
  bool looks_shifted_by_one(const Image& labels) const;

 private:
  // A class id or 255 in the low byte; kUnknown is set where the value is no class.
  static constexpr uint16_t kUnknown = 0x100;

  int64_t classes_;
  std::array<uint16_t, 256> table_{};
};

}  // namespace dnc
