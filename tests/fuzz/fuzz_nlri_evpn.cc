// A whole NLRI field of the family.
#include "bmp-recv/nlri_evpn.h"

#include "tests/fuzz/nlri_checks.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bmpha::recv;
  bmpha::fuzz::check_nlri<EvpnRoute>(bmpha::Bytes(data, size), 12 + 11, parse_evpn,
                                     [](TextBuffer& out, const EvpnRoute& route) {
                                       append_evpn_columns(out, route);
                                       out.append('\t');
                                       append_evpn_extra_columns(out, route);
                                     });
  return 0;
}
