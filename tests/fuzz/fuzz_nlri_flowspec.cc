// A whole NLRI field of the family. The first byte chooses address family and VPN.
#include "bmp-recv/nlri_flowspec.h"

#include "tests/fuzz/nlri_checks.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bmpha::recv;
  if (size == 0) return 0;
  const bool vpn = (data[0] & 2) != 0;
  const FlowKind kind = (data[0] & 4) != 0 ? FlowKind::kLayer2 : (data[0] & 1) != 0 ? FlowKind::kIpv6 : FlowKind::kIpv4;
  bmpha::fuzz::check_nlri<FlowspecRoute>(
      bmpha::Bytes(data + 1, size - 1), 3,
      [kind, vpn](bmpha::Bytes field, PathIds expected, std::vector<FlowspecRoute>& out) {
        return parse_flowspec(field, kind, vpn, expected, out);
      },
      append_flowspec_columns);
  return 0;
}
