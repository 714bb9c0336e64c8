#include "host/choose_gpu.h"

#include "registry/error.h"

namespace dnc {

std::optional<int64_t> gpu_number(const std::string& device) {
  if (device == "cuda") return 0;
  const auto digits = device.rfind("cuda:", 0) == 0 ? device.substr(5) : "";
  if (digits.empty() || digits.size() > 3 ||
      digits.find_first_not_of("0123456789") != std::string::npos) {
    return std::nullopt;
  }
  return std::stoll(digits);
}

int64_t choose_gpu(const std::string& device, int64_t count, int64_t local_rank,
                   int64_t local_ranks) {
  const auto fail = [&](const std::string& what) {
    throw OptionError("device", "is '" + device + "'" + what);
  };
  const bool of_rank = device == "auto" || (device == "cuda" && local_ranks > 1);
  if (!of_rank && local_ranks > 1) {
    fail(", one GPU for the " + std::to_string(local_ranks) +
         " ranks of this machine; use cuda, which gives each its own");
  }
  // One GPU alone is what a launcher has given to this rank: Slurm shows each rank its own.
  const auto index = of_rank ? (count == 1 ? 0 : local_rank) : gpu_number(device).value();
  if (index >= count) {
    const auto which = of_rank ? ", GPU " + std::to_string(index) + " for this rank" : "";
    fail(which + ", but there are " + std::to_string(count) + " GPUs, numbered from 0");
  }
  return index;
}

}  // namespace dnc
