// A whole NLRI field of the family, and of that of VPLS.
#include "bmp-recv/nlri_mvpn.h"

#include "tests/fuzz/nlri_checks.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bmpha::recv;
  bmpha::fuzz::check_nlri<MvpnRoute>(bmpha::Bytes(data, size), 9, parse_mvpn, append_mvpn_columns);
  bmpha::fuzz::check_nlri<MvpnRoute>(bmpha::Bytes(data, size), 9, parse_mcast_vpls, append_mvpn_columns);
  return 0;
}
