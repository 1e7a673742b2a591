#include "bmp-recv/objects.h"

#include <algorithm>
#include <array>
#include <vector>

#include "bmp-recv/extra_attributes.h"
#include "bmp-recv/ls_text.h"
#include "bmp-recv/route_marks.h"

namespace bmpha::recv {
namespace {

using Name = std::string_view;

// Columns 1 to 10 of routes.
#define BMPHA_ROUTE_HEAD                                                                                          \
  "action", "sequence", "hash", "router_hash", "router_ip", "base_attr_hash", "peer_hash", "peer_ip", "peer_asn", \
      "timestamp"
#define BMPHA_ATTRIBUTES                                                                                           \
  "origin", "as_path", "as_path_count", "origin_as", "next_hop", "med", "local_pref", "aggregator", "communities", \
      "ext_communities", "cluster_list", "is_atomic_agg", "is_next_hop_ipv4", "originator_id"
#define BMPHA_VIEW "is_pre_policy", "is_adj_rib_in"
#define BMPHA_PREFIX \
  BMPHA_ROUTE_HEAD, "prefix", "prefix_len", "is_ipv4", BMPHA_ATTRIBUTES, "path_id", "labels", BMPHA_VIEW
#define BMPHA_OWN_HEAD BMPHA_ROUTE_HEAD, "afi", "safi", "path_id", BMPHA_VIEW, BMPHA_ATTRIBUTES, "large_communities"

constexpr Name kPrefixColumns[] = {BMPHA_PREFIX, "large_communities"};
constexpr Name kL3vpnColumns[] = {BMPHA_PREFIX, "rd", "rd_type", "large_communities"};
constexpr Name kEvpnColumns[] = {BMPHA_ROUTE_HEAD,
                                 BMPHA_ATTRIBUTES,
                                 "path_id",
                                 BMPHA_VIEW,
                                 "rd",
                                 "rd_type",
                                 "originating_router_ip_len",
                                 "originating_router_ip",
                                 "ethernet_tag",
                                 "esi",
                                 "mac_len",
                                 "mac",
                                 "ip_len",
                                 "ip",
                                 "mpls_label_1",
                                 "mpls_label_2",
                                 "large_communities",
                                 "route_type",
                                 "prefix",
                                 "prefix_len",
                                 "gateway_ip",
                                 "mcast_source",
                                 "mcast_group",
                                 "flags",
                                 "max_response_time",
                                 "region_id",
                                 "route_key",
                                 "raw"};
constexpr Name kVplsColumns[] = {BMPHA_OWN_HEAD,  "rd",         "rd_type",    "ve_id", "ve_block_offset",
                                 "ve_block_size", "label_base", "pe_address", "tlvs"};
constexpr Name kFlowspecColumns[] = {BMPHA_OWN_HEAD, "rd", "rd_type", "rule"};
constexpr Name kSrPolicyColumns[] = {BMPHA_OWN_HEAD, "distinguisher", "color", "endpoint"};
constexpr Name kRtConstraintColumns[] = {BMPHA_OWN_HEAD, "prefix_len", "member_as", "route_target"};
constexpr Name kMvpnColumns[] = {BMPHA_OWN_HEAD, "route_type",  "rd",         "rd_type",   "source_as",
                                 "mcast_source", "mcast_group", "originator", "route_key", "raw"};
constexpr Name kMdtColumns[] = {BMPHA_OWN_HEAD, "rd", "rd_type", "pe_address", "mcast_group"};
// Own columns of these follow.
constexpr Name kOwnColumns[] = {BMPHA_OWN_HEAD};
constexpr Name kBaseAttributeColumns[] = {"action",           "sequence", "hash",     "router_hash", "router_ip",
                                          "peer_hash",        "peer_ip",  "peer_asn", "timestamp",   BMPHA_ATTRIBUTES,
                                          "large_communities"};
constexpr Name kCollectorColumns[] = {"action", "sequence", "admin_id", "hash", "routers", "router_count", "timestamp"};
constexpr Name kRouterColumns[] = {"action",    "sequence",    "name",      "hash",      "ip",        "description",
                                   "term_code", "term_reason", "init_data", "term_data", "timestamp", "bgp_id"};
constexpr Name kPeerColumns[] = {
    "action",     "sequence",        "hash",          "router_hash",  "name",           "remote_bgp_id",
    "router_ip",  "timestamp",       "remote_asn",    "remote_ip",    "peer_rd",        "remote_port",
    "local_asn",  "local_ip",        "local_port",    "local_bgp_id", "info_data",      "adv_cap",
    "recv_cap",   "remote_holddown", "adv_holddown",  "bmp_reason",   "bgp_error_code", "bgp_error_sub_code",
    "error_text", "is_l3vpn",        "is_pre_policy", "is_ipv4",      "is_loc_rib",     "is_loc_rib_filtered",
    "table_name"};
constexpr Name kStatColumns[] = {"action",
                                 "sequence",
                                 "router_hash",
                                 "router_ip",
                                 "peer_hash",
                                 "peer_ip",
                                 "peer_asn",
                                 "timestamp",
                                 "rejected_prefixes",
                                 "known_dup_prefixes",
                                 "known_dup_withdraws",
                                 "invalid_cluster_list",
                                 "invalid_as_path_loop",
                                 "invalid_originator_id",
                                 "invalid_as_confed_loop",
                                 "num_routes_adj_rib_in",
                                 "num_routes_local_rib"};
constexpr Name kPeerOptional[] = {"admin_label"};
constexpr Name kStatExtColumns[] = {"action",  "sequence", "router_hash", "router_ip", "peer_hash",
                                    "peer_ip", "peer_asn", "timestamp",   "type",      "name",
                                    "afi",     "safi",     "value",       "raw"};
constexpr Name kEorColumns[] = {"action",   "sequence",  "peer_hash", "router_hash", "router_ip", "peer_ip",
                                "peer_asn", "timestamp", "afi",       "safi",        BMPHA_VIEW};

using enum RowPart;
constexpr RowPart kPrefixLayout[] = {kOwn, kAttributes, kPathId, kOwn, kView, kLarge};
constexpr RowPart kL3vpnLayout[] = {kOwn, kAttributes, kPathId, kOwn, kView, kOwn, kLarge};
constexpr RowPart kEvpnLayout[] = {kAttributes, kPathId, kView, kOwn, kLarge, kOwn};
constexpr RowPart kOwnLayout[] = {kFamily, kPathId, kView, kAttributes, kLarge, kOwn};
constexpr RowPart kLsNodeLayout[] = {kOwn, kLsAttributes, kOwn, kView, kOwn};
constexpr RowPart kLsLinkLayout[] = {kOwn, kLsAttributes, kOwn, kRelated, kRelated, kOwn, kView, kOwn};
constexpr RowPart kLsPrefixLayout[] = {kOwn, kLsAttributes, kRelated, kOwn, kView, kOwn};
constexpr RowPart kLsSrv6SidLayout[] = {kFamily, kPathId, kView, kAttributes, kLarge, kOwn, kRelated};

// Names of columns that many objects share; the own ones of BGP-LS stand with their text.
constexpr Name kLsHead[] = {"action",    "sequence",  "hash",    "base_attr_hash", "router_hash",
                            "router_ip", "peer_hash", "peer_ip", "peer_asn",       "timestamp"};
constexpr Name kLsAttributeColumns[] = {"as_path", "local_pref", "med", "next_hop"};
constexpr Name kViewColumns[] = {BMPHA_VIEW};

std::vector<Name> ls_names(std::span<const Name> head, LsType type, std::span<const RowPart> layout) {
  std::vector<Name> names(head.begin(), head.end());
  const auto add = [&names](std::span<const Name> more) { names.insert(names.end(), more.begin(), more.end()); };
  unsigned own = 0;
  auto related = std::count(layout.begin(), layout.end(), kRelated);
  for (const RowPart part : layout) {
    if (part == kOwn)
      for (const LsColumn& c : ls_columns(type, own++)) names.push_back(c.name);
    if (part == kLsAttributes) add(kLsAttributeColumns);
    if (part == kView && head.data() == kLsHead) add(kViewColumns);
    if (part == kRelated)
      names.push_back(related-- == 2 ? "remote_node_hash" : "local_node_hash");  // the last is local
  }
  return names;
}

// What may stand behind the columns of any route.
std::span<const Name> route_optional() {
  static const std::vector<Name> kNames = [] {
    std::vector<Name> names(extra_column_names().begin(), extra_column_names().end());
    names.insert(names.end(), route_mark_columns().begin(), route_mark_columns().end());
    return names;
  }();
  return kNames;
}

ObjectInfo route(Name name, TopicSelector topic, std::span<const Name> columns, std::span<const RowPart> layout) {
  return {name, RecordKind::kRoutes, topic, columns, route_optional(), layout, false};
}
ObjectInfo ls_route(Name name, TopicSelector topic, std::span<const Name> columns, std::span<const RowPart> layout) {
  return {name, RecordKind::kRoutes, topic, columns, route_optional(), layout, true};
}
ObjectInfo other(Name name, RecordKind kind, TopicSelector topic, std::span<const Name> columns) {
  return {name, kind, topic, columns, {}, {}, false};
}

using Table = std::array<ObjectInfo, kObjects>;
Table make_table() {
  Table t;
  const auto at = [&t](Object o) -> ObjectInfo& { return t[static_cast<std::size_t>(o)]; };
  using enum TopicSelector;
  at(Object::kUnicastPrefix) = route("unicast_prefix", kUnicastPrefix, kPrefixColumns, kPrefixLayout);
  at(Object::kMulticastPrefix) = route("multicast_prefix", kOther, kPrefixColumns, kPrefixLayout);
  at(Object::kL3vpn) = route("l3vpn", kL3vpn, kL3vpnColumns, kL3vpnLayout);
  at(Object::kL3vpnMulticast) = route("l3vpn_multicast", kOther, kL3vpnColumns, kL3vpnLayout);
  at(Object::kEvpn) = route("evpn", kEvpn, kEvpnColumns, kEvpnLayout);
  at(Object::kVpls) = route("vpls", kOther, kVplsColumns, kOwnLayout);
  at(Object::kFlowspec) = route("flowspec", kOther, kFlowspecColumns, kOwnLayout);
  at(Object::kSrPolicy) = route("sr_policy", kOther, kSrPolicyColumns, kOwnLayout);
  at(Object::kRtConstraint) = route("rt_constraint", kOther, kRtConstraintColumns, kOwnLayout);
  at(Object::kMvpn) = route("mvpn", kOther, kMvpnColumns, kOwnLayout);
  at(Object::kMdt) = route("mdt", kOther, kMdtColumns, kOwnLayout);
  static const std::vector<Name> kNodeNames = ls_names(kLsHead, LsType::kNode, kLsNodeLayout);
  static const std::vector<Name> kLinkNames = ls_names(kLsHead, LsType::kLink, kLsLinkLayout);
  static const std::vector<Name> kPrefixNames = ls_names(kLsHead, LsType::kPrefixV4, kLsPrefixLayout);
  static const std::vector<Name> kSidNames = ls_names(kOwnColumns, LsType::kSrv6Sid, kLsSrv6SidLayout);
  static const std::vector<Name> kPolicyNames = ls_names(kOwnColumns, LsType::kSrPolicy, kOwnLayout);
  at(Object::kLsNode) = ls_route("ls_node", kLsNode, kNodeNames, kLsNodeLayout);
  at(Object::kLsLink) = ls_route("ls_link", kLsLink, kLinkNames, kLsLinkLayout);
  at(Object::kLsPrefix) = ls_route("ls_prefix", kLsPrefix, kPrefixNames, kLsPrefixLayout);
  at(Object::kLsSrv6Sid) = route("ls_srv6_sid", kOther, kSidNames, kLsSrv6SidLayout);
  at(Object::kLsSrPolicy) = route("ls_sr_policy", kOther, kPolicyNames, kOwnLayout);
  at(Object::kBaseAttribute) = other("base_attribute", RecordKind::kAttributes, kBaseAttribute, kBaseAttributeColumns);
  at(Object::kBaseAttribute).optional = extra_column_names();
  at(Object::kCollector) = other("collector", RecordKind::kCollector, kCollector, kCollectorColumns);
  at(Object::kRouter) = other("router", RecordKind::kRouter, kRouter, kRouterColumns);
  at(Object::kPeer) = other("peer", RecordKind::kPeer, kPeer, kPeerColumns);
  at(Object::kPeer).optional = kPeerOptional;
  at(Object::kBmpStatExt) = other("bmp_stat_ext", RecordKind::kStat, kOther, kStatExtColumns);
  at(Object::kBmpStat) = other("bmp_stat", RecordKind::kStat, kBmpStat, kStatColumns);
  at(Object::kEor) = other("eor", RecordKind::kEor, kOther, kEorColumns);
  return t;
}

const Table& table() {
  static const Table kTable = make_table();
  return kTable;
}

}  // namespace

const ObjectInfo& object_info(Object o) { return table()[static_cast<std::size_t>(o)]; }

const ObjectInfo* find_object(std::string_view name) {
  const auto at = std::find_if(table().begin(), table().end(), [&](const ObjectInfo& o) { return o.name == name; });
  return at == table().end() ? nullptr : &*at;
}

std::span<const std::string_view> extra_attribute_columns() { return extra_column_names(); }

}  // namespace bmpha::recv
