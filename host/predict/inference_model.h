#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "host/run.h"
#include "registry/dataset.h"
#include "registry/transform.h"

namespace dnc {

/// What is known of a trained model before it is asked.
struct InferenceInfo {
  std::string name;      // of its folder or file, without the suffix
  std::string platform;  // "dnc_host" for a run or config, "pytorch_torchscript" for a file
  int64_t version = 1;   // of a run: the step of its checkpoint
  ClassInfo classes;
  Task task = Task::kImages;
  PixelSize size;              // of what its test transforms make of an image of 256 x 256
  bool any_size = true;        // false: it takes images of `size` alone
  bool sub_centroids = false;  // it can tell the nearest one
};

/// A trained model that is asked about images by any number of threads at once.
class InferenceModel {
 public:
  struct Answer {
    torch::Tensor scores;        // [N, C], of pixels [N, C, h, w]; float32, on the CPU
    torch::Tensor nearest;       // int64 [N]: of the class with the highest score the nearest
                                 // sub-centroid; undefined where it was not asked for
    torch::Tensor similarities;  // float32 [N]: the cosines to them
  };

  virtual ~InferenceModel();
  InferenceModel(const InferenceModel&) = delete;
  InferenceModel& operator=(const InferenceModel&) = delete;

  const InferenceInfo& info() const { return info_; }
  /// Before others ask it.
  void rename(const std::string& name) { info_.name = name; }

  /// An image through the transforms of a test: [3, H, W] in bytes, or floats where one of them
  /// normalises; channels-last, as batches are. Throws DataError where it is damaged.
  torch::Tensor prepare(const Image& image) const;

  /// Images [N, 3, H, W] to scores. Bytes are normalised here. Floats are from 0 to 1, as exported
  /// models take them; what prepare() returned is so already. `nearest` asks for the sub-centroids,
  /// where info() says that it has them. Throws Error for images that the model does not take.
  virtual Answer infer(const torch::Tensor& images, bool nearest = false) = 0;

 protected:
  using Transforms = std::vector<std::shared_ptr<const Transform>>;

  InferenceModel(InferenceInfo info, const Preprocess& preprocess, Transforms transforms);
  /// Floats from 0 to 1, as the network takes them.
  torch::Tensor normalise(const torch::Tensor& images) const;

  InferenceInfo info_;

 private:
  Transforms transforms_;
  torch::Tensor mean_;  // [3, 1, 1], of bytes
  torch::Tensor std_;
};

/// A run or a config with weights. `run` stays the caller's, and must outlive it.
std::unique_ptr<InferenceModel> inference_model(OpenedRun& run);

/// Whether a path is a file that `dnc-host export` may have written: an archive, not YAML.
bool is_exported_file(const std::string& path);

/// Loads such a file. Its test transforms are those of the config inside; where they cannot be
/// built, because a plugin is not there, `note` says so, and images are taken as they are. A
/// TorchScript file is a program, so load only those that you trust. Throws Error.
std::unique_ptr<InferenceModel> open_exported_model(Program& program, const std::string& file,
                                                    std::string& note);

/// Equal images as one batch, [N, 3, H, W], channels-last. One image is not copied.
torch::Tensor stack_images(const std::vector<torch::Tensor>& images);

}  // namespace dnc
