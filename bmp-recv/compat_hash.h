// The hashes of the OpenBMP contract (A4), for `compat = openbmp-psql`. Each is MD5 over the concatenation of the
// listed texts and numbers; numbers are little-endian. None depends on the node: the collector is the shared one.
//
// `hex` arguments are the 32 characters of the parent's hash, as rows show them. Scratch is reused. The RIB-type byte
// (A4.3) is the intended one: 0x02 in-post, 0x01 out-pre, 0x03 out-post and Loc-RIB, none for in-pre.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "bmp-recv/bmp_message.h"
#include "bmp-recv/objects.h"
#include "common/byte_reader.h"
#include "common/ids.h"

namespace bmpha::recv::compat {

Hash128 collector_hash(std::string_view admin_id);
// `id` is the address, or the sysName where that identifies routers.
Hash128 router_hash(std::string_view id, std::string_view collector_hex);
Hash128 peer_hash(std::string_view address, std::string_view rd, std::string_view router_hex, bool is_loc_rib);

// What stands in a base attribute's hash: the texts as in its columns.
struct AttributeTexts {
  std::string_view as_path, next_hop, aggregator, origin;
  std::uint32_t med = 0, local_pref = 0;
  std::string_view communities, ext_communities;
};
Hash128 attributes_hash(const AttributeTexts& a, std::string_view peer_hex, std::string& scratch);

struct RouteTexts {
  std::string_view prefix;
  std::uint8_t length = 0;
  std::string_view rd_admin, rd_number;  // of VPN routes
  std::string_view peer_hex;
  std::uint32_t path_id = 0;
  bool labelled = false;
  View view{};
};
// unicast_prefix, and l3vpn when the distinguisher is given.
Hash128 route_hash(const RouteTexts& r, std::string& scratch);

struct EvpnTexts {
  std::string_view peer_hex, mac, ip;
  std::uint8_t ip_length = 0;
  std::string_view esi, rd_admin, rd_number;
  std::uint32_t path_id = 0;
  View view{};
};
Hash128 evpn_hash(const EvpnTexts& e, std::string& scratch);

// Of a route row of another object than ls_*, by its columns; what stands in its hash column does not matter. False:
// the contract has no such object or no such type of EVPN routes.
bool row_hash(const ObjectInfo& object, std::string_view row, View view, std::string& scratch, Hash128& out);

struct LsNodeKey {
  std::span<const std::uint8_t, 8> igp_router_id;  // zero padded
  std::uint32_t bgp_ls_id = 0, asn = 0;
  std::span<const std::uint8_t, 4> ospf_area;
};
Hash128 ls_node_hash(const LsNodeKey& n, std::string& scratch);

struct LsLinkKey {
  std::span<const std::uint8_t, 16> interface_address, neighbor_address;  // zero padded
  std::uint64_t routing_id = 0;
  Hash128 local_node, remote_node;
  std::uint32_t local_link_id = 0, remote_link_id = 0;
  std::string_view peer_hex;
  std::uint32_t mt_id = 0;
};
Hash128 ls_link_hash(const LsLinkKey& l, std::string& scratch);

struct LsPrefixKey {
  std::span<const std::uint8_t, 16> prefix;  // zero padded
  std::uint8_t length = 0;
  std::uint64_t routing_id = 0;
  Hash128 local_node;
  std::string_view ospf_route_type;
  std::uint32_t mt_id = 0;
};
Hash128 ls_prefix_hash(const LsPrefixKey& p, std::string& scratch);

}  // namespace bmpha::recv::compat
