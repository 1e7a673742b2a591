#include "bmp-recv/tunnel_text.h"

#include "bmp-recv/ext_community_text.h"
#include "bmp-recv/prefix_sid_text.h"
#include "bmp-recv/sr_policy_text.h"
#include "bmp-recv/tlv.h"
#include "bmp-recv/value_text.h"

namespace bmpha::recv {
namespace {

constexpr CodeName kPmsiTypes[] = {{0, "none"},
                                   {1, "rsvp-te"},
                                   {2, "mldp-p2mp"},
                                   {3, "pim-ssm"},
                                   {4, "pim-sm"},
                                   {5, "pim-bidir"},
                                   {6, "ingress-replication"},
                                   {7, "mldp-mp2mp"},
                                   {8, "transport"},
                                   {10, "assisted-replication"},
                                   {11, "bier"},
                                   {12, "sr-mpls-p2mp"},
                                   {13, "srv6-p2mp"}};
constexpr CodeName kTunnelTypes[] = {{1, "l2tpv3"},       {2, "gre"},          {7, "ip-in-ip"},     {8, "vxlan"},
                                     {9, "nvgre"},        {10, "mpls"},        {11, "mpls-in-gre"}, {12, "vxlan-gpe"},
                                     {13, "mpls-in-udp"}, {14, "ipv6-tunnel"}, {15, "sr-policy"},   {19, "geneve"}};
constexpr std::uint16_t kL2tpv3 = 1, kGre = 2, kVxlan = 8, kNvgre = 9, kMplsInGre = 11, kSrPolicy = 15;

bool is_ip_size(std::size_t n) { return n == 4 || n == 16; }

// Extended tunnel id, reserved, tunnel id, P2MP id; the first is an address.
bool append_rsvp_tunnel(TextBuffer& out, Bytes id) {
  if (id.size() < 8 || !is_ip_size(id.size() - 8)) return false;
  ByteReader r(id.last(8));
  std::uint16_t reserved = 0, tunnel = 0;
  std::uint32_t p2mp = 0;
  if (!r.u16(reserved) || !r.u16(tunnel) || !r.u32(p2mp)) return false;
  append_ip(out, id.first(id.size() - 8));
  append_field(out, ",tunnel=", tunnel);
  append_field(out, ",p2mp=", p2mp);
  return true;
}
// RFC 8556: sub-domain, BFR-id, BFR-prefix.
bool append_bier_tunnel(TextBuffer& out, Bytes id) {
  ByteReader r(id);
  std::uint8_t sub_domain = 0;
  std::uint16_t bfr_id = 0;
  if (!r.u8(sub_domain) || !r.u16(bfr_id) || !is_ip_size(r.remaining())) return false;
  append_ip(out, r.rest());
  append_field(out, ",sub-domain=", sub_domain);
  append_field(out, ",bfr-id=", bfr_id);
  return true;
}
// RFC 6514 5, RFC 8556, RFC 9574: by the type; what does not fit prints as hex.
void append_tunnel_identifier(TextBuffer& out, std::uint8_t type, Bytes id) {
  const bool two = type >= 3 && type <= 5 && id.size() % 2 == 0 && is_ip_size(id.size() / 2);
  if (two) {
    append_ip(out, id.first(id.size() / 2));
    out.append(',');
    append_ip(out, id.last(id.size() / 2));
  } else if (type == 6 || type == 10) {
    append_ip(out, id);
  } else if ((type != 1 || !append_rsvp_tunnel(out, id)) && (type != 11 || !append_bier_tunnel(out, id))) {
    append_hex(out, id);
  }
}

// RFC 9012 3.1: reserved, address family, address.
bool append_endpoint(TextBuffer& out, ByteReader r) {
  std::uint32_t reserved = 0;
  std::uint16_t afi = 0;
  if (!r.u32(reserved) || !r.u16(afi)) return false;
  const std::size_t want = afi == 1 ? 4 : afi == 2 ? 16 : 0;
  if (r.remaining() != want) return false;
  out.append("endpoint=");
  if (want != 0) append_ip(out, r.rest());  // else: the sender of the route itself
  return true;
}

bool append_number_of(TextBuffer& out, std::string_view name, Bytes value) {
  ByteReader r(value);
  std::uint16_t half = 0;
  std::uint8_t byte = 0;
  if (value.size() == 1 && r.u8(byte)) {
    append_field(out, name, byte);
    return true;
  }
  if (value.size() != 2 || !r.u16(half)) return false;
  append_field(out, name, half);
  return true;
}

// RFC 9012 3.2: what stands in the header of each kind of tunnel.
bool append_encapsulation(TextBuffer& out, std::uint16_t tunnel, Bytes value) {
  ByteReader r(value);
  std::uint8_t flags = 0;
  std::uint32_t number = 0;
  Bytes mac;
  if (tunnel == kVxlan || tunnel == kNvgre) {
    if (value.size() != 12 || !r.u8(flags) || !r.u24(number) || !r.bytes(6, mac)) return false;
    append_field(out, "encapsulation=flags:", flags);
    append_field(out, "/vni:", number);
    out.append("/mac:");
    append_mac(out, mac);
    return true;
  }
  if (tunnel == kGre || tunnel == kMplsInGre) {
    if (value.size() != 4 || !r.u32(number)) return false;
    append_field(out, "encapsulation=key:", number);
    return true;
  }
  if (tunnel != kL2tpv3 || !r.u32(number)) return false;
  append_field(out, "encapsulation=session:", number);
  if (r.empty()) return true;
  out.append("/cookie:");
  append_hex(out, r.rest());
  return true;
}

// RFC 9012 3.6: whole label stack entries.
bool append_label_stack(TextBuffer& out, Bytes value) {
  if (value.empty() || value.size() % 4 != 0) return false;
  ByteReader r(value);
  std::uint32_t entry = 0;
  for (bool first = true; r.u32(entry); first = false) append_field(out, first ? "label-stack=" : "/", entry >> 12);
  return true;
}

// RFC 9012 3.7: what stands in a Prefix-SID attribute.
bool append_prefix_sid_of(TextBuffer& out, Bytes value) {
  const std::size_t before = out.size();
  out.append("prefix-sid{");
  if (append_prefix_sid(out, value) != PrefixSidResult::kOk) {
    out.cut(before);
    return false;
  }
  out.append('}');
  return true;
}

// RFC 9012 3; false: unknown, or of a length that its definition does not allow: it prints as hex.
bool append_known_sub_tlv(TextBuffer& out, std::uint16_t tunnel, const Tlv& t) {
  switch (t.type) {
    case 1:
      return append_encapsulation(out, tunnel, t.value);
    case 2:
      return append_number_of(out, "protocol=", t.value);
    case 4:
      if (t.value.size() != 8) return false;
      append_ext_communities(out, t.value);
      return true;
    case 6:
      return append_endpoint(out, ByteReader(t.value));
    case 7:
      return append_number_of(out, "ds=", t.value);
    case 8:
      return append_number_of(out, "udp-port=", t.value);
    case 9:
      return append_number_of(out, "embedded-label=", t.value);
    case 10:
      return append_label_stack(out, t.value);
    case 11:
      return append_prefix_sid_of(out, t.value);
    default:
      return false;
  }
}

bool append_tunnel(TextBuffer& out, const Tlv& tunnel) {
  append_code(out, tunnel.type, kTunnelTypes);
  out.append('{');
  ByteReader r(tunnel.value);
  for (bool first = true; !r.empty(); first = false) {
    Tlv t;
    if (!read_tunnel_sub_tlv(r, t)) return false;
    if (!first) out.append(',');
    const bool known =
        (tunnel.type == kSrPolicy && append_sr_policy_sub_tlv(out, t)) || append_known_sub_tlv(out, tunnel.type, t);
    if (known) continue;
    append_field(out, {}, t.type);
    out.append('=');
    append_hex(out, t.value);
  }
  out.append('}');
  return true;
}

}  // namespace

bool append_pmsi_tunnel(TextBuffer& out, Bytes value) {
  ByteReader r(value);
  std::uint8_t flags = 0, type = 0;
  std::uint32_t label = 0;
  if (!r.u8(flags) || !r.u8(type) || !r.u24(label)) return false;
  append_code(out, type, kPmsiTypes);
  append_field(out, " flags=", flags);
  // The field is a label in its upper 20 bits, or a network identifier of 24: only the tunnel's encapsulation tells.
  append_field(out, " label=", label >> 4);
  append_field(out, " vni=", label);
  out.append(" id=");
  append_tunnel_identifier(out, type, r.rest());
  return true;
}

bool append_tunnel_encapsulation(TextBuffer& out, Bytes value) {
  if (value.empty()) return false;
  ByteReader r(value);
  for (bool first = true; !r.empty(); first = false) {
    Tlv tunnel;
    if (!read_tlv_16_16(r, tunnel)) return false;
    if (!first) out.append(' ');
    if (!append_tunnel(out, tunnel)) return false;
  }
  return true;
}

}  // namespace bmpha::recv
