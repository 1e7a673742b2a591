// The own columns of ls_node, ls_link, ls_prefix (contract A5.9 to A5.11, and what they lack), ls_srv6_sid and
// ls_sr_policy.
#pragma once

#include <span>
#include <string_view>

#include "bmp-recv/nlri_ls.h"
#include "bmp-recv/objects.h"
#include "bmp-recv/text.h"

namespace bmpha::recv {

// A route and the BGP-LS attribute that came with it; empty for a withdrawal.
struct LsView {
  const LsRoute& route;
  Bytes attribute;
};

// Columns that stand together, between those that all objects share. Each prints itself.
struct LsColumn {
  std::string_view name;
  void (*append)(const LsView& view, TextBuffer& out);
  ColumnKind kind = ColumnKind::kText;
};
// Part n of an object's own columns; empty: no such part.
std::span<const LsColumn> ls_columns(LsType type, unsigned part);

// Appends one part, TAB between the columns.
void append_ls_columns(TextBuffer& out, const LsView& view, unsigned part);

// "Ext-1" and the like; empty without a type of OSPF.
std::string_view ospf_route_type_text(const LsRoute& route);

// "0123.4567.89AB.0000" of IS-IS, with the pseudonode's number in the last group; of OSPF a dotted quad, with
// "[address]" for a pseudonode (contract A6.3).
void append_igp_router_id(TextBuffer& out, Bytes id);

}  // namespace bmpha::recv
