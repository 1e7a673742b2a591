// Text that strangers supply: is it UTF-8? Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace bmpha {

// Length in bytes of the well-formed UTF-8 sequence (RFC 3629) at the start of s; 0 when there is none: overlong forms,
// surrogates and what is cut off are none. NUL is a character like any other. REQUIRES: s is not empty.
inline std::size_t utf8_length(std::string_view s) {
  const auto at = [&](std::size_t n) { return static_cast<std::uint8_t>(s[n]); };
  const std::uint8_t b = at(0);
  if (b < 0x80) return 1;
  const std::size_t n = b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : 2;
  if (b < 0xc2 || b > 0xf4 || s.size() < n) return 0;
  for (std::size_t i = 1; i < n; ++i)
    if ((at(i) & 0xc0) != 0x80) return 0;
  const bool overlong = (b == 0xe0 && at(1) < 0xa0) || (b == 0xf0 && at(1) < 0x90);
  const bool outside = (b == 0xed && at(1) >= 0xa0) || (b == 0xf4 && at(1) >= 0x90);
  return overlong || outside ? 0 : n;
}

}  // namespace bmpha
