#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace dnc {

/// Bytes of unknown origin, read from front to back.
class ByteStream {
 public:
  /// Reads `size` bytes at `offset` into `data`; throws an Error where it cannot.
  using Fetch = std::function<void(uint64_t offset, void* data, uint64_t size)>;

  ByteStream(std::string origin, uint64_t size, Fetch fetch);
  /// Over bytes that outlive it.
  ByteStream(std::string origin, std::string_view bytes);

  /// Throws FormatError, which begins with the origin, where fewer bytes are left.
  void read(void* data, uint64_t size);
  void skip(uint64_t size);
  uint64_t position() const { return position_; }
  uint64_t remaining() const { return size_ - position_; }
  const std::string& origin() const { return origin_; }

 private:
  void need(uint64_t size) const;

  std::string origin_;
  uint64_t size_;
  Fetch fetch_;
  uint64_t position_ = 0;
  std::vector<char> buffer_;  // bytes from buffer_begin_ on: pickles are read byte by byte
  uint64_t buffer_begin_ = 0;
};

}  // namespace dnc
