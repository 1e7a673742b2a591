// For tests against a real server that they start themselves.
#pragma once

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace bmpha::test {

// `missing` says why there is no server; empty when there is one. Without one the test case fails here, since a test
// that leaves itself out in silence proves nothing. BMPHA_NO_SERVERS=1 allows it: then false is returned, and a line
// written that scripts/test-offline counts as skipped (for doctest the case has passed).
inline bool have_server(const std::string& missing) {
  if (missing.empty()) return true;
  const char* const allowed = std::getenv("BMPHA_NO_SERVERS");
  if (allowed == nullptr || std::string(allowed) != "1")
    FAIL(missing << " HINT: scripts/install-deps, or BMPHA_NO_SERVERS=1 to leave these tests out");
  std::printf("SKIPPED test case: %s (%s)\n", doctest::getContextOptions()->currentTest->m_name, missing.c_str());
  return false;
}

}  // namespace bmpha::test
