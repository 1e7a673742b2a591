#include <algorithm>
#include <array>

#include "bmp-recv/ls_columns.h"

namespace bmpha::recv::ls {
namespace {

constexpr std::uint16_t kLinkTlvs[] = {267,  1028, 1029, 1030, 1031, 1027, 1088, 1089, 1090, 1091, 1092, 1093,
                                       1094, 1095, 1096, 1097, 1098, 1099, 1100, 1101, 1102, 1103, 1106, 1107,
                                       1108, 1114, 1115, 1116, 1117, 1118, 1119, 1120, 1122, 1172, 1173};
// ---- links

// The contract's column has one address; all are in columns of our own.
void append_one_address(Bytes tlvs, std::uint16_t v4, std::uint16_t v6, TextBuffer& out) {
  Bytes address = find_ls_tlv(tlvs, v4);
  if (address.empty()) address = find_ls_tlv(tlvs, v6);
  if (address.size() != 4 && address.size() != 16) return out.append("::");
  append_ip(out, address);
}
// RFC 9552 5.3.2.4: one octet is a narrow metric of IS-IS, whose two highest bits say nothing.
void igp_metric(const LsView& v, TextBuffer& out) {
  const Bytes value = find_ls_tlv(v.attribute, 1095);
  if (value.size() == 1) return out.number(value[0] & 0x3fU);
  append_number(out, value.size() <= 3 ? value : Bytes{}, Absent::kZero);
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
    {1088, {"admin_group", number_or_zero<1088, 4>}},
    {1089, {"max_link_bw", kbits<1089>}},
    {1090, {"max_resv_bw", kbits<1090>}},
    {1091, {"unreserved_bw", unreserved}},
    {1092, {"te_default_metric", number_or_zero<1092, 4>}},
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

constexpr LsColumn kLink1[] = {
    {"mt_id", mt_id},
    {"local_link_id", [](const LsView& v, TextBuffer& out) { out.number(ls_link_ids(v.route).local); }, kNumber},
    {"remote_link_id", [](const LsView& v, TextBuffer& out) { out.number(ls_link_ids(v.route).remote); }, kNumber},
    {"interface_ip", [](const LsView& v, TextBuffer& out) { append_one_address(v.route.tlvs, 259, 261, out); }},
    {"neighbor_ip", [](const LsView& v, TextBuffer& out) { append_one_address(v.route.tlvs, 260, 262, out); }},
    {"igp_metric", igp_metric, kNumber},
    {"admin_group", number_or_zero<1088, 4>, kNumber},
    {"max_link_bw", kbits<1089>, kNumber},
    {"max_resv_bw", kbits<1090>, kNumber},
    {"unreserved_bw", unreserved},
    {"te_default_metric", number_or_zero<1092, 4>, kNumber},
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
    {"mpls_protocol_mask", number_or_empty<1094, 1>, kNumber},
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

constexpr std::span<const LsColumn> kLinkParts[] = {kLsHead, kLink1, kLink2, kLink3};

}  // namespace

LsParts ls_link_parts() { return kLinkParts; }

}  // namespace bmpha::recv::ls
