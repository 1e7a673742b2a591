// VPLS routes, AFI 25 SAFI 65: label blocks (RFC 4761 3.2.2, RFC 6624 with more TLVs behind) and, told by their length,
// the addresses of discovery (RFC 6074 3.2.2).
#pragma once

#include <cstdint>
#include <vector>

#include "bmp-recv/nlri_forms.h"

namespace bmpha::recv {

// Fields that a form does not have are zero or empty. Views are borrowed from the message.
struct VplsRoute {
  std::uint32_t path_id = 0;
  RouteDistinguisher rd{};
  Address pe;  // of discovery; of size 0 in a label block
  std::uint16_t ve_id = 0;
  std::uint16_t block_offset = 0;
  std::uint16_t block_size = 0;
  std::uint32_t label_base = 0;  // 24 bits, the label in the upper 20
  Bytes tlvs;
};

// Appends the routes of a whole NLRI field; kBad appends nothing.
NlriResult parse_vpls(Bytes field, PathIds expected, std::vector<VplsRoute>& out);
// What makes it another route: distinguisher, VE and block offset, or the PE's address.
void append_key(KeyBytes& key, const VplsRoute& route);
// rd, rd_type, ve_id, ve_block_offset, ve_block_size, label_base, pe_address, tlvs
void append_vpls_columns(TextBuffer& out, const VplsRoute& route);

}  // namespace bmpha::recv
