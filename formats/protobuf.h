#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dnc {

/// A message of protocol buffers, field after field, as protobuf's encoding has it.
class ProtobufMessage {
 public:
  void add_integer(int field, int64_t value);
  void add_float(int field, float value);
  void add_bytes(int field, std::string_view bytes);
  void add_message(int field, const ProtobufMessage& message) { add_bytes(field, message.bytes()); }

  const std::string& bytes() const { return bytes_; }

 private:
  void add_varint(uint64_t value);

  std::string bytes_;
};

/// The fields of a message of unknown origin, one after the other:
///
///   for (ProtobufFields fields(origin, bytes); fields.next();) {
///     if (fields.field() == 1) name = fields.bytes();
///   }
///
/// Throws FormatError, which begins with the origin, for bytes that are no message, and where a
/// field has another kind of value than is asked for.
class ProtobufFields {
 public:
  /// The bytes must outlive it.
  ProtobufFields(std::string origin, std::string_view bytes);

  /// Goes to the next field; false behind the last.
  bool next();
  int field() const { return field_; }

  int64_t integer() const;
  float number() const;
  std::string_view bytes() const;
  /// The fields of a message inside this one.
  ProtobufFields message() const { return {origin_, bytes()}; }

 private:
  enum class Kind { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

  [[noreturn]] void fail(const std::string& what) const;
  uint64_t varint();
  std::string_view take(uint64_t size);
  void expect(Kind kind) const;

  std::string origin_;
  std::string_view rest_;
  int field_ = 0;
  Kind kind_ = Kind::kVarint;
  uint64_t number_ = 0;
  std::string_view bytes_;
};

}  // namespace dnc
