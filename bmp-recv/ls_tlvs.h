// The TLVs of BGP-LS (RFC 9552 5.1): of the BGP-LS attribute, of descriptors, of TLVs inside TLVs.
#pragma once

#include "bmp-recv/tlv.h"

namespace bmpha::recv {

// Whether a value is a sequence of TLVs that fills it exactly.
inline bool are_link_state_tlvs(Bytes value) {
  ByteReader r(value);
  Tlv t;
  while (!r.empty())
    if (!read_tlv_16_16(r, t)) return false;
  return true;
}

}  // namespace bmpha::recv
