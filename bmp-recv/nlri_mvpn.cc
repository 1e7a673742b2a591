#include "bmp-recv/nlri_mvpn.h"

namespace bmpha::recv {
namespace {

bool read_rd(ByteReader& r, MvpnRoute& out) { return r.copy(out.rd.data(), out.rd.size()); }
bool read_multicast(ByteReader& r, MvpnRoute& out) {
  return read_bits_address(r, out.source) && read_bits_address(r, out.group);
}

// The key is a whole route again; the address takes what is left (RFC 6514 4.4).
bool read_leaf(ByteReader& r, MvpnRoute& out) {
  const Bytes all = r.rest();
  std::uint8_t type = 0, size = 0;
  if (!r.u8(type) || !r.u8(size) || !r.skip(size)) return false;
  out.route_key = all.first(std::size_t{size} + 2);
  return read_rest_address(r, out.originator);
}

bool read_value(ByteReader& r, MvpnRoute& out) {
  switch (out.type) {
    case MvpnType::kIntraAsIPmsi:
      return read_rd(r, out) && read_rest_address(r, out.originator);
    case MvpnType::kInterAsIPmsi:
      return read_rd(r, out) && r.u32(out.source_as);
    case MvpnType::kSPmsi:
      return read_rd(r, out) && read_multicast(r, out) && read_rest_address(r, out.originator);
    case MvpnType::kLeaf:
      return read_leaf(r, out);
    case MvpnType::kSourceActive:
      return read_rd(r, out) && read_multicast(r, out);
    case MvpnType::kSharedTreeJoin:
    case MvpnType::kSourceTreeJoin:
      return read_rd(r, out) && r.u32(out.source_as) && read_multicast(r, out);
  }
  return false;
}

bool has_source_as(MvpnType t) {
  return t == MvpnType::kInterAsIPmsi || t == MvpnType::kSharedTreeJoin || t == MvpnType::kSourceTreeJoin;
}

bool is_known(MvpnType type, bool vpls) {
  if (vpls) return type == MvpnType::kSPmsi || type == MvpnType::kLeaf;
  return type <= MvpnType::kSourceTreeJoin;
}

Fit read_route(ByteReader& r, bool vpls, MvpnRoute& out) {
  std::uint8_t type = 0, size = 0;
  if (!r.u8(type) || !r.u8(size) || !r.bytes(size, out.raw)) return Fit::kNo;
  if (type == 0) return Fit::kNo;  // reserved; and what most misread fields begin with
  out.type = static_cast<MvpnType>(type);
  out.known = is_known(out.type, vpls);
  if (!out.known) return Fit::kPoor;
  ByteReader value(out.raw);
  return read_value(value, out) && value.empty() ? Fit::kGood : Fit::kNo;
}

}  // namespace

NlriResult parse_mvpn(Bytes field, PathIds expected, std::vector<MvpnRoute>& out) {
  return parse_routes(field, expected, out,
                      [](ByteReader& r, MvpnRoute& route) { return read_route(r, false, route); });
}

NlriResult parse_mcast_vpls(Bytes field, PathIds expected, std::vector<MvpnRoute>& out) {
  return parse_routes(field, expected, out, [](ByteReader& r, MvpnRoute& route) { return read_route(r, true, route); });
}

// All fields belong to the key (RFC 6514 4).
void append_key(KeyBytes& key, const MvpnRoute& route) {
  put_key(key, static_cast<std::uint8_t>(route.type));
  put_key(key, route.raw);
}

void append_mvpn_columns(TextBuffer& out, const MvpnRoute& route) {
  out.number(static_cast<std::uint64_t>(route.type));
  out.append('\t');
  if (route.known && route.type != MvpnType::kLeaf) {
    append_rd_columns(out, route.rd);
  } else {
    out.append('\t');
  }
  out.append('\t');
  if (route.known && has_source_as(route.type)) out.number(route.source_as);
  out.append('\t');
  append_address(out, route.source);
  out.append('\t');
  append_address(out, route.group);
  out.append('\t');
  append_address(out, route.originator);
  out.append('\t');
  append_hex(out, route.route_key);
  out.append('\t');
  if (!route.known) append_hex(out, route.raw);
}

}  // namespace bmpha::recv
