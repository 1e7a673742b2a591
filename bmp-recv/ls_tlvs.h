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

// Calls visit(value) for every TLV of a type, in order; stops at what does not fit.
template <class Visit>
void each_ls_tlv(Bytes tlvs, std::uint16_t type, Visit&& visit) {
  ByteReader r(tlvs);
  Tlv t;
  while (read_tlv_16_16(r, t))
    if (t.type == type) visit(t.value);
}

// The value of the first TLV of a type; empty: there is none.
inline Bytes find_ls_tlv(Bytes tlvs, std::uint16_t type) {
  ByteReader r(tlvs);
  Tlv t;
  while (read_tlv_16_16(r, t))
    if (t.type == type) return t.value;
  return {};
}

}  // namespace bmpha::recv
