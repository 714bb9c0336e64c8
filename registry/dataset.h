#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "registry/export.h"
#include "registry/image.h"

namespace dnc {

/// What is classified: whole images, or each pixel.
enum class Task { kImages, kPixels };

/// The classes of a data set, in the order of their labels.
struct ClassInfo {
  std::vector<std::string> names;
  std::vector<std::array<uint8_t, 3>> palette;  // RGB for label pictures; may be empty
  int64_t size() const { return static_cast<int64_t>(names.size()); }
};

/// One image with its label, on its way through the transforms.
struct Sample {
  int64_t index = 0;   // in the data set
  Image image;         // RGB, or one channel
  int64_t label = -1;  // Task::kImages; kIgnoredLabel where there is none
  Image labels;        // Task::kPixels: one channel of class ids, 255 = ignored
};

/// A number of samples. Thread-safe after construction: workers call load() at once.
class DNC_EXPORT Dataset {
 public:
  virtual ~Dataset();
  virtual int64_t size() const = 0;
  /// Throws DataError where the sample is damaged; the message begins with the file.
  virtual Sample load(int64_t index) const = 0;
  virtual const ClassInfo& classes() const = 0;
  virtual Task task() const;
  /// Sample::label without what costs most to load, where the data set knows it; else from load().
  virtual int64_t label(int64_t index) const;
  /// The sizes of the parts that the set is stored in, one after the other, where it is read best
  /// in order (tar files); empty where any order costs the same.
  virtual std::vector<int64_t> shards() const;
  /// What to call a sample in a report: its file, or "train-images-idx3-ubyte.gz #17".
  virtual std::string name(int64_t index) const = 0;
};

}  // namespace dnc
