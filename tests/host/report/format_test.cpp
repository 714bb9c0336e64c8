#include "host/report/format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace dnc::report {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Format, FixedRoundsAndHasNoNegativeZero) {
  EXPECT_EQ(fixed(91.404, 2), "91.40");
  EXPECT_EQ(fixed(-0.004, 2), "0.00");
  EXPECT_EQ(fixed(-0.006, 2), "-0.01");
  EXPECT_EQ(fixed(12, 0), "12");
}

TEST(Format, WhatIsNoNumberIsADash) {
  EXPECT_EQ(fixed(kNaN, 2), "–");
  EXPECT_EQ(signed_fixed(kInfinity, 2), "–");
  EXPECT_EQ(significant(kNaN, 3), "–");
  EXPECT_EQ(grouped(kNaN), "–");
  EXPECT_EQ(duration(-1), "–");
  EXPECT_EQ(duration(kNaN), "–");
}

TEST(Format, SignedShowsTheSignOfWhatIsNotZero) {
  EXPECT_EQ(signed_fixed(0.306, 2), "+0.31");
  EXPECT_EQ(signed_fixed(-0.306, 2), "-0.31");
  EXPECT_EQ(signed_fixed(0.004, 2), "0.00");
  EXPECT_EQ(signed_fixed(-0.004, 2), "0.00");
}

TEST(Format, SignificantKeepsTheDigitsThatCount) {
  EXPECT_EQ(significant(5.1249, 3), "5.12");
  EXPECT_EQ(significant(0.0012345, 2), "0.0012");
  EXPECT_EQ(significant(1234.5, 2), "1234");
  EXPECT_EQ(significant(0, 3), "0");
  EXPECT_EQ(significant(1e-9, 3), "1e-09");
  EXPECT_EQ(significant(-5.1249, 3), "-5.12");
}

TEST(Format, GroupedPutsACommaAfterThreeDigits) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(grouped(-123456), "-123,456");
}

TEST(Format, DurationUsesTheUnitThatReadsBest) {
  EXPECT_EQ(duration(0.42), "0.4 s");
  EXPECT_EQ(duration(9.96), "10 s");
  EXPECT_EQ(duration(59.4), "59 s");
  EXPECT_EQ(duration(59.6), "1 min 00 s");
  EXPECT_EQ(duration(245), "4 min 05 s");
  EXPECT_EQ(duration(7620), "2 h 07 min");
}

TEST(Format, PrintableKeepsTextAndReplacesControlCharactersAndBadUtf8) {
  EXPECT_EQ(printable("T-shirt/top é 日本 🙂"), "T-shirt/top é 日本 🙂");
  EXPECT_EQ(printable("a\tb\r\nc"), "a b  c");
  EXPECT_EQ(printable("\x1b[31mred"), "\uFFFD[31mred");
  EXPECT_EQ(printable("\u202Egnirts"), "\uFFFDgnirts") << "turns the direction of the line";
  EXPECT_EQ(printable("\u009B31m"), "\uFFFD31m") << "the one-character form of ESC [";
  EXPECT_EQ(printable("a\xff z"), "a\uFFFD z");
  EXPECT_EQ(printable("cut \xe6\x97"), "cut \uFFFD\uFFFD");
  EXPECT_EQ(printable("\xc0\xaf"), "\uFFFD\uFFFD") << "an overlong '/'";
  EXPECT_EQ(printable("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD") << "half of a surrogate pair";
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD") << "beyond U+10FFFF";
  EXPECT_EQ(printable(std::string_view("a\0b", 3)),
            "a\uFFFD"
            "b");
}

TEST(Format, DisplayWidthCountsColumnsNotBytes) {
  EXPECT_EQ(display_width(""), 0);
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("± é"), 3);
  EXPECT_EQ(display_width("e\u0301"), 1) << "a combining accent takes no column";
  EXPECT_EQ(display_width("日本"), 4);
  EXPECT_EQ(display_width("🙂"), 2);
}

}  // namespace
}  // namespace dnc::report
