#include "bmp-recv/ls_text.h"

#include <algorithm>
#include <array>

#include "bmp-recv/attribute_text.h"
#include "bmp-recv/ls_sid_text.h"
#include "bmp-recv/value_text.h"

namespace bmpha::recv {
namespace {

constexpr std::size_t kNameLimit = 200;  // contract P9

// What stands in a column when a TLV is absent.
enum class Absent : std::uint8_t { kEmpty, kZero };

std::string_view clean_view(Bytes b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }

// ---- values of single TLVs

// An unsigned number of 1, 2, 3, 4 or 8 bytes.
bool number_of(Bytes value, std::uint64_t& out) {
  if (value.empty() || value.size() > 8) return false;
  out = 0;
  ByteReader r(value);
  for (std::uint8_t byte = 0; r.u8(byte);) out = out << 8 | byte;
  return true;
}
void append_number(TextBuffer& out, Bytes value, Absent absent) {
  std::uint64_t v = 0;
  if (number_of(value, v)) {
    out.number(v);
  } else if (absent == Absent::kZero) {
    out.append('0');
  }
}
// All TLVs of a type, a comma and a space between them.
template <class Append>
void append_each(TextBuffer& out, Bytes tlvs, std::uint16_t type, Append&& append, std::string_view between = ", ") {
  bool first = true;
  each_ls_tlv(tlvs, type, [&](Bytes v) {
    if (!first) out.append(between);
    first = false;
    append(v);
  });
}
// 32-bit (or 16-, 64-bit) numbers of one value.
void append_list(TextBuffer& out, Bytes value, std::size_t size) {
  ByteReader r(value);
  Bytes one;
  std::uint64_t v = 0;
  for (bool first = true; r.bytes(size, one) && number_of(one, v); first = false)
    append_field(out, first ? "" : ", ", v);
}
void append_first(TextBuffer& out, Bytes value, std::size_t size) {
  ByteReader r(value);
  Bytes one;
  append_number(out, r.bytes(size, one) ? one : Bytes{}, Absent::kZero);
}
// Bytes per second as kbit/s; 0 without.
void append_kbits(TextBuffer& out, ByteReader& r) {
  std::uint32_t bits = 0;
  out.number(r.u32(bits) ? amount_of(bits, 0.008).value_or(0) : 0);
}
void append_mt_ids(TextBuffer& out, Bytes value) {
  ByteReader r(value);
  std::uint16_t id = 0;
  for (bool first = true; r.u16(id); first = false) append_field(out, first ? "" : ", ", id & 0xfffU);
}

// ---- columns that several objects have

void igp_router_id(const LsView& v, TextBuffer& out) { append_igp_router_id(out, v.route.local.igp_router_id); }
void append_router_id(TextBuffer& out, Bytes attribute, std::uint16_t v4, Bytes bgp_router_id) {
  Bytes id = find_ls_tlv(attribute, v4);
  if (id.empty()) id = find_ls_tlv(attribute, static_cast<std::uint16_t>(v4 + 1));
  if (id.empty()) id = bgp_router_id;
  if (id.size() != 4 && id.size() != 16) return out.append("0.0.0.0");
  append_ip(out, id);
}
void router_id(const LsView& v, TextBuffer& out) {
  append_router_id(out, v.attribute, 1028, v.route.local.bgp_router_id);
}
void routing_id(const LsView& v, TextBuffer& out) { out.number(v.route.identifier); }
void ls_id(const LsView& v, TextBuffer& out) {  // hex without 0x, unlike all other numbers: consumers read it so
  char* const begin = out.room(8);
  char* p = begin;
  for (int shift = 28; shift >= 0; shift -= 4) {
    const unsigned digit = v.route.local.ls_id >> shift & 15;
    if (digit != 0 || p != begin || shift == 0) *p++ = "0123456789abcdef"[digit];
  }
  out.commit(p);
}
void ospf_area(const LsView& v, TextBuffer& out) {
  const LsNode& n = v.route.local;
  if (!n.has_area) return;
  const std::array<std::uint8_t, 4> quad{static_cast<std::uint8_t>(n.area >> 24),
                                         static_cast<std::uint8_t>(n.area >> 16),
                                         static_cast<std::uint8_t>(n.area >> 8), static_cast<std::uint8_t>(n.area)};
  append_ip(out, quad);
}
void isis_area(const LsView& v, TextBuffer& out) {
  append_each(out, v.attribute, 1027, [&](Bytes area) {
    append_digits(out, area.first(std::min<std::size_t>(area.size(), 1)));
    if (area.size() < 2) return;
    out.append('.');
    append_digits(out, area.subspan(1));
  });
}
void protocol(const LsView& v, TextBuffer& out) {  // only what consumers know; the number is in protocol_id
  static constexpr std::string_view kNames[] = {"", "IS-IS_L1", "IS-IS_L2", "OSPFv2", "Direct", "Static", "OSPFv3"};
  const auto n = static_cast<std::size_t>(v.route.protocol);
  if (n < std::size(kNames)) out.append(kNames[n]);
}
void protocol_id(const LsView& v, TextBuffer& out) { out.number(static_cast<std::uint8_t>(v.route.protocol)); }
void rd(const LsView& v, TextBuffer& out) { append_rd(out, v.route.rd); }
void path_id(const LsView& v, TextBuffer& out) { out.number(v.route.path_id); }
void node_asn(const LsView& v, TextBuffer& out) { out.number(v.route.local.asn); }
void bgp_router_id(const LsView& v, TextBuffer& out) {
  if (!v.route.local.bgp_router_id.empty()) append_ip(out, v.route.local.bgp_router_id);
}
void confed_member(const LsView& v, TextBuffer& out) { out.number(v.route.local.confed_member); }
void mt_id(const LsView& v, TextBuffer& out) { out.number(ls_topology(v.route)); }
template <std::uint16_t kType>
void msd(const LsView& v, TextBuffer& out) {
  append_each(
      out, v.attribute, kType, [&](Bytes value) { append_msd(out, value); }, ",");
}
// TLVs as they are, in hex.
template <std::uint16_t kType>
void raw(const LsView& v, TextBuffer& out) {
  append_each(
      out, v.attribute, kType, [&](Bytes value) { append_hex(out, value); }, " ");
}
template <std::uint16_t kType>
void number_or_empty(const LsView& v, TextBuffer& out) {
  append_number(out, find_ls_tlv(v.attribute, kType), Absent::kEmpty);
}
template <std::uint16_t kType>
void number_or_zero(const LsView& v, TextBuffer& out) {
  append_number(out, find_ls_tlv(v.attribute, kType), Absent::kZero);
}
// All addresses of two types.
template <std::uint16_t kType4, std::uint16_t kType6>
void addresses(Bytes tlvs, TextBuffer& out) {
  const std::size_t before = out.size();
  const auto append = [&](Bytes value) {
    if (out.size() != before) out.append(", ");
    append_ip(out, value);
  };
  each_ls_tlv(tlvs, kType4, append);
  each_ls_tlv(tlvs, kType6, append);
}

// ---- what no column shows

constexpr std::uint16_t kNodeTlvs[] = {263,  266,  1024, 1025, 1026, 1027, 1028, 1029,
                                       1032, 1034, 1035, 1036, 1037, 1038, 1039};
constexpr std::uint16_t kLinkTlvs[] = {267,  1028, 1029, 1030, 1031, 1027, 1088, 1089, 1090, 1091, 1092, 1093,
                                       1094, 1095, 1096, 1097, 1098, 1099, 1100, 1101, 1102, 1103, 1106, 1107,
                                       1108, 1114, 1115, 1116, 1117, 1118, 1119, 1120, 1122, 1172, 1173};
constexpr std::uint16_t kPrefixTlvs[] = {1028, 1029, 1027, 1044, 1152, 1153, 1154, 1155,
                                         1156, 1157, 1158, 1159, 1162, 1170, 1171, 1174};
constexpr std::uint16_t kSidTlvs[] = {1250, 1251, 1252};
constexpr std::uint16_t kPolicyTlvs[] = {1201, 1202, 1203, 1205, 1212, 1213};

void append_others(Bytes attribute, std::span<const std::uint16_t> shown, TextBuffer& out) {
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

// ---- nodes

void mt_ids(const LsView& v, TextBuffer& out) { append_mt_ids(out, find_ls_tlv(v.attribute, 263)); }
void node_flags(const LsView& v, TextBuffer& out) {
  std::uint64_t flags = 0;
  if (number_of(find_ls_tlv(v.attribute, 1024), flags)) append_letters(out, static_cast<std::uint8_t>(flags), "OTEBRV");
}
void node_name(const LsView& v, TextBuffer& out) {
  append_clean(out, clean_view(find_ls_tlv(v.attribute, 1026)), kNameLimit);
}
void sr_capabilities(const LsView& v, TextBuffer& out) {
  append_each(out, v.attribute, 1034, [&](Bytes value) { append_sr_capabilities(out, value); });
}
void sr_algorithms(const LsView& v, TextBuffer& out) {
  append_each(out, v.attribute, 1035, [&](Bytes value) { append_list(out, value, 1); });
}
void sr_local_block(const LsView& v, TextBuffer& out) {
  append_each(out, v.attribute, 1036, [&](Bytes value) { append_sr_capabilities(out, value); });
}
void router_ids(const LsView& v, TextBuffer& out) { addresses<1028, 1029>(v.attribute, out); }
void sbfd(const LsView& v, TextBuffer& out) {
  append_each(out, v.attribute, 1032, [&](Bytes value) { append_list(out, value, 4); });
}
void srv6_capabilities(const LsView& v, TextBuffer& out) {
  append_each(
      out, v.attribute, 1038, [&](Bytes value) { append_srv6_capabilities(out, value); }, " ");
}
void flex_algos(const LsView& v, TextBuffer& out) {
  append_each(
      out, v.attribute, 1039, [&](Bytes value) { append_flex_algo(out, value); }, " ");
}

constexpr ColumnKind kNumber = ColumnKind::kNumber;

constexpr LsColumn kNode0[] = {{"igp_router_id", igp_router_id},
                               {"router_id", router_id},
                               {"routing_id", routing_id},
                               {"ls_id", ls_id},
                               {"mt_id", mt_ids},
                               {"ospf_area_id", ospf_area},
                               {"isis_area_id", isis_area},
                               {"protocol", protocol},
                               {"flags", node_flags}};
constexpr LsColumn kNode1[] = {{"node_name", node_name}};
constexpr LsColumn kNode2[] = {
    {"sr_capabilities", sr_capabilities},
    {"rd", rd},
    {"path_id", path_id, kNumber},
    {"protocol_id", protocol_id, kNumber},
    {"node_asn", node_asn, kNumber},
    {"bgp_router_id", bgp_router_id},
    {"confed_member_asn", confed_member, kNumber},
    {"router_ids", router_ids},
    {"sr_algorithms", sr_algorithms},
    {"sr_local_blocks", sr_local_block},
    {"srms_preference", number_or_empty<1037>, kNumber},
    {"msd", msd<266>},
    {"srv6_capabilities", srv6_capabilities},
    {"flex_algos", flex_algos},
    {"sbfd_discriminators", sbfd},
    {"opaque", raw<1025>},
    {"other_tlvs", [](const LsView& v, TextBuffer& out) { append_others(v.attribute, kNodeTlvs, out); }},
};

// ---- links

// The contract's column has one address; all are in columns of our own.
void append_one_address(Bytes tlvs, std::uint16_t v4, std::uint16_t v6, TextBuffer& out) {
  Bytes address = find_ls_tlv(tlvs, v4);
  if (address.empty()) address = find_ls_tlv(tlvs, v6);
  if (address.size() != 4 && address.size() != 16) return out.append("::");
  append_ip(out, address);
}
template <std::uint16_t kType>
void kbits(const LsView& v, TextBuffer& out) {
  ByteReader r(find_ls_tlv(v.attribute, kType));
  append_kbits(out, r);
}
template <std::uint16_t kType>
void kbits_or_empty(const LsView& v, TextBuffer& out) {
  ByteReader r(find_ls_tlv(v.attribute, kType));
  if (!r.empty()) append_kbits(out, r);
}
void unreserved(const LsView& v, TextBuffer& out) {
  ByteReader r(find_ls_tlv(v.attribute, 1091));
  for (bool first = true; r.remaining() >= 4; first = false) {
    if (!first) out.append(", ");
    append_kbits(out, r);
  }
}
void protection(const LsView& v, TextBuffer& out) {  // RFC 5307 1.2
  static constexpr std::string_view kNames[] = {"extra-traffic", "unprotected",   "shared",
                                                "dedicated-1:1", "dedicated-1+1", "enhanced"};
  ByteReader r(find_ls_tlv(v.attribute, 1093));
  std::uint8_t bits = 0;
  if (!r.u8(bits)) return;
  bool first = true;
  for (std::size_t n = 0; n < std::size(kNames); ++n) {
    if ((bits >> n & 1) == 0) continue;
    if (!first) out.append(',');
    first = false;
    out.append(kNames[n]);
  }
}
// Consumers know each name alone; both are in mpls_protocol_mask.
void mpls_protocol(const LsView& v, TextBuffer& out) {
  std::uint64_t bits = 0;
  if (!number_of(find_ls_tlv(v.attribute, 1094), bits)) return;
  if ((bits & 0xc0) == 0x80) out.append("LDP");
  if ((bits & 0xc0) == 0x40) out.append("RSVP-TE");
}
void srlg(const LsView& v, TextBuffer& out) { append_list(out, find_ls_tlv(v.attribute, 1096), 4); }
void link_name(const LsView& v, TextBuffer& out) {
  append_clean(out, clean_view(find_ls_tlv(v.attribute, 1098)), kNameLimit);
}
template <std::uint16_t kType>
void peer_sids(const LsView& v, TextBuffer& out) {
  append_each(out, v.attribute, kType, [&](Bytes value) { append_peer_sid(out, value); });
}
void adjacency_sids(const LsView& v, TextBuffer& out) {
  append_each(out, v.attribute, 1099, [&](Bytes value) { append_adjacency_sid(out, v.route.protocol, value); });
}
void lan_adjacency_sids(const LsView& v, TextBuffer& out) {
  append_each(out, v.attribute, 1100, [&](Bytes value) { append_lan_adjacency_sid(out, v.route.protocol, value); });
}
void end_x(const LsView& v, TextBuffer& out) {
  append_each(
      out, v.attribute, 1106, [&](Bytes value) { append_srv6_end_x(out, 0, value); }, " ");
}
void lan_end_x(const LsView& v, TextBuffer& out) {
  const std::size_t before = out.size();
  append_each(
      out, v.attribute, 1107, [&](Bytes value) { append_srv6_end_x(out, 6, value); }, " ");
  if (out.size() != before && !find_ls_tlv(v.attribute, 1108).empty()) out.append(' ');
  append_each(
      out, v.attribute, 1108, [&](Bytes value) { append_srv6_end_x(out, 4, value); }, " ");
}
// RFC 8571: the highest bit says that the value is anomalous, the lower 24 are the value.
void append_measure(TextBuffer& out, ByteReader& r) {
  std::uint32_t word = 0;
  if (!r.u32(word)) return;
  out.number(word & 0xffffff);
  if ((word & 0x80000000U) != 0) out.append('A');
}
template <std::uint16_t kType>
void measure(const LsView& v, TextBuffer& out) {
  ByteReader r(find_ls_tlv(v.attribute, kType));
  append_measure(out, r);
}
void min_max_delay(const LsView& v, TextBuffer& out) {
  ByteReader r(find_ls_tlv(v.attribute, 1115));
  append_measure(out, r);
  if (r.remaining() < 4) return;
  out.append("..");
  append_measure(out, r);
}

// RFC 9104: words of 32 groups each, lower numbers first.
void append_group_words(TextBuffer& out, Bytes value) {
  if (value.size() % 4 != 0) return append_hex(out, value);
  for (bool first = true; !value.empty(); value = value.subspan(4), first = false) {
    if (!first) out.append(", ");
    append_hex(out, value.first(4));
  }
}
void ext_admin_group(const LsView& v, TextBuffer& out) {
  append_each(out, v.attribute, 1173, [&](Bytes value) { append_group_words(out, value); });
}

// Attributes of a link that stand inside another TLV: by the names of their columns, and printed as there.
struct InnerColumn {
  std::uint16_t type;
  LsColumn column;
};
constexpr InnerColumn kInner[] = {
    {267, {"msd", msd<267>}},
    {1088, {"admin_group", number_or_zero<1088>}},
    {1089, {"max_link_bw", kbits<1089>}},
    {1090, {"max_resv_bw", kbits<1090>}},
    {1091, {"unreserved_bw", unreserved}},
    {1092, {"te_default_metric", number_or_zero<1092>}},
    {1093, {"link_protection", protection}},
    {1096, {"srlg", srlg}},
    {1099, {"adjacency_sids", adjacency_sids}},
    {1100, {"lan_adjacency_sids", lan_adjacency_sids}},
    {1106, {"srv6_end_x_sids", end_x}},
    {1114, {"delay", measure<1114>}},
    {1115, {"delay_min_max", min_max_delay}},
    {1116, {"delay_variation", measure<1116>}},
    {1117, {"loss", measure<1117>}},
    {1118, {"residual_bw", kbits<1118>}},
    {1119, {"available_bw", kbits<1119>}},
    {1120, {"utilized_bw", kbits<1120>}},
    {1173, {"ext_admin_group", ext_admin_group}},
};
constexpr auto kInnerTypes = [] {
  std::array<std::uint16_t, std::size(kInner)> types{};
  for (std::size_t n = 0; n < types.size(); ++n) types[n] = kInner[n].type;
  return types;
}();

// ";name=value" of each.
void append_inner(const LsRoute& route, Bytes tlvs, TextBuffer& out) {
  const LsView inner{route, tlvs};
  for (const InnerColumn& c : kInner) {
    bool present = false;
    each_ls_tlv(tlvs, c.type, [&](Bytes /*value*/) { present = true; });
    if (!present) continue;
    out.append(';');
    out.append(c.column.name);
    out.append('=');
    c.column.append(inner, out);
  }
  const std::size_t before = out.size();
  out.append(';');
  append_others(tlvs, kInnerTypes, out);
  if (out.size() == before + 1) out.cut(before);
}

// RFC 9294 2: bit masks of the applications that the attributes are for. None at all: for any.
bool append_applications(const LsRoute& route, ByteReader r, TextBuffer& out) {
  std::uint8_t standard_size = 0, user_size = 0, first = 0;
  std::uint16_t reserved = 0;
  Bytes standard, user;
  if (!r.u8(standard_size) || !r.u8(user_size) || !r.u16(reserved) || !r.bytes(standard_size, standard) ||
      !r.bytes(user_size, user) || !are_link_state_tlvs(r.rest()))
    return false;
  constexpr std::uint8_t kNamed = 0xf0;
  out.append("{apps=");
  ByteReader mask(standard);
  const bool named = mask.u8(first) && (first & ~kNamed) == 0 &&
                     std::all_of(standard.begin() + 1, standard.end(), [](std::uint8_t b) { return b == 0; });
  if (named) {
    append_letters(out, first, "RSFX");
  } else if (!standard.empty()) {
    append_hex(out, standard);
  } else if (user.empty()) {
    out.append("any");
  }
  if (!user.empty()) {
    out.append(";user-apps=");
    append_hex(out, user);
  }
  append_inner(route, r.rest(), out);
  out.append('}');
  return true;
}
void app_attributes(const LsView& v, TextBuffer& out) {
  append_each(
      out, v.attribute, 1122,
      [&](Bytes value) {
        if (!append_applications(v.route, ByteReader(value), out)) append_hex(out, value);
      },
      " ");
}
// RFC 9085 2.2.3: the member's link identifier, then its attributes.
void bundle_members(const LsView& v, TextBuffer& out) {
  append_each(
      out, v.attribute, 1172,
      [&](Bytes value) {
        ByteReader r(value);
        std::uint32_t member = 0;
        if (!r.u32(member) || !are_link_state_tlvs(r.rest())) return append_hex(out, value);
        append_field(out, "{member=", member);
        append_inner(v.route, r.rest(), out);
        out.append('}');
      },
      " ");
}

constexpr LsColumn kLink0[] = {
    {"igp_router_id", igp_router_id}, {"router_id", router_id},    {"routing_id", routing_id}, {"ls_id", ls_id},
    {"ospf_area_id", ospf_area},      {"isis_area_id", isis_area}, {"protocol", protocol}};
constexpr LsColumn kLink1[] = {
    {"mt_id", mt_id},
    {"local_link_id", [](const LsView& v, TextBuffer& out) { out.number(ls_link_ids(v.route).local); }, kNumber},
    {"remote_link_id", [](const LsView& v, TextBuffer& out) { out.number(ls_link_ids(v.route).remote); }, kNumber},
    {"interface_ip", [](const LsView& v, TextBuffer& out) { append_one_address(v.route.tlvs, 259, 261, out); }},
    {"neighbor_ip", [](const LsView& v, TextBuffer& out) { append_one_address(v.route.tlvs, 260, 262, out); }},
    {"igp_metric", number_or_zero<1095>, kNumber},
    {"admin_group", number_or_zero<1088>, kNumber},
    {"max_link_bw", kbits<1089>, kNumber},
    {"max_resv_bw", kbits<1090>, kNumber},
    {"unreserved_bw", unreserved},
    {"te_default_metric", number_or_zero<1092>, kNumber},
    {"link_protection", protection},
    {"mpls_proto_mask", mpls_protocol},
    {"srlg", srlg},
    {"link_name", link_name},
};
constexpr LsColumn kLink2[] = {
    {"remote_igp_router_id",
     [](const LsView& v, TextBuffer& out) { append_igp_router_id(out, v.route.remote.igp_router_id); }},
    {"remote_router_id",
     [](const LsView& v, TextBuffer& out) { append_router_id(out, v.attribute, 1030, v.route.remote.bgp_router_id); }},
    {"local_node_asn", node_asn, kNumber},
    {"remote_node_asn", [](const LsView& v, TextBuffer& out) { out.number(v.route.remote.asn); }, kNumber},
    {"peer_node_sid", peer_sids<1101>},
};
constexpr LsColumn kLink3[] = {
    {"adjacency_sids", adjacency_sids},
    {"rd", rd},
    {"path_id", path_id, kNumber},
    {"protocol_id", protocol_id, kNumber},
    {"interface_ips", [](const LsView& v, TextBuffer& out) { addresses<259, 261>(v.route.tlvs, out); }},
    {"neighbor_ips", [](const LsView& v, TextBuffer& out) { addresses<260, 262>(v.route.tlvs, out); }},
    {"mpls_protocol_mask", number_or_empty<1094>, kNumber},
    {"lan_adjacency_sids", lan_adjacency_sids},
    {"peer_adjacency_sids", peer_sids<1102>},
    {"peer_set_sids", peer_sids<1103>},
    {"srv6_end_x_sids", end_x},
    {"srv6_lan_end_x_sids", lan_end_x},
    {"msd", msd<267>},
    {"delay", measure<1114>},
    {"delay_min_max", min_max_delay},
    {"delay_variation", measure<1116>},
    {"loss", measure<1117>},
    {"residual_bw", kbits_or_empty<1118>, kNumber},
    {"available_bw", kbits_or_empty<1119>, kNumber},
    {"utilized_bw", kbits_or_empty<1120>, kNumber},
    {"ext_admin_group", ext_admin_group},
    {"app_attributes", app_attributes},
    {"l2_bundle_members", bundle_members},
    {"opaque", raw<1097>},
    {"other_tlvs", [](const LsView& v, TextBuffer& out) { append_others(v.attribute, kLinkTlvs, out); }},
};

// ---- prefixes

void ospf_route_type(const LsView& v, TextBuffer& out) { out.append(ospf_route_type_text(v.route)); }
void igp_flags(const LsView& v, TextBuffer& out) {
  std::uint64_t flags = 0;
  if (number_of(find_ls_tlv(v.attribute, 1152), flags)) append_letters(out, static_cast<std::uint8_t>(flags), "DNLP");
}
void forwarding_address(const LsView& v, TextBuffer& out) {
  if (const Bytes a = find_ls_tlv(v.attribute, 1156); !a.empty()) append_ip(out, a);
}
void prefix_address(const LsView& v, TextBuffer& out) {
  append_ip(out, Bytes(v.route.prefix.address).first(v.route.prefix.v6 ? 16 : 4));
}
void prefix_sids(const LsView& v, TextBuffer& out) {
  append_each(out, v.attribute, 1158, [&](Bytes value) { append_prefix_sid_tlv(out, v.route.protocol, value); });
}
void ranges(const LsView& v, TextBuffer& out) {
  append_each(
      out, v.attribute, 1159, [&](Bytes value) { append_sid_range(out, v.route.protocol, value); }, " ");
}
void locators(const LsView& v, TextBuffer& out) {
  append_each(
      out, v.attribute, 1162, [&](Bytes value) { append_srv6_locator(out, value); }, " ");
}
void algo_metrics(const LsView& v, TextBuffer& out) {
  append_each(
      out, v.attribute, 1044, [&](Bytes value) { append_flex_algo_metric(out, value); }, " ");
}
template <std::uint16_t kType>
void address_of(const LsView& v, TextBuffer& out) {
  if (const Bytes a = find_ls_tlv(v.attribute, kType); !a.empty()) append_ip(out, a);
}

constexpr LsColumn kPrefix1[] = {
    {"mt_id", mt_id},
    {"ospf_route_type", ospf_route_type},
    {"igp_flags", igp_flags},
    {"route_tag", [](const LsView& v, TextBuffer& out) { append_first(out, find_ls_tlv(v.attribute, 1153), 4); }},
    {"ext_route_tag", [](const LsView& v, TextBuffer& out) { append_first(out, find_ls_tlv(v.attribute, 1154), 8); }},
    {"ospf_fwd_addr", forwarding_address},
    {"igp_metric", number_or_zero<1155>, kNumber},
    {"prefix", prefix_address},
    {"prefix_len", [](const LsView& v, TextBuffer& out) { out.number(v.route.prefix.length); }, kNumber},
};
constexpr LsColumn kPrefix2[] = {
    {"prefix_sids", prefix_sids},
    {"rd", rd},
    {"path_id", path_id, kNumber},
    {"protocol_id", protocol_id, kNumber},
    {"node_asn", node_asn, kNumber},
    {"route_tags", [](const LsView& v, TextBuffer& out) { append_list(out, find_ls_tlv(v.attribute, 1153), 4); }},
    {"ext_route_tags", [](const LsView& v, TextBuffer& out) { append_list(out, find_ls_tlv(v.attribute, 1154), 8); }},
    {"prefix_attribute_flags", raw<1170>},
    {"source_router_id", address_of<1171>},
    {"source_ospf_router_id", address_of<1174>},
    {"srv6_locators", locators},
    {"flex_algo_metrics", algo_metrics},
    {"sid_ranges", ranges},
    {"opaque", raw<1157>},
    {"other_tlvs", [](const LsView& v, TextBuffer& out) { append_others(v.attribute, kPrefixTlvs, out); }},
};

// ---- SRv6 SIDs

void sids(const LsView& v, TextBuffer& out) {
  append_each(out, v.route.tlvs, 518, [&](Bytes sid) { append_ip(out, sid); });
}
constexpr LsColumn kSid0[] = {
    {"rd", rd},
    {"protocol", protocol},
    {"protocol_id", protocol_id, kNumber},
    {"routing_id", routing_id},
    {"igp_router_id", igp_router_id},
    {"node_asn", node_asn, kNumber},
    {"ls_id", ls_id},
    {"ospf_area_id", ospf_area},
    {"bgp_router_id", bgp_router_id},
    {"mt_id", mt_id},
    {"sid", sids},
    {"endpoint_behavior",
     [](const LsView& v, TextBuffer& out) {
       append_each(
           out, v.attribute, 1250, [&](Bytes value) { append_srv6_endpoint(out, value); }, " ");
     }},
    {"sid_structure",
     [](const LsView& v, TextBuffer& out) {
       append_each(
           out, v.attribute, 1252, [&](Bytes value) { append_srv6_sid_structure(out, value); }, " ");
     }},
    {"bgp_peer_sid",
     [](const LsView& v, TextBuffer& out) {
       append_each(
           out, v.attribute, 1251, [&](Bytes value) { append_srv6_peer_sid(out, value); }, " ");
     }},
    {"other_tlvs", [](const LsView& v, TextBuffer& out) { append_others(v.attribute, kSidTlvs, out); }},
};

// ---- candidate paths of SR policies

// Of the headend, whose node descriptor has them (RFC 9857 4).
void headend_ids(const LsView& v, TextBuffer& out) { addresses<1028, 1029>(v.route.local.tlvs, out); }
template <std::uint16_t kType>
void name_of(const LsView& v, TextBuffer& out) {
  append_clean(out, clean_view(find_ls_tlv(v.attribute, kType)), kNameLimit);
}
// RFC 9857 5.3: priority, reserved, flags, preference.
struct PathState {
  std::uint8_t priority = 0, flags = 0, more_flags = 0;
  std::uint32_t preference = 0;
};
bool read_state(const LsView& v, PathState& out) {
  ByteReader r(find_ls_tlv(v.attribute, 1202));
  std::uint8_t reserved = 0;
  return r.u8(out.priority) && r.u8(reserved) && r.u8(out.flags) && r.u8(out.more_flags) && r.u32(out.preference);
}
void path_priority(const LsView& v, TextBuffer& out) {
  if (PathState s; read_state(v, s)) out.number(s.priority);
}
void path_preference(const LsView& v, TextBuffer& out) {
  if (PathState s; read_state(v, s)) out.number(s.preference);
}
void path_flags(const LsView& v, TextBuffer& out) {
  PathState s;
  if (!read_state(v, s)) return;
  append_letters(out, s.flags, "SABEVODC");
  append_letters(out, s.more_flags, "IT");
}
void binding_sids(const LsView& v, TextBuffer& out) {
  const std::size_t before = out.size();
  const auto append = [&](Bytes value, void (*print)(TextBuffer&, Bytes)) {
    if (out.size() != before) out.append(' ');
    print(out, value);
  };
  each_ls_tlv(v.attribute, 1201, [&](Bytes value) { append(value, append_policy_sid); });
  each_ls_tlv(v.attribute, 1212, [&](Bytes value) { append(value, append_srv6_policy_sid); });
}
void segment_lists(const LsView& v, TextBuffer& out) {
  append_each(
      out, v.attribute, 1205, [&](Bytes value) { append_policy_segments(out, value); }, " ");
}
constexpr LsColumn kPolicy0[] = {
    {"rd", rd},
    {"protocol_id", protocol_id, kNumber},
    {"routing_id", routing_id},
    {"igp_router_id", igp_router_id},
    {"node_asn", node_asn, kNumber},
    {"ls_id", ls_id},
    {"ospf_area_id", ospf_area},
    {"bgp_router_id", bgp_router_id},
    {"router_ids", headend_ids},
    {"protocol_origin", [](const LsView& v, TextBuffer& out) { out.number(v.route.policy.origin); }, kNumber},
    {"endpoint", [](const LsView& v, TextBuffer& out) { append_ip(out, v.route.policy.endpoint); }},
    {"color", [](const LsView& v, TextBuffer& out) { out.number(v.route.policy.color); }, kNumber},
    {"originator_asn", [](const LsView& v, TextBuffer& out) { out.number(v.route.policy.originator_asn); }, kNumber},
    {"originator", [](const LsView& v, TextBuffer& out) { append_ip(out, v.route.policy.originator); }},
    {"discriminator", [](const LsView& v, TextBuffer& out) { out.number(v.route.policy.discriminator); }, kNumber},
    {"policy_name", name_of<1213>},
    {"path_name", name_of<1203>},
    {"priority", path_priority, kNumber},
    {"preference", path_preference, kNumber},
    {"path_flags", path_flags},
    {"binding_sids", binding_sids},
    {"segment_lists", segment_lists},
    {"other_tlvs", [](const LsView& v, TextBuffer& out) { append_others(v.attribute, kPolicyTlvs, out); }},
};

using Parts = std::span<const std::span<const LsColumn>>;
constexpr std::span<const LsColumn> kNodeParts[] = {kNode0, kNode1, kNode2};
constexpr std::span<const LsColumn> kLinkParts[] = {kLink0, kLink1, kLink2, kLink3};
constexpr std::span<const LsColumn> kPrefixParts[] = {kLink0, kPrefix1, kPrefix2};
constexpr std::span<const LsColumn> kSidParts[] = {kSid0};
constexpr std::span<const LsColumn> kPolicyParts[] = {kPolicy0};

Parts parts_of(LsType type) {
  switch (type) {
    case LsType::kNode:
      return kNodeParts;
    case LsType::kLink:
      return kLinkParts;
    case LsType::kPrefixV4:
    case LsType::kPrefixV6:
      return kPrefixParts;
    case LsType::kSrPolicy:
      return kPolicyParts;
    case LsType::kSrv6Sid:
      return kSidParts;
  }
  return {};
}

}  // namespace

std::string_view ospf_route_type_text(const LsRoute& route) {  // RFC 9552 5.2.3.1; the names that consumers know
  static constexpr std::string_view kNames[] = {"", "Intra", "Inter", "Ext-1", "Ext-2", "NSSA-1", "NSSA-2"};
  std::uint64_t n = 0;
  return number_of(find_ls_tlv(route.tlvs, 264), n) && n < std::size(kNames) ? kNames[n] : std::string_view{};
}

std::span<const LsColumn> ls_columns(LsType type, unsigned part) {
  const Parts parts = parts_of(type);
  return part < parts.size() ? parts[part] : std::span<const LsColumn>{};
}

void append_ls_columns(TextBuffer& out, const LsView& view, unsigned part) {
  bool first = true;
  for (const LsColumn& c : ls_columns(view.route.type, part)) {
    if (!first) out.append('\t');
    first = false;
    c.append(view, out);
  }
}

void append_igp_router_id(TextBuffer& out, Bytes id) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  if (id.size() == 4 || id.size() == 8) {
    append_ip(out, id.first(4));
    if (id.size() == 4) return;
    out.append('[');
    append_ip(out, id.last(4));
    return out.append(']');
  }
  if (id.size() != 6 && id.size() != 7) {
    if (!id.empty()) append_hex(out, id);
    return;
  }
  for (std::size_t n = 0; n < id.size(); ++n) {
    if (n != 0 && n % 2 == 0) out.append('.');
    out.append(kDigits[id[n] >> 4]);
    out.append(kDigits[id[n] & 15]);
  }
  out.append(id.size() == 6 ? ".0000" : "00");
}

}  // namespace bmpha::recv
