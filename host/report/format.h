#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dnc::report {

/// Stands where there is no number: NaN, infinity, or nothing to divide by.
inline constexpr std::string_view kNothing = "–";

/// "0.50"; never "-0.00".
std::string fixed(double value, int decimals);
/// "+0.50", "-0.50", "0.00".
std::string signed_fixed(double value, int decimals);
/// Rounded to so many significant digits, without an exponent where it reads well: "5.1", "0.0012".
std::string significant(double value, int digits);
/// A count in groups of three digits: "78,330".
std::string grouped(double count);
/// "0.4 s", "31 s", "4 min 05 s", "2 h 07 min".
std::string duration(double seconds);

/// Control characters (which could move a terminal's cursor, and are not allowed in HTML) and bytes
/// that are not UTF-8 become U+FFFD. Tabs and line ends become spaces.
std::string printable(std::string_view text);
/// Columns that a terminal uses for UTF-8 `text`: 0 for combining marks, 2 for wide East Asian
/// characters and emoji, else 1.
int64_t display_width(std::string_view text);

}  // namespace dnc::report
