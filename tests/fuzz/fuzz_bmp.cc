// A whole session: any stream.
#include "tests/fuzz/session_checks.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bmpha::fuzz::run_session(bmpha::Bytes(data, size), {});
  return 0;
}
