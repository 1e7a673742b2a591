#include "bmp-recv/nlri_mvpn.h"

#include "tests/unit/bmp-recv/nlri_builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

std::string columns(const MvpnRoute& r) { return columns_of(r, append_mvpn_columns); }
std::string key_of(const MvpnRoute& r) {
  KeyBytes key;
  append_key(key, r);
  return text_of(key);
}

struct Case {
  const char* bytes;
  const char* want;
};
constexpr Case kCases[] = {
    {"01 0c 0000 fde8 00000001 c0000201", "1|65000:1|0||||192.0.2.1||"},
    {"01 18 0000 fde8 00000001 20010db8000000000000000000000001", "1|65000:1|0||||2001:db8::1||"},
    {"02 0c 0000 fde8 00000001 00010000", "2|65000:1|0|65536|||||"},
    {"03 16 0000 fde8 00000001 20 c6336401 20 e8000101 c0000201", "3|65000:1|0||198.51.100.1|232.0.1.1|192.0.2.1||"},
    // Wildcards (RFC 6625).
    {"03 0e 0000 fde8 00000001 00 00 c0000201", "3|65000:1|0||||192.0.2.1||"},
    {"04 12 02 0c 0000 fde8 00000001 00010000 c0000202", "4||||||192.0.2.2|020c0000fde80000000100010000|"},
    {"05 12 0000 fde8 00000001 20 c6336401 20 e8000101", "5|65000:1|0||198.51.100.1|232.0.1.1|||"},
    {"06 16 0000 fde8 00000001 0000fde8 20 c0000203 20 e0010101", "6|65000:1|0|65000|192.0.2.3|224.1.1.1|||"},
    {"07 2e 0000 fde8 00000001 0000fde8 80 20010db8000000000000000000000001 80 ff3e0000000000000000000000000001",
     "7|65000:1|0|65000|2001:db8::1|ff3e::1|||"},
    {"43 02 0102", "67||||||||0102"},  // RFC 7441
};

MvpnRoute invent(Dice& dice) {
  MvpnRoute r;
  r.known = true;
  r.type = static_cast<MvpnType>(1 + dice.below(7));
  using enum MvpnType;
  if (r.type != kLeaf) dice.fill(r.rd);
  if (r.type == kInterAsIPmsi || r.type >= kSharedTreeJoin)
    r.source_as = static_cast<std::uint32_t>(dice.below(1ULL << 32));
  if (r.type == kSPmsi || r.type >= kSourceActive) {
    r.source = dice.address({0, 4, 16});
    r.group = dice.address({0, 4, 16});
  }
  if (r.type == kIntraAsIPmsi || r.type == kSPmsi || r.type == kLeaf) r.originator = dice.address({4, 16});
  static const std::string kKey = hex("02 0c 0000 fde8 00000001 00010000");
  if (r.type == kLeaf) r.route_key = as_bytes(kKey);
  return r;
}

}  // namespace

TEST_CASE("MVPN routes of every type are read and printed") {
  for (const Case& c : kCases) {
    CAPTURE(c.bytes);
    const std::string field = hex(c.bytes);
    std::vector<MvpnRoute> list;
    REQUIRE(parse_mvpn(as_bytes(field), PathIds::kNo, list) == NlriResult::kOk);
    REQUIRE(list.size() == 1);
    CHECK(columns(list[0]) == c.want);
  }
}

TEST_CASE("MVPN routes survive a round trip, with and without path identifiers") {
  check_round_trips<MvpnRoute>(invent, parse_mvpn,
                               [](const MvpnRoute& a, const MvpnRoute& b) { return columns(a) == columns(b); });
}

TEST_CASE("a truncated MVPN field is refused as a whole") {
  for (const Case& c : kCases) {
    CAPTURE(c.bytes);
    const std::string route = hex(c.bytes);
    check_truncations<MvpnRoute>(route + route, {route.size(), 2 * route.size()}, parse_mvpn);
    for (std::size_t n = 0; n + 2 < route.size() && route[0] < 8; ++n) {
      if (n == route.size() - 14 && (route[0] == 1 || route[0] == 4)) continue;  // 16 bytes of address become four
      std::string shorter = route.substr(0, n + 2);
      shorter[1] = static_cast<char>(n);
      std::vector<MvpnRoute> list;
      CAPTURE(n);
      CHECK(parse_mvpn(as_bytes(shorter), PathIds::kNo, list) == NlriResult::kBad);
    }
  }
}

TEST_CASE("malformed MVPN routes are refused") {
  for (const char* bytes : {
           "00 00",
           "02 0d 0000 fde8 00000001 00010000 00",
           "05 12 0000 fde8 00000001 21 c6336401 20 e8000101",
           "04 06 02 0c c0000201",
       }) {
    CAPTURE(bytes);
    std::vector<MvpnRoute> list;
    CHECK(parse_mvpn(as_bytes(hex(bytes)), PathIds::kNo, list) == NlriResult::kBad);
  }
}

TEST_CASE("multicast in VPLS has selective trees and leaves (RFC 7117)") {
  std::vector<MvpnRoute> list;
  const std::string field =
      hex("03 16 0000 fde8 00000001 20 c6336401 20 e8000101 c0000201"
          "04 12 03 0c 0000 fde8 00000001 00010000 c0000202"
          "02 0c 0000 fde8 00000001 00010000");
  REQUIRE(parse_mcast_vpls(as_bytes(field), PathIds::kNo, list) == NlriResult::kOk);
  REQUIRE(list.size() == 3);
  CHECK(columns(list[0]) == "3|65000:1|0||198.51.100.1|232.0.1.1|192.0.2.1||");
  CHECK(columns(list[1]) == "4||||||192.0.2.2|030c0000fde80000000100010000|");
  CHECK(columns(list[2]) == "2||||||||0000fde80000000100010000");  // a type that this family does not have
  CHECK(!list[2].known);
}

TEST_CASE("an MVPN route of unknown type does not put those behind it out of step") {
  std::vector<MvpnRoute> list;
  const std::string field = hex("43 02 0102 02 0c 0000 fde8 00000001 00010000");
  REQUIRE(parse_mvpn(as_bytes(field), PathIds::kNo, list) == NlriResult::kOk);
  REQUIRE(list.size() == 2);
  CHECK(!list[0].known);
  CHECK(list[1].source_as == 65536);
  CHECK(key_of(list[0]) != key_of(list[1]));
}
