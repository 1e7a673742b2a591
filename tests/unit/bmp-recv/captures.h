// Recorded streams that are no part of the tree: in the directory that BMPHA_CAPTURES names, else ../shared/captures.
// A test case whose stream is not there is left out, and says so in a line that scripts/test-offline counts.
#pragma once

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/unit/bmp-recv/builders.h"

namespace bmpha::recv::testing {

inline std::string capture_path(const std::string& name) {
  const char* const root = std::getenv("BMPHA_CAPTURES");
  return std::string(root == nullptr ? "../shared/captures" : root) + "/" + name;
}

// Empty: not there.
inline std::string read_capture(const std::string& name) {
  std::string stream = read_file(capture_path(name));
  if (stream.empty())
    std::printf("SKIPPED test case: %s (no recorded stream %s in BMPHA_CAPTURES)\n",
                doctest::getContextOptions()->currentTest->m_name, name.c_str());
  return stream;
}

// The text of a gzip file. Empty: not there.
inline std::string read_packed_capture(const std::string& name) {
  if (read_capture(name).empty()) return {};
  FILE* pipe = popen(("gzip -dc '" + capture_path(name) + "'").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string text;
  char part[65536];
  while (const std::size_t n = std::fread(part, 1, sizeof part, pipe)) text.append(part, n);
  REQUIRE(pclose(pipe) == 0);
  return text;
}

}  // namespace bmpha::recv::testing
