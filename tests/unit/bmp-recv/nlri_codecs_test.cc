// Routes of the families through a whole session: UPDATE in, rows of their objects out.
#include "bmp-recv/nlri_codecs.h"

#include <doctest/doctest.h>

#include <map>

#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

std::string reach(unsigned afi, unsigned safi, const std::string& next_hop, const std::string& nlri) {
  return attribute(14,
                   be16(afi) + static_cast<char>(safi) + static_cast<char>(next_hop.size()) + next_hop + '\0' + nlri);
}
std::string unreach(unsigned afi, unsigned safi, const std::string& nlri) {
  return attribute(15, be16(afi) + static_cast<char>(safi) + nlri);
}
const std::string kHop = hex("c0000209");
const std::string kShared = attribute(1, hex("00")) + attribute(2, hex("0201") + be32(65001)) +
                            attribute(16, hex("0002fde800000064")) + attribute(32, be32(1) + be32(2) + be32(3));

// A row by the names of its columns.
using Row = std::map<std::string, std::string>;
Row named(const Seen& record, std::size_t n) {
  const ObjectInfo* object = find_object(record.object);
  REQUIRE(object != nullptr);
  REQUIRE(record.rows[n].size() == object->columns.size());
  Row row;
  for (std::size_t at = 0; at < object->columns.size(); ++at)
    row[std::string(object->columns[at])] = record.rows[n][at];
  REQUIRE(row.size() == object->columns.size());  // each name once
  return row;
}

struct Case {
  unsigned afi, safi;
  std::string next_hop;
  const char* nlri;
  const char* object;
  Row own;
};
const Case kCases[] = {
    {25,
     70,
     kHop,
     "02 25 0000 fde8 00000001 00 000000000000000000 00000000 30 aabbccddee01 20 0a280001 001389",
     "evpn",
     {{"rd", "65000:1"},
      {"rd_type", "0"},
      {"ethernet_tag", "00000000"},
      {"esi", "0 000000000000000000"},
      {"mac_len", "48"},
      {"mac", "aa:bb:cc:dd:ee:01"},
      {"ip_len", "32"},
      {"ip", "10.40.0.1"},
      {"mpls_label_1", "5001"},
      {"route_type", "2"}}},
    {25,
     65,
     kHop,
     "0011 0000 fde8 00000001 0003 0001 0008 c35001",
     "vpls",
     {{"rd", "65000:1"},
      {"rd_type", "0"},
      {"ve_id", "3"},
      {"ve_block_offset", "1"},
      {"ve_block_size", "8"},
      {"label_base", "800000"}}},
    {1, 133, {}, "03 05 81 50", "flowspec", {{"rule", "dport =80"}}},
    {2, 133, {}, "05 01 20 10 0d b8", "flowspec", {{"rule", "dst 0:db8::/16-32"}}},
    {1,
     134,
     {},
     "0b 0001 c0000201 0064 05 81 50",
     "flowspec",
     {{"rd", "192.0.2.1:100"}, {"rd_type", "1"}, {"rule", "dport =80"}}},
    {1,
     73,
     kHop,
     "60 00000002 00000064 c0000201",
     "sr_policy",
     {{"distinguisher", "2"}, {"color", "100"}, {"endpoint", "192.0.2.1"}}},
    {2,
     73,
     kHop,
     "c0 00000001 000000c8 20010db8000000000000000000000001",
     "sr_policy",
     {{"distinguisher", "1"}, {"color", "200"}, {"endpoint", "2001:db8::1"}}},
    {1,
     132,
     kHop,
     "60 0000fde8 0002 fde8 00000064",
     "rt_constraint",
     {{"prefix_len", "96"}, {"member_as", "65000"}, {"route_target", "rt=65000:100"}}},
    {1,
     5,
     kHop,
     "06 16 0000 fde8 00000001 0000fde8 20 c0000203 20 e0010101",
     "mvpn",
     {{"route_type", "6"},
      {"rd", "65000:1"},
      {"rd_type", "0"},
      {"source_as", "65000"},
      {"mcast_source", "192.0.2.3"},
      {"mcast_group", "224.1.1.1"}}},
    {25,
     8,
     kHop,
     "03 0e 0000 fde8 00000001 00 00 c0000201",
     "mvpn",
     {{"route_type", "3"}, {"rd", "65000:1"}, {"rd_type", "0"}, {"originator", "192.0.2.1"}}},
    {1,
     66,
     kHop,
     "80 0000 fde8 00000001 c0000201 e8000101",
     "mdt",
     {{"rd", "65000:1"}, {"rd_type", "0"}, {"pe_address", "192.0.2.1"}, {"mcast_group", "232.0.1.1"}}},
    {25, 133, {}, "04 0e 91 08 00", "flowspec", {{"rule", "ethertype =2048"}}},
    {25,
     134,
     {},
     "0b 0001 c0000201 0064 15 81 64",
     "flowspec",
     {{"rd", "192.0.2.1:100"}, {"rd_type", "1"}, {"rule", "vlan =100"}}},
};

// Columns that say what the route is: they are all there, and no other is filled.
void check_own(Row row, const Case& c, bool contract) {
  if (!contract) {
    CHECK(row["afi"] == std::to_string(c.afi));
    CHECK(row["safi"] == std::to_string(c.safi));
  }
  for (const auto& column : c.own) {
    CAPTURE(column.first);
    CHECK(row[column.first] == column.second);
    row.erase(column.first);
  }
  const ObjectInfo* object = find_object(c.object);
  for (std::size_t n = contract ? 27 : 30; n < object->columns.size(); ++n) {
    CAPTURE(object->columns[n]);
    if (const auto at = row.find(std::string(object->columns[n])); at != row.end() && at->first != "large_communities")
      CHECK(at->second.empty());
  }
}

}  // namespace

TEST_CASE("routes of each family have a row of their object, added and deleted") {
  for (const Case& c : kCases) {
    CAPTURE(c.afi);
    CAPTURE(c.safi);
    Replay r;
    const std::string nlri = hex(c.nlri);
    REQUIRE(r.feed(monitoring(peer_header(1), update({}, kShared + reach(c.afi, c.safi, c.next_hop, nlri), {})) +
                   monitoring(peer_header(1), update({}, unreach(c.afi, c.safi, nlri), {}))));
    const Seen last = r.keep.seen().back();
    REQUIRE(last.object == c.object);
    REQUIRE(last.rows.size() == 2);
    CHECK(last.envelope.kind == RecordKind::kRoutes);
    const bool contract = last.object == "evpn";
    CHECK(topic_object(last.envelope.topic) == c.object);
    const Row add = named(last, 0), del = named(last, 1);
    CHECK(add.at("action") == "add");
    CHECK(add.at("sequence") == "0");
    CHECK(add.at("peer_ip") == "192.0.2.1");
    CHECK(add.at("base_attr_hash").size() == 32);
    CHECK(add.at("origin") == "igp");
    CHECK(add.at("as_path") == " 65001");
    CHECK(add.at("next_hop") == (c.next_hop.empty() ? "" : "192.0.2.9"));
    CHECK(add.at("ext_communities") == "rt=65000:100");
    CHECK(add.at("large_communities") == "1:2:3");
    CHECK(add.at("path_id") == "0");
    CHECK(add.at("is_pre_policy") == "1");
    CHECK(add.at("is_adj_rib_in") == "1");
    check_own(add, c, contract);
    CHECK(del.at("action") == "del");
    CHECK(del.at("sequence") == "1");
    CHECK(del.at("hash") == add.at("hash"));
    for (const char* name : {"base_attr_hash", "origin", "as_path", "next_hop", "ext_communities", "large_communities"})
      CHECK(del.at(name).empty());
    check_own(del, c, contract);
    CHECK(r.shared.counters.prefixes_announced == 1);
    CHECK(r.shared.counters.prefixes_withdrawn == 1);
  }
}

TEST_CASE("the columns of the evpn object stand where the contract has them") {
  const ObjectInfo& evpn = object_info(Object::kEvpn);
  REQUIRE(evpn.columns.size() == 51);
  CHECK(evpn.columns[10] == "origin");
  CHECK(evpn.columns[14] == "next_hop");
  CHECK(evpn.columns[24] == "path_id");
  CHECK(evpn.columns[25] == "is_pre_policy");
  CHECK(evpn.columns[27] == "rd");
  CHECK(evpn.columns[33] == "mac_len");
  CHECK(evpn.columns[38] == "mpls_label_2");
  CHECK(evpn.columns[39] == "large_communities");
  CHECK(evpn.columns[40] == "route_type");
}

TEST_CASE("a route of unknown type has a row with its bytes, and is counted") {
  Replay r;
  REQUIRE(r.feed(monitoring(
      peer_header(1),
      update({}, kShared + reach(25, 70, kHop, hex("2a 02 abcd 03 11 0000 fde8 00000001 00000000 20 c0000201")), {}))));
  const Seen last = r.keep.seen().back();
  REQUIRE(last.rows.size() == 2);
  CHECK(named(last, 0).at("route_type") == "42");
  CHECK(named(last, 0).at("raw") == "abcd");
  CHECK(named(last, 1).at("originating_router_ip") == "192.0.2.1");
  CHECK(named(last, 1).at("raw").empty());
  CHECK(r.shared.counters.unknown_routes == 1);
  CHECK(r.shared.counters.path_id_fallbacks == 0);
}

TEST_CASE("path identifiers that nobody agreed on are found in the families, too, and make other routes") {
  Replay r;
  const std::string policy = hex("60 00000002 00000064 c0000201");
  REQUIRE(r.feed(
      monitoring(peer_header(1), update({}, kShared + reach(1, 73, kHop, be32(1) + policy + be32(2) + policy), {}))));
  const Seen last = r.keep.seen().back();
  REQUIRE(last.rows.size() == 2);
  CHECK(named(last, 0).at("path_id") == "1");
  CHECK(named(last, 1).at("path_id") == "2");
  CHECK(named(last, 0).at("hash") != named(last, 1).at("hash"));
  CHECK(r.shared.counters.path_id_fallbacks == 1);
}

TEST_CASE("each object has a topic of its own name, and those of routes are known as such") {
  for (std::size_t n = 0; n < kObjects; ++n) {
    const ObjectInfo& o = object_info(static_cast<Object>(n));
    CAPTURE(o.name);
    CHECK(topic_object(o.topic) == o.name);
    CHECK(is_route_topic(o.topic) == (n < kRouteObjects));
  }
}
