#include "host/train/result.h"

#include <torch/types.h>

#include <filesystem>

#include "host/environment.h"

namespace dnc {

report::RunResult result_of(Model& model, const ExperimentOptions& options, torch::Device device,
                            const std::string& config) {
  report::RunResult result;
  result.name = std::filesystem::path(config).stem().string();
  result.config = config;
  result.seed = options.seed;
  result.peak_memory_mib = peak_memory_mib();
  const auto size = model.size();
  result.learnable_parameters = static_cast<double>(size.learnable);
  result.total_parameters = static_cast<double>(size.total);
  result.buffers = static_cast<double>(size.buffers);
  if (const auto* prototypes = model.prototypes()) {
    result.prototype_figures = prototypes->figures();
    const auto mass = prototypes->mass().cpu().to(torch::kFloat64).contiguous();
    const auto* values = mass.data_ptr<double>();
    for (int64_t c = 0; c < mass.size(0); ++c, values += mass.size(1)) {
      result.mass.emplace_back(values, values + mass.size(1));
    }
  }
  const auto found = environment(device);
  result.cpu = found.cpu;
  result.threads = static_cast<double>(found.threads);
  result.device = found.device;
  result.version = found.version;
  result.date = utc_now();
  return result;
}

}  // namespace dnc
