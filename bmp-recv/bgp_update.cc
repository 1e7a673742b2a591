#include "bmp-recv/bgp_update.h"

#include <algorithm>

namespace bmpha::recv {
namespace {

constexpr std::uint8_t kUpdate = 2;
constexpr std::size_t kBgpHeaderSize = 19;

bool is_unicast(const Family& f) { return f == kIpv4Unicast || f == kIpv6Unicast; }

bool read_nlri(Bytes field, bool v6, const UpdateContext& context, std::vector<Prefix>& list, Update& out) {
  const NlriResult result = parse_nlri(field, v6, v6 ? context.ids_v6 : context.ids_v4, out.large_ids, list);
  if (result == NlriResult::kOkOtherForm) out.other_path_ids = true;
  return result != NlriResult::kBad;
}

// RFC 4760 3, RFC 2545 3, RFC 8950 4, RFC 4364 4.3.4, RFC 4659 3.2.1: a global address, perhaps behind a route
// distinguisher, perhaps followed by a link-local one in the same form. Distinguishers are of no use here, and the
// link-local address only where routers that have no other leave the global one zero. False: no such length.
bool read_next_hop(Bytes field, Address& out) {
  constexpr std::size_t kRd = 8;
  const std::size_t n = field.size();
  const bool has_rd = n == 4 + kRd || n == 16 + kRd || n == 2 * (16 + kRd);
  if (!has_rd && n != 4 && n != 16 && n != 32) return false;
  out.size = n == 4 || n == 4 + kRd ? 4 : 16;
  field = field.subspan(has_rd ? kRd : 0);
  const bool has_second = field.size() > 16;
  if (has_second && std::all_of(field.begin(), field.begin() + 16, [](std::uint8_t b) { return b == 0; }))
    field = field.last(16);
  std::copy_n(field.begin(), out.size, out.bytes.begin());
  return true;
}

// A family may have no use for a next hop (RFC 8955 4), so an unknown form of it costs nothing but the next hop.
void take_reach(const Family& family, Bytes next_hop, Bytes nlri, Update& out) {
  FamilyRoutes& routes = out.reach.emplace();
  routes.family = family;
  routes.nlri = nlri;
  if (!next_hop.empty() && !read_next_hop(next_hop, routes.next_hop)) out.faults.discard(Fault::kNextHop);
}

Fault parse_mp_reach(const UpdateContext& context, Update& out) {
  ByteReader r(out.attributes.mp_reach);
  Family family;
  std::uint8_t next_hop_size = 0, reserved = 0;
  Bytes next_hop;
  if (!r.u16(family.afi) || !r.u8(family.safi) || !r.u8(next_hop_size) || !r.bytes(next_hop_size, next_hop) ||
      !r.u8(reserved))
    return Fault::kMpReach;
  if (!is_unicast(family)) {
    take_reach(family, next_hop, r.rest(), out);
    return Fault::kNone;
  }
  const bool v6 = family == kIpv6Unicast;
  if (!read_nlri(r.rest(), v6, context, out.announced, out)) return Fault::kMpReach;
  if ((!read_next_hop(next_hop, out.mp_next_hop) || (v6 && out.mp_next_hop.size == 4)) &&
      out.faults.withdraw == Fault::kNone)
    out.faults.withdraw = Fault::kNextHop;
  return Fault::kNone;
}

Fault parse_mp_unreach(const UpdateContext& context, bool nothing_else, Update& out) {
  ByteReader r(out.attributes.mp_unreach);
  Family family;
  if (!r.u16(family.afi) || !r.u8(family.safi)) return Fault::kMpUnreach;
  if (r.empty() && nothing_else) {  // RFC 4724 2
    out.end_of_rib = family;
    return Fault::kNone;
  }
  if (!is_unicast(family)) {
    FamilyRoutes& routes = out.unreach.emplace();
    routes.family = family;
    routes.nlri = r.rest();
    return Fault::kNone;
  }
  return read_nlri(r.rest(), family == kIpv6Unicast, context, out.withdrawn, out) ? Fault::kNone : Fault::kMpUnreach;
}

struct Fields {
  Bytes withdrawn, attributes, nlri;
};
Fault split(Bytes message, Fields& out) {
  ByteReader r(message);
  std::uint64_t marker = 0, marker_end = 0;
  std::uint16_t length = 0;
  std::uint8_t type = 0;
  if (!r.u64(marker) || !r.u64(marker_end) || !r.u16(length) || length < kBgpHeaderSize || length > message.size() ||
      !r.u8(type) || (marker & marker_end) != ~std::uint64_t{0})
    return Fault::kBgpHeader;
  if (type != kUpdate) return Fault::kNotUpdate;
  ByteReader body;
  std::uint16_t withdrawn = 0, attributes = 0;
  if (!r.sub(length - kBgpHeaderSize, body) || !body.u16(withdrawn) || !body.bytes(withdrawn, out.withdrawn) ||
      !body.u16(attributes) || !body.bytes(attributes, out.attributes))
    return Fault::kUpdateLength;
  out.nlri = body.rest();
  return Fault::kNone;
}

// RFC 4271 4.3, 5: the routes of such a message are the router's own state, so they are kept.
void note_missing(Update& out) {
  if ((!out.announced.empty() || out.reach.has_value()) &&
      (!out.attributes.has(AttributeType::kOrigin) || !out.attributes.has(AttributeType::kAsPath)))
    out.faults.discard(Fault::kMissingAttribute);
}

}  // namespace

void treat_as_withdraw(Update& out) {
  out.withdrawn.insert(out.withdrawn.end(), out.announced.begin(), out.announced.end());
  out.announced.clear();
  out.classic_count = 0;
}

void Update::clear() {
  withdrawn.clear();
  announced.clear();
  classic_count = 0;
  mp_next_hop.size = 0;
  attributes.clear();
  faults = {};
  end_of_rib.reset();
  reach.reset();
  unreach.reset();
  reach_fault = unreach_fault = Fault::kNone;
  other_path_ids = large_ids = false;
}

Fault parse_update(Bytes message, const UpdateContext& context, Update& out) {
  out.clear();
  out.large_ids = context.large_ids;
  const auto fatal = [&](Fault f) { return out.faults.fatal = f; };
  Fields f;
  if (const Fault fault = split(message, f); fault != Fault::kNone) return fatal(fault);
  if (f.withdrawn.empty() && f.attributes.empty() && f.nlri.empty()) {  // RFC 4724 2
    out.end_of_rib = kIpv4Unicast;
    return Fault::kNone;
  }
  parse_attributes(f.attributes, context.expect_as4, out.attributes, out.faults, context.external,
                   context.as_width_known);
  if (out.faults.fatal != Fault::kNone) return out.faults.fatal;
  if (!read_nlri(f.withdrawn, false, context, out.withdrawn, out)) return fatal(Fault::kWithdrawnNlri);
  if (!read_nlri(f.nlri, false, context, out.announced, out)) return fatal(Fault::kNlri);
  out.classic_count = out.announced.size();
  if (out.attributes.has(AttributeType::kMpReach)) out.reach_fault = parse_mp_reach(context, out);
  if (out.attributes.has(AttributeType::kMpUnreach)) {
    const bool nothing_else = f.withdrawn.empty() && f.nlri.empty() && out.attributes.all.size() == 1;
    out.unreach_fault = parse_mp_unreach(context, nothing_else, out);
  }
  note_missing(out);
  if (out.faults.withdraw != Fault::kNone) treat_as_withdraw(out);
  return Fault::kNone;
}

}  // namespace bmpha::recv
