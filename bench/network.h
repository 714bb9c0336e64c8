#pragma once

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "host/experiment.h"
#include "host/model.h"
#include "host/program.h"
#include "host/train/saved_weights.h"
#include "host/weights/initial_weights.h"
#include "host/weights/state.h"
#include "registry/config.h"

namespace dnc {

/// A network that bench_step and bench_infer run beside a peer.
struct Network {
  std::string name;      // of the file with its weights, too
  std::string backbone;  // as in a config
  int64_t size;          // of its images
  int64_t batch;         // of a step
};

/// Those at the size of ImageNet's; nothing in them is left to chance.
inline const Network kImageNetworks[] = {
    {"resnet50", "{type: ResNet, depth: 50}", 224, 16},
    {"swin_t", "{type: SwinTransformer, size: tiny, stochastic_depth: 0}", 224, 8},
    {"mobilenet_v2", "MobileNetV2", 224, 16},
};

/// Ten classes, SGD with momentum; `precision` is float32 or bfloat16.
inline std::string config_of(const Network& network, const std::string& head,
                             const std::string& precision) {
  const auto number = [](int64_t value) { return std::to_string(value); };
  return "device: cpu\nmodel: {backbone: " + network.backbone +
         ", decode_head: GlobalAveragePooling, head: " + head +
         "}\ndata: {train: {dataset: {type: Synthetic, length: " + number(network.batch) +
         ", size: " + number(network.size) + "}}, batch_size: " + number(network.batch) +
         "}\noptimizer: {type: SGD, lr: 0.01, momentum: 0.9, weight_decay: 1e-4}\n" +
         "train: {steps: 1000000, precision: " + precision + "}\n";
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

/// uint8 [count, 3, size, size], channels-last.
inline torch::Tensor images_of(int64_t count, int64_t size) {
  return ((values(0, {count, 3, size, size}) + 1) * 127.5)
      .to(torch::kUInt8)
      .contiguous(torch::MemoryFormat::ChannelsLast);
}

/// The weights of the peer: NAME.pth in the folder DNC_BENCH_WEIGHTS, if that is set. False where
/// there are none.
inline bool load_peer_weights(const std::string& name, Model& model) {
  const char* const folder = std::getenv("DNC_BENCH_WEIGHTS");
  if (!folder) return false;
  const auto file = std::filesystem::path(folder) / (name + ".pth");
  if (!std::filesystem::exists(file)) return false;
  start_from_weights(state_of(model), read_weights(file), {}, OtherClasses::kRefuse);
  return true;
}

/// As many threads as OMP_NUM_THREADS says: LibTorch alone would take all.
inline void set_threads() {
  const char* const threads = std::getenv("OMP_NUM_THREADS");
  if (threads) at::set_num_threads(std::atoi(threads));
}

}  // namespace dnc
