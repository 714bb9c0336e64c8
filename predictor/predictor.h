#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "registry/error.h"
#include "registry/export.h"

namespace dnc {

/// Pixels in memory: height x width x 3, RGB, rows from top to bottom. They stay the caller's, and
/// are read during the call only.
struct ImagePixels {
  const uint8_t* pixels = nullptr;
  int64_t height = 0;
  int64_t width = 0;
  int64_t row_bytes = 0;  // from one row to the next; 0: 3 * width
};

/// The bytes of an image file: JPEG, PNG, WebP, TIFF, BMP, PGM or PPM.
struct EncodedBytes {
  std::span<const uint8_t> bytes{};
  std::string_view name = "the image";  // in messages
};

struct ClassScore {
  int64_t label = 0;
  float score = 0;  // softmax of the scores; of a model of pixels, the share of its pixels
};

/// What a model says of one image.
struct Prediction {
  std::vector<ClassScore> classes;  // the best first
  // Of a model of images whose head has sub-centroids, with Ask::nearest: the nearest one of the
  // first class, and its cosine.
  int64_t sub_centroid = -1;
  float similarity = 0;
  // Of a model of pixels: the class of each, height x width, row by row.
  std::vector<int32_t> labels;
  int64_t height = 0;
  int64_t width = 0;
};

/// A trained model, to be asked by other programs: a run's folder, or one file that `dnc-host
/// export` wrote. A run needs the plugins that its config names; those that come with dnc-host are
/// found beside this library. An exported file needs LibTorch alone, and the plugins of its
/// transforms where images are to be resized.
///
/// predict() may be called by any number of threads at once. One call with many images is faster
/// than many calls: images of one size are a batch.
///
/// Throws dnc::Error for what the caller can mend, c10::Error (a std::exception) for the rest.
class DNC_EXPORT Predictor {
 public:
  struct Options {
    std::string checkpoint = "best";       // of a run: best, newest or a name
    std::vector<std::string> overrides{};  // of a run: "device=cpu", "threads=1", ...
  };
  struct Ask {
    int64_t top_k = 5;
    bool nearest = false;  // also the nearest sub-centroid
    /// The transforms of the config's test (Resize, CenterCrop, ...) make the network's input of an
    /// image. Without them the pixels are given as the network takes them.
    bool transforms = true;
  };

  /// TorchScript is a program: open only files that you trust.
  explicit Predictor(const std::string& path);
  Predictor(const std::string& path, const Options& options);
  ~Predictor();
  Predictor(Predictor&&) noexcept;
  Predictor& operator=(Predictor&&) noexcept;

  /// In the order of the labels.
  const std::vector<std::string>& classes() const;
  /// Every pixel gets a class, not every image.
  bool for_pixels() const;
  /// It can tell the nearest sub-centroid.
  bool has_sub_centroids() const;
  /// What was noticed while opening, such as transforms that cannot be built; empty for nothing.
  const std::string& note() const;

  /// One prediction for each image, in their order.
  std::vector<Prediction> predict(std::span<const ImagePixels> images) const;
  std::vector<Prediction> predict(std::span<const ImagePixels> images, const Ask& ask) const;
  /// Throws DataError for an image that cannot be decoded.
  std::vector<Prediction> predict(std::span<const EncodedBytes> images) const;
  std::vector<Prediction> predict(std::span<const EncodedBytes> images, const Ask& ask) const;
  /// The same of image files.
  std::vector<Prediction> predict_files(std::span<const std::string> files) const;
  std::vector<Prediction> predict_files(std::span<const std::string> files, const Ask& ask) const;

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace dnc
