#pragma once

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "bench/device.h"
#include "host/experiment.h"
#include "host/model.h"
#include "host/program.h"
#include "host/train/saved_weights.h"
#include "host/weights/initial_weights.h"
#include "host/weights/state.h"
#include "registry/config.h"
#include "registry/head.h"

namespace dnc {

/// A network that bench_step and bench_infer run beside a peer. DNC_BENCH_BATCH and
/// DNC_BENCH_CLASSES give those for images another batch and other classes.
struct Network {
  std::string name;    // of the file with its weights, too
  std::string model;   // the backbone, the decode head and auxiliary heads, as in a config
  int64_t height = 0;  // of its images
  int64_t width = 0;
  int64_t batch = 0;  // of a step
  int64_t classes = 10;
  Task task = Task::kImages;
};

/// One for images, by its backbone.
inline Network image_network(const std::string& name, const std::string& backbone, int64_t size,
                             int64_t batch) {
  return {name,
          "backbone: " + backbone + ", decode_head: GlobalAveragePooling",
          size,
          size,
          number_of_environment("DNC_BENCH_BATCH", batch),
          number_of_environment("DNC_BENCH_CLASSES", 10)};
}

/// Those at the size of ImageNet's; nothing in them is left to chance.
inline const Network kImageNetworks[] = {
    image_network("resnet50", "{type: ResNet, depth: 50}", 224, 16),
    image_network("swin_t", "{type: SwinTransformer, size: tiny, stochastic_depth: 0}", 224, 8),
    image_network("mobilenet_v2", "MobileNetV2", 224, 16),
};

/// mmsegmentation's FCN on a dilated ResNet-50 and its UPerNet on Swin-T, each with the auxiliary
/// head that it trains with, at the size of CamVid; nothing in them is left to chance.
inline const Network kPixelNetworks[] = {
    {"fcn_r50",
     "backbone: {type: ResNetV1c, depth: 50, strides: [1, 2, 1, 1], dilations: [1, 1, 2, 4], "
     "contract_dilation: true, out_stages: [2, 3]}, decode_head: {type: FCN, dropout: 0}, "
     "auxiliary_heads: [{decode_head: {type: FCN, in_index: 0, channels: 256, num_convs: 1, "
     "concat_input: false, dropout: 0}, head: Linear}]",
     360, 480, 2, 11, Task::kPixels},
    {"uper_swin_t",
     "backbone: {type: SwinTransformer, size: tiny, stochastic_depth: 0, out_stages: [0, 1, 2, 3], "
     "norm_each: true}, decode_head: {type: UPer, dropout: 0}, "
     "auxiliary_heads: [{decode_head: {type: FCN, in_index: 2, channels: 256, num_convs: 1, "
     "concat_input: false, dropout: 0}, head: Linear}]",
     360, 480, 2, 11, Task::kPixels},
};

/// SGD with momentum; `head` is as in a config, `precision` is float32 or bfloat16.
inline std::string config_of(const Network& network, const std::string& head,
                             const std::string& precision) {
  const auto number = [](int64_t value) { return std::to_string(value); };
  return "device: " + bench_device().str() + "\nmodel: {" + network.model + ", head: " + head +
         "}\ndata: {train: {dataset: {type: Synthetic, length: " + number(network.batch) +
         ", classes: " + number(network.classes) +
         ", task: " + (network.task == Task::kPixels ? "pixels" : "images") +
         "}}, batch_size: " + number(network.batch) +
         "}\noptimizer: {type: SGD, lr: 0.01, momentum: 0.9, weight_decay: 1e-4}\n" +
         "train: {steps: 1000000, precision: " + precision +
         (bench_device().is_cuda() ? ", cuda_graph: auto" : "") + "}\n";
}

inline Program& program() {
  static Program program;
  return program;
}

/// Values in [-1, 1) that depend only on seed and position, as in the peers.
inline torch::Tensor values(int64_t seed, torch::IntArrayRef shape) {
  auto h = torch::arange(c10::multiply_integers(shape), torch::kInt64) + seed * 1000003;
  for (int i = 0; i < 2; ++i) {
    h = (h.bitwise_xor(h.bitwise_right_shift(16)) * 0x45D9F3B) & 0xFFFFFFFF;
  }
  h = h.bitwise_xor(h.bitwise_right_shift(16)).bitwise_right_shift(8);
  return (h.to(torch::kFloat32) * 0x1.0p-23 - 1).view(shape);
}

/// uint8 [count, 3, height, width], channels-last.
inline torch::Tensor images_of(const Network& network, int64_t count) {
  return ((values(0, {count, 3, network.height, network.width}) + 1) * 127.5)
      .to(torch::kUInt8)
      .contiguous(torch::MemoryFormat::ChannelsLast);
}

/// Labels of pixels, int64 in [0, classes); one in (classes + 1) is ignored.
inline torch::Tensor pixel_labels(int64_t seed, torch::IntArrayRef shape, int64_t classes) {
  const auto number = (values(seed, shape) + 1) / 2 * static_cast<double>(classes + 1);
  const auto labels = number.to(torch::kInt64);
  return labels.masked_fill(labels >= classes, kIgnoredLabel);
}

/// Those of a batch, of images [batch] or of their pixels [batch, height, width].
inline torch::Tensor labels_of(const Network& network) {
  if (network.task == Task::kImages) return torch::arange(network.batch) % network.classes;
  return pixel_labels(7, {network.batch, network.height, network.width}, network.classes);
}

/// The weights of the peer: NAME.pth in the folder DNC_BENCH_WEIGHTS, if that is set. False where
/// there are none.
inline bool load_peer_weights(const std::string& name, Model& model) {
  const char* const folder = std::getenv("DNC_BENCH_WEIGHTS");
  if (!folder) return false;
  const auto file = std::filesystem::path(folder) / (name + ".pth");
  if (!std::filesystem::exists(file)) return false;
  start_from_weights(state_of(model), read_weights(file), {}, LoadPart::kModel);
  return true;
}

/// As many threads as OMP_NUM_THREADS says: LibTorch alone would take all.
inline void set_threads() {
  const char* const threads = std::getenv("OMP_NUM_THREADS");
  if (threads) at::set_num_threads(std::atoi(threads));
}

}  // namespace dnc
