#include "bmp-recv/ls_codec.h"

#include <algorithm>
#include <array>

#include "bmp-recv/compat_hash.h"

namespace bmpha::recv {
namespace {

template <std::size_t kSize>
std::array<std::uint8_t, kSize> padded(Bytes value) {
  std::array<std::uint8_t, kSize> out{};
  std::copy_n(value.begin(), std::min(value.size(), kSize), out.begin());
  return out;
}

Hash128 node_hash(const LsNode& node, std::string& scratch) {
  const std::array<std::uint8_t, 4> area{
      static_cast<std::uint8_t>(node.area >> 24), static_cast<std::uint8_t>(node.area >> 16),
      static_cast<std::uint8_t>(node.area >> 8), static_cast<std::uint8_t>(node.area)};
  return compat::ls_node_hash({padded<8>(node.igp_router_id), node.ls_id, node.asn, area}, scratch);
}

Hash128 link_hash(const LsRoute& route, std::string_view peer_hex, std::string& scratch) {
  const auto address = [&](std::uint16_t v4, std::uint16_t v6) {
    const Bytes a = find_ls_tlv(route.tlvs, v4);
    return padded<16>(a.empty() ? find_ls_tlv(route.tlvs, v6) : a);
  };
  const auto interface = address(259, 261), neighbor = address(260, 262);
  const Hash128 local = node_hash(route.local, scratch), remote = node_hash(route.remote, scratch);
  const LinkIds ids = ls_link_ids(route);
  return compat::ls_link_hash(
      {interface, neighbor, route.identifier, local, remote, ids.local, ids.remote, peer_hex, ls_topology(route)},
      scratch);
}

Hash128 prefix_hash(const LsRoute& route, std::string& scratch) {
  const Hash128 local = node_hash(route.local, scratch);
  return compat::ls_prefix_hash({route.prefix.address, route.prefix.length, route.identifier, local,
                                 ospf_route_type_text(route), ls_topology(route)},
                                scratch);
}

}  // namespace

constexpr std::uint8_t kVpnSafi = 72;

// Path identifiers read as NLRI are short NLRI of unknown types: a form in which nothing is known is not believed.
bool LsCodec::parse_form(Bytes field, bool has_rd, bool path_ids) {
  routes_.clear();
  skipped_ = 0;
  return parse_ls_nlri(field, has_rd, path_ids, routes_, skipped_) && (!routes_.empty() || skipped_ == 0);
}

NlriResult LsCodec::parse(Bytes field, const NlriContext& context) {
  attribute_ = {};
  const bool has_rd = context.family.safi == kVpnSafi;
  const NlriResult result = parse_either_form(context.ids, [&](bool ids) { return parse_form(field, has_rd, ids); });
  if (result != NlriResult::kBad) return result;
  routes_.clear();
  skipped_ = 0;
  return parse_ls_nlri(field, has_rd, context.ids == PathIds::kYes, routes_, skipped_) ? NlriResult::kOk
                                                                                       : NlriResult::kBad;
}

Object LsCodec::object(std::size_t n) const {
  switch (routes_[n].type) {
    case LsType::kNode:
      return Object::kLsNode;
    case LsType::kLink:
      return Object::kLsLink;
    case LsType::kPrefixV4:
    case LsType::kPrefixV6:
      return Object::kLsPrefix;
    case LsType::kSrPolicy:
      return Object::kLsSrPolicy;
    case LsType::kSrv6Sid:
      break;
  }
  return Object::kLsSrv6Sid;
}

// Of a link the remote node, then the local one; else the local one.
const LsNode& LsCodec::related_node(std::size_t n, unsigned related) const {
  const LsRoute& route = routes_[n];
  return route.type == LsType::kLink && related == 0 ? route.remote : route.local;
}

void LsCodec::append_related_key(std::size_t n, unsigned related, std::vector<std::uint8_t>& out) const {
  append_ls_node_key(routes_[n], related_node(n, related), out);
}

bool LsCodec::openbmp_hash(std::size_t n, std::string_view peer_hex, std::string& scratch, Hash128& out) const {
  const LsRoute& route = routes_[n];
  switch (route.type) {
    case LsType::kNode:
      out = node_hash(route.local, scratch);
      return true;
    case LsType::kLink:
      out = link_hash(route, peer_hex, scratch);
      return true;
    case LsType::kPrefixV4:
    case LsType::kPrefixV6:
      out = prefix_hash(route, scratch);
      return true;
    case LsType::kSrPolicy:
    case LsType::kSrv6Sid:
      break;
  }
  return false;
}

bool LsCodec::openbmp_related_hash(std::size_t n, unsigned related, std::string& scratch, Hash128& out) const {
  out = node_hash(related_node(n, related), scratch);
  return true;
}

void LsCodec::print(std::size_t n, unsigned part, bool /*withdrawn*/, TextBuffer& out) const {
  append_ls_columns(out, {routes_[n], attribute_}, part);
}

}  // namespace bmpha::recv
