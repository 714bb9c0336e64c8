#include "formats/python_text.h"

#include <charconv>
#include <cstdint>

namespace dnc {
namespace {

std::optional<uint32_t> read_hex(std::string_view digits, size_t count) {
  uint32_t number = 0;
  if (digits.size() < count) return std::nullopt;
  const auto* end = digits.data() + count;
  const auto [stop, error] = std::from_chars(digits.data(), end, number, 16);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

void append_utf8(uint32_t code, std::string& text) {
  const auto add = [&text](uint32_t byte) { text += static_cast<char>(byte); };
  const auto add_tail = [&](int shift) { add(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) {
    add(code);
  } else if (code < 0x800) {
    add(0xC0 | code >> 6);
    add_tail(0);
  } else if (code < 0x10000) {
    add(0xE0 | code >> 12);
    add_tail(6);
    add_tail(0);
  } else {
    add(0xF0 | code >> 18);
    add_tail(12);
    add_tail(6);
    add_tail(0);
  }
}

}  // namespace

std::optional<std::string> unquote_python(std::string_view line) {
  const bool quoted =
      line.size() >= 2 && (line[0] == '\'' || line[0] == '"') && line.back() == line[0];
  if (!quoted) return std::nullopt;
  line = line.substr(1, line.size() - 2);
  std::string text;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\') {
      text += line[i];
      continue;
    }
    constexpr std::string_view kNames = "\\'\"ntr";
    constexpr std::string_view kMeanings = "\\'\"\n\t\r";
    if (++i == line.size()) return std::nullopt;
    if (line[i] == 'x') {
      const auto byte = read_hex(line.substr(i + 1), 2);
      if (!byte) return std::nullopt;
      text += static_cast<char>(*byte);
      i += 2;
    } else {
      const auto known = kNames.find(line[i]);
      if (known == std::string_view::npos) return std::nullopt;
      text += kMeanings[known];
    }
  }
  return text;
}

std::optional<std::string> unescape_python(std::string_view line) {
  std::string text;
  for (size_t i = 0; i < line.size(); ++i) {
    const char next = i + 1 < line.size() ? line[i + 1] : '\0';
    if (line[i] == '\\' && (next == 'u' || next == 'U')) {
      const size_t count = next == 'u' ? 4 : 8;
      const auto code = read_hex(line.substr(i + 2), count);
      if (!code || *code > 0x10FFFF) return std::nullopt;
      append_utf8(*code, text);
      i += 1 + count;
    } else {
      append_utf8(static_cast<unsigned char>(line[i]), text);
    }
  }
  return text;
}

std::optional<std::string> to_latin1(std::string_view utf8) {
  std::string bytes;
  bytes.reserve(utf8.size());
  for (size_t i = 0; i < utf8.size(); ++i) {
    auto byte = static_cast<unsigned char>(utf8[i]);
    if (byte >= 0x80) {  // 0x80 to 0xFF are two bytes of UTF-8
      const auto tail = i + 1 < utf8.size() ? static_cast<unsigned char>(utf8[i + 1]) : 0;
      if ((byte != 0xC2 && byte != 0xC3) || (tail & 0xC0) != 0x80) return std::nullopt;
      byte = static_cast<unsigned char>((byte & 3) << 6 | (tail & 0x3F));
      ++i;
    }
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

}  // namespace dnc
