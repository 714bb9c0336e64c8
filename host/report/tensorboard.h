#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "registry/image.h"

namespace dnc {

/// An event file that TensorBoard reads: TFRecords of Event messages with scalars and images. A run
/// that goes on writes another file into the same folder; TensorBoard joins them.
class TensorBoardWriter {
 public:
  /// Opens events.out.tfevents.<time>.<host>.<process> in `folder`. Throws FileError.
  explicit TensorBoardWriter(const std::filesystem::path& folder);

  void add_scalars(int64_t step, const std::vector<std::pair<std::string, double>>& scalars);
  /// A uint8 image of 1 or 3 channels, as a PNG file.
  void add_image(int64_t step, const std::string& name, const Image& image);
  void flush() { file_.flush(); }

 private:
  void write_summary(int64_t step, const std::string& summary);
  void write_record(const std::string& event);

  std::ofstream file_;
};

}  // namespace dnc
