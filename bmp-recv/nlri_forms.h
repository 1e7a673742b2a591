// What the NLRI families beyond plain prefixes share: a whole field of routes that stand one behind the other, with or
// without path identifiers (RFC 7911 3), and addresses whose length stands before them in bits.
//
// A family gives a function that reads one route and says how well the bytes fit. Routers send path identifiers that
// they did not negotiate, and leave out those that they did, message by message; so both forms are tried.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "bmp-recv/attribute_text.h"
#include "bmp-recv/bgp_attributes.h"
#include "bmp-recv/bgp_nlri.h"
#include "bmp-recv/text.h"
#include "common/byte_reader.h"

namespace bmpha::recv {

enum class Fit : std::uint8_t {
  kNo,    // cannot be read
  kPoor,  // can be read, but is not what a router is likely to send: an unknown type, an odd order
  kGood,
};

// Identifiers beyond this are not believed easily: lengths and types read as an identifier come out larger.
inline constexpr std::uint32_t kPlausibleIdEnd = 1U << 24;

// Appends the routes of a whole field in one form; all or nothing.
template <class Route, class ReadOne>
Fit parse_route_form(Bytes field, bool ids, std::vector<Route>& out, ReadOne read_one) {
  const std::size_t before = out.size();
  ByteReader r(field);
  Fit fit = Fit::kGood;
  while (!r.empty()) {
    Route& route = out.emplace_back();
    Fit one = Fit::kNo;
    if (!ids || r.u32(route.path_id)) one = read_one(r, route);
    if (one == Fit::kNo) {
      out.resize(before);
      return one;
    }
    if (route.path_id >= kPlausibleIdEnd) one = Fit::kPoor;
    fit = std::min(fit, one);
  }
  return fit;
}

// Appends the routes of a whole NLRI field, or none. `read_one(ByteReader&, Route&)` gets a fresh route. The form that
// was expected wins unless only the other one fits well; against the OPENs, identifiers must fit well to be believed.
template <class Route, class ReadOne>
NlriResult parse_routes(Bytes field, PathIds expected, std::vector<Route>& out, ReadOne read_one) {
  const std::size_t before = out.size();
  const bool ids = expected == PathIds::kYes;
  const Fit fit = parse_route_form(field, ids, out, read_one);
  if (fit == Fit::kGood) return NlriResult::kOk;
  out.resize(before);
  const Fit other = parse_route_form(field, !ids, out, read_one);
  if (other == Fit::kGood) return NlriResult::kOkOtherForm;
  out.resize(before);
  if (fit == Fit::kPoor && parse_route_form(field, ids, out, read_one) == fit) return NlriResult::kOk;
  if (other == Fit::kPoor && expected != PathIds::kNo && parse_route_form(field, !ids, out, read_one) == other)
    return NlriResult::kOkOtherForm;
  return NlriResult::kBad;
}

// An address of 4 or 16 bytes that fills the rest of r.
[[nodiscard]] inline bool read_rest_address(ByteReader& r, Address& out) {
  const std::size_t n = r.remaining();
  if (n != 4 && n != 16) return false;
  out.size = static_cast<std::uint8_t>(n);
  return r.copy(out.bytes.data(), n);
}

// One octet with the length in bits, then the address; a length of zero means none.
[[nodiscard]] inline bool read_bits_address(ByteReader& r, Address& out) {
  std::uint8_t bits = 0;
  if (!r.u8(bits) || (bits != 0 && bits != 32 && bits != 128)) return false;
  out.size = bits / 8;
  return r.copy(out.bytes.data(), out.size);
}

inline void append_hex(TextBuffer& out, Bytes bytes) { out.commit(put_hex(out.room(bytes.size() * 2), bytes)); }

// The bytes that tell routes apart, for their hash.
using KeyBytes = std::vector<std::uint8_t>;
inline void put_key(KeyBytes& key, Bytes bytes) { key.insert(key.end(), bytes.begin(), bytes.end()); }
inline void put_key(KeyBytes& key, std::uint8_t v) { key.push_back(v); }
inline void put_key32(KeyBytes& key, std::uint32_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) key.push_back(static_cast<std::uint8_t>(v >> shift));
}
inline void put_key(KeyBytes& key, const Address& a) {
  key.push_back(a.size);
  put_key(key, Bytes(a.bytes.data(), a.size));
}

}  // namespace bmpha::recv
