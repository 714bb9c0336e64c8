#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace dnc {

/// The block before a member of a tar file (POSIX ustar), its checksum in place.
inline std::string tar_header(const std::string& name, int64_t size, char type = '0') {
  std::string block(512, '\0');
  const auto put = [&block](size_t at, const std::string& text) {
    block.replace(at, text.size(), text);
  };
  put(0, name);
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", size));
  put(136, "00000000000");
  put(148, "        ");
  block[156] = type;
  put(257, std::string("ustar\0", 6) + "00");
  int64_t sum = 0;
  for (const unsigned char c : block) sum += c;
  put(148, fmt::format("{:06o}", sum) + '\0' + ' ');
  return block;
}

/// Bytes up to a whole number of blocks.
inline std::string padded(std::string bytes) {
  bytes.resize((bytes.size() + 511) / 512 * 512, '\0');
  return bytes;
}

inline std::string tar_member(const std::string& name, const std::string& content,
                              char type = '0') {
  return tar_header(name, static_cast<int64_t>(content.size()), type) + padded(content);
}

/// What ends a tar file.
inline std::string tar_end() { return std::string(1024, '\0'); }

}  // namespace dnc
