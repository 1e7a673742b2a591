// What fuzz targets require of their outcome.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace bmpha::fuzz {

inline void require(bool good) {
  if (!good) std::abort();
}

inline std::size_t count_of(std::string_view text, char c) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), c));
}

// Fit to stand in a column of a row, or of several with `tabs`.
inline bool is_column(std::string_view text, bool tabs = false) {
  return std::none_of(text.begin(), text.end(), [tabs](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && !(tabs && c == '\t')) || c == '\'' || c == 0x7f;
  });
}

}  // namespace bmpha::fuzz
