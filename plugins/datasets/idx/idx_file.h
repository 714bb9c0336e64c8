#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace dnc {

/// An array of bytes from an IDX file, row-major.
struct IdxArray {
  std::vector<int64_t> shape;
  std::vector<uint8_t> values;
};

/// Reads an IDX file of unsigned bytes with `dimensions` dimensions, plain or compressed by gzip
/// (http://yann.lecun.com/exdb/mnist). Trusts nothing that the header says: more values than the
/// file can hold are refused before memory is taken for them. Throws DataError, which begins with
/// the path; `advice` says what to do where there is no such file.
IdxArray read_idx(const std::filesystem::path& path, int64_t dimensions, const std::string& advice);

}  // namespace dnc
