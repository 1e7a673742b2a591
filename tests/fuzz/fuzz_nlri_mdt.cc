// A whole NLRI field of the family.
#include "bmp-recv/nlri_mdt.h"

#include "tests/fuzz/nlri_checks.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bmpha::recv;
  bmpha::fuzz::check_nlri<MdtRoute>(bmpha::Bytes(data, size), 4, parse_mdt, append_mdt_columns);
  return 0;
}
