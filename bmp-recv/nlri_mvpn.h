// Multicast VPN routes, SAFI 5 with AFI 1 and 2 (RFC 6514 4), and those of multicast in VPLS, AFI 25 SAFI 8, which has
// types 3 and 4 (RFC 7117). Sources and groups may be absent (RFC 6625).
#pragma once

#include <cstdint>
#include <vector>

#include "bmp-recv/nlri_forms.h"

namespace bmpha::recv {

// IANA BGP MCAST-VPN Route Types; others are data.
enum class MvpnType : std::uint8_t {
  kIntraAsIPmsi = 1,
  kInterAsIPmsi = 2,
  kSPmsi = 3,
  kLeaf = 4,
  kSourceActive = 5,
  kSharedTreeJoin = 6,
  kSourceTreeJoin = 7,
};

// Fields that a type does not have are zero or empty. Views are borrowed from the message.
struct MvpnRoute {
  std::uint32_t path_id = 0;
  MvpnType type{};
  bool known = false;  // false: of this type nothing but `raw` is known
  Bytes raw;           // what stands behind type and length
  RouteDistinguisher rd{};
  std::uint32_t source_as = 0;  // types 2, 6, 7
  Address source;               // types 3, 5 to 7; of size 0 for any
  Address group;
  Address originator;  // types 1, 3, 4
  Bytes route_key;     // type 4: the route that is answered, with its type and length
};

// Appends the routes of a whole NLRI field; kBad appends nothing. A route of unknown type is kept raw.
NlriResult parse_mvpn(Bytes field, PathIds expected, std::vector<MvpnRoute>& out);
// The same of AFI 25 SAFI 8.
NlriResult parse_mcast_vpls(Bytes field, PathIds expected, std::vector<MvpnRoute>& out);
void append_key(KeyBytes& key, const MvpnRoute& route);
// route_type, rd, rd_type, source_as, mcast_source, mcast_group, originator, route_key, raw
void append_mvpn_columns(TextBuffer& out, const MvpnRoute& route);

}  // namespace bmpha::recv
