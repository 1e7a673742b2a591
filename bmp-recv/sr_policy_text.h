// Text of the sub-TLVs that describe a candidate path of an SR policy inside the Tunnel Encapsulation attribute
// (RFC 9830 2.4, RFC 9831 2).
#pragma once

#include "bmp-recv/text.h"
#include "bmp-recv/tlv.h"

namespace bmpha::recv {

// Appends "name=value" of one sub-TLV; of a segment list "segment-list{weight=N,A=...,...}". False: its type is
// unknown here, or its length is not allowed; nothing was appended.
[[nodiscard]] bool append_sr_policy_sub_tlv(TextBuffer& out, const Tlv& t);
// Appends "<behavior>/structure:<block>+<node>+<function>+<argument>": 8 bytes of SRv6 endpoint behavior and SID
// structure.
[[nodiscard]] bool append_srv6_structure(TextBuffer& out, ByteReader& r);

}  // namespace bmpha::recv
