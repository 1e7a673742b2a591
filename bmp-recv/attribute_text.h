// Text forms of path attributes and capabilities that consumers match on (contract A3, A6).
#pragma once

#include "bmp-recv/bgp_attributes.h"
#include "bmp-recv/bgp_nlri.h"
#include "bmp-recv/bgp_open.h"
#include "bmp-recv/ext_community_text.h"
#include "bmp-recv/text.h"

namespace bmpha::recv {

const char* origin_text(std::uint8_t origin);
void append_address(TextBuffer& out, const Address& a);
// Each AS number after one space, sets as " { 1 2 }", confederation segments unmarked.
void append_as_path(TextBuffer& out, const AsPath& path);
void append_communities(TextBuffer& out, Bytes value);
void append_large_communities(TextBuffer& out, Bytes value);
// Dotted quads, each followed by a space.
void append_cluster_list(TextBuffer& out, Bytes value);
// "MPBGP (1) : afi=1 safi=1 : Unicast IPv4, ...", at most `limit` bytes, cut between items.
void append_capabilities(TextBuffer& out, const Open& open, std::size_t limit);
// "administrator:number" of a route distinguisher (RFC 4364 4.2); "0:0" for none.
void append_rd(TextBuffer& out, const RouteDistinguisher& rd);
// The same, TAB, the type.
void append_rd_columns(TextBuffer& out, const RouteDistinguisher& rd);
// What a NOTIFICATION says: names of code and subcode, and the operator's message (RFC 9003).
void append_notification(TextBuffer& out, std::uint8_t code, std::uint8_t subcode, Bytes data);

}  // namespace bmpha::recv
