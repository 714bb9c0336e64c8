#include "formats/protobuf.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <utility>

#include "formats/error.h"

namespace dnc {

static_assert(std::endian::native == std::endian::little);

void ProtobufMessage::add_varint(uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
  bytes_ += static_cast<char>(value);
}

void ProtobufMessage::add_integer(int field, int64_t value) {
  add_varint(static_cast<uint64_t>(field) << 3);
  add_varint(static_cast<uint64_t>(value));
}

void ProtobufMessage::add_float(int field, float value) {
  add_varint(static_cast<uint64_t>(field) << 3 | 5);
  bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void ProtobufMessage::add_bytes(int field, std::string_view bytes) {
  add_varint(static_cast<uint64_t>(field) << 3 | 2);
  add_varint(bytes.size());
  bytes_.append(bytes);
}

ProtobufFields::ProtobufFields(std::string origin, std::string_view bytes)
    : origin_(std::move(origin)), rest_(bytes) {}

void ProtobufFields::fail(const std::string& what) const {
  throw FormatError(
      fmt::format("{}: is no message of protocol buffers, or damaged: {}", origin_, what));
}

std::string_view ProtobufFields::take(uint64_t size) {
  if (size > rest_.size()) {
    fail(fmt::format("{} bytes are needed, {} follow", size, rest_.size()));
  }
  const auto taken = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return taken;
}

uint64_t ProtobufFields::varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const auto byte = static_cast<uint8_t>(take(1)[0]);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  fail("a number has more than 64 bits");
}

bool ProtobufFields::next() {
  if (rest_.empty()) return false;
  const auto key = varint();
  field_ = static_cast<int>(key >> 3 & 0x1fffffff);
  kind_ = static_cast<Kind>(key & 7);
  switch (kind_) {
    case Kind::kVarint:
      number_ = varint();
      return true;
    case Kind::kBytes:
      bytes_ = take(varint());
      return true;
    case Kind::kFixed64:
      bytes_ = take(8);
      return true;
    case Kind::kFixed32:
      bytes_ = take(4);
      return true;
  }
  fail(fmt::format("field {} is of kind {}", field_, key & 7));
}

void ProtobufFields::expect(Kind kind) const {
  if (kind_ != kind) {
    fail(fmt::format("field {} is of kind {}, not {}", field_, static_cast<int>(kind_),
                     static_cast<int>(kind)));
  }
}

int64_t ProtobufFields::integer() const {
  expect(Kind::kVarint);
  return static_cast<int64_t>(number_);
}

float ProtobufFields::number() const {
  expect(Kind::kFixed32);
  float value = 0;
  std::memcpy(&value, bytes_.data(), sizeof value);
  return value;
}

std::string_view ProtobufFields::bytes() const {
  expect(Kind::kBytes);
  return bytes_;
}

}  // namespace dnc
