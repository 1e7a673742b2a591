// A BGP OPEN; what it says must print within its limit, and two of them must agree symmetrically.
#include <cstdlib>

#include "bmp-recv/attribute_text.h"
#include "bmp-recv/bgp_open.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bmpha;
  using namespace bmpha::recv;
  Open open;
  if (!parse_open(Bytes(data, size), open)) return 0;
  TextBuffer text;
  append_capabilities(text, open, 4096);
  if (text.size() > 4096 || text.view().find('\t') != std::string_view::npos) std::abort();
  const PeerContext c = negotiate(open, open);
  for (const Family& f : {kIpv4Unicast, kIpv6Unicast, Family{1, 128}, Family{16388, 71}})
    if (c.ids_in.contains(f) != c.ids_out.contains(f)) std::abort();
  if (c.as4 != open.as4) std::abort();
  return 0;
}
