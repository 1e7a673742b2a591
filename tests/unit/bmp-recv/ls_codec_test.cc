// BGP-LS, and attributes without a column of the contract, from the UPDATE to the rows.
#include "bmp-recv/ls_codec.h"

#include <doctest/doctest.h>

#include <map>

#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

std::string tlv(unsigned type, const std::string& value) { return be16(type) + be16(value.size()) + value; }
std::string node_tlvs(const char* id) { return tlv(512, hex("0000fde8")) + tlv(513, be32(0)) + tlv(515, hex(id)); }
std::string nlri(unsigned type, const std::string& descriptors) {
  return tlv(type, hex("02 0000000000000000") + descriptors);
}
std::string node(const char* id) { return nlri(1, tlv(256, node_tlvs(id))); }
std::string link_of(const char* local, const char* remote) {
  return nlri(2, tlv(256, node_tlvs(local)) + tlv(257, node_tlvs(remote)) + tlv(259, hex("0a000001")));
}
std::string prefix(const char* local) { return nlri(3, tlv(256, node_tlvs(local)) + tlv(265, hex("18 cb0071"))); }
std::string sid(const char* local) {
  return nlri(6, tlv(256, node_tlvs(local)) + tlv(518, hex("20010db8000000000000000000000001")));
}
std::string reach(const std::string& routes) {
  return update({},
                attribute(1, hex("00")) + attribute(2, {}) + attribute(5, be32(100)) +
                    attribute(14, hex("4004 47 04 c0000201 00") + routes) +
                    attribute(29, tlv(1026, "core1") + tlv(1095, hex("00000a"))),
                {});
}
std::string unreach(const std::string& routes) { return update({}, attribute(15, hex("4004 47") + routes), {}); }

// Rows of the records of one object, the columns by name.
using Row = std::map<std::string, std::string>;
std::vector<Row> rows_of(const Replay& r, const std::string& object) {
  std::vector<Row> all;
  const ObjectInfo* info = find_object(object);
  REQUIRE(info != nullptr);
  for (const Seen& s : r.keep.seen()) {
    if (s.object != object) continue;
    for (const auto& columns : s.rows) {
      Row row;
      REQUIRE((columns.size() == info->columns.size() ||
               columns.size() == info->columns.size() + extra_attribute_columns().size()));
      for (std::size_t n = 0; n < info->columns.size(); ++n) row[std::string(info->columns[n])] = columns[n];
      for (std::size_t n = info->columns.size(); n < columns.size(); ++n)
        row[std::string(extra_attribute_columns()[n - info->columns.size()])] = columns[n];
      all.push_back(row);
    }
  }
  return all;
}

const char kOne[] = "000000000001", kTwo[] = "000000000002";

}  // namespace

TEST_CASE("BGP-LS objects have the contract's columns at their places, and ours behind") {
  const struct {
    const char* object;
    std::size_t contract, all;
    std::vector<std::pair<std::size_t, const char*>> places;  // from 1, as in the contract
  } cases[] = {
      {"ls_node",
       27,
       43,
       {{4, "base_attr_hash"},
        {5, "router_hash"},
        {11, "igp_router_id"},
        {18, "protocol"},
        {20, "as_path"},
        {23, "next_hop"},
        {24, "node_name"},
        {25, "is_pre_policy"},
        {27, "sr_capabilities"}}},
      {"ls_link",
       46,
       70,
       {{11, "igp_router_id"},
        {17, "protocol"},
        {18, "as_path"},
        {22, "mt_id"},
        {27, "igp_metric"},
        {36, "link_name"},
        {37, "remote_node_hash"},
        {38, "local_node_hash"},
        {43, "peer_node_sid"},
        {44, "is_pre_policy"},
        {46, "adjacency_sids"}}},
      {"ls_prefix",
       34,
       48,
       {{17, "protocol"},
        {21, "next_hop"},
        {22, "local_node_hash"},
        {23, "mt_id"},
        {29, "igp_metric"},
        {30, "prefix"},
        {31, "prefix_len"},
        {32, "is_pre_policy"},
        {34, "prefix_sids"}}},
      {"ls_srv6_sid", 30, 46, {{11, "afi"}, {13, "path_id"}, {30, "large_communities"}, {31, "rd"}}},
  };
  for (const auto& c : cases) {
    CAPTURE(c.object);
    const ObjectInfo* info = find_object(c.object);
    REQUIRE(info != nullptr);
    CHECK(info->columns.size() == c.all);
    CHECK(c.all > c.contract);
    for (const auto& [at, name] : c.places) {
      CAPTURE(name);
      CHECK(info->columns[at - 1] == name);
    }
  }
  CHECK(find_object("ls_srv6_sid")->columns.back() == "local_node_hash");
}

TEST_CASE("links, prefixes and SIDs name their nodes by the hashes of the nodes' own rows") {
  Replay r;
  REQUIRE(r.feed(
      monitoring(peer_header(1), reach(node(kOne) + node(kTwo) + link_of(kOne, kTwo) + prefix(kTwo) + sid(kOne)))));
  const auto nodes = rows_of(r, "ls_node"), links = rows_of(r, "ls_link"), prefixes = rows_of(r, "ls_prefix"),
             sids = rows_of(r, "ls_srv6_sid");
  REQUIRE(nodes.size() == 2);
  REQUIRE(links.size() == 1);
  REQUIRE(prefixes.size() == 1);
  REQUIRE(sids.size() == 1);
  CHECK(nodes[0].at("igp_router_id") == "0000.0000.0001.0000");
  CHECK(nodes[0].at("node_name") == "core1");
  CHECK(nodes[0].at("next_hop") == "192.0.2.1");
  CHECK(nodes[0].at("local_pref") == "100");
  CHECK(nodes[0].at("is_pre_policy") == "1");
  CHECK(nodes[0].at("hash") != nodes[1].at("hash"));
  CHECK(links[0].at("local_node_hash") == nodes[0].at("hash"));
  CHECK(links[0].at("remote_node_hash") == nodes[1].at("hash"));
  CHECK(links[0].at("igp_metric") == "10");
  CHECK(prefixes[0].at("local_node_hash") == nodes[1].at("hash"));
  CHECK(sids[0].at("local_node_hash") == nodes[0].at("hash"));
  CHECK(sids[0].at("sid") == "2001:db8::1");
  CHECK(sids[0].at("afi") == "16388");
  const auto sets = rows_of(r, "base_attribute");
  REQUIRE(sets.size() == 1);
  CHECK(links[0].at("base_attr_hash") == sets[0].at("hash"));
}

TEST_CASE("candidate paths have rows of their own") {
  const std::string path =
      tlv(5, hex("09 0000000000000000") + tlv(256, tlv(512, hex("0000fde8")) + tlv(516, hex("c0000201"))) +
                 tlv(554, hex("02 00 0000 c0000202 00000064 0000fde9 c0000203 00000005")));
  Replay r;
  REQUIRE(r.feed(monitoring(peer_header(1), reach(path)) + monitoring(peer_header(1), unreach(path))));
  const std::vector<Row> rows = rows_of(r, "ls_sr_policy");
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].at("action") == "add");
  CHECK(rows[0].at("afi") == "16388");
  CHECK(rows[0].at("next_hop") == "192.0.2.1");
  CHECK(rows[0].at("endpoint") == "192.0.2.2");
  CHECK(rows[0].at("color") == "100");
  CHECK(rows[1].at("action") == "del");
  CHECK(rows[1].at("hash") == rows[0].at("hash"));
  CHECK(rows[1].at("endpoint") == "192.0.2.2");
}

TEST_CASE("a withdrawal has the announcement's hash and no attributes") {
  Replay r;
  const std::string all = node(kOne) + link_of(kOne, kTwo) + prefix(kTwo) + sid(kOne);
  REQUIRE(r.feed(monitoring(peer_header(1), reach(all)) + monitoring(peer_header(1), unreach(all))));
  for (const char* object : {"ls_node", "ls_link", "ls_prefix", "ls_srv6_sid"}) {
    CAPTURE(object);
    const auto rows = rows_of(r, object);
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].at("action") == "add");
    CHECK(rows[1].at("action") == "del");
    CHECK(rows[0].at("hash") == rows[1].at("hash"));
    CHECK(rows[1].at("base_attr_hash").empty());
    CHECK(rows[1].at("next_hop").empty());
  }
  CHECK(rows_of(r, "ls_node")[1].at("node_name").empty());
  CHECK(rows_of(r, "ls_link")[1].at("igp_metric") == "0");
}

TEST_CASE("columns of other attributes stand behind all rows of an UPDATE that has one, and only there") {
  Replay r;
  const std::string plain = plain_attributes(), prefix_bytes = hex("18 0a0102");
  REQUIRE(r.feed(monitoring(peer_header(1), update({}, plain, prefix_bytes)) +
                 monitoring(peer_header(1), update({}, plain + attribute(35, be32(65009)), prefix_bytes)) +
                 monitoring(peer_header(1), update(prefix_bytes, {}, {}))));
  for (const char* object : {"unicast_prefix", "base_attribute"}) {
    const auto rows = rows_of(r, object);
    REQUIRE(rows.size() >= 2);
    CHECK_FALSE(rows[0].contains("otc"));
    CHECK(rows[1].at("otc") == "65009");
    CHECK(rows[1].at("aigp").empty());
    CHECK(rows[1].at("large_communities").empty());
  }
  CHECK_FALSE(rows_of(r, "unicast_prefix")[2].contains("otc"));
  CHECK(rows_of(r, "base_attribute")[0].at("hash") != rows_of(r, "base_attribute")[1].at("hash"));
}
