// One set of path attributes, as a route row carries it, in the form in which the database stores it. Identified by
// the row's content hash, so each distinct set is parsed and stored once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/ids.h"
#include "psql-sink/text_rows.h"

namespace bmpha::sink {

struct AttributeSet {
  Hash128 id;
  std::optional<std::int16_t> origin;  // 0 igp, 1 egp, 2 incomplete
  std::vector<std::int64_t> as_path;   // all ASNs in order, members of sets too
  std::string as_path_text;            // only where the list does not say it all (sets, confederations)
  std::optional<std::int64_t> origin_as, med, local_pref;
  std::optional<IpAddress> next_hop, originator;
  std::vector<std::int64_t> communities;  // asn << 16 | value
  std::vector<std::string> ext_communities, large_communities, cluster_list;
  std::string aggregator;
  bool atomic_aggregate = false;
  bool operator==(const AttributeSet&) const = default;
};

// From the columns of a unicast_prefix `add` row. Null, or the reason for which the row is set aside.
const char* parse_attributes(const UnicastRow& row, const Columns& columns, AttributeSet& out);

}  // namespace bmpha::sink
