// What fuzz targets require of their outcome.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <string_view>

// Of functions that look at every byte of the outcome: they tell a fuzzer nothing about what it tests, and would cost
// most of its time.
#if defined(__clang__)
#define BMPHA_NOT_TRACED __attribute__((no_sanitize("coverage")))
#else
#define BMPHA_NOT_TRACED
#endif

namespace bmpha::fuzz {

inline void require(bool good) {
  if (!good) std::abort();
}

BMPHA_NOT_TRACED inline std::size_t count_of(std::string_view text, char wanted) {
  std::size_t n = 0;
  for (const char c : text) n += c == wanted ? 1 : 0;
  return n;
}

// Fit to stand in a column of a row, or of several with `tabs`.
BMPHA_NOT_TRACED inline bool is_column(std::string_view text, bool tabs = false) {
  for (const char c : text)
    if ((static_cast<unsigned char>(c) < 0x20 && !(tabs && c == '\t')) || c == '\'' || c == 0x7f) return false;
  return true;
}

BMPHA_NOT_TRACED inline bool is_ascii(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  return true;
}

}  // namespace bmpha::fuzz
