#include "bmp-recv/bgp_open.h"

#include <doctest/doctest.h>

#include "bmp-recv/attribute_text.h"
#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {
Open parsed(const std::string& message) {
  Open o;
  REQUIRE(parse_open(as_bytes(message), o));
  o.capabilities.clear();  // views into the message
  return o;
}
std::string mp(unsigned afi, unsigned safi) { return hex("01 04") + be16(afi) + hex("00") + static_cast<char>(safi); }
std::string add_path(unsigned afi, unsigned safi, unsigned mode) {
  return hex("45 04") + be16(afi) + static_cast<char>(safi) + static_cast<char>(mode);
}
}  // namespace

TEST_CASE("an OPEN without capabilities speaks IPv4 unicast and 2-byte AS numbers") {
  const Open o = parsed(open(65001, {}));
  CHECK(o.asn == 65001);
  CHECK(o.hold_time == 180);
  CHECK_FALSE(o.as4);
  REQUIRE(o.families.size() == 1);
  CHECK(o.families[0] == kIpv4Unicast);
}

TEST_CASE("capabilities decide the AS number and the families") {
  const Open o = parsed(open(23456, as4_capability(4200000001) + mp(2, 1) + hex("02 00") + hex("c8 02 01 02")));
  CHECK(o.asn == 4200000001);
  CHECK(o.as4);
  REQUIRE(o.families.size() == 1);
  CHECK(o.families[0] == kIpv6Unicast);
}

TEST_CASE("every truncated OPEN is malformed") {
  const std::string whole = open(65001, as4_capability(65001) + mp(1, 1) + add_path(1, 1, 3));
  for (std::size_t n = 0; n < whole.size(); ++n) {
    Open o;
    CHECK_FALSE(parse_open(as_bytes(std::string_view(whole).substr(0, n)), o));
  }
  Open o;
  CHECK_FALSE(parse_open(as_bytes(whole + "x"), o));
  std::string body = whole.substr(19);
  for (std::size_t n = 0; n < body.size(); ++n) {  // with a length that fits
    Open p;
    CHECK_FALSE(parse_open(as_bytes(bgp(1, body.substr(0, n))), p));
  }
  CHECK_FALSE(parse_open(as_bytes(bgp(2, body)), o));
}

TEST_CASE("extended optional parameters are read") {
  const std::string caps = as4_capability(70000);
  const std::string parameter = hex("02") + be16(caps.size()) + caps;
  const std::string body =
      hex("04") + be16(23456) + be16(90) + hex("0a000001") + hex("ff ff") + be16(parameter.size()) + parameter;
  const Open o = parsed(bgp(1, body));
  CHECK(o.asn == 70000);
}

TEST_CASE("path identifiers need a sender and a receiver, per family and direction") {
  const Open router = parsed(open(1, add_path(1, 1, 1) + add_path(2, 1, 3)));  // v4: receive; v6: both
  const Open peer = parsed(open(2, add_path(1, 1, 2) + add_path(2, 1, 1)));    // v4: send; v6: receive
  const PeerContext c = negotiate(router, peer);
  CHECK(c.ids_in.contains(kIpv4Unicast));
  CHECK_FALSE(c.ids_out.contains(kIpv4Unicast));
  CHECK_FALSE(c.ids_in.contains(kIpv6Unicast));
  CHECK(c.ids_out.contains(kIpv6Unicast));
  CHECK_FALSE(c.as4);
  const PeerContext back = negotiate(peer, router);
  CHECK(back.ids_out.contains(kIpv4Unicast));
  CHECK_FALSE(back.ids_in.contains(kIpv4Unicast));
}

TEST_CASE("several labels a prefix need both sides") {
  const std::string many = hex("08 08 0001 04 02 0001 80 01");  // RFC 8277 2.1: 1/4 two labels, 1/128 one
  const PeerContext c = negotiate(parsed(open(1, many)), parsed(open(2, many)));
  CHECK(c.many_labels.contains({1, 4}));
  CHECK_FALSE(c.many_labels.contains({1, 128}));
  CHECK_FALSE(negotiate(parsed(open(1, many)), parsed(open(2, {}))).many_labels.contains({1, 4}));
}

TEST_CASE("families are those of both sides") {
  const Open a = parsed(open(1, mp(1, 1) + mp(2, 1) + mp(1, 1)));
  const Open b = parsed(open(2, mp(1, 128) + mp(1, 1)));
  const PeerContext c = negotiate(a, b);
  REQUIRE(c.families.size() == 1);
  CHECK(c.families[0] == kIpv4Unicast);
}

TEST_CASE("capabilities print as consumers search them") {
  const std::string message = open(1, mp(1, 128) + as4_capability(1) + add_path(1, 1, 3) + hex("05 00"));
  Open o;
  REQUIRE(parse_open(as_bytes(message), o));
  TextBuffer out;
  append_capabilities(out, o, 4096);
  CHECK(out.view() ==
        "MPBGP (1) : afi=1 safi=128 : MPLS-Labeled VPN IPv4, 4 Octet ASN (65), "
        "ADD Path (69) : afi=1 safi=1 send/receive=3 : Unicast IPv4 Send/Receive, 5");
  out.clear();
  append_capabilities(out, o, 70);
  CHECK(out.view() == "MPBGP (1) : afi=1 safi=128 : MPLS-Labeled VPN IPv4, 4 Octet ASN (65)");
}

TEST_CASE("a capability of additional paths for no family is no empty item") {
  const std::string message = open(1, hex("45 00") + as4_capability(1));
  Open o;
  REQUIRE(parse_open(as_bytes(message), o));
  TextBuffer out;
  append_capabilities(out, o, 4096);
  CHECK(out.view() == "ADD Path (69), 4 Octet ASN (65)");
}

TEST_CASE("a malformed capability costs itself, not what the others say") {
  const Open o = parsed(open(23456, as4_capability(4200000001) + hex("45 05 0001 01 03 00") + hex("01 03 000201") +
                                        hex("41 02 0001") + mp(2, 1)));
  CHECK(o.as4);
  CHECK(o.asn == 4200000001);
  REQUIRE(o.add_path.size() == 1);
  CHECK(o.add_path[0].family == kIpv4Unicast);
  REQUIRE(o.families.size() == 1);
  CHECK(o.families[0] == kIpv6Unicast);
}
