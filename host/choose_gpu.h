#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace dnc {

/// N of "cuda:N", 0 for "cuda"; nothing for other words.
std::optional<int64_t> gpu_number(const std::string& device);

/// Which of `count` GPUs, from 0, a process takes by `device: auto`, `cuda` or `cuda:N`. It is the
/// `local_rank`-th of `local_ranks` on its machine, and each of several takes its own. Throws
/// OptionError for one that is not there, and where several would take the same.
int64_t choose_gpu(const std::string& device, int64_t count, int64_t local_rank,
                   int64_t local_ranks);

}  // namespace dnc
