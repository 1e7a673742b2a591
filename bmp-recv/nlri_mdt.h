// Default groups of multicast VPNs, AFI 1 SAFI 66 (RFC 6037): a PE joins the group of a VPN.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "bmp-recv/nlri_forms.h"

namespace bmpha::recv {

struct MdtRoute {
  std::uint32_t path_id = 0;
  RouteDistinguisher rd{};
  Address pe;
  Address group;
};

// Appends the routes of a whole NLRI field; kBad appends nothing.
NlriResult parse_mdt(Bytes field, PathIds expected, std::vector<MdtRoute>& out);
void append_key(KeyBytes& key, const MdtRoute& route);
// rd, rd_type, pe_address, mcast_group
void append_mdt_columns(TextBuffer& out, const MdtRoute& route);

}  // namespace bmpha::recv
