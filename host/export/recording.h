#pragma once

#include <torch/csrc/jit/api/module.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/inference.h"
#include "host/model.h"
#include "registry/dataset.h"

namespace dnc {

/// What an exported model says about itself.
struct ExportInfo {
  ClassInfo classes;
  Task task = Task::kImages;
  Preprocess preprocess;
  PixelSize size;      // of the images that it is recorded and tried with
  std::string config;  // the resolved config, YAML
};

/// The same as JSON: format, task, classes, palette, mean, std, size, and any_size where that is
/// known.
std::string description(const ExportInfo& info, std::optional<bool> any_size);

/// Mean and 1 / std for images [N, 3, H, W] of bytes: float32 [1, 3, 1, 1] each.
std::pair<torch::Tensor, torch::Tensor> channels_of(const Preprocess& preprocess);

using Tensors = std::vector<torch::Tensor>;

/// What the network does with normalised images [N, 3, H, W], recorded operator by operator on one
/// image.
struct Recording {
  /// Shares the model's tensors: parameters and buffers under their dotted names, without the
  /// auxiliary heads. Its method kNetwork takes images and gives (embeddings, scores). Of each node
  /// of the graph the scope is the component that it comes from, such as "model.backbone".
  torch::jit::Module module;
  std::string fixed_by;  // what keeps it to images of one size, "model.decode_head"; or empty

  static constexpr const char* kNetwork = "network";
};

/// Records the network on an image of `size` and compares the recording with the model for more
/// images and at other sizes. Throws Error, with the component that is to blame, where they differ
/// for another number of images. The model must be on the CPU and in evaluation mode.
Recording record_network(Model& model, PixelSize size);

/// Lets TorchScript interpret graphs as they are while one lives, in whichever thread. Else it
/// compiles each at its first calls, which takes longer than they do.
class PlainExecutor {
 public:
  PlainExecutor();
  ~PlainExecutor();
  PlainExecutor(const PlainExecutor&) = delete;
  PlainExecutor& operator=(const PlainExecutor&) = delete;
};

/// Numbers of images and sizes at which an exported model is compared: two of the size that was
/// recorded, and, where the size is free, one larger image and three of an odd size.
struct TrialImages {
  int64_t count;
  PixelSize size;
};
std::vector<TrialImages> trial_images(PixelSize size, bool any_size);

/// Normalised images, the same each time.
torch::Tensor example_images(const TrialImages& trial);
/// Images of bytes, the same each time.
torch::Tensor example_bytes(const TrialImages& trial);

/// What the model makes of images: embeddings and scores; nothing where it does not take such a
/// size.
std::optional<Tensors> outputs_of(Model& model, const torch::Tensor& images);

/// Whether tensors have the same sizes, and values that differ by 1e-4 of the largest at most:
/// other kernels, or the same in another order, round otherwise.
bool is_close(const Tensors& found, const Tensors& expected);

}  // namespace dnc
