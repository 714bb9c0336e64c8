#include "host/report/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace dnc::report {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

/// Takes the next code point off the front of `text`; U+FFFD and one byte where it is not UTF-8.
char32_t take_code_point(std::string_view& text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const size_t length = first < 0x80   ? 1
                        : first < 0xC2 ? 0
                        : first < 0xE0 ? 2
                        : first < 0xF0 ? 3
                                       : 4;
  char32_t code = length <= 1 ? first : first & (0xFFu >> (length + 1));
  bool good = length > 0 && length <= text.size() && first < 0xF5;
  for (size_t i = 1; good && i < length; ++i) {
    good = (byte(i) & 0xC0) == 0x80;
    code = (code << 6) | (byte(i) & 0x3F);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  good = good && !overlong && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
  text.remove_prefix(good ? length : 1);
  return good ? code : kReplacement;
}

bool is_control(char32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) ||
         (code >= 0x202A && code <= 0x202E) ||  // would turn the direction of the line
         (code >= 0x2066 && code <= 0x2069);
}

bool is_zero_width(char32_t code) {
  return (code >= 0x0300 && code <= 0x036F) || (code >= 0x200B && code <= 0x200F) ||
         (code >= 0x20D0 && code <= 0x20FF) || (code >= 0xFE00 && code <= 0xFE0F) || code == 0xFEFF;
}

bool is_wide(char32_t code) {
  return (code >= 0x1100 && code <= 0x115F) || (code >= 0x2E80 && code <= 0xA4CF) ||
         (code >= 0xAC00 && code <= 0xD7A3) || (code >= 0xF900 && code <= 0xFAFF) ||
         (code >= 0xFE30 && code <= 0xFE6F) || (code >= 0xFF00 && code <= 0xFF60) ||
         (code >= 0xFFE0 && code <= 0xFFE6) || (code >= 0x1F300 && code <= 0x1F64F) ||
         (code >= 0x1F680 && code <= 0x1F6FF) || (code >= 0x1F900 && code <= 0x1FAFF) ||
         (code >= 0x20000 && code <= 0x3FFFD);
}

}  // namespace

std::string fixed(double value, int decimals) {
  if (!std::isfinite(value)) return std::string(kNothing);
  auto text = fmt::format("{:.{}f}", value, decimals);
  const bool zero = text.find_first_of("123456789") == std::string::npos;
  return zero && text.front() == '-' ? text.substr(1) : text;
}

std::string signed_fixed(double value, int decimals) {
  const auto text = fixed(value, decimals);
  const bool positive = value > 0 && text.find_first_of("123456789") != std::string::npos;
  return positive ? "+" + text : text;
}

std::string significant(double value, int digits) {
  if (!std::isfinite(value)) return std::string(kNothing);
  if (value == 0) return "0";
  const auto magnitude = static_cast<int>(std::floor(std::log10(std::abs(value))));
  if (magnitude < -5 || magnitude > 9) return fmt::format("{:.{}g}", value, digits);
  return fixed(value, std::max(0, digits - 1 - magnitude));
}

std::string grouped(double count) {
  auto text = fixed(count, 0);
  if (!std::isfinite(count)) return text;
  const size_t first = text.front() == '-' ? 1 : 0;
  for (size_t at = text.size(); at > first + 3;) {
    at -= 3;
    text.insert(at, 1, ',');
  }
  return text;
}

std::string duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e12) return std::string(kNothing);
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto* const begin = text.data();
    const char32_t code = take_code_point(text);
    if (code == '\t' || code == '\n' || code == '\r') {
      out += ' ';
    } else if (is_control(code) || code == kReplacement) {
      out += "\uFFFD";
    } else {
      out.append(begin, text.data());
    }
  }
  return out;
}

int64_t display_width(std::string_view text) {
  int64_t width = 0;
  while (!text.empty()) {
    const char32_t code = take_code_point(text);
    width += is_zero_width(code) ? 0 : is_wide(code) ? 2 : 1;
  }
  return width;
}

}  // namespace dnc::report
