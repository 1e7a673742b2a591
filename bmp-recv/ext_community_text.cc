#include "bmp-recv/ext_community_text.h"

#include <array>

#include "bmp-recv/value_text.h"

namespace bmpha::recv {
namespace {

// Types (IANA BGP Extended Communities); 0x40 says that it is not transitive.
constexpr std::uint8_t kAs2 = 0x00, kIpv4 = 0x01, kAs4 = 0x02, kOpaque = 0x03, kEvpn = 0x06, kAs2Local = 0x40,
                       kOpaqueLocal = 0x43, kRedirectNextHop = 0x08, kGeneric = 0x80, kGenericIpv4 = 0x81,
                       kGenericAs4 = 0x82;

// "name=global:local" of the AS- and address-specific types (RFC 4360 3, RFC 5668).
constexpr CodeName kSpecificNames[] = {
    {0x02, "rt="},  {0x03, "soo="},    {0x05, "ospf-did="}, {0x07, "ospf-rid="}, {0x08, "colc="},
    {0x09, "sas="}, {0x0a, "vpn-id="}, {0x0b, "import="},   {0x12, "p2mp-nh="},
};
constexpr CodeName kIpv6Names[] = {{0x02, "rt="},         {0x03, "soo="},
                                   {0x0b, "import="},     {0x0c, "flow-redir-ip="},
                                   {0x0d, "flow-redir="}, {0x12, "p2mp-nh="}};
constexpr std::uint8_t kVpnId = 0x0a;

std::string_view name_of(std::span<const CodeName> names, std::uint8_t subtype) {
  for (const CodeName& n : names)
    if (n.code == subtype) return n.name;
  return {};
}

struct Specific {
  Bytes address;  // empty: an AS number
  std::uint32_t asn = 0;
  std::uint32_t local = 0;
};
// Two, four or four bytes of administrator, the rest local (RFC 4360 3.1, 3.2, RFC 5668 2).
bool read_specific(std::uint8_t form, ByteReader r, Specific& out) {
  std::uint16_t half = 0;
  if (form == kAs2) {
    if (!r.u16(half) || !r.u32(out.local)) return false;
    out.asn = half;
    return true;
  }
  if (form == kIpv4 ? !r.bytes(4, out.address) : !r.u32(out.asn)) return false;
  if (!r.u16(half)) return false;
  out.local = half;
  return true;
}
void append_administrator(TextBuffer& out, const Specific& s) {
  if (s.address.empty()) {
    out.number(s.asn);
  } else {
    append_ip(out, s.address);
  }
  out.append(':');
}

// False: no text form is known; so also of the others here.
bool append_specific(TextBuffer& out, std::uint8_t type, std::uint8_t subtype, ByteReader r) {
  const std::string_view name = name_of(kSpecificNames, subtype);
  Specific s;
  if (name.empty() || !read_specific(type, r, s)) return false;
  out.append(name);
  append_administrator(out, s);
  if (subtype == kVpnId) {
    const std::array<std::uint8_t, 4> local{
        static_cast<std::uint8_t>(s.local >> 24), static_cast<std::uint8_t>(s.local >> 16),
        static_cast<std::uint8_t>(s.local >> 8), static_cast<std::uint8_t>(s.local)};
    append_hex(out, local);
  } else {
    out.number(s.local);
  }
  return true;
}

bool append_cost(TextBuffer& out, ByteReader r) {  // draft-ietf-idr-custom-decision
  static constexpr CodeName kPoints[] = {{128, "abs"}, {129, "igp"}, {130, "ext"}, {131, "bgp_id"}};
  std::uint8_t point = 0, id = 0;
  std::uint32_t cost = 0;
  if (!r.u8(point) || !r.u8(id) || !r.u32(cost) || point < 128 || point > 131) return false;
  out.append("cost=");
  append_code(out, point, kPoints);
  append_field(out, ":", id);
  append_field(out, ":", cost);
  return true;
}

bool append_ospf_route_type(TextBuffer& out, ByteReader r) {  // RFC 4577 4.2.6
  std::uint32_t area = 0;
  std::uint8_t type = 0, options = 0;
  if (!r.u32(area) || !r.u8(type) || !r.u8(options)) return false;
  append_field(out, "ospf-rt=area-", area);
  out.append(type == 5 ? ":E:" : type == 7 ? ":N:" : type == 3 ? ":IA:" : ":O:");
  out.number(options);
  return true;
}

bool append_color(TextBuffer& out, ByteReader r) {  // RFC 9012 4.3, RFC 9830 3
  std::uint16_t flags = 0;
  std::uint32_t color = 0;
  if (!r.u16(flags) || !r.u32(color)) return false;
  append_field(out, "color=", color);
  if ((flags & 0xc000) != 0) append_field(out, ":co=", flags >> 14);
  return true;
}

bool append_opaque(TextBuffer& out, std::uint8_t subtype, ByteReader r) {
  std::uint32_t word = 0;
  std::uint16_t half = 0;
  switch (subtype) {
    case 0x01:
      return append_cost(out, r);
    case 0x03:
      out.append("cp-orf");
      return true;
    case 0x06:
      return append_ospf_route_type(out, r);
    case 0x0b:
      return append_color(out, r);
    case 0x0c:  // encapsulation, RFC 9012 4.1
      if (!r.u32(word) || !r.u16(half)) return false;
      append_field(out, "encap=", half);
      return true;
    case 0x0d:
      out.append("default-gw");
      return true;
    default:
      return false;
  }
}

// Origin validation state (RFC 8097 2) and cost are what is sent of this type.
bool append_opaque_local(TextBuffer& out, std::uint8_t subtype, ByteReader r) {
  static constexpr CodeName kStates[] = {{0, "valid"}, {1, "not-found"}, {2, "invalid"}};
  std::uint32_t word = 0;
  std::uint8_t byte = 0, state = 0;
  if (subtype == 0x01) return append_cost(out, r);
  if (subtype != 0x00 || !r.u32(word) || !r.u8(byte) || !r.u8(state)) return false;
  out.append("validation=");
  append_code(out, state, kStates);
  return true;
}

// "name=AS:amount"; bytes or packets a second (RFC 8955 7.1, 7.2; draft-ietf-idr-link-bandwidth).
bool append_rate(TextBuffer& out, std::string_view name, ByteReader r) {
  std::uint16_t asn = 0;
  std::uint32_t bits = 0;
  if (!r.u16(asn) || !r.u32(bits)) return false;
  const std::optional<std::uint64_t> amount = amount_of(bits);
  if (!amount.has_value()) return false;
  append_field(out, name, asn);
  append_field(out, ":", *amount);
  return true;
}

bool append_mac_mobility(TextBuffer& out, ByteReader r) {  // RFC 7432 7.7
  std::uint8_t flags = 0, reserved = 0;
  std::uint32_t number = 0;
  if (!r.u8(flags) || !r.u8(reserved) || !r.u32(number)) return false;
  append_field(out, "mac_mob_flags=", flags);
  append_field(out, " mac_mob_seq_num=", number);
  return true;
}

// One byte of flags, two reserved, a label (RFC 7432 7.5, RFC 8317 5.1).
bool append_flags_and_label(TextBuffer& out, std::string_view flags_name, std::string_view label_name, ByteReader r) {
  std::uint8_t flags = 0;
  std::uint16_t reserved = 0;
  std::uint32_t label = 0;
  if (!r.u8(flags) || !r.u16(reserved) || !r.u24(label)) return false;
  append_field(out, flags_name, flags);
  append_field(out, label_name, label);
  return true;
}

bool append_layer2(TextBuffer& out, ByteReader r) {  // RFC 8214 3.1
  std::uint16_t flags = 0, mtu = 0;
  if (!r.u16(flags) || !r.u16(mtu)) return false;
  append_field(out, "l2_attr_flags=", flags);
  append_field(out, " l2_attr_mtu=", mtu);
  return true;
}

bool append_df_election(TextBuffer& out, ByteReader r) {  // RFC 8584 2.2, RFC 9785
  std::uint8_t algorithm = 0, reserved = 0;
  std::uint16_t capabilities = 0, preference = 0;
  if (!r.u8(algorithm) || !r.u16(capabilities) || !r.u8(reserved) || !r.u16(preference)) return false;
  append_field(out, "df_alg=", algorithm & 0x1f);
  append_field(out, " df_capabilities=", capabilities);
  append_field(out, " df_preference=", preference);
  return true;
}

// "name=global:local"
bool append_named(TextBuffer& out, std::string_view name, std::uint8_t form, ByteReader r) {
  Specific s;
  if (!read_specific(form, r, s)) return false;
  out.append(name);
  append_administrator(out, s);
  out.number(s.local);
  return true;
}

bool append_evpn(TextBuffer& out, std::uint8_t subtype, ByteReader r) {
  std::uint8_t flags = 0;
  std::uint16_t half = 0;
  switch (subtype) {
    case 0x00:
      return append_mac_mobility(out, r);
    case 0x01:
      return append_flags_and_label(out, "esi_label_flags=", " esi_label=", r);
    case 0x02:  // RFC 7432 7.6
      out.append("es_import=");
      append_mac(out, r.rest());
      return true;
    case 0x03:  // RFC 9135 8.1
      out.append("router_mac=");
      append_mac(out, r.rest());
      return true;
    case 0x04:
      return append_layer2(out, r);
    case 0x05:
      return append_flags_and_label(out, "etree_flags=", " etree_label=", r);
    case 0x06:
      return append_df_election(out, r);
    case 0x08:  // RFC 9047 2
      if (!r.u8(flags)) return false;
      append_field(out, "arp_nd_flags=", flags);
      return true;
    case 0x09:  // RFC 9251 9.4
      if (!r.u16(half)) return false;
      append_field(out, "mcast_flags=", half);
      return true;
    case 0x0a:  // RFC 9251 9.5; the fourth, of IPv6, is a community of 20 bytes
    case 0x0b:
    case 0x0c:
      return append_named(out, "evi-rt=", static_cast<std::uint8_t>(subtype - 0x0a), r);
    default:
      return false;
  }
}

bool append_layer2_info(TextBuffer& out, ByteReader r) {  // RFC 4761 3.2.4
  std::uint8_t encapsulation = 0, flags = 0;
  std::uint16_t mtu = 0, preference = 0;
  if (!r.u8(encapsulation) || !r.u8(flags) || !r.u16(mtu) || !r.u16(preference)) return false;
  append_field(out, "l2info=", encapsulation);
  append_field(out, ":", flags);
  append_field(out, ":", mtu);
  append_field(out, ":", preference);
  return true;
}

// RFC 8955 7.4
bool append_redirect(TextBuffer& out, std::uint8_t form, ByteReader r) {
  return append_named(out, "flow-redir=", form, r);
}
// To the next hop of the route; the lowest bit asks for a copy (draft-simpson-idr-flowspec-redirect, FRR).
bool append_redirect_next_hop(TextBuffer& out, ByteReader r) {
  std::uint32_t word = 0;
  std::uint16_t half = 0;
  if (!r.u32(word) || !r.u16(half)) return false;
  append_field(out, "flow-redir-nh=", half & 1U);
  return true;
}

bool append_generic(TextBuffer& out, std::uint8_t subtype, ByteReader r) {
  std::uint16_t half = 0;
  std::uint32_t word = 0;
  switch (subtype) {
    case 0x06:
      return append_rate(out, "flow-rate=", r);
    case 0x0c:
      return append_rate(out, "flow-rate-packets=", r);
    case 0x07:
      if (!r.u16(half) || !r.u32(word)) return false;
      out.append("flow-act=");
      out.append((word & 2) != 0 ? "S" : "");
      out.append((word & 1) != 0 ? "T" : "");
      return true;
    case 0x08:
      return append_redirect(out, kAs2, r);
    case 0x09:
      if (!r.u16(half) || !r.u32(word)) return false;
      append_field(out, "flow-remark=", word & 0x3f);
      return true;
    case 0x0a:
      return append_layer2_info(out, r);
    default:
      return false;
  }
}

bool append_known(TextBuffer& out, std::uint8_t type, std::uint8_t subtype, ByteReader r) {
  switch (type) {
    case kAs2:
    case kIpv4:
    case kAs4:
      // Link bandwidth is sent as transitive too, though not defined so.
      if (type == kAs2 && subtype == 0x04) return append_rate(out, "link-bw=", r);
      // draft-ietf-idr-flowspec-redirect-ip: an address, and whether a copy is asked for.
      if (type == kIpv4 && subtype == 0x0c) return append_named(out, "flow-redir-ip=", kIpv4, r);
      return append_specific(out, type, subtype, r);
    case kAs2Local:
      return subtype == 0x04 && append_rate(out, "link-bw=", r);
    case kOpaque:
      return append_opaque(out, subtype, r);
    case kOpaqueLocal:
      return append_opaque_local(out, subtype, r);
    case kEvpn:
      return append_evpn(out, subtype, r);
    case kRedirectNextHop:
      return subtype == 0x00 && append_redirect_next_hop(out, r);
    case kGeneric:
      return append_generic(out, subtype, r);
    case kGenericIpv4:
      return subtype == 0x08 && append_redirect(out, kIpv4, r);
    case kGenericAs4:
      return subtype == 0x08 && append_redirect(out, kAs4, r);
    default:
      return false;
  }
}

bool append_ipv6_known(TextBuffer& out, Bytes twenty) {
  ByteReader r(twenty);
  std::uint8_t type = 0, subtype = 0;
  std::uint16_t local = 0;
  Bytes address;
  if (!r.u8(type) || !r.u8(subtype) || !r.bytes(16, address) || !r.u16(local)) return false;
  const std::string_view name = name_of(kIpv6Names, subtype);
  if (type != 0 || name.empty()) return false;
  out.append(name);
  out.append('[');
  append_ip(out, address);
  append_field(out, "]:", local);
  return true;
}

}  // namespace

void append_ext_communities(TextBuffer& out, Bytes value) {
  const std::size_t begin = out.size();
  ByteReader list(value);
  Bytes one;
  while (list.bytes(8, one)) {
    if (out.size() != begin) out.append(' ');
    ByteReader r(one);
    std::uint8_t type = 0, subtype = 0;
    if (!r.u8(type) || !r.u8(subtype) || !append_known(out, type, subtype, r)) append_hex(out, one);
  }
}

void append_ipv6_ext_communities(TextBuffer& out, Bytes value) {
  const std::size_t begin = out.size();
  ByteReader list(value);
  Bytes one;
  while (list.bytes(20, one)) {
    if (out.size() != begin) out.append(' ');
    if (!append_ipv6_known(out, one)) append_hex(out, one);
  }
}

}  // namespace bmpha::recv
