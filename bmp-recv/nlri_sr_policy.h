// Segment Routing policies, SAFI 73 with AFI 1 and 2 (RFC 9830 2.1). What a policy does stands in the tunnel
// encapsulation attribute.
#pragma once

#include <cstdint>
#include <vector>

#include "bmp-recv/nlri_forms.h"

namespace bmpha::recv {

struct SrPolicyRoute {
  std::uint32_t path_id = 0;
  std::uint32_t distinguisher = 0;
  std::uint32_t color = 0;
  Address endpoint;
};

// Appends the routes of a whole NLRI field; kBad appends nothing.
NlriResult parse_sr_policy(Bytes field, bool v6, PathIds expected, std::vector<SrPolicyRoute>& out);
void append_key(KeyBytes& key, const SrPolicyRoute& route);
// distinguisher, color, endpoint
void append_sr_policy_columns(TextBuffer& out, const SrPolicyRoute& route);

}  // namespace bmpha::recv
