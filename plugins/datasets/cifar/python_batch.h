#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace dnc {

/// Pictures of one file of CIFAR's archives for Python, as they are stored.
struct PythonBatch {
  std::vector<int64_t> labels;  // [n]
  std::string planes;           // [n, 3072] bytes: 3 planes of 32 x 32 a picture
};

/// Reads a pickled dict with the keys `data`, an array of bytes [n, 3072] of NumPy, and
/// `label_key`, a list of n integers. Files of Python 2 and 3 in the protocols 0 to 5 are
/// understood; nothing in them is executed. Throws DataError, which begins with the path; `advice`
/// says what to do where there is no such file.
PythonBatch read_python_batch(const std::filesystem::path& path, const std::string& label_key,
                              const std::string& advice);

/// The list of texts under `key` of a pickled dict. Throws DataError.
std::vector<std::string> read_python_names(const std::filesystem::path& path,
                                           const std::string& key);

}  // namespace dnc
