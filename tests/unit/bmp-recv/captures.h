// Recorded streams that are no part of the tree: in the directory that BMPHA_CAPTURES names, else ../shared/captures.
// A test case whose stream is not there is left out, and says so in a line that scripts/test-offline counts.
#pragma once

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/unit/bmp-recv/builders.h"

namespace bmpha::recv::testing {

// Empty: not there.
inline std::string read_capture(const std::string& name) {
  const char* const root = std::getenv("BMPHA_CAPTURES");
  std::string stream = read_file(std::string(root == nullptr ? "../shared/captures" : root) + "/" + name);
  if (stream.empty())
    std::printf("SKIPPED test case: %s (no recorded stream %s in BMPHA_CAPTURES)\n",
                doctest::getContextOptions()->currentTest->m_name, name.c_str());
  return stream;
}

}  // namespace bmpha::recv::testing
