// Text of the attributes that describe tunnels: PMSI_TUNNEL (RFC 6514 5) and Tunnel Encapsulation (RFC 9012), with the
// sub-TLVs of SR policies (RFC 9830, 9831). The text forms are in docs/wire.md.
//
// Each function decodes and prints a whole attribute value. False: the value is malformed; what was appended is then
// not to be used.
#pragma once

#include "bmp-recv/text.h"

namespace bmpha::recv {

[[nodiscard]] bool append_pmsi_tunnel(TextBuffer& out, Bytes value);
[[nodiscard]] bool append_tunnel_encapsulation(TextBuffer& out, Bytes value);

}  // namespace bmpha::recv
