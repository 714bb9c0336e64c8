#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/temporary_folder.h"

namespace dnc {

/// Runs dnc-host; what it prints goes to a file. False where it fails.
inline bool run_host(const std::string& arguments, const std::filesystem::path& output) {
  std::string command = "'" DNC_PROGRAM "' ";
  command.append(arguments).append(" > '").append(output.string()).append("' 2>&1");
  return std::system(command.c_str()) == 0;
}

/// A run of a small network on pictures of 16 x 16 pixels, and its exported file; made once.
class Trained {
 public:
  static const Trained& instance() {
    static const Trained trained;
    return trained;
  }
  std::string run() const { return (folder_ / "run").string(); }
  std::string exported() const { return (folder_ / "model.pt").string(); }
  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }

 private:
  Trained() {
    std::ofstream(folder_ / "small.yaml") << R"(seed: 1
device: cpu
threads: 1
model:
  backbone: {type: ResNetCifar, depth: 8, width: 8}
  decode_head: {type: GlobalAveragePooling}
  head: {type: DNC}
data:
  train: {dataset: {type: Synthetic, length: 320, classes: 4, size: 16}}
  test:
    dataset: {type: Synthetic, length: 100, classes: 4, size: 16, split: test}
    transforms: [{type: Resize, size: [16, 16]}]
  batch_size: 32
optimizer: {type: SGD, lr: 0.1, momentum: 0.9}
train: {epochs: 1}
)";
    const auto log = folder_ / "log";
    if (!run_host("train '" + (folder_ / "small.yaml").string() + "' -o '" + run() + "'", log) ||
        !run_host("export '" + run() + "' --out '" + exported() + "'", log)) {
      throw std::runtime_error(bytes_of(log));
    }
  }

  TemporaryFolder folder_;
};

/// RGB pixels, and the same as a PPM file.
inline std::string pixels_of(int64_t height, int64_t width, int seed) {
  std::string pixels;
  for (int64_t i = 0; i < height * width * 3; ++i) {
    pixels.push_back(static_cast<char>((i * (seed + 3) + i * i % 91 + seed * 40) % 256));
  }
  return pixels;
}
inline std::string ppm_of(int64_t height, int64_t width, int seed) {
  return "P6 " + std::to_string(width) + " " + std::to_string(height) + " 255\n" +
         pixels_of(height, width, seed);
}

}  // namespace dnc
