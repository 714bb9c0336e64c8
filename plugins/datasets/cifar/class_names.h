#pragma once

#include <string>
#include <vector>

namespace dnc {

/// In the order of the labels, as in batches.meta.txt, fine_label_names.txt and
/// coarse_label_names.txt of the archives.
std::vector<std::string> cifar10_names();
std::vector<std::string> cifar100_fine_names();
std::vector<std::string> cifar100_coarse_names();

}  // namespace dnc
