// Route target membership, AFI 1 SAFI 132 (RFC 4684 4): a prefix over the origin AS and a route target.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "bmp-recv/nlri_forms.h"

namespace bmpha::recv {

struct RtConstraintRoute {
  std::uint32_t path_id = 0;
  std::uint8_t length = 0;  // bits: 0 for the default, 32 to 96
  std::uint32_t origin_as = 0;
  std::array<std::uint8_t, 8> target{};  // bits beyond the length are zero
};

// Appends the routes of a whole NLRI field; kBad appends nothing.
NlriResult parse_rt_constraint(Bytes field, PathIds expected, std::vector<RtConstraintRoute>& out);
void append_key(KeyBytes& key, const RtConstraintRoute& route);
// prefix_len, member_as, route_target: of the default both are empty; a part of a target is "0x<hex>/<bits>".
void append_rt_constraint_columns(TextBuffer& out, const RtConstraintRoute& route);

}  // namespace bmpha::recv
