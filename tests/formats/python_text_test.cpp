#include "formats/python_text.h"

#include <gtest/gtest.h>

namespace dnc {
namespace {

using namespace std::string_literals;

TEST(PythonText, UnquotesWhatReprWrites) {
  EXPECT_EQ(unquote_python("'a b'"), "a b");
  EXPECT_EQ(unquote_python("\"it's\""), "it's");
  EXPECT_EQ(unquote_python(R"('\\ \' \n\t\r\x00\xfF')"), "\\ ' \n\t\r\0\xff"s);
  EXPECT_EQ(unquote_python("''"), "");
}

TEST(PythonText, RefusesWhatReprDoesNotWrite) {
  for (const auto* line : {"", "'", "a", "'a\"", "'a\\'", "'\\q'", "'\\x1'", "'\\xzz'", "'\\x'"}) {
    EXPECT_FALSE(unquote_python(line).has_value()) << line;
  }
}

TEST(PythonText, UnescapesToUtf8) {
  EXPECT_EQ(unescape_python("a\\u0041\\u00e9\\u20ac\\U0001f600"), "aA\u00e9\u20ac\U0001f600");
  EXPECT_EQ(unescape_python("\xe9\\n"), "\u00e9\\n");  // only \u and \U mean something
  for (const auto* line : {"\\u12", "\\uzzzz", "\\U00110000", "\\U0000"}) {
    EXPECT_FALSE(unescape_python(line).has_value()) << line;
  }
}

TEST(PythonText, Latin1OfAllBytesComesBack) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(to_latin1(unescape_python(all).value()), all);
  for (const auto* text : {"\u0100", "\u20ac", "\xc3", "\xc3x", "\x80", "\xff"}) {
    EXPECT_FALSE(to_latin1(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace dnc
