// EVPN and FlowSpec routes of recorded streams against what the routers' own tables say of them.
#include <doctest/doctest.h>

#include <map>
#include <set>

#include "bmp-recv/objects.h"
#include "tests/unit/bmp-recv/captures.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

using Row = std::map<std::string, std::string>;

// The rows of one object, by column names.
std::vector<Row> rows_of(const Replay& replay, const std::string& object) {
  std::vector<Row> rows;
  const ObjectInfo* info = find_object(object);
  REQUIRE(info != nullptr);
  for (const Seen& record : replay.keep.seen()) {
    if (record.object != object) continue;
    for (const auto& columns : record.rows) {
      REQUIRE(columns.size() >= info->columns.size());
      Row& row = rows.emplace_back();
      for (std::size_t n = 0; n < info->columns.size(); ++n) row[std::string(info->columns[n])] = columns[n];
    }
  }
  return rows;
}

// pre, post or loc-rib
std::string view_of_row(const Row& row) {
  if (row.at("is_adj_rib_in") == "0") return "loc-rib";
  return row.at("is_pre_policy") == "1" ? "pre" : "post";
}

std::string text(const Row& row, std::initializer_list<const char*> names) {
  std::string out;
  for (const char* name : names) out += (out.empty() ? "" : "|") + row.at(name);
  return out;
}
std::string evpn_text(const Row& row) {
  return text(row, {"route_type", "rd", "originating_router_ip", "ethernet_tag", "esi", "mac", "ip", "mpls_label_1",
                    "prefix", "prefix_len", "gateway_ip"});
}
std::string attributes_text(const Row& row) { return text(row, {"origin", "as_path", "next_hop", "ext_communities"}); }

std::size_t nlri_faults(const Replay& r) { return r.faults(Fault::kMpReach) + r.faults(Fault::kMpUnreach); }

}  // namespace

TEST_CASE("EVPN routes of a GoBGP stream are those of its own table, in every view") {
  const std::string stream = read_capture("gobgp/ha_B.bmp");
  if (stream.empty()) return;
  Replay replay;
  REQUIRE(replay.feed(stream));
  // `gobgp global rib -a evpn`, field by field: route, then attributes.
  const std::map<std::string, std::string> want{
      {"1|10.99.0.2:7||0000000a|1 aa:bb:cc:dd:ee:ff 100|||5003|||",
       "incomplete| 65002|10.99.0.2|rt=65002:502 esi_label_flags=0 esi_label=2001"},
      {"5|10.99.0.2:6||00000000|0 000000000000000000|||5002|10.50.0.0|24|10.99.0.2",
       "incomplete| 65002|10.99.0.2|rt=65002:501"},
      {"4|10.99.0.2:7|10.99.0.2||1 aa:bb:cc:dd:ee:ff 100||||||",
       "incomplete| 65002|10.99.0.2|rt=65002:502 es_import=aa:bb:cc:dd:ee:ff"},
      {"2|10.99.0.2:5||00000000|0 000000000000000000|aa:bb:cc:dd:ee:01|10.40.0.1|5001|||",
       "incomplete| 65002|10.99.0.2|rt=65002:500 encap=8"},
      {"3|10.99.0.2:5|10.99.0.2|00000000|||||||", "incomplete| 65002|10.99.0.2|rt=65002:500 encap=8"},
  };
  std::map<std::string, std::map<std::string, std::string>> views;
  for (const Row& row : rows_of(replay, "evpn")) {
    REQUIRE(row.at("action") == "add");
    views[view_of_row(row)][evpn_text(row)] = attributes_text(row);
  }
  CHECK(views.size() == 3);
  for (const auto& [view, routes] : views) {
    CAPTURE(view);
    CHECK(routes == want);
  }
  CHECK(nlri_faults(replay) == 0);
}

TEST_CASE("a flow rule of GoBGP is read as it stands in its own table, and as its peer meant it") {
  // It takes its own form with a path identifier inside for another rule: what it says to others, and holds, is
  // "[destination: 10.70.0.0/24][destination-port: ==80][inner-cos: >70 true ==6]", where 24 is no IPv4 component.
  constexpr const char* kHeld = "dst 10.70.0.0/24; dport =80; type24 0x0a4600038106";
  constexpr const char* kMeant = "dst 10.70.0.0/24; proto =6; dport =80";
  const std::string stream = read_capture("gobgp/ha_B.bmp");
  if (stream.empty()) return;
  const std::string raw = read_capture("gobgp/pre.bmp");
  if (raw.empty()) return;
  Replay replay;
  REQUIRE(replay.feed(stream));
  std::map<std::string, std::string> rules;
  for (const Row& row : rows_of(replay, "flowspec")) rules[view_of_row(row)] = row.at("rule");
  CHECK(rules == std::map<std::string, std::string>{{"pre", kHeld}, {"post", kHeld}, {"loc-rib", kHeld}});
  CHECK(replay.shared.counters.unknown_routes == 3);
  Replay before;
  REQUIRE(before.feed(raw));
  std::set<std::string> seen;
  for (const Row& row : rows_of(before, "flowspec")) seen.insert(row.at("rule"));
  CHECK(seen.count(kMeant) == 1);
  CHECK(nlri_faults(before) == 0);
}

TEST_CASE("an EVPN route that FRR withdraws has the hash of its announcement") {
  const std::string stream = read_capture("frr/ha_B.bmp");
  if (stream.empty()) return;
  Replay replay;
  REQUIRE(replay.feed(stream));
  std::map<std::string, std::string> held;  // hash -> route
  std::size_t added = 0, deleted = 0;
  for (const Row& row : rows_of(replay, "evpn")) {
    if (row.at("action") == "add") {
      ++added;
      CHECK((row.at("mpls_label_1") == "0" || row.at("mpls_label_1").empty()));  // FRR's label of zero
      held[row.at("hash")] = evpn_text(row);
      continue;
    }
    ++deleted;
    REQUIRE(held.count(row.at("hash")) == 1);
    CHECK(held[row.at("hash")] == evpn_text(row));
    held.erase(row.at("hash"));
  }
  CHECK(added == 10);
  CHECK(deleted == 2);
  CHECK(held.size() == 8);  // four routes, pre and post
  CHECK(nlri_faults(replay) == 0);
}

TEST_CASE("EVPN routes over an SRv6 core are read") {
  const std::string a = read_capture("vendors/evpn-a.bmp");
  if (a.empty()) return;
  const std::string b = read_capture("vendors/evpn-b.bmp");
  if (b.empty()) return;
  Replay of_a, of_b;
  REQUIRE(of_a.feed(a));
  REQUIRE(of_b.feed(b));
  const std::vector<Row> rows_a = rows_of(of_a, "evpn"), rows_b = rows_of(of_b, "evpn");
  REQUIRE(rows_a.size() == 1);
  REQUIRE(rows_b.size() == 1);
  CHECK(evpn_text(rows_a[0]) == "1|198.51.100.154:513||00000201|0 000000000000000000|||14680064|||");
  CHECK(evpn_text(rows_b[0]) == "1|198.51.100.44:513||00000201|0 000000000000000000|||14680064|||");
  CHECK(rows_a[0].at("next_hop") == "fcba:be00:3002::2");
  CHECK(rows_b[0].at("next_hop") == "fcba:be00:3001::1");
  CHECK(nlri_faults(of_a) + nlri_faults(of_b) == 0);
}

TEST_CASE("no EVPN or FlowSpec route of any recorded stream is refused") {
  for (const char* name :
       {"frr/ha_A.bmp", "frr/ha_B2.bmp", "frr/flap.bmp", "gobgp/ha_A.bmp", "gobgp/ha_B2.bmp", "gobgp/flap.bmp"}) {
    const std::string stream = read_capture(name);
    if (stream.empty()) return;
    CAPTURE(name);
    Replay replay;
    REQUIRE(replay.feed(stream));
    CHECK(rows_of(replay, "evpn").size() >= 6);
    CHECK(nlri_faults(replay) == 0);
    for (const Row& row : rows_of(replay, "evpn")) CHECK(row.at("raw").empty());
  }
}
