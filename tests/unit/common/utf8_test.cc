#include "common/utf8.h"

#include <doctest/doctest.h>

#include <string>

using namespace bmpha;

TEST_CASE("UTF-8: the length of what is well formed, 0 for everything else") {
  CHECK(utf8_length("a") == 1);
  CHECK(utf8_length(std::string_view("\0", 1)) == 1);
  CHECK(utf8_length("\xc3\xa9t\xc3\xa9") == 2);
  CHECK(utf8_length("\xe2\x82\xac") == 3);
  CHECK(utf8_length("\xf0\x9f\x98\x80") == 4);
  CHECK(utf8_length("\xef\xbf\xbf") == 3);
  CHECK(utf8_length("\xf4\x8f\xbf\xbf") == 4);

  for (const char* bad : {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc3(", "\xe2\x82(", "\xf0\x9f\x98("})
    CHECK(utf8_length(bad) == 0);
  for (const std::string_view whole : {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"})
    for (std::size_t n = 1; n < whole.size(); ++n) CHECK(utf8_length(whole.substr(0, n)) == 0);
}

TEST_CASE("UTF-8: every code point's encoding is one, and no other sequence of two bytes") {
  for (unsigned c = 0x80; c <= 0x10ffff; ++c) {
    std::string s;
    const auto tail = [&](unsigned shift) { s += static_cast<char>(0x80 | (c >> shift & 0x3f)); };
    if (c < 0x800) {
      s += static_cast<char>(0xc0 | c >> 6);
    } else if (c < 0x10000) {
      s += static_cast<char>(0xe0 | c >> 12);
      tail(6);
    } else {
      s += static_cast<char>(0xf0 | c >> 18);
      tail(12);
      tail(6);
    }
    tail(0);
    const bool surrogate = c >= 0xd800 && c <= 0xdfff;
    if (utf8_length(s) != (surrogate ? 0 : s.size())) FAIL_CHECK(c);
  }
  std::size_t pairs = 0;
  for (unsigned first = 0x80; first <= 0xff; ++first)
    for (unsigned second = 0; second <= 0xff; ++second) {
      const char two[] = {static_cast<char>(first), static_cast<char>(second)};
      pairs += utf8_length({two, 2}) == 2;
    }
  CHECK(pairs == 0x800 - 0x80);
}
