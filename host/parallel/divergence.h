#pragma once

#include <torch/types.h>

#include <string>
#include <utility>
#include <vector>

#include "registry/communicator.h"

namespace dnc {

/// Throws Error, the same on all ranks, where tensors are not the same on all of them, bit for bit.
/// It names the ranks that differ from the others, or from rank 0 where there is no majority, and
/// the first tensor that does. `when` ("at step 200") is for the message. Collective; reads all
/// tensors once and sends 16 bytes for each.
void check_same(Communicator& ranks,
                const std::vector<std::pair<std::string, torch::Tensor>>& tensors,
                const std::string& when);

}  // namespace dnc
