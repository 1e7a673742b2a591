// Text of the Prefix-SID attribute: label index and originator SRGB (RFC 8669 3), SRv6 services (RFC 9252 2, 3).
#pragma once

#include "bmp-recv/text.h"

namespace bmpha::recv {

enum class PrefixSidResult : std::uint8_t {
  kOk,
  kBad,         // malformed (RFC 8669 6)
  kBadService,  // an SRv6 service TLV is malformed: what is left of the route leads nowhere (RFC 9252 7)
};

// Decodes and prints a whole attribute value, as in docs/wire.md. Not kOk: what was appended is not to be used.
[[nodiscard]] PrefixSidResult append_prefix_sid(TextBuffer& out, Bytes value);

}  // namespace bmpha::recv
