#pragma once

#include <torch/types.h>

#include <string>

namespace dnc {

/// What a run ran on.
struct Environment {
  std::string version;  // of dnc-host
  std::string stamp;    // of the plugin ABI
  std::string torch;
  std::string cpu;
  int64_t threads = 0;
  std::string device;  // "cpu", "cuda:0"
};

Environment environment(torch::Device device);
/// The same as JSON text, for environment.json.
std::string environment_json(torch::Device device);

/// Keeps the memory of freed tensors for the next step. glibc by itself returns large blocks to the
/// system and fetches them again page by page, so that a step takes up to a fifth longer, depending
/// on which blocks that hits (bench/step). The price is memory: a peak up to 1.6 times as high.
/// Call it before the first tensor. It leaves all as it is where a MALLOC_ variable of glibc is
/// set.
void keep_freed_memory();

/// The most memory that this process has had, in MiB (on a GPU run: of the host).
double peak_memory_mib();

/// Now, in UTC, as ISO 8601.
std::string utc_now();

}  // namespace dnc
