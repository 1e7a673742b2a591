#include "bmp-recv/nlri_ls.h"

#include <algorithm>

namespace bmpha::recv {
namespace {

// Descriptors (IANA BGP-LS NLRI and Attribute TLVs).
constexpr std::uint16_t kLocalNode = 256, kRemoteNode = 257, kLinkIds = 258, kTopology = 263, kReachability = 265,
                        kAs = 512, kLsId = 513, kOspfArea = 514, kIgpRouterId = 515, kBgpRouterId = 516,
                        kConfedMember = 517, kCandidatePath = 554;

bool exact_u32(Bytes value, std::uint32_t& out) {
  ByteReader r(value);
  return r.u32(out) && r.empty();
}

bool parse_node(Bytes value, LsNode& out) {
  ByteReader r(value);
  out.tlvs = value;
  while (!r.empty()) {
    Tlv t;
    if (!read_tlv_16_16(r, t)) return false;
    bool good = true;
    switch (t.type) {
      case kAs:
        good = exact_u32(t.value, out.asn);
        break;
      case kLsId:
        good = exact_u32(t.value, out.ls_id);
        break;
      case kOspfArea:
        out.has_area = good = exact_u32(t.value, out.area);
        break;
      case kConfedMember:
        good = exact_u32(t.value, out.confed_member);
        break;
      case kIgpRouterId:
        out.igp_router_id = t.value;
        break;
      case kBgpRouterId:
        out.bgp_router_id = t.value;
        good = t.value.size() == 4;
        break;
      default:
        break;  // in the key all the same
    }
    if (!good) return false;
  }
  return true;
}

bool parse_reachability(Bytes value, Prefix& out) {
  ByteReader r(value);
  if (!r.u8(out.length) || out.length > (out.v6 ? 128 : 32)) return false;
  const std::size_t n = (std::size_t{out.length} + 7) / 8;
  if (r.remaining() != n || !r.copy(out.address.data(), n)) return false;
  if (const unsigned spare = out.length % 8; spare != 0)
    out.address[n - 1] = static_cast<std::uint8_t>(out.address[n - 1] & (0xff << (8 - spare)));
  return true;
}

// Protocol that it comes from, flags, reserved, endpoint, color, originator, discriminator.
bool parse_policy(Bytes value, LsPolicy& out) {
  constexpr std::uint8_t kEndpointIpv6 = 0x80, kOriginatorIpv6 = 0x40;
  ByteReader r(value);
  std::uint8_t flags = 0;
  std::uint16_t reserved = 0;
  const auto size = [&](std::uint8_t flag) { return std::size_t{(flags & flag) != 0 ? 16U : 4U}; };
  return r.u8(out.origin) && r.u8(flags) && r.u16(reserved) && r.bytes(size(kEndpointIpv6), out.endpoint) &&
         r.u32(out.color) && r.u32(out.originator_asn) && r.bytes(size(kOriginatorIpv6), out.originator) &&
         r.u32(out.discriminator) && r.empty();
}

bool is_known(std::uint16_t type) { return type >= 1 && type <= 6; }

// Behind type and length (and distinguisher).
bool parse_body(ByteReader r, LsRoute& out) {
  std::uint8_t protocol = 0;
  if (!r.u8(protocol) || !r.u64(out.identifier)) return false;
  out.protocol = static_cast<LsProtocol>(protocol);
  out.tlvs = r.rest();
  const bool is_prefix = out.type == LsType::kPrefixV4 || out.type == LsType::kPrefixV6;
  out.prefix.v6 = out.type == LsType::kPrefixV6;
  bool has_local = false, has_remote = false, has_own = !is_prefix && out.type != LsType::kSrPolicy;
  while (!r.empty()) {
    Tlv t;
    if (!read_tlv_16_16(r, t)) return false;
    if (t.type == kLocalNode) {
      if (!parse_node(t.value, out.local)) return false;
      has_local = true;
    } else if (t.type == kRemoteNode) {
      if (!parse_node(t.value, out.remote)) return false;
      has_remote = true;
    } else if (t.type == kReachability && is_prefix) {
      if (!parse_reachability(t.value, out.prefix)) return false;
      has_own = true;
    } else if (t.type == kCandidatePath && out.type == LsType::kSrPolicy) {
      if (!parse_policy(t.value, out.policy)) return false;
      has_own = true;
    }
  }
  return has_local && has_own && (out.type != LsType::kLink || has_remote);
}

void put32(std::vector<std::uint8_t>& out, std::uint32_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(v >> shift));
}
void put_tlv(std::vector<std::uint8_t>& out, const Tlv& t) {
  put32(out, std::uint32_t{t.type} << 16 | static_cast<std::uint32_t>(t.value.size()));
  out.insert(out.end(), t.value.begin(), t.value.end());
}

bool is_before(const Tlv& a, const Tlv& b) {
  if (a.type != b.type) return a.type < b.type;
  return std::lexicographical_compare(a.value.begin(), a.value.end(), b.value.begin(), b.value.end());
}

// Those that take() accepts, in ascending order: as RFC 9552 5.1 asks for it, or sorted where a router does not keep
// it.
template <class Take>
void put_tlvs(std::vector<std::uint8_t>& out, Bytes tlvs, Take take) {
  const std::size_t before = out.size();
  bool in_order = true;
  Tlv t, last;
  for (ByteReader r(tlvs); in_order && read_tlv_16_16(r, t);) {
    if (!take(t.type)) continue;
    in_order = !is_before(t, last);
    put_tlv(out, t);
    last = t;
  }
  if (in_order) return;
  out.resize(before);
  std::vector<Tlv> all;
  for (ByteReader r(tlvs); read_tlv_16_16(r, t);)
    if (take(t.type)) all.push_back(t);
  std::sort(all.begin(), all.end(), is_before);
  for (const Tlv& one : all) put_tlv(out, one);
}

void put_head(std::vector<std::uint8_t>& out, const LsRoute& route, LsType type) {
  out.push_back(static_cast<std::uint8_t>(type));
  out.insert(out.end(), route.rd.begin(), route.rd.end());
  out.push_back(static_cast<std::uint8_t>(route.protocol));
  put32(out, static_cast<std::uint32_t>(route.identifier >> 32));
  put32(out, static_cast<std::uint32_t>(route.identifier));
}

void put_node(std::vector<std::uint8_t>& out, const LsNode& node) {
  put32(out, static_cast<std::uint32_t>(node.tlvs.size()));
  put_tlvs(out, node.tlvs, [](std::uint16_t) { return true; });
}

}  // namespace

bool parse_ls_nlri(Bytes field, bool has_rd, bool path_ids, std::vector<LsRoute>& out, std::size_t& skipped) {
  const std::size_t before = out.size();
  std::size_t passed_over = 0;
  ByteReader r(field);
  while (!r.empty()) {
    LsRoute route;
    Tlv nlri;
    if ((path_ids && !r.u32(route.path_id)) || !read_tlv_16_16(r, nlri)) {
      out.resize(before);
      return false;
    }
    route.type = static_cast<LsType>(nlri.type);
    ByteReader body(nlri.value);
    if (is_known(nlri.type) && (!has_rd || body.copy(route.rd.data(), route.rd.size())) && parse_body(body, route)) {
      out.push_back(route);
    } else {
      ++passed_over;
    }
  }
  skipped += passed_over;
  return true;
}

std::uint16_t ls_topology(const LsRoute& route) {
  ByteReader r(find_ls_tlv(route.tlvs, kTopology));
  std::uint16_t id = 0;
  return r.u16(id) ? id & 0xfffU : 0;
}

LinkIds ls_link_ids(const LsRoute& route) {
  ByteReader r(find_ls_tlv(route.tlvs, kLinkIds));
  LinkIds ids;
  return r.u32(ids.local) && r.u32(ids.remote) ? ids : LinkIds{};
}

void append_ls_node_key(const LsRoute& route, const LsNode& node, std::vector<std::uint8_t>& out) {
  put_head(out, route, LsType::kNode);
  put_node(out, node);
}

void append_ls_key(const LsRoute& route, std::vector<std::uint8_t>& out) {
  if (route.type == LsType::kNode) return append_ls_node_key(route, route.local, out);
  put_head(out, route, route.type);
  put_node(out, route.local);
  if (route.type == LsType::kLink) put_node(out, route.remote);
  put_tlvs(out, route.tlvs, [](std::uint16_t type) { return type != kLocalNode && type != kRemoteNode; });
}

}  // namespace bmpha::recv
