// What the columns of several BGP-LS objects share (ls_text.cc, ls_link_text.cc): values of single TLVs, and columns
// that stand in more than one object.
#pragma once

#include <algorithm>
#include <array>

#include "bmp-recv/attribute_text.h"
#include "bmp-recv/ls_sid_text.h"
#include "bmp-recv/ls_text.h"
#include "bmp-recv/value_text.h"

namespace bmpha::recv::ls {

constexpr std::size_t kNameLimit = 200;  // contract P9
constexpr ColumnKind kNumber = ColumnKind::kNumber;

// What stands in a column when a TLV is absent.
enum class Absent : std::uint8_t { kEmpty, kZero };

inline std::string_view clean_view(Bytes b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }

// ---- values of single TLVs

// An unsigned number of 1, 2, 3, 4 or 8 bytes.
inline bool number_of(Bytes value, std::uint64_t& out) {
  if (value.empty() || value.size() > 8) return false;
  out = 0;
  ByteReader r(value);
  for (std::uint8_t byte = 0; r.u8(byte);) out = out << 8 | byte;
  return true;
}
inline void append_number(TextBuffer& out, Bytes value, Absent absent) {
  std::uint64_t v = 0;
  if (number_of(value, v)) {
    out.number(v);
  } else if (absent == Absent::kZero) {
    out.append('0');
  }
}
// All TLVs of a type, a comma and a space between them.
template <class Append>
inline void append_each(TextBuffer& out, Bytes tlvs, std::uint16_t type, Append&& append,
                        std::string_view between = ", ") {
  bool first = true;
  each_ls_tlv(tlvs, type, [&](Bytes v) {
    if (!first) out.append(between);
    first = false;
    append(v);
  });
}
// 32-bit (or 16-, 64-bit) numbers of one value.
inline void append_list(TextBuffer& out, Bytes value, std::size_t size) {
  ByteReader r(value);
  Bytes one;
  std::uint64_t v = 0;
  for (bool first = true; r.bytes(size, one) && number_of(one, v); first = false)
    append_field(out, first ? "" : ", ", v);
}
inline void append_first(TextBuffer& out, Bytes value, std::size_t size) {
  ByteReader r(value);
  Bytes one;
  append_number(out, r.bytes(size, one) ? one : Bytes{}, Absent::kZero);
}
// Bytes per second as kbit/s; 0 without.
inline void append_kbits(TextBuffer& out, ByteReader& r) {
  std::uint32_t bits = 0;
  out.number(r.u32(bits) ? amount_of(bits, 0.008).value_or(0) : 0);
}
inline void append_mt_ids(TextBuffer& out, Bytes value) {
  ByteReader r(value);
  std::uint16_t id = 0;
  for (bool first = true; r.u16(id); first = false) append_field(out, first ? "" : ", ", id & 0xfffU);
}

// ---- columns that several objects have

inline void igp_router_id(const LsView& v, TextBuffer& out) { append_igp_router_id(out, v.route.local.igp_router_id); }
inline void append_router_id(TextBuffer& out, Bytes attribute, std::uint16_t v4, Bytes bgp_router_id) {
  Bytes id = find_ls_tlv(attribute, v4);
  if (id.empty()) id = find_ls_tlv(attribute, static_cast<std::uint16_t>(v4 + 1));
  if (id.empty()) id = bgp_router_id;
  if (id.size() != 4 && id.size() != 16) return out.append("0.0.0.0");
  append_ip(out, id);
}
inline void router_id(const LsView& v, TextBuffer& out) {
  append_router_id(out, v.attribute, 1028, v.route.local.bgp_router_id);
}
inline void routing_id(const LsView& v, TextBuffer& out) { out.number(v.route.identifier); }
inline void ls_id(const LsView& v, TextBuffer& out) {  // hex without 0x, unlike all other numbers: consumers read it so
  char* const begin = out.room(8);
  char* p = begin;
  for (int shift = 28; shift >= 0; shift -= 4) {
    const unsigned digit = v.route.local.ls_id >> shift & 15;
    if (digit != 0 || p != begin || shift == 0) *p++ = "0123456789abcdef"[digit];
  }
  out.commit(p);
}
inline void ospf_area(const LsView& v, TextBuffer& out) {
  const LsNode& n = v.route.local;
  if (!n.has_area) return;
  const std::array<std::uint8_t, 4> quad{static_cast<std::uint8_t>(n.area >> 24),
                                         static_cast<std::uint8_t>(n.area >> 16),
                                         static_cast<std::uint8_t>(n.area >> 8), static_cast<std::uint8_t>(n.area)};
  append_ip(out, quad);
}
inline void isis_area(const LsView& v, TextBuffer& out) {
  append_each(out, v.attribute, 1027, [&](Bytes area) {
    append_digits(out, area.first(std::min<std::size_t>(area.size(), 1)));
    if (area.size() < 2) return;
    out.append('.');
    append_digits(out, area.subspan(1));
  });
}
inline void protocol(const LsView& v, TextBuffer& out) {  // only what consumers know; the number is in protocol_id
  static constexpr std::string_view kNames[] = {"", "IS-IS_L1", "IS-IS_L2", "OSPFv2", "Direct", "Static", "OSPFv3"};
  const auto n = static_cast<std::size_t>(v.route.protocol);
  if (n < std::size(kNames)) out.append(kNames[n]);
}
inline void protocol_id(const LsView& v, TextBuffer& out) { out.number(static_cast<std::uint8_t>(v.route.protocol)); }
inline void rd(const LsView& v, TextBuffer& out) { append_rd(out, v.route.rd); }
inline void path_id(const LsView& v, TextBuffer& out) { out.number(v.route.path_id); }
inline void node_asn(const LsView& v, TextBuffer& out) { out.number(v.route.local.asn); }
inline void bgp_router_id(const LsView& v, TextBuffer& out) {
  if (!v.route.local.bgp_router_id.empty()) append_ip(out, v.route.local.bgp_router_id);
}
inline void confed_member(const LsView& v, TextBuffer& out) { out.number(v.route.local.confed_member); }
inline void mt_id(const LsView& v, TextBuffer& out) { out.number(ls_topology(v.route)); }
template <std::uint16_t kType>
inline void msd(const LsView& v, TextBuffer& out) {
  append_each(
      out, v.attribute, kType, [&](Bytes value) { append_msd(out, value); }, ",");
}
// TLVs as they are, in hex.
template <std::uint16_t kType>
inline void raw(const LsView& v, TextBuffer& out) {
  append_each(
      out, v.attribute, kType, [&](Bytes value) { append_hex(out, value); }, " ");
}
// Numbers of kSize bytes; what has another size counts as absent.
inline Bytes of_size(Bytes value, std::size_t size) { return value.size() == size ? value : Bytes{}; }
template <std::uint16_t kType, std::size_t kSize>
inline void number_or_empty(const LsView& v, TextBuffer& out) {
  append_number(out, of_size(find_ls_tlv(v.attribute, kType), kSize), Absent::kEmpty);
}
template <std::uint16_t kType, std::size_t kSize>
inline void number_or_zero(const LsView& v, TextBuffer& out) {
  append_number(out, of_size(find_ls_tlv(v.attribute, kType), kSize), Absent::kZero);
}
// All addresses of two types.
template <std::uint16_t kType4, std::uint16_t kType6>
inline void addresses(Bytes tlvs, TextBuffer& out) {
  const std::size_t before = out.size();
  const auto append = [&](Bytes value) {
    if (out.size() != before) out.append(", ");
    append_ip(out, value);
  };
  each_ls_tlv(tlvs, kType4, append);
  each_ls_tlv(tlvs, kType6, append);
}

// ---- what no column shows

inline void append_others(Bytes attribute, std::span<const std::uint16_t> shown, TextBuffer& out) {
  ByteReader r(attribute);
  Tlv t;
  for (bool first = true; read_tlv_16_16(r, t);) {
    if (std::find(shown.begin(), shown.end(), t.type) != shown.end()) continue;
    append_field(out, first ? "" : " ", t.type);
    first = false;
    out.append('=');
    append_hex(out, t.value);
  }
}

// The first own columns of links and prefixes.
inline constexpr LsColumn kLsHead[] = {
    {"igp_router_id", igp_router_id}, {"router_id", router_id},    {"routing_id", routing_id}, {"ls_id", ls_id},
    {"ospf_area_id", ospf_area},      {"isis_area_id", isis_area}, {"protocol", protocol}};

// All parts of an object's own columns.
using LsParts = std::span<const std::span<const LsColumn>>;
// Of links.
LsParts ls_link_parts();

}  // namespace bmpha::recv::ls
