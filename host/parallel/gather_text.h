#pragma once

#include <string>
#include <vector>

#include "registry/communicator.h"

namespace dnc {

/// The text of each rank, on all of them. Collective; the texts may be of any length.
std::vector<std::string> gather_text(Communicator& ranks, const std::string& text);

}  // namespace dnc
