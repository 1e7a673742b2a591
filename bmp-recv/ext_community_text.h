// Text of extended communities (RFC 4360, 5668, 5701): tokens of the contract (A6.2) and some of our own, listed in
// docs/wire.md. A community without a text form prints as 0x and its bytes.
#pragma once

#include "bmp-recv/text.h"

namespace bmpha::recv {

// Communities of 8 bytes, one space between them.
void append_ext_communities(TextBuffer& out, Bytes value);
// Communities of 20 bytes (RFC 5701), likewise.
void append_ipv6_ext_communities(TextBuffer& out, Bytes value);

}  // namespace bmpha::recv
