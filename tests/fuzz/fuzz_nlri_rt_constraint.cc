// A whole NLRI field of the family.
#include "bmp-recv/nlri_rt_constraint.h"

#include "tests/fuzz/nlri_checks.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bmpha::recv;
  bmpha::fuzz::check_nlri<RtConstraintRoute>(bmpha::Bytes(data, size), 3, parse_rt_constraint,
                                             append_rt_constraint_columns);
  return 0;
}
