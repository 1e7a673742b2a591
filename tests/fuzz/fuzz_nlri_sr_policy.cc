// A whole NLRI field of the family. The first byte chooses the address family.
#include "bmp-recv/nlri_sr_policy.h"

#include "tests/fuzz/nlri_checks.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bmpha::recv;
  if (size == 0) return 0;
  const bool v6 = (data[0] & 1) != 0;
  bmpha::fuzz::check_nlri<SrPolicyRoute>(
      bmpha::Bytes(data + 1, size - 1), 3,
      [v6](bmpha::Bytes field, PathIds expected, std::vector<SrPolicyRoute>& out) {
        return parse_sr_policy(field, v6, expected, out);
      },
      append_sr_policy_columns);
  return 0;
}
