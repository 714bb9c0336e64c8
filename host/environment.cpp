#include "host/environment.h"

#include <ATen/Parallel.h>
#include <malloc.h>
#include <sys/resource.h>
#include <torch/version.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "host/plugin_loader.h"

namespace dnc {
namespace {

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const auto colon = line.find(':');
    return colon == std::string::npos ? line : line.substr(line.find_first_not_of(' ', colon + 1));
  }
  return "unknown";
}

}  // namespace

Environment environment(torch::Device device) {
  Environment found;
  found.version = DNC_VERSION;
  found.stamp = host_stamp();
  found.torch = TORCH_VERSION;
  found.cpu = cpu_name();
  found.threads = at::get_num_threads();
  found.device = device.str();
  return found;
}

std::string environment_json(torch::Device device) {
  const auto found = environment(device);
  const nlohmann::ordered_json json = {{"version", found.version}, {"plugin_stamp", found.stamp},
                                       {"torch", found.torch},     {"cpu", found.cpu},
                                       {"threads", found.threads}, {"device", found.device}};
  return json.dump(1) + "\n";
}

void keep_freed_memory() {
#ifdef __GLIBC__
  for (const char* name : {"MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"}) {
    if (std::getenv(name)) return;
  }
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);  // never
#endif
}

double peak_memory_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024.0;
}

std::string utc_now() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

}  // namespace dnc
