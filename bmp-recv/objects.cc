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

constexpr Column number(Name name) { return {name, ColumnKind::kNumber}; }
constexpr Column flag(Name name) { return {name, ColumnKind::kFlag}; }
constexpr Column list(Name name) { return {name, ColumnKind::kList}; }
constexpr Column comma_list(Name name) { return {name, ColumnKind::kCommaList}; }

// Columns 1 to 10 of routes.
#define BMPHA_ROUTE_HEAD                                                                                      \
  "action", number("sequence"), "hash", "router_hash", "router_ip", "base_attr_hash", "peer_hash", "peer_ip", \
      number("peer_asn"), "timestamp"
#define BMPHA_ATTRIBUTES                                                                                              \
  "origin", "as_path", number("as_path_count"), number("origin_as"), "next_hop", number("med"), number("local_pref"), \
      "aggregator", list("communities"), list("ext_communities"), "cluster_list", flag("is_atomic_agg"),              \
      flag("is_next_hop_ipv4"), "originator_id"
#define BMPHA_VIEW flag("is_pre_policy"), flag("is_adj_rib_in")
#define BMPHA_PREFIX                                                                                      \
  BMPHA_ROUTE_HEAD, "prefix", number("prefix_len"), flag("is_ipv4"), BMPHA_ATTRIBUTES, number("path_id"), \
      comma_list("labels"), BMPHA_VIEW
#define BMPHA_OWN_HEAD                                                                              \
  BMPHA_ROUTE_HEAD, number("afi"), number("safi"), number("path_id"), BMPHA_VIEW, BMPHA_ATTRIBUTES, \
      list("large_communities")

constexpr Column kPrefixColumns[] = {BMPHA_PREFIX, list("large_communities")};
constexpr Column kL3vpnColumns[] = {BMPHA_PREFIX, "rd", number("rd_type"), list("large_communities")};
constexpr Column kEvpnColumns[] = {BMPHA_ROUTE_HEAD,
                                   BMPHA_ATTRIBUTES,
                                   number("path_id"),
                                   BMPHA_VIEW,
                                   "rd",
                                   number("rd_type"),
                                   number("originating_router_ip_len"),
                                   "originating_router_ip",
                                   "ethernet_tag",
                                   "esi",
                                   number("mac_len"),
                                   "mac",
                                   number("ip_len"),
                                   "ip",
                                   number("mpls_label_1"),
                                   number("mpls_label_2"),
                                   list("large_communities"),
                                   number("route_type"),
                                   "prefix",
                                   number("prefix_len"),
                                   "gateway_ip",
                                   "mcast_source",
                                   "mcast_group",
                                   "flags",
                                   number("max_response_time"),
                                   "region_id",
                                   "route_key",
                                   "raw"};
constexpr Column kVplsColumns[] = {BMPHA_OWN_HEAD,
                                   "rd",
                                   number("rd_type"),
                                   number("ve_id"),
                                   number("ve_block_offset"),
                                   number("ve_block_size"),
                                   number("label_base"),
                                   "pe_address",
                                   "tlvs"};
constexpr Column kFlowspecColumns[] = {BMPHA_OWN_HEAD, "rd", number("rd_type"), "rule"};
constexpr Column kSrPolicyColumns[] = {BMPHA_OWN_HEAD, number("distinguisher"), number("color"), "endpoint"};
constexpr Column kRtConstraintColumns[] = {BMPHA_OWN_HEAD, number("prefix_len"), number("member_as"), "route_target"};
constexpr Column kMvpnColumns[] = {
    BMPHA_OWN_HEAD, number("route_type"), "rd",         number("rd_type"), number("source_as"),
    "mcast_source", "mcast_group",        "originator", "route_key",       "raw"};
constexpr Column kMdtColumns[] = {BMPHA_OWN_HEAD, "rd", number("rd_type"), "pe_address", "mcast_group"};
// Own columns of these follow.
constexpr Column kOwnColumns[] = {BMPHA_OWN_HEAD};
constexpr Column kBaseAttributeColumns[] = {"action",
                                            number("sequence"),
                                            "hash",
                                            "router_hash",
                                            "router_ip",
                                            "peer_hash",
                                            "peer_ip",
                                            number("peer_asn"),
                                            "timestamp",
                                            BMPHA_ATTRIBUTES,
                                            list("large_communities")};
constexpr Column kCollectorColumns[] = {"action",  number("sequence"),     "admin_id", "hash",
                                        "routers", number("router_count"), "timestamp"};
constexpr Column kRouterColumns[] = {
    "action",      number("sequence"), "name",      "hash",      "ip",    "description", number("term_code"),
    "term_reason", "init_data",        "term_data", "timestamp", "bgp_id"};
constexpr Column kPeerColumns[] = {"action",
                                   number("sequence"),
                                   "hash",
                                   "router_hash",
                                   "name",
                                   "remote_bgp_id",
                                   "router_ip",
                                   "timestamp",
                                   number("remote_asn"),
                                   "remote_ip",
                                   "peer_rd",
                                   number("remote_port"),
                                   number("local_asn"),
                                   "local_ip",
                                   number("local_port"),
                                   "local_bgp_id",
                                   "info_data",
                                   "adv_cap",
                                   "recv_cap",
                                   number("remote_holddown"),
                                   number("adv_holddown"),
                                   number("bmp_reason"),
                                   number("bgp_error_code"),
                                   number("bgp_error_sub_code"),
                                   "error_text",
                                   flag("is_l3vpn"),
                                   flag("is_pre_policy"),
                                   flag("is_ipv4"),
                                   flag("is_loc_rib"),
                                   flag("is_loc_rib_filtered"),
                                   "table_name"};
constexpr Column kStatColumns[] = {"action",
                                   number("sequence"),
                                   "router_hash",
                                   "router_ip",
                                   "peer_hash",
                                   "peer_ip",
                                   number("peer_asn"),
                                   "timestamp",
                                   number("rejected_prefixes"),
                                   number("known_dup_prefixes"),
                                   number("known_dup_withdraws"),
                                   number("invalid_cluster_list"),
                                   number("invalid_as_path_loop"),
                                   number("invalid_originator_id"),
                                   number("invalid_as_confed_loop"),
                                   number("num_routes_adj_rib_in"),
                                   number("num_routes_local_rib")};
constexpr Column kPeerOptional[] = {"admin_label"};
constexpr Column kStatExtColumns[] = {"action",      number("sequence"), "router_hash",   "router_ip",    "peer_hash",
                                      "peer_ip",     number("peer_asn"), "timestamp",     number("type"), "name",
                                      number("afi"), number("safi"),     number("value"), "raw"};
constexpr Column kEorColumns[] = {"action",      number("sequence"), "peer_hash",        "router_hash",
                                  "router_ip",   "peer_ip",          number("peer_asn"), "timestamp",
                                  number("afi"), number("safi"),     BMPHA_VIEW};

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
constexpr Column kLsHead[] = {"action",    number("sequence"), "hash",    "base_attr_hash",   "router_hash",
                              "router_ip", "peer_hash",        "peer_ip", number("peer_asn"), "timestamp"};
constexpr Column kLsAttributeColumns[] = {"as_path", number("local_pref"), number("med"), "next_hop"};
constexpr Column kViewColumns[] = {BMPHA_VIEW};

std::vector<Column> ls_names(std::span<const Column> head, LsType type, std::span<const RowPart> layout) {
  std::vector<Column> names(head.begin(), head.end());
  const auto add = [&names](std::span<const Column> more) { names.insert(names.end(), more.begin(), more.end()); };
  unsigned own = 0;
  auto related = std::count(layout.begin(), layout.end(), kRelated);
  for (const RowPart part : layout) {
    if (part == kOwn)
      for (const LsColumn& c : ls_columns(type, own++)) names.emplace_back(c.name, c.kind);
    if (part == kLsAttributes) add(kLsAttributeColumns);
    if (part == kView && head.data() == kLsHead) add(kViewColumns);
    if (part == kRelated)
      names.emplace_back(related-- == 2 ? "remote_node_hash" : "local_node_hash");  // the last is local
  }
  return names;
}

std::vector<Column> texts(std::span<const Name> names) {
  std::vector<Column> columns;
  for (const Name name : names) columns.emplace_back(name, ColumnKind::kText);
  return columns;
}

// What may stand behind the columns of any route.
std::span<const Column> route_optional() {
  static const std::vector<Column> kColumns = [] {
    std::vector<Column> columns = texts(extra_column_names());
    const std::vector<Column> marks = texts(route_mark_columns());
    columns.insert(columns.end(), marks.begin(), marks.end());
    return columns;
  }();
  return kColumns;
}

ObjectInfo route(Name name, TopicSelector topic, std::span<const Column> columns, std::span<const RowPart> layout) {
  return {name, RecordKind::kRoutes, topic, columns, route_optional(), layout, false};
}
ObjectInfo ls_route(Name name, TopicSelector topic, std::span<const Column> columns, std::span<const RowPart> layout) {
  return {name, RecordKind::kRoutes, topic, columns, route_optional(), layout, true};
}
ObjectInfo other(Name name, RecordKind kind, TopicSelector topic, std::span<const Column> columns) {
  return {name, kind, topic, columns, {}, {}, false};
}

using Table = std::array<ObjectInfo, kObjects>;
Table make_table() {
  Table t;
  const auto at = [&t](Object o) -> ObjectInfo& { return t[static_cast<std::size_t>(o)]; };
  using enum TopicSelector;
  at(Object::kUnicastPrefix) = route("unicast_prefix", kUnicastPrefix, kPrefixColumns, kPrefixLayout);
  at(Object::kMulticastPrefix) = route("multicast_prefix", kMulticastPrefix, kPrefixColumns, kPrefixLayout);
  at(Object::kL3vpn) = route("l3vpn", kL3vpn, kL3vpnColumns, kL3vpnLayout);
  at(Object::kL3vpnMulticast) = route("l3vpn_multicast", kL3vpnMulticast, kL3vpnColumns, kL3vpnLayout);
  at(Object::kEvpn) = route("evpn", kEvpn, kEvpnColumns, kEvpnLayout);
  at(Object::kVpls) = route("vpls", kVpls, kVplsColumns, kOwnLayout);
  at(Object::kFlowspec) = route("flowspec", kFlowspec, kFlowspecColumns, kOwnLayout);
  at(Object::kSrPolicy) = route("sr_policy", kSrPolicy, kSrPolicyColumns, kOwnLayout);
  at(Object::kRtConstraint) = route("rt_constraint", kRtConstraint, kRtConstraintColumns, kOwnLayout);
  at(Object::kMvpn) = route("mvpn", kMvpn, kMvpnColumns, kOwnLayout);
  at(Object::kMdt) = route("mdt", kMdt, kMdtColumns, kOwnLayout);
  static const std::vector<Column> kNodeNames = ls_names(kLsHead, LsType::kNode, kLsNodeLayout);
  static const std::vector<Column> kLinkNames = ls_names(kLsHead, LsType::kLink, kLsLinkLayout);
  static const std::vector<Column> kPrefixNames = ls_names(kLsHead, LsType::kPrefixV4, kLsPrefixLayout);
  static const std::vector<Column> kSidNames = ls_names(kOwnColumns, LsType::kSrv6Sid, kLsSrv6SidLayout);
  static const std::vector<Column> kPolicyNames = ls_names(kOwnColumns, LsType::kSrPolicy, kOwnLayout);
  at(Object::kLsNode) = ls_route("ls_node", kLsNode, kNodeNames, kLsNodeLayout);
  at(Object::kLsLink) = ls_route("ls_link", kLsLink, kLinkNames, kLsLinkLayout);
  at(Object::kLsPrefix) = ls_route("ls_prefix", kLsPrefix, kPrefixNames, kLsPrefixLayout);
  at(Object::kLsSrv6Sid) = route("ls_srv6_sid", kLsSrv6Sid, kSidNames, kLsSrv6SidLayout);
  at(Object::kLsSrPolicy) = route("ls_sr_policy", kLsSrPolicy, kPolicyNames, kOwnLayout);
  at(Object::kBaseAttribute) = other("base_attribute", RecordKind::kAttributes, kBaseAttribute, kBaseAttributeColumns);
  at(Object::kBaseAttribute).optional = extra_attribute_columns();
  at(Object::kCollector) = other("collector", RecordKind::kCollector, kCollector, kCollectorColumns);
  at(Object::kRouter) = other("router", RecordKind::kRouter, kRouter, kRouterColumns);
  at(Object::kPeer) = other("peer", RecordKind::kPeer, kPeer, kPeerColumns);
  at(Object::kPeer).optional = kPeerOptional;
  at(Object::kBmpStatExt) = other("bmp_stat_ext", RecordKind::kStat, kBmpStatExt, kStatExtColumns);
  at(Object::kBmpStat) = other("bmp_stat", RecordKind::kStat, kBmpStat, kStatColumns);
  at(Object::kEor) = other("eor", RecordKind::kEor, kEor, kEorColumns);
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

std::span<const Column> extra_attribute_columns() {
  static const std::vector<Column> kColumns = texts(extra_column_names());
  return kColumns;
}

}  // namespace bmpha::recv
