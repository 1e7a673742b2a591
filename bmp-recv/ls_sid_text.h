// Text of segment routing in BGP-LS: SIDs of nodes, links and prefixes (RFC 9085, 9086), SRv6 (RFC 9514), flexible
// algorithms (RFC 9351), candidate paths (RFC 9857). Each function prints one TLV's value; what is malformed prints as
// hex. Forms: docs/wire.md.
#pragma once

#include "bmp-recv/nlri_ls.h"
#include "bmp-recv/text.h"

namespace bmpha::recv {

// Letters of the flags that are set, from the highest bit on; a space in `letters` is a bit without a name.
void append_letters(TextBuffer& out, std::uint8_t flags, std::string_view letters);

void append_sr_capabilities(TextBuffer& out, Bytes value);  // 1034, 1036: "<flags> <range> <base>[, ...]"
void append_adjacency_sid(TextBuffer& out, LsProtocol protocol, Bytes value);      // 1099: "<flags> <weight> <sid>"
void append_lan_adjacency_sid(TextBuffer& out, LsProtocol protocol, Bytes value);  // 1100: a neighbor before the SID
void append_peer_sid(TextBuffer& out, Bytes value);                                // 1101, 1102, 1103
void append_prefix_sid_tlv(TextBuffer& out, LsProtocol protocol, Bytes value);     // 1158: "<flags> <algorithm> <sid>"
void append_sid_range(TextBuffer& out, LsProtocol protocol, Bytes value);          // 1159
void append_srv6_capabilities(TextBuffer& out, Bytes value);                       // 1038
void append_srv6_end_x(TextBuffer& out, std::size_t neighbor_size, Bytes value);   // 1106, 1107, 1108
void append_srv6_locator(TextBuffer& out, Bytes value);                            // 1162
void append_srv6_endpoint(TextBuffer& out, Bytes value);                           // 1250
void append_srv6_peer_sid(TextBuffer& out, Bytes value);                           // 1251
void append_srv6_sid_structure(TextBuffer& out, Bytes value);                      // 1252
void append_flex_algo(TextBuffer& out, Bytes value);                               // 1039
void append_flex_algo_metric(TextBuffer& out, Bytes value);                        // 1044
void append_policy_sid(TextBuffer& out, Bytes value);                              // 1201
void append_srv6_policy_sid(TextBuffer& out, Bytes value);                         // 1212
void append_policy_segments(TextBuffer& out, Bytes value);                         // 1205
// "type:value" pairs of one byte each, joined by a comma (RFC 8814).
void append_msd(TextBuffer& out, Bytes value);

}  // namespace bmpha::recv
