#include "bmp-recv/nlri_evpn.h"

namespace bmpha::recv {
namespace {

// Which fields a type has, for its columns.
enum Field : unsigned {
  kRd = 1,
  kEsi = 2,
  kTag = 4,
  kMac = 8,
  kOriginator = 16,
  kPrefix = 32,
  kMulticast = 64,  // source and group
  kFlags = 128,
  kTimer = 256,
  kRegion = 512,
};
constexpr unsigned kFieldsOf[] = {
    0,
    kRd | kEsi | kTag,
    kRd | kEsi | kTag | kMac,
    kRd | kTag | kOriginator,
    kRd | kEsi | kOriginator,
    kRd | kEsi | kTag | kPrefix,
    kRd | kTag | kMulticast | kOriginator | kFlags,
    kRd | kEsi | kTag | kMulticast | kOriginator | kFlags,
    kRd | kEsi | kTag | kMulticast | kOriginator | kFlags | kTimer,
    kRd | kTag | kRegion,
    kRd | kTag | kMulticast | kOriginator,
    kOriginator,
};
unsigned fields_of(const EvpnRoute& route) {
  const auto type = static_cast<std::size_t>(route.type);
  return route.known && type < std::size(kFieldsOf) ? kFieldsOf[type] : 0;
}

bool read_rd_esi_tag(ByteReader& r, EvpnRoute& out) {
  return r.copy(out.rd.data(), out.rd.size()) && r.copy(out.esi.data(), out.esi.size()) && r.u32(out.tag);
}
bool read_rd_tag(ByteReader& r, EvpnRoute& out) { return r.copy(out.rd.data(), out.rd.size()) && r.u32(out.tag); }

bool read_label(ByteReader& r, EvpnRoute& out) { return r.u24(out.labels[out.label_count]) && ++out.label_count != 0; }

// The length of an address that must be there.
bool read_originator(ByteReader& r, EvpnRoute& out) {
  return read_bits_address(r, out.originator) && out.originator.size != 0;
}
bool read_multicast(ByteReader& r, EvpnRoute& out) {
  return read_bits_address(r, out.source) && read_bits_address(r, out.group);
}

bool read_mac_ip(ByteReader& r, EvpnRoute& out) {
  std::uint8_t mac_bits = 0;
  if (!read_rd_esi_tag(r, out) || !r.u8(mac_bits) || mac_bits != 48 || !r.copy(out.mac.data(), out.mac.size()))
    return false;
  if (!read_bits_address(r, out.ip) || !read_label(r, out)) return false;
  return r.empty() || read_label(r, out);
}

// RFC 9136 3.1: prefix and gateway are both of IPv4 or both of IPv6, which the length of the route tells.
bool read_ip_prefix(ByteReader& r, EvpnRoute& out) {
  if (!read_rd_esi_tag(r, out) || !r.u8(out.prefix_length)) return false;
  const std::size_t size = r.remaining() == 2 * 16 + 3 ? 16 : 4;
  if (out.prefix_length > size * 8) return false;
  out.prefix.size = out.gateway.size = static_cast<std::uint8_t>(size);
  if (!r.copy(out.prefix.bytes.data(), size) || !r.copy(out.gateway.bytes.data(), size)) return false;
  for (std::size_t bit = out.prefix_length; bit < size * 8; ++bit)
    out.prefix.bytes[bit / 8] = static_cast<std::uint8_t>(out.prefix.bytes[bit / 8] & (0xff00 >> bit % 8));
  return read_label(r, out);
}

// RFC 9572 3.3: the key is a whole route again, and its length is not said apart. Where it has no type and length of
// its own, the address at the end tells how long it is.
bool read_leaf(ByteReader& r, EvpnRoute& out) {
  const Bytes all = r.rest();
  ByteReader whole = r;
  std::uint8_t type = 0, size = 0;
  if (whole.u8(type) && whole.u8(size) && whole.bytes(std::size_t{size}, out.route_key) &&
      read_originator(whole, out) && whole.empty()) {
    out.route_key = all.first(std::size_t{size} + 2);
    r = whole;
    return true;
  }
  for (const std::size_t address : {4U, 16U}) {
    if (all.size() < address + 1) return false;
    ByteReader tail(all);
    out.originator = {};
    if (tail.bytes(all.size() - address - 1, out.route_key) && read_originator(tail, out) && tail.empty())
      return r.skip(all.size());
  }
  return false;
}

bool read_value(ByteReader& r, EvpnRoute& out) {
  std::uint32_t reserved = 0;
  switch (out.type) {
    case EvpnType::kEthernetAd:
      return read_rd_esi_tag(r, out) && read_label(r, out);
    case EvpnType::kMacIp:
      return read_mac_ip(r, out);
    case EvpnType::kInclusiveMulticast:
      return read_rd_tag(r, out) && read_originator(r, out);
    case EvpnType::kEthernetSegment:
      return r.copy(out.rd.data(), out.rd.size()) && r.copy(out.esi.data(), out.esi.size()) && read_originator(r, out);
    case EvpnType::kIpPrefix:
      return read_ip_prefix(r, out);
    case EvpnType::kSelectiveMulticast:
      return read_rd_tag(r, out) && read_multicast(r, out) && read_originator(r, out) && r.u8(out.flags);
    case EvpnType::kMembershipSynch:
      return read_rd_esi_tag(r, out) && read_multicast(r, out) && read_originator(r, out) && r.u8(out.flags);
    case EvpnType::kLeaveSynch:
      return read_rd_esi_tag(r, out) && read_multicast(r, out) && read_originator(r, out) && r.u32(reserved) &&
             r.u8(out.max_response_time) && r.u8(out.flags);
    case EvpnType::kPerRegionIPmsi:
      return read_rd_tag(r, out) && r.copy(out.region.data(), out.region.size());
    case EvpnType::kSPmsi:
      return read_rd_tag(r, out) && read_multicast(r, out) && read_originator(r, out);
    case EvpnType::kLeaf:
      return read_leaf(r, out);
  }
  return false;
}

Fit read_route(ByteReader& r, EvpnRoute& out) {
  std::uint8_t type = 0, size = 0;
  if (!r.u8(type) || !r.u8(size) || !r.bytes(size, out.raw)) return Fit::kNo;
  if (type == 0) return Fit::kNo;  // reserved; and what most misread fields begin with
  out.type = static_cast<EvpnType>(type);
  out.known = type < std::size(kFieldsOf);
  if (!out.known) return Fit::kPoor;
  ByteReader value(out.raw);
  return read_value(value, out) && value.empty() ? Fit::kGood : Fit::kNo;
}

void append_mac(TextBuffer& out, Bytes six) {
  for (std::size_t n = 0; n < 6; ++n) {
    if (n != 0) out.append(':');
    out.commit(put_hex(out.room(2), six.subspan(n, 1)));
  }
}
void append_label(TextBuffer& out, const EvpnRoute& route, std::size_t n) {
  if (n < route.label_count) out.number(route.labels[n]);
}

}  // namespace

NlriResult parse_evpn(Bytes field, PathIds expected, std::vector<EvpnRoute>& out) {
  return parse_routes(field, expected, out, read_route);
}

void append_key(KeyBytes& key, const EvpnRoute& route) {
  put_key(key, static_cast<std::uint8_t>(route.type));
  if (!route.known) return put_key(key, route.raw);
  put_key(key, route.rd);
  put_key32(key, route.tag);
  if (route.type != EvpnType::kMacIp && route.type != EvpnType::kIpPrefix) put_key(key, route.esi);
  put_key(key, route.mac);
  put_key(key, route.ip);
  put_key(key, route.originator);
  put_key(key, route.prefix);
  put_key(key, route.prefix_length);
  put_key(key, route.source);
  put_key(key, route.group);
  put_key(key, route.region);
  put_key(key, route.route_key);
}

void append_esi(TextBuffer& out, const EthernetSegmentId& esi) {
  ByteReader r(esi);
  std::uint8_t type = 0;
  std::uint16_t half = 0;
  std::uint32_t word = 0, number = 0;
  Bytes mac;
  if (!r.u8(type)) return;
  out.number(type);
  out.append(' ');
  const Bytes value = r.rest();
  switch (type) {  // RFC 7432 5
    case 1:        // MAC address and port key of LACP
    case 2:        // MAC address and priority of the root bridge
      if (!r.bytes(6, mac) || !r.u16(half)) return;
      append_mac(out, mac);
      number = half;
      break;
    case 3:  // MAC address and local discriminator
      if (!r.bytes(6, mac) || !r.u24(number)) return;
      append_mac(out, mac);
      break;
    case 4:  // router id, AS number; and a local discriminator
    case 5:
      if (!r.u32(word) || !r.u32(number)) return;
      out.number(word);
      break;
    default:
      return append_hex(out, value);
  }
  out.append(' ');
  out.number(number);
}

void append_evpn_columns(TextBuffer& out, const EvpnRoute& route) {
  const unsigned has = fields_of(route);
  if ((has & kRd) != 0) {
    append_rd_columns(out, route.rd);
  } else {
    out.append('\t');
  }
  out.append('\t');
  if ((has & kOriginator) != 0) out.number(route.originator.size * 8ULL);
  out.append('\t');
  append_address(out, route.originator);
  out.append('\t');
  if ((has & kTag) != 0) {
    std::array<std::uint8_t, 4> tag{};
    for (unsigned n = 0; n < 4; ++n) tag[n] = static_cast<std::uint8_t>(route.tag >> (24 - 8 * n));
    append_hex(out, tag);
  }
  out.append('\t');
  if ((has & kEsi) != 0) append_esi(out, route.esi);
  out.append((has & kMac) != 0 ? "\t48\t" : "\t\t");
  if ((has & kMac) != 0) append_mac(out, route.mac);
  out.append('\t');
  if ((has & kMac) != 0) out.number(route.ip.size * 8ULL);
  out.append('\t');
  append_address(out, route.ip);
  out.append('\t');
  append_label(out, route, 0);
  out.append('\t');
  append_label(out, route, 1);
}

void append_evpn_extra_columns(TextBuffer& out, const EvpnRoute& route) {
  const unsigned has = fields_of(route);
  out.number(static_cast<std::uint64_t>(route.type));
  out.append('\t');
  append_address(out, route.prefix);
  out.append('\t');
  if ((has & kPrefix) != 0) out.number(route.prefix_length);
  out.append('\t');
  append_address(out, route.gateway);
  out.append('\t');
  append_address(out, route.source);
  out.append('\t');
  append_address(out, route.group);
  out.append('\t');
  if ((has & kFlags) != 0) out.number(route.flags);
  out.append('\t');
  if ((has & kTimer) != 0) out.number(route.max_response_time);
  out.append('\t');
  if ((has & kRegion) != 0) append_hex(out, route.region);
  out.append('\t');
  append_hex(out, route.route_key);
  out.append('\t');
  if (!route.known) append_hex(out, route.raw);
}

}  // namespace bmpha::recv
