// The shapes that type-length-value triplets have in BGP. Each reader takes one triplet off the cursor; false: it does
// not fit, and the cursor is then somewhere inside it.
#pragma once

#include <cstdint>

#include "common/byte_reader.h"

namespace bmpha::recv {

struct Tlv {
  std::uint16_t type = 0;
  Bytes value;
};

// Type and length of one byte each.
[[nodiscard]] inline bool read_tlv_8_8(ByteReader& r, Tlv& out) {
  std::uint8_t type = 0, length = 0;
  if (!r.u8(type) || !r.u8(length)) return false;
  out.type = type;
  return r.bytes(length, out.value);
}
// Type of one byte, length of two.
[[nodiscard]] inline bool read_tlv_8_16(ByteReader& r, Tlv& out) {
  std::uint8_t type = 0;
  std::uint16_t length = 0;
  if (!r.u8(type) || !r.u16(length)) return false;
  out.type = type;
  return r.bytes(length, out.value);
}
// Type and length of two bytes each.
[[nodiscard]] inline bool read_tlv_16_16(ByteReader& r, Tlv& out) {
  std::uint16_t length = 0;
  return r.u16(out.type) && r.u16(length) && r.bytes(length, out.value);
}
// RFC 9012 3: the upper half of the types has a length of two bytes.
[[nodiscard]] inline bool read_tunnel_sub_tlv(ByteReader& r, Tlv& out) {
  std::uint8_t type = 0, short_length = 0;
  std::uint16_t length = 0;
  if (!r.u8(type)) return false;
  if (type >= 128) {
    if (!r.u16(length)) return false;
  } else {
    if (!r.u8(short_length)) return false;
    length = short_length;
  }
  out.type = type;
  return r.bytes(length, out.value);
}

}  // namespace bmpha::recv
