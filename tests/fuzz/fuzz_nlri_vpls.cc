// A whole NLRI field of the family.
#include "bmp-recv/nlri_vpls.h"

#include "tests/fuzz/nlri_checks.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bmpha::recv;
  bmpha::fuzz::check_nlri<VplsRoute>(bmpha::Bytes(data, size), 8, parse_vpls, append_vpls_columns);
  return 0;
}
