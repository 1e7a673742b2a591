// The hashes of the OpenBMP contract, against values that OpenBMP's own functions gave.
#include "bmp-recv/compat_hash.h"

#include <doctest/doctest.h>

#include <array>

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
