// Routes of all families of recorded streams against what the routers' own tables say of them.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
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

// ---- GoBGP's `global rib -j`, in the words of rows

using Json = nlohmann::json;

std::string list_text(const Json& list, const std::function<std::string(const Json&)>& one) {
  std::string out;
  for (const Json& j : list) out += (out.empty() ? "" : " ") + one(j);
  return out;
}
std::string number_text(const Json& j) { return std::to_string(j.get<std::uint64_t>()); }
std::string plain_text(const Json& j) { return j.get<std::string>(); }
std::string path_segment(const Json& j) {
  const std::string asns = list_text(j["asns"], number_text);
  return j["segment_type"] == 1 ? "{ " + asns + " }" : asns;
}
std::string community(const Json& j) {
  const auto v = j.get<std::uint32_t>();
  return std::to_string(v >> 16) + ':' + std::to_string(v & 0xffff);
}
std::string large_community(const Json& j) {
  return number_text(j["ASN"]) + ':' + number_text(j["LocalData1"]) + ':' + number_text(j["LocalData2"]);
}
std::string ext_community(const Json& j) {
  REQUIRE(j["type"] == 0);
  REQUIRE((j["subtype"] == 2 || j["subtype"] == 3));
  return (j["subtype"] == 2 ? "rt=" : "soo=") + plain_text(j["value"]);
}
// Columns of a route by name.
Row own_attributes(const Json& attributes) {
  Row row{{"origin", ""},       {"as_path", ""},        {"next_hop", ""},      {"med", "0"},
          {"local_pref", "0"},  {"aggregator", ""},     {"communities", ""},   {"ext_communities", ""},
          {"cluster_list", ""}, {"is_atomic_agg", "0"}, {"originator_id", ""}, {"large_communities", ""}};
  static constexpr const char* kOrigins[] = {"igp", "egp", "incomplete"};
  for (const Json& a : attributes) {
    const int type = a["type"];
    if (type == 1) row["origin"] = kOrigins[a["value"].get<std::size_t>()];
    if (type == 2) row["as_path"] = list_text(a["as_paths"], path_segment);
    if (type == 3 || type == 14) row["next_hop"] = a["nexthop"];
    if (type == 4) row["med"] = number_text(a["metric"]);
    if (type == 5) row["local_pref"] = number_text(a["value"]);
    if (type == 6) row["is_atomic_agg"] = "1";
    if (type == 7) row["aggregator"] = number_text(a["as"]) + ' ' + plain_text(a["address"]);
    if (type == 8) row["communities"] = list_text(a["communities"], community);
    if (type == 9) row["originator_id"] = a["value"];
    if (type == 10) row["cluster_list"] = list_text(a["value"], plain_text);
    if (type == 16) row["ext_communities"] = list_text(a["value"], ext_community);
    if (type == 32) row["large_communities"] = list_text(a["value"], large_community);
  }
  return row;
}
std::string row_text(const Row& row) {
  std::string path = row.at("as_path"), clusters = row.at("cluster_list"), out;
  // The contract has a space in front of the one, and one behind the other.
  if (path.starts_with(' ')) path.erase(0, 1);
  if (clusters.ends_with(' ')) clusters.pop_back();
  for (const char* name : {"origin", "next_hop", "med", "local_pref", "aggregator", "communities", "ext_communities",
                           "is_atomic_agg", "originator_id", "large_communities", "labels"})
    out += (row.contains(name) ? row.at(name) : "") + '|';
  return out + clusters + '|' + path;
}

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
  for (const auto& view : views) {
    CAPTURE(view.first);
    CHECK(view.second == want);
  }
  CHECK(nlri_faults(replay) == 0);
}

TEST_CASE("GoBGP's own table of unicast and VPN routes is what its stream says, attribute by attribute") {
  const std::string stream = read_capture("gobgp/ha_B.bmp");
  const std::string tables = read_packed_capture("gobgp/truth-globalrib.json.gz");
  if (stream.empty() || tables.empty()) return;
  Replay replay;
  REQUIRE(replay.feed(stream.substr(0, 439175)));  // the dump; changes follow
  REQUIRE(replay.rest == 0);
  // View, (of the view after policy) peer, family, distinguisher, prefix -> attributes of its paths. GoBGP sends all
  // paths of a peer in that view, and none has an identifier: there the last one stands for the prefix, so all are kept
  // here.
  std::map<std::string, std::set<std::string>> got;
  std::map<std::string, std::string> want;
  const std::pair<const char*, const char*> objects[] = {{"unicast_prefix", "ip"}, {"l3vpn", "vpn"}};
  for (const auto& [object, family] : objects)
    for (const Row& row : rows_of(replay, object)) {
      const std::string view = view_of_row(row);
      const std::string key = view + (view == "post" ? ' ' + row.at("peer_ip") : "") + ' ' + family +
                              (row.at("is_ipv4") == "1" ? "v4 " : "v6 ") + (row.contains("rd") ? row.at("rd") : "") +
                              ' ' + row.at("prefix") + '/' + row.at("prefix_len");
      if (view != "post" || row.at("action") == "del") got[key].clear();
      if (row.at("action") == "add") got[key].insert(row_text(row));
    }
  std::size_t peers_routes = 0;
  const Json all = Json::parse(tables);
  for (const char* family : {"ipv4", "ipv6", "vpnv4", "vpnv6"})
    for (const auto& [name, paths] : all[family].items()) {
      const auto best = std::find_if(paths.begin(), paths.end(), [](const Json& p) { return p.value("best", false); });
      REQUIRE(best != paths.end());
      const Json& nlri = (*best)["nlri"];
      Row row = own_attributes((*best)["attrs"]);
      std::string rd;
      if (nlri.contains("rd")) {
        const Json& admin = nlri["rd"]["admin"];
        rd = (admin.is_string() ? plain_text(admin) : number_text(admin)) + ':' + number_text(nlri["rd"]["assigned"]);
        row["labels"] = list_text(nlri["labels"], number_text);
      }
      const std::string key = std::string(family[0] == 'v' ? "" : "ip") + (family[0] == 'v' ? family : family + 2) +
                              ' ' + rd + ' ' + plain_text(nlri["prefix"]);
      want["loc-rib " + key] = row_text(row);
      if (!best->contains("neighbor-ip")) continue;  // GoBGP's own
      const std::string peers_key = "post " + plain_text((*best)["neighbor-ip"]) + ' ' + key;
      CHECK_MESSAGE(got[peers_key].contains(row_text(row)), peers_key);
      ++peers_routes;
    }
  CHECK(want.size() == 1084);
  CHECK(peers_routes == 1083);
  std::erase_if(got, [](const auto& route) { return !route.first.starts_with("loc-rib ") || route.second.empty(); });
  CHECK(got.size() == want.size());
  for (const auto& route : want) {
    CAPTURE(route.first);
    REQUIRE(got[route.first].size() == 1);
    CHECK(*got[route.first].begin() == route.second);
  }
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
