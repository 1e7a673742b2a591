#include "bmp-recv/ls_text.h"

#include "bmp-recv/ls_columns.h"

namespace bmpha::recv {
namespace {

using namespace ls;

constexpr std::uint16_t kNodeTlvs[] = {263,  266,  1024, 1025, 1026, 1027, 1028, 1029,
                                       1032, 1034, 1035, 1036, 1037, 1038, 1039};
constexpr std::uint16_t kPrefixTlvs[] = {1028, 1029, 1027, 1044, 1152, 1153, 1154, 1155,
                                         1156, 1157, 1158, 1159, 1162, 1170, 1171, 1174};
constexpr std::uint16_t kSidTlvs[] = {1250, 1251, 1252};
constexpr std::uint16_t kPolicyTlvs[] = {1201, 1202, 1203, 1205, 1212, 1213};

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
    {"srms_preference", number_or_empty<1037, 1>, kNumber},
    {"msd", msd<266>},
    {"srv6_capabilities", srv6_capabilities},
    {"flex_algos", flex_algos},
    {"sbfd_discriminators", sbfd},
    {"opaque", raw<1025>},
    {"other_tlvs", [](const LsView& v, TextBuffer& out) { append_others(v.attribute, kNodeTlvs, out); }},
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
    {"igp_metric", number_or_zero<1155, 4>, kNumber},
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

constexpr std::span<const LsColumn> kNodeParts[] = {kNode0, kNode1, kNode2};
constexpr std::span<const LsColumn> kPrefixParts[] = {kLsHead, kPrefix1, kPrefix2};
constexpr std::span<const LsColumn> kSidParts[] = {kSid0};
constexpr std::span<const LsColumn> kPolicyParts[] = {kPolicy0};

LsParts parts_of(LsType type) {
  switch (type) {
    case LsType::kNode:
      return kNodeParts;
    case LsType::kLink:
      return ls_link_parts();
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
  const LsParts parts = parts_of(type);
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
