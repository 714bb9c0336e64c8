#include "formats/byte_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "formats/error.h"

namespace dnc {
namespace {

constexpr uint64_t kBuffer = 1 << 16;

}  // namespace

ByteStream::ByteStream(std::string origin, uint64_t size, Fetch fetch)
    : origin_(std::move(origin)), size_(size), fetch_(std::move(fetch)) {}

ByteStream::ByteStream(std::string origin, std::string_view bytes)
    : ByteStream(std::move(origin), bytes.size(),
                 [bytes](uint64_t offset, void* data, uint64_t size) {
                   std::memcpy(data, bytes.data() + offset, size);
                 }) {}

void ByteStream::need(uint64_t size) const {
  if (size <= remaining()) return;
  throw FormatError(fmt::format(
      "{}: is cut short: {} more bytes are needed at byte {}, {} follow. Copy or download "
      "it again.",
      origin_, size, position_, remaining()));
}

void ByteStream::read(void* data, uint64_t size) {
  need(size);
  if (size > kBuffer) {
    fetch_(position_, data, size);
  } else if (size > 0) {
    if (position_ < buffer_begin_ || position_ + size > buffer_begin_ + buffer_.size()) {
      buffer_begin_ = position_;
      buffer_.resize(std::min(kBuffer, remaining()));
      fetch_(position_, buffer_.data(), buffer_.size());
    }
    std::memcpy(data, buffer_.data() + (position_ - buffer_begin_), size);
  }
  position_ += size;
}

void ByteStream::skip(uint64_t size) {
  need(size);
  position_ += size;
}

}  // namespace dnc
