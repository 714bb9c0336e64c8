#pragma once

#include <torch/types.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/explain/pixels.h"
#include "host/explain/prototype_samples.h"
#include "host/report/explanation.h"
#include "host/run.h"

namespace dnc {

struct ExplainOptions {
  enum class Map { kNone, kOcclusion, kGradient };

  int64_t nearest = 4;  // classes and sub-centroids that are named
  Map map = Map::kOcclusion;
  int64_t grid = 12;            // of the map, see attribution.h
  std::vector<Region> regions;  // of an image for pixels; empty: of each of its largest classes
                                // where it is widest
  std::function<void(int64_t done, int64_t all)> progress{};  // occluded images
};

/// What is said about an image, and its pictures by the end of their file name ("map").
struct Explained {
  report::ShownImage shown;
  std::vector<std::pair<std::string, Image>> pictures;
};

/// Says of images why a model decides as it does: of models of images and of pixels, with and
/// without prototypes.
class Explainer {
 public:
  /// `samples` are what the prototypes stand for, if that is known. The run stays the caller's.
  Explainer(OpenedRun& run, ExplainOptions options, std::optional<PrototypeSamples> samples);

  /// One image of `files`. Throws DataError where it cannot be read.
  Explained explain(const Dataset& files, int64_t index);

  /// What cannot be explained, and why; empty where all can.
  std::vector<std::string> notes() const;

 private:
  // A training sample that a prototype stands for, with its picture in full.
  struct Known {
    report::ShownSample shown;
    Image image;
  };
  // What a map explains: a prototype or, without prototypes, a class.
  struct Target {
    int64_t label = 0;
    int64_t index = 0;
    std::optional<Region> region;  // of pixels
  };
  // What the model makes of an image.
  struct Output {
    // [1, D], or of pixels [1, D, h, w] for each window, of length 1; none without prototypes.
    WindowGrids points;
    torch::Tensor scores;  // [1, C] or [1, C, h, w]
  };

  Output run_model(const torch::Tensor& images);
  torch::Tensor points_of(const torch::Tensor& embeddings);
  torch::Tensor target_values(const torch::Tensor& images, const std::vector<Target>& targets);
  torch::Tensor values_of(const torch::Tensor& images, const std::vector<Target>& targets,
                          PixelSize size);
  const Known& known(int64_t label, int64_t index);
  Known look_up(int64_t label, int64_t index);
  report::ShownEvidence shown(const Evidence& evidence);
  report::ShownDecision shown(Decision decision, const std::optional<Region>& region);
  void say_why(report::ShownDecision& decision, const std::optional<Region>& region);
  void add_maps(std::vector<report::ShownDecision>& decisions, const torch::Tensor& images,
                PixelSize size, const std::vector<Target>& targets);
  void add_choices(const Output& output, const Image& image, Explained& explained);
  void add_sheet(const std::vector<Image>& inputs, const std::vector<Image>& maps,
                 Explained& explained);
  std::vector<Region> regions_of(const Output& output, PixelSize size) const;
  Explained explain_image(const torch::Tensor& images, const Image& picture);
  Explained explain_pixels(const torch::Tensor& images, const Image& picture, const Image& image);

  OpenedRun& run_;
  ExplainOptions options_;
  std::optional<PrototypeSamples> samples_;
  std::shared_ptr<const Dataset> training_data_;  // null where it is not there
  std::vector<std::shared_ptr<const Transform>> transforms_;
  torch::Tensor prototypes_;  // [C, K, D], float32 on the device; undefined for a head without
  std::map<std::pair<int64_t, int64_t>, Known> known_;
};

}  // namespace dnc
