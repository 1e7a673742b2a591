// NLRI of BGP-LS (AFI 16388, SAFI 71; SAFI 72 with a route distinguisher): nodes, links, prefixes (RFC 9552 5.2), SRv6
// SIDs (RFC 9514 6), candidate paths of SR policies (RFC 9857 4).
//
// Views are borrowed from the message. NLRI of unknown types, and such that are malformed inside their length, are
// skipped and counted (RFC 9552 8.2.2): they cost nobody else.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "bmp-recv/bgp_nlri.h"
#include "bmp-recv/ls_tlvs.h"

namespace bmpha::recv {

// IANA BGP-LS NLRI Types.
enum class LsType : std::uint16_t { kNode = 1, kLink = 2, kPrefixV4 = 3, kPrefixV6 = 4, kSrPolicy = 5, kSrv6Sid = 6 };

// IANA BGP-LS Protocol-IDs; others are data.
enum class LsProtocol : std::uint8_t {
  kIsisL1 = 1,
  kIsisL2 = 2,
  kOspfV2 = 3,
  kDirect = 4,
  kStatic = 5,
  kOspfV3 = 6,
  kBgp = 7,             // egress peer engineering, RFC 9086
  kSegmentRouting = 9,  // RFC 9857
};

// RFC 9552 5.2.1.4, RFC 9086 4.1. What is absent is zero or empty.
struct LsNode {
  std::uint32_t asn = 0;
  std::uint32_t ls_id = 0;
  std::uint32_t area = 0;
  std::uint32_t confed_member = 0;
  bool has_area = false;
  Bytes bgp_router_id;  // 4 bytes
  Bytes igp_router_id;  // IS-IS: 6, pseudonode 7; OSPF: 4, pseudonode 8
  Bytes tlvs;           // all of it
};

// RFC 9857 4.1. Addresses have 4 or 16 bytes.
struct LsPolicy {
  std::uint8_t origin = 0;
  Bytes endpoint;
  std::uint32_t color = 0;
  std::uint32_t originator_asn = 0;
  Bytes originator;
  std::uint32_t discriminator = 0;
};

struct LsRoute {
  LsType type{};
  LsProtocol protocol{};
  std::uint32_t path_id = 0;
  RouteDistinguisher rd{};       // zero without
  std::uint64_t identifier = 0;  // of the routing universe
  LsNode local, remote;          // remote: links only
  Prefix prefix;                 // prefixes only
  LsPolicy policy;               // candidate paths only
  Bytes tlvs;                    // all descriptors, node descriptors among them
};

// Appends the routes of a whole NLRI field. False: it is not a sequence of NLRI; nothing was appended then.
[[nodiscard]] bool parse_ls_nlri(Bytes field, bool has_rd, bool path_ids, std::vector<LsRoute>& out,
                                 std::size_t& skipped);

// Of links and prefixes; 0 without the descriptor.
std::uint16_t ls_topology(const LsRoute& route);
struct LinkIds {
  std::uint32_t local = 0, remote = 0;
};
LinkIds ls_link_ids(const LsRoute& route);

// What makes a route or a node, the same however its descriptors are ordered.
void append_ls_key(const LsRoute& route, std::vector<std::uint8_t>& out);
// Of the node NLRI of one of the route's nodes: the key of that node's own route.
void append_ls_node_key(const LsRoute& route, const LsNode& node, std::vector<std::uint8_t>& out);

}  // namespace bmpha::recv
