// EVPN routes, AFI 25 SAFI 70: types 1 to 4 (RFC 7432 7), 5 (RFC 9136 3), 6 to 8 (RFC 9251 9), 9 to 11 (RFC 9572 3).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "bmp-recv/nlri_forms.h"

namespace bmpha::recv {

// IANA EVPN Route Types; others are data.
enum class EvpnType : std::uint8_t {
  kEthernetAd = 1,
  kMacIp = 2,
  kInclusiveMulticast = 3,
  kEthernetSegment = 4,
  kIpPrefix = 5,
  kSelectiveMulticast = 6,
  kMembershipSynch = 7,
  kLeaveSynch = 8,
  kPerRegionIPmsi = 9,
  kSPmsi = 10,
  kLeaf = 11,
};

using EthernetSegmentId = std::array<std::uint8_t, 10>;

// Fields that a type does not have are zero or empty. Views are borrowed from the message.
struct EvpnRoute {
  std::uint32_t path_id = 0;
  EvpnType type{};
  bool known = false;  // false: of this type nothing but `raw` is known
  Bytes raw;           // what stands behind type and length
  RouteDistinguisher rd{};
  EthernetSegmentId esi{};
  std::uint32_t tag = 0;  // Ethernet Tag
  std::array<std::uint8_t, 6> mac{};
  Address ip;                             // type 2
  Address originator;                     // types 3, 4, 6 to 8, 10, 11
  std::array<std::uint32_t, 2> labels{};  // 24 bits each: an MPLS label stands in the upper 20, a VNI takes all
  std::uint8_t label_count = 0;
  Address prefix;  // type 5; bits beyond the length are zero
  std::uint8_t prefix_length = 0;
  Address gateway;  // type 5; may be all zero
  Address source;   // types 6 to 8, 10; of size 0 for any
  Address group;
  std::uint8_t flags = 0;                // types 6 to 8
  std::uint8_t max_response_time = 0;    // type 8
  std::array<std::uint8_t, 8> region{};  // type 9
  Bytes route_key;                       // type 11: the route that is answered, with its type and length
};

// Appends the routes of a whole NLRI field; kBad appends nothing. A route of unknown type is kept raw.
NlriResult parse_evpn(Bytes field, PathIds expected, std::vector<EvpnRoute>& out);

// What makes it another route than others: neither labels, nor flags and timers, nor the ESI and gateway of what they
// are attributes of (RFC 7432 7.2, RFC 9136 3.1, RFC 9251 9).
void append_key(KeyBytes& key, const EvpnRoute& route);

// Columns 28 to 39 of the object evpn (contract A5.8), separated by TAB.
void append_evpn_columns(TextBuffer& out, const EvpnRoute& route);
// The trailing columns 41 to 51, see docs/wire.md.
void append_evpn_extra_columns(TextBuffer& out, const EvpnRoute& route);

// "1 aa:bb:cc:dd:ee:ff 100" (contract A6.4).
void append_esi(TextBuffer& out, const EthernetSegmentId& esi);

}  // namespace bmpha::recv
