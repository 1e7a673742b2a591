#include "bmp-recv/attribute_text.h"

#include <algorithm>
#include <array>

namespace bmpha::recv {
namespace {

void append_quad(TextBuffer& out, Bytes four) { out.commit(put_ipv4(out.room(kMaxIpText), four.data())); }

const char* afi_name(std::uint16_t afi) {
  switch (afi) {
    case 1:
      return "IPv4";
    case 2:
      return "IPv6";
    case 16388:
      return "BGP-LS";
    default:
      return "unknown";
  }
}
const char* safi_name(std::uint8_t safi) {
  switch (safi) {
    case 1:
      return "Unicast";
    case 2:
      return "Multicast";
    case 4:
      return "Labeled Unicast";
    case 5:
      return "MCAST VPN";
    case 65:
      return "VPLS";
    case 66:
      return "BGP MDT";
    case 67:
      return "BGP 4over6";
    case 68:
      return "BGP 6over4";
    case 70:
      return "BGP EVPNs";
    case 71:
      return "BGP-LS";
    case 128:
      return "MPLS-Labeled VPN";
    case 129:
      return "Multicast BGP/MPLS VPN";
    case 132:
      return "RT constrains";
    default:
      return "unknown";
  }
}

void append_family(TextBuffer& out, std::uint16_t afi, std::uint8_t safi) {
  out.append(" : afi=");
  out.number(afi);
  out.append(" safi=");
  out.number(safi);
}
void append_family_names(TextBuffer& out, std::uint16_t afi, std::uint8_t safi) {
  out.append(" : ");
  out.append(safi_name(safi));
  out.append(' ');
  out.append(afi_name(afi));
}

void append_add_path(TextBuffer& out, ByteReader r) {
  AddPath a;
  bool first = true;
  while (r.u16(a.family.afi) && r.u8(a.family.safi) && r.u8(a.mode)) {
    if (!first) out.append(", ");
    first = false;
    out.append("ADD Path (69)");
    append_family(out, a.family.afi, a.family.safi);
    out.append(" send/receive=");
    out.number(a.mode);
    append_family_names(out, a.family.afi, a.family.safi);
    out.append(a.mode == 1 ? " Receive" : a.mode == 2 ? " Send" : a.mode == 3 ? " Send/Receive" : " unknown");
  }
  if (first) out.append("ADD Path (69)");  // for no family
}

void append_capability(TextBuffer& out, const RawCapability& c) {
  ByteReader r(c.value);
  Family f;
  std::uint8_t reserved = 0;
  switch (static_cast<Capability>(c.code)) {
    case Capability::kMultiprotocol:
      out.append("MPBGP (1)");
      if (!r.u16(f.afi) || !r.u8(reserved) || !r.u8(f.safi)) return;
      append_family(out, f.afi, f.safi);
      append_family_names(out, f.afi, f.safi);
      return;
    case Capability::kRouteRefresh:
      out.append("Route Refresh (2)");
      return;
    case Capability::kOutboundFilter:
      out.append("Outbound Filter (3)");
      return;
    case Capability::kGracefulRestart:
      out.append("Graceful Restart (64)");
      return;
    case Capability::kAs4:
      out.append("4 Octet ASN (65)");
      return;
    case Capability::kMultipleLabels:
      break;
    case Capability::kMultiSession:
      out.append("Multi-session (68)");
      return;
    case Capability::kAddPath:
      append_add_path(out, r);
      return;
    case Capability::kEnhancedRouteRefresh:
      out.append("Route Refresh Enhanced (70)");
      return;
    case Capability::kRouteRefreshOld:
      out.append("Route Refresh Old (128)");
      return;
  }
  out.number(c.code);
}

const char* notification_name(std::uint8_t code) {  // RFC 4271 4.5, RFC 7313 5
  switch (code) {
    case 1:
      return "message header error";
    case 2:
      return "OPEN message error";
    case 3:
      return "UPDATE message error";
    case 4:
      return "hold timer expired";
    case 5:
      return "finite state machine error";
    case 6:
      return "cease";
    case 7:
      return "ROUTE-REFRESH message error";
    default:
      return "unknown error";
  }
}
const char* cease_name(std::uint8_t subcode) {  // RFC 4486 3, RFC 8538 3, RFC 9384
  static constexpr const char* kNames[] = {"",
                                           "maximum number of prefixes reached",
                                           "administrative shutdown",
                                           "peer de-configured",
                                           "administrative reset",
                                           "connection rejected",
                                           "other configuration change",
                                           "connection collision resolution",
                                           "out of resources",
                                           "hard reset",
                                           "BFD down"};
  return subcode < std::size(kNames) ? kNames[subcode] : "";
}

}  // namespace

const char* origin_text(std::uint8_t origin) {
  static constexpr const char* kNames[] = {"igp", "egp", "incomplete"};
  return origin < 3 ? kNames[origin] : "";
}

void append_address(TextBuffer& out, const Address& a) {
  if (a.size == 4) out.commit(put_ipv4(out.room(kMaxIpText), a.bytes.data()));
  if (a.size == 16) out.commit(put_ipv6(out.room(kMaxIpText), a.bytes.data()));
}

void append_as_path(TextBuffer& out, const AsPath& path) {
  // 11 bytes for each AS number, 4 for the braces of each segment.
  char* p = out.room(path.asns.size() * 11 + path.segments.size() * 4);
  const std::uint32_t* asn = path.asns.data();
  for (const AsPath::Segment& s : path.segments) {
    const bool set = s.type == SegmentType::kSet;
    if (set) p = put_text(p, " {");
    for (unsigned n = 0; n < s.count; ++n) {
      *p++ = ' ';
      p = put_number(p, *asn++);
    }
    if (set) p = put_text(p, " }");
  }
  out.commit(p);
}

void append_communities(TextBuffer& out, Bytes value) {
  char* p = out.room(value.size() / 4 * 12);
  const char* begin = p;
  ByteReader r(value);
  std::uint16_t asn = 0, local = 0;
  while (r.u16(asn) && r.u16(local)) {
    if (p != begin) *p++ = ' ';
    p = put_number(p, asn);
    *p++ = ':';
    p = put_number(p, local);
  }
  out.commit(p);
}

void append_large_communities(TextBuffer& out, Bytes value) {
  char* p = out.room(value.size() / 12 * 33);
  const char* begin = p;
  ByteReader r(value);
  std::uint32_t global = 0, one = 0, two = 0;
  while (r.u32(global) && r.u32(one) && r.u32(two)) {
    if (p != begin) *p++ = ' ';
    p = put_number(p, global);
    *p++ = ':';
    p = put_number(p, one);
    *p++ = ':';
    p = put_number(p, two);
  }
  out.commit(p);
}

void append_cluster_list(TextBuffer& out, Bytes value) {
  ByteReader r(value);
  Bytes id;
  while (r.bytes(4, id)) {
    append_quad(out, id);
    out.append(' ');
  }
}

void append_capabilities(TextBuffer& out, const Open& open, std::size_t limit) {
  TextBuffer item;
  const std::size_t begin = out.size();
  for (const RawCapability& c : open.capabilities) {
    item.clear();
    append_capability(item, c);
    if (out.size() - begin + item.size() + 2 > limit) return;
    if (out.size() != begin) out.append(", ");
    out.append(item.view());
  }
}

void append_rd(TextBuffer& out, const RouteDistinguisher& rd) {
  ByteReader r(rd);
  std::uint16_t type = 0, half = 0;
  std::uint32_t word = 0;
  Bytes address;
  if (!r.u16(type)) return;
  if (type == 1 && r.bytes(4, address) && r.u16(half)) {
    append_quad(out, address);
    out.append(':');
    out.number(half);
  } else if (type == 2 && r.u32(word) && r.u16(half)) {
    out.number(word);
    out.append(':');
    out.number(half);
  } else if (r.u16(half) && r.u32(word)) {
    out.number(half);
    out.append(':');
    out.number(word);
  }
}

void append_rd_columns(TextBuffer& out, const RouteDistinguisher& rd) {
  append_rd(out, rd);
  out.append('\t');
  out.number(std::uint64_t{rd[0]} << 8 | rd[1]);
}

void append_notification(TextBuffer& out, std::uint8_t code, std::uint8_t subcode, Bytes data) {
  out.append(notification_name(code));
  const char* detail = code == 6 ? cease_name(subcode) : "";
  if (*detail != '\0') {
    out.append(": ");
    out.append(detail);
  }
  ByteReader r(data);
  std::string_view message;
  if (code == 6 && (subcode == 2 || subcode == 4) && r.text8(message) && !message.empty()) {
    out.append(": ");
    append_clean(out, message, 128);
  }
}

}  // namespace bmpha::recv
