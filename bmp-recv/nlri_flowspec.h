// Flow specifications, AFI 1 and 2, SAFI 133 and 134 for VPNs (RFC 8955 4, RFC 8956 3); of frames, AFI 25
// (draft-ietf-idr-flowspec-l2vpn).
#pragma once

#include <cstdint>
#include <vector>

#include "bmp-recv/nlri_forms.h"

namespace bmpha::recv {

// IANA Flow Spec Component Types; others are data.
enum class FlowComponent : std::uint8_t {
  kDestination = 1,
  kSource = 2,
  kProtocol = 3,
  kPort = 4,
  kDestinationPort = 5,
  kSourcePort = 6,
  kIcmpType = 7,
  kIcmpCode = 8,
  kTcpFlags = 9,
  kPacketLength = 10,
  kDscp = 11,
  kFragment = 12,
  kFlowLabel = 13,
  kEtherType = 14,
  kSourceMac = 15,
  kDestinationMac = 16,
  kDsap = 17,
  kSsap = 18,
  kLlcControl = 19,
  kSnap = 20,
  kVlan = 21,
  kVlanCos = 22,
  kInnerVlan = 23,
  kInnerVlanCos = 24,
};

// By the address family.
enum class FlowKind : std::uint8_t { kIpv4, kIpv6, kLayer2 };

// One rule: components that all must match. Views are borrowed from the message.
struct FlowspecRoute {
  std::uint32_t path_id = 0;
  bool known = true;  // false: a component of unknown type, at which reading had to end
  FlowKind kind{};
  bool vpn = false;  // rd is part of it
  // GoBGP puts a path identifier in front of the prefixes inside a rule, where it has agreed on them for IPv4 unicast.
  bool inner_ids = false;
  RouteDistinguisher rd{};
  Bytes components;
};

// Appends the rules of a whole NLRI field; kBad appends nothing.
NlriResult parse_flowspec(Bytes field, FlowKind kind, bool vpn, PathIds expected, std::vector<FlowspecRoute>& out);
// The components as they are: a router sends a rule in one form (RFC 8955 5.1 orders them).
void append_key(KeyBytes& key, const FlowspecRoute& route);
// rd, rd_type, rule; the first two are empty without VPN
void append_flowspec_columns(TextBuffer& out, const FlowspecRoute& route);

// "dst 192.0.2.0/24; proto =6; dport >=80&<=90|=443; tcp-flags =0x2", see docs/wire.md.
void append_flow_rule(TextBuffer& out, const FlowspecRoute& route);

}  // namespace bmpha::recv
