// The hashes of the OpenBMP contract, against values that OpenBMP's own functions gave.
#include "bmp-recv/compat_hash.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>

#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;

namespace {

struct Known {
  std::string collector = to_hex(compat::collector_hash("collector"));
  std::string router = to_hex(compat::router_hash("192.0.2.1", collector));
  std::string peer = to_hex(compat::peer_hash("198.51.100.1", "0:0", router, false));
  std::string loc_rib = to_hex(compat::peer_hash("::", "0:0", router, true));
  std::string scratch;

  std::string route(compat::RouteTexts r) {
    if (r.prefix.empty()) r.prefix = "203.0.113.0";
    if (r.length == 0) r.length = 24;
    if (r.peer_hex.empty()) r.peer_hex = peer;
    return to_hex(compat::route_hash(r, scratch));
  }
  Hash128 node(std::uint8_t number) {
    const std::array<std::uint8_t, 8> id{0, 0, 0, 0, 0, number, 0, 0};
    const std::array<std::uint8_t, 4> area{};
    return compat::ls_node_hash({id, 0, 65000, area}, scratch);
  }
};

compat::RouteTexts in_view(View view) {
  compat::RouteTexts r;
  r.view = view;
  return r;
}

}  // namespace

TEST_CASE("compat hashes: collector, router, peer") {
  const Known k;
  CHECK(k.collector == "91e3a7ff9f5676ed6ae6fcd8a6b455ec");
  CHECK(k.router == "5dd8e602694a16eec57438a13df372fb");
  CHECK(to_hex(compat::router_hash("edge1.example.net", k.collector)) == "c74e90f4b92d3243eac77ac3504b3b40");
  CHECK(to_hex(compat::router_hash("192.0.2.255", k.collector)) == "4007dc7fcd578e3fd5fa14528f465a8d");
  CHECK(k.peer == "0f52e41d50bba33adc45bbd7a97c0e3d");
  CHECK(to_hex(compat::peer_hash("198.51.100.1", "65000:100", k.router, false)) == "d85b2d6831dc35a615b66cd83a8b4071");
  CHECK(k.loc_rib == "8c455ac2f633061ea88f0a07bad00880");
}

TEST_CASE("compat hashes: routes in each view, with path identifier and labels") {
  Known k;
  CHECK(k.route(in_view(View::kInPre)) == "8e937ad77aaa3a186cca885e9b7efe9b");
  compat::RouteTexts r;
  r.path_id = 7;
  CHECK(k.route(r) == "cea7dd0dac7df407e9acc9bc233977ba");
  r = {};
  r.labelled = true;
  CHECK(k.route(r) == "a819482a2a880802d855ff7daa67560b");
  CHECK(k.route(in_view(View::kInPost)) == "39679b61e190867d8bee19b2e960630e");
  CHECK(k.route(in_view(View::kOutPost)) == "11601200dc136b0da24f3c44b813ace1");
  r = in_view(View::kLocRib);
  r.peer_hex = k.loc_rib;
  CHECK(k.route(r) == "a926d1e0a35be1f2f69fa8a5c7e56a21");
  r = {};
  r.prefix = "2001:db8::";
  r.length = 32;
  CHECK(k.route(r) == "17966fa100f53b1c465f5e422ed53b9b");
  r = {};
  r.rd_admin = "65000";
  r.rd_number = "100";
  r.labelled = true;
  CHECK(k.route(r) == "d7398ec351f5e2e20a286a8f88cff419");
}

TEST_CASE("compat hashes: attributes") {
  Known k;
  const compat::AttributeTexts a{" 65001 65002", "198.51.100.1", "", "igp", 0, 100, "65001:1 65001:2", "rt=65001:1"};
  CHECK(to_hex(compat::attributes_hash(a, k.peer, k.scratch)) == "2b2c97a56b898722babb89c183041697");
}

TEST_CASE("compat hashes: EVPN and BGP-LS") {
  Known k;
  compat::EvpnTexts e;
  e.peer_hex = k.peer;
  e.mac = "00:11:22:33:44:55";
  e.ip = "192.0.2.10";
  e.ip_length = 32;
  e.esi = "0 000000000000000000";
  e.rd_admin = "65000";
  e.rd_number = "100";
  CHECK(to_hex(compat::evpn_hash(e, k.scratch)) == "7b64cf6e8436637385c0be88d3bc81ea");
  const Hash128 one = k.node(1), two = k.node(2);
  CHECK(to_hex(one) == "903ef9d2c3435da3b201240600a25e5c");
  const std::array<std::uint8_t, 16> from{10, 0, 0, 1}, to{10, 0, 0, 2}, prefix{203, 0, 113};
  CHECK(to_hex(compat::ls_link_hash({from, to, 0, one, two, 0, 0, k.peer, 0}, k.scratch)) ==
        "1add99810d1ab5254a0bc28d495dbc80");
  CHECK(to_hex(compat::ls_prefix_hash({prefix, 24, 0, one, "", 0}, k.scratch)) == "9fa5bbab6c4b2a087bd9b1e94394f99d");
}

namespace {

// Rows of a session whose router and peer are those of the known values.
std::vector<testing::Seen> decode(const std::string& messages, bool openbmp) {
  Known k;
  testing::Keep keep;
  DecoderShared shared;
  SessionDecoder::Settings s;
  const Hash128 collector = compat::collector_hash("collector");
  s.identity = {compat::router_hash("192.0.2.1", k.collector), {1, 1}, collector, openbmp};
  s.router_ip = "192.0.2.1";
  SessionDecoder decoder(s, shared, keep);
  decoder.begin({});
  decoder.begin_pass({});
  for (Bytes rest = as_bytes(messages); !rest.empty();) {
    BmpFrame frame;
    REQUIRE(next_frame(rest, frame) == FrameState::kFrame);
    decoder.on_frame(frame, 0);
    rest = rest.subspan(frame.size);
  }
  decoder.end_pass();
  return keep.seen();
}

}  // namespace

namespace {

using testing::attribute;
using testing::be32;
using testing::hex;

// Peer 198.51.100.1.
std::string known_header(unsigned flags = 0) {
  std::string h = testing::peer_header(1, flags);
  return h.replace(22, 4, hex("c6 33 64 01"));
}
std::string known_up() {
  const std::string open = testing::open(65000, testing::as4_capability(65000));
  return testing::peer_up(known_header(), open, open);
}
std::string known_attributes(const std::string& next_hop) {
  return attribute(1, hex("00")) + attribute(2, hex("02 02") + be32(65001) + be32(65002)) + next_hop +
         attribute(5, be32(100)) + attribute(8, hex("fd e9 00 01 fd e9 00 02")) +
         attribute(16, hex("00 02 fd e9 00 00 00 01"));
}
std::string known_update(unsigned flags, const std::string& more) {
  const std::string attributes = known_attributes(attribute(3, hex("c6 33 64 01"))) + more;
  return testing::monitoring(known_header(flags), testing::update("", attributes, hex("18 cb 00 71")));
}
const std::vector<std::string>* row_of(const std::vector<testing::Seen>& records, const std::string& object,
                                       std::size_t n = 0) {
  for (const testing::Seen& r : records)
    for (const auto& row : r.rows)
      if (r.object == object && n-- == 0) return &row;
  return nullptr;
}

}  // namespace

TEST_CASE("compat hashes stand in the rows of a session") {
  const std::string large = attribute(32, be32(65001) + be32(1) + be32(2));
  const std::string post = known_update(0x40, large);
  const std::vector<testing::Seen> records = decode(known_up() + known_update(0, "") + post, true);
  const auto* peer = row_of(records, "peer");
  REQUIRE(peer != nullptr);
  CHECK((*peer)[2] == "0f52e41d50bba33adc45bbd7a97c0e3d");
  CHECK((*peer)[3] == "5dd8e602694a16eec57438a13df372fb");
  const auto* route = row_of(records, "unicast_prefix");
  REQUIRE(route != nullptr);
  CHECK((*route)[2] == "8e937ad77aaa3a186cca885e9b7efe9b");
  CHECK((*route)[5] == "2b2c97a56b898722babb89c183041697");
  CHECK((*route)[6] == "0f52e41d50bba33adc45bbd7a97c0e3d");
  const auto* second = row_of(records, "unicast_prefix", 1);
  REQUIRE(second != nullptr);
  CHECK((*second)[2] == "39679b61e190867d8bee19b2e960630e");
  CHECK((*second)[31] == "65001:1:2");
  // Large communities are not part of it, so each UPDATE has its row, and the message says what the hash is.
  for (const std::size_t n : {0U, 1U}) {
    const auto* set = row_of(records, "base_attribute", n);
    REQUIRE(set != nullptr);
    CHECK((*set)[2] == "2b2c97a56b898722babb89c183041697");
  }
}

TEST_CASE("compat hashes of VPN and labelled routes are made of their columns") {
  const std::string vpn = attribute(14, hex("00 01 80 0c 00 00 00 00 00 00 00 00 c6 33 64 01 00") +
                                            hex("70 00 06 41 00 00 fd e8 00 00 00 64 cb 00 71"));
  const std::string labelled = attribute(14, hex("00 01 04 04 c6 33 64 01 00 30 00 06 41 cb 00 71"));
  std::string messages = known_up();
  for (const std::string& reach : {vpn, labelled})
    messages += testing::monitoring(known_header(), testing::update("", known_attributes("") + reach, ""));
  const std::vector<testing::Seen> records = decode(messages, true);
  const auto* route = row_of(records, "l3vpn");
  REQUIRE(route != nullptr);
  CHECK((*route)[2] == "d7398ec351f5e2e20a286a8f88cff419");
  route = row_of(records, "unicast_prefix");
  REQUIRE(route != nullptr);
  CHECK((*route)[2] == "a819482a2a880802d855ff7daa67560b");
}

TEST_CASE("EVPN routes of types that OpenBMP does not read keep hashes of their own") {
  const std::string rd_esi = hex("0000fde800000064 00000000000000000000");
  const auto route = [](unsigned type, const std::string& value) {
    return std::string{static_cast<char>(type), static_cast<char>(value.size())} + value;
  };
  const auto prefix = [&](const char* bytes) {
    return route(5, rd_esi + hex("00000000 18") + hex(bytes) + hex("00000000 000641"));
  };
  const std::string mac = rd_esi + hex("00000000 30 020000000001 00 000641");
  const std::string mac2 = hex("0000fde800000064 00000000000000000001") + mac.substr(18);
  const std::string evpn = hex("0019 46 04 c6336401 00") + route(2, mac) + route(2, mac2) + prefix("0a010200") +
                           prefix("0a010300") + route(2, mac.substr(0, 18) + be32(9) + mac.substr(22));
  const auto records =
      decode(known_up() + testing::monitoring(known_header(),
                                              testing::update("", known_attributes("") + attribute(14, evpn), "")),
             true);
  std::vector<std::string> hashes;
  for (std::size_t n = 0; const auto* row = row_of(records, "evpn", n); ++n) hashes.push_back((*row)[2]);
  REQUIRE(hashes.size() == 5);
  CHECK(hashes[2] != hashes[3]);
  CHECK(hashes[0] != hashes[1]);  // by the ESI
  CHECK(hashes[0] == hashes[4]);  // the tag is no part of it
}

TEST_CASE("compat hashes of BGP-LS are those of the contract's vectors, and name the nodes' own rows") {
  const auto tlv = [](unsigned type, const std::string& value) {
    return testing::be16(type) + testing::be16(value.size()) + value;
  };
  const auto node = [&](unsigned descriptor, const char* id) {
    return tlv(descriptor, tlv(512, be32(65000)) + tlv(513, be32(0)) + tlv(515, hex(id)));
  };
  const auto nlri = [&](unsigned type, const std::string& descriptors) {
    return tlv(type, hex("02 0000000000000000") + descriptors);
  };
  const std::string one = node(256, "000000000001");
  const std::string link = one + node(257, "000000000002") + tlv(259, hex("0a000001")) + tlv(260, hex("0a000002"));
  const std::string routes = nlri(1, one) + nlri(2, link) + nlri(3, one + tlv(265, hex("18 cb0071"))) +
                             nlri(6, one + tlv(518, std::string(16, '\1')));
  const std::string reach = attribute(14, hex("40 04 47 04 c6 33 64 01 00") + routes);
  std::string messages = known_up();
  messages += testing::monitoring(known_header(), testing::update("", known_attributes("") + reach, ""));
  const std::vector<testing::Seen> records = decode(messages, true);
  const auto column = [&](const char* object, const char* name) {
    const auto& names = find_object(object)->columns;
    const auto* row = row_of(records, object);
    REQUIRE(row != nullptr);
    return row->at(static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin()));
  };
  const std::string first = "903ef9d2c3435da3b201240600a25e5c";
  CHECK(column("ls_node", "hash") == first);
  CHECK(column("ls_link", "hash") == "1add99810d1ab5254a0bc28d495dbc80");
  CHECK(column("ls_link", "local_node_hash") == first);
  Known k;
  CHECK(column("ls_link", "remote_node_hash") == to_hex(k.node(2)));
  CHECK(column("ls_prefix", "hash") == "9fa5bbab6c4b2a087bd9b1e94394f99d");
  CHECK(column("ls_prefix", "local_node_hash") == first);
  CHECK(column("ls_srv6_sid", "local_node_hash") == first);
}

TEST_CASE("messages with compat hashes say so, others do not") {
  for (const bool openbmp : {true, false}) {
    testing::Keep keep;
    RecordBuilder builder({{}, {1, 1}, {}, openbmp}, keep);
    Rows rows;
    rows.text.append("add\n");
    rows.count = 1;
    builder.emit({RecordKind::kRoutes, TopicSelector::kUnicastPrefix, "unicast_prefix", {}, false}, rows);
    const Bytes b = keep.records.at(0).bytes();
    const std::string_view text(reinterpret_cast<const char*>(b.data()), b.size());
    CHECK((text.find("\nHASH: openbmp\n") != std::string_view::npos) == openbmp);
  }
}
