// The objects of the bus and their columns: names as they stand in the `T` header, columns as in docs/wire.md.
// The one table that rows are laid out by and that readers of rows (bmp-tap) name them by.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "common/record.h"

namespace bmpha::recv {

enum class Object : std::uint8_t {
  // Routes: rows of one UPDATE, each with what the UPDATE's attributes say.
  kUnicastPrefix,
  kMulticastPrefix,
  kL3vpn,
  kL3vpnMulticast,
  kEvpn,
  kVpls,
  kFlowspec,
  kSrPolicy,
  kRtConstraint,
  kMvpn,
  kMdt,
  kLsNode,
  kLsLink,
  kLsPrefix,
  kLsSrv6Sid,
  kLsSrPolicy,
  // Others.
  kBaseAttribute,
  kCollector,
  kRouter,
  kPeer,
  kBmpStat,
  kBmpStatExt,
  kEor,
  kCount,
};
inline constexpr std::size_t kRouteObjects = static_cast<std::size_t>(Object::kLsSrPolicy) + 1;
inline constexpr std::size_t kObjects = static_cast<std::size_t>(Object::kCount);

// What a route's row is made of, behind the columns 1 to 10 that all have.
enum class RowPart : std::uint8_t {
  kOwn,           // the route's own columns; the first, second, ... kOwn of a layout is part 0, 1, ...
  kFamily,        // afi, safi
  kPathId,        //
  kView,          // isPrePolicy, isAdjRibIn
  kAttributes,    // the 14 attribute columns of unicast_prefix, 14 to 27
  kLsAttributes,  // AS path, local preference, MED, next hop
  kLarge,         // large communities
  kRelated,       // hash of another route that this one names
};

// What a column's values are, for readers that have types (JSON).
enum class ColumnKind : std::uint8_t {
  kText,
  kNumber,  // decimal, or empty
  kFlag,    // 0 or 1
  kList,    // values with one space between them
  kCommaList,
};

struct Column {
  std::string_view name;  // in snake_case
  ColumnKind kind = ColumnKind::kText;
  constexpr Column(const char* n) : name(n) {}  // NOLINT: implicit by design
  constexpr Column(std::string_view n, ColumnKind k) : name(n), kind(k) {}
  constexpr operator std::string_view() const { return name; }  // NOLINT: implicit by design
  friend constexpr bool operator==(const Column& c, std::string_view n) { return c.name == n; }
};

struct ObjectInfo {
  std::string_view name;  // the `T` header
  RecordKind kind{};
  TopicSelector topic{};
  std::span<const Column> columns;
  // Columns that stand behind those in rows that have something to say in them. Of base_attribute:
  // extra_attribute_columns(), all or none; of routes, these and route_mark_columns() behind them, none, the first ones
  // or all; of peer, one.
  std::span<const Column> optional;
  // Of routes only. An object without a layout has no rows yet.
  std::span<const RowPart> layout;
  bool attributes_first = false;  // the base attribute hash is column 4, in front of the router's hash (BGP-LS)
};

const ObjectInfo& object_info(Object o);
// Null: no such object.
const ObjectInfo* find_object(std::string_view name);

// Columns that may stand behind all others of base_attribute and of every route object: attributes that the contract
// has no column for. All of them or none.
std::span<const Column> extra_attribute_columns();

}  // namespace bmpha::recv
