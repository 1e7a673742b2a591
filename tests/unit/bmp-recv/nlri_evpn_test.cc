#include "bmp-recv/nlri_evpn.h"

#include "tests/unit/bmp-recv/nlri_builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

std::string columns(const EvpnRoute& r) {
  return columns_of(r, append_evpn_columns) + " / " + columns_of(r, append_evpn_extra_columns);
}
std::string key_of(const EvpnRoute& r) {
  KeyBytes key;
  append_key(key, r);
  return text_of(key);
}
EvpnRoute one(const std::string& hex_text) {
  std::vector<EvpnRoute> list;
  REQUIRE(parse_evpn(as_bytes(hex(hex_text)), PathIds::kNo, list) == NlriResult::kOk);
  REQUIRE(list.size() == 1);
  EvpnRoute r = list[0];
  r.raw = r.route_key = {};  // the bytes are gone
  return r;
}

// Each type once, and what its columns say.
struct Case {
  const char* bytes;
  const char* want;
};
constexpr Case kCases[] = {
    {"01 19 0001 0a630002 0007  01 aabbccddeeff 0064 00  0000000a 0138b1",
     "10.99.0.2:7|1|||0000000a|1 aa:bb:cc:dd:ee:ff 100|||||80049| / 1||||||||||"},
    // Without address, one label; FRR's label of zero without bottom of stack.
    {"02 21 0000 fde8 00000001  00 000000000000000000  00000000 30 aabbccddee01 00 000000",
     "65000:1|0|||00000000|0 000000000000000000|48|aa:bb:cc:dd:ee:01|0||0| / 2||||||||||"},
    {"02 25 0000 fde8 00000001  00 000000000000000000  00000000 30 aabbccddee01 20 0a280001 001389",
     "65000:1|0|||00000000|0 000000000000000000|48|aa:bb:cc:dd:ee:01|32|10.40.0.1|5001| / 2||||||||||"},
    // IPv6 and two labels.
    {"02 34 0002 00010000 0005  02 020000000001 8000 00  00000064 30 020000000002 80 "
     "20010db8000000000000000000000001 000641 000651",
     "65536:5|2|||00000064|2 02:00:00:00:00:01 32768|48|02:00:00:00:00:02|128|2001:db8::1|1601|1617 / 2||||||||||"},
    {"03 11 0000 fde8 00000001  00000000 20 c0000201", "65000:1|0|32|192.0.2.1|00000000||||||| / 3||||||||||"},
    {"03 1d 0000 fde8 00000001  00000001 80 20010db8000000000000000000000001",
     "65000:1|0|128|2001:db8::1|00000001||||||| / 3||||||||||"},
    {"04 17 0000 fde8 00000001  03 020000000001 000203  20 c0000201",
     "65000:1|0|32|192.0.2.1||3 02:00:00:00:00:01 515|||||| / 4||||||||||"},
    {"05 22 0001 0a630002 0006  00 000000000000000000  00000000 18 0a3200ff 0a630002 00138a",
     "10.99.0.2:6|1|||00000000|0 000000000000000000|||||5002| / 5|10.50.0.0|24|10.99.0.2|||||||"},
    {"05 3a 0000 fde8 00000001  05 0000fde8 00000009 00  00000000 30 20010db8000100000000000000000000 "
     "00000000000000000000000000000000 000010",
     "65000:1|0|||00000000|5 65000 9|||||16| / 5|2001:db8:1::|48|::|||||||"},
    {"06 1c 0000 fde8 00000001  00000000 20 c6336401 20 e0000101 20 c0000201 02",
     "65000:1|0|32|192.0.2.1|00000000||||||| / 6||||198.51.100.1|224.0.1.1|2||||"},
    // Any source.
    {"06 18 0000 fde8 00000001  00000000 00 20 e0000101 20 c0000201 82",
     "65000:1|0|32|192.0.2.1|00000000||||||| / 6|||||224.0.1.1|130||||"},
    {"07 22 0000 fde8 00000001  04 c0000209 00000007 00  00000000 00 20 e0000101 20 c0000201 04",
     "65000:1|0|32|192.0.2.1|00000000|4 3221225993 7|||||| / 7|||||224.0.1.1|4||||"},
    {"08 27 0000 fde8 00000001  00 000000000000000001  00000000 00 20 e0000101 20 c0000201 00000000 64 02",
     "65000:1|0|32|192.0.2.1|00000000|0 000000000000000001|||||| / 8|||||224.0.1.1|2|100|||"},
    {"09 14 0000 fde8 00000001  00000000 0102030405060708",
     "65000:1|0|||00000000||||||| / 9||||||||0102030405060708||"},
    {"0a 1b 0000 fde8 00000001  00000000 20 c6336401 20 e0000101 20 c0000201",
     "65000:1|0|32|192.0.2.1|00000000||||||| / 10||||198.51.100.1|224.0.1.1|||||"},
    {"0b 18 03 11 0000 fde8 00000001 00000000 20 c0000201  20 c0000202",
     "||32|192.0.2.2|||||||| / 11|||||||||03110000fde8000000010000000020c0000201|"},
    // A key without type and length of its own.
    {"0b 16 0000 fde8 00000001 00000000 20 c0000201  20 c0000202",
     "||32|192.0.2.2|||||||| / 11|||||||||0000fde8000000010000000020c0000201|"},
    {"0c 03 aabbcc", "||||||||||| / 12||||||||||aabbcc"},
};

EvpnRoute invent(Dice& dice) {
  EvpnRoute r;
  r.known = true;
  r.type = static_cast<EvpnType>(1 + dice.below(11));
  const auto is = [&](std::initializer_list<EvpnType> types) {
    return std::find(types.begin(), types.end(), r.type) != types.end();
  };
  using enum EvpnType;
  if (!is({kLeaf})) dice.fill(r.rd);
  if (!is({kInclusiveMulticast, kSelectiveMulticast, kPerRegionIPmsi, kSPmsi, kLeaf})) dice.fill(r.esi);
  if (!is({kEthernetSegment, kLeaf})) r.tag = static_cast<std::uint32_t>(dice.below(1ULL << 32));
  if (is({kMacIp})) {
    dice.fill(r.mac);
    r.ip = dice.address({0, 4, 16});
  }
  if (is({kEthernetAd, kMacIp, kIpPrefix})) {
    r.label_count = static_cast<std::uint8_t>(r.type == kMacIp ? 1 + dice.below(2) : 1);
    for (std::size_t n = 0; n < r.label_count; ++n) r.labels[n] = static_cast<std::uint32_t>(dice.below(1U << 24));
  }
  if (is({kIpPrefix})) {
    r.prefix = dice.address({4, 16});
    r.gateway = dice.address({r.prefix.size});
    r.prefix_length = static_cast<std::uint8_t>(r.prefix.size * 8U);
  }
  if (is({kSelectiveMulticast, kMembershipSynch, kLeaveSynch, kSPmsi})) {
    r.source = dice.address({0, 4, 16});
    r.group = dice.address({0, 4, 16});
  }
  if (is({kSelectiveMulticast, kMembershipSynch, kLeaveSynch})) r.flags = static_cast<std::uint8_t>(dice.below(256));
  if (is({kLeaveSynch})) r.max_response_time = static_cast<std::uint8_t>(dice.below(256));
  if (is({kPerRegionIPmsi})) dice.fill(r.region);
  if (!is({kEthernetAd, kMacIp, kIpPrefix, kPerRegionIPmsi})) r.originator = dice.address({4, 16});
  static const std::string kKey = hex("03 11 0000 fde8 00000001 00000000 20 c0000201");
  if (is({kLeaf})) r.route_key = as_bytes(kKey);
  return r;
}

}  // namespace

TEST_CASE("EVPN routes of every type are read and printed") {
  for (const Case& c : kCases) {
    CAPTURE(c.bytes);
    const std::string field = hex(c.bytes);
    std::vector<EvpnRoute> list;
    REQUIRE(parse_evpn(as_bytes(field), PathIds::kNo, list) == NlriResult::kOk);
    REQUIRE(list.size() == 1);
    CHECK(columns(list[0]) == c.want);
  }
}

TEST_CASE("EVPN routes survive a round trip, with and without path identifiers") {
  check_round_trips<EvpnRoute>(invent, parse_evpn, [](const EvpnRoute& a, const EvpnRoute& b) {
    return columns(a) == columns(b) && key_of(a) == key_of(b);
  });
}

TEST_CASE("a truncated EVPN field is refused as a whole") {
  for (const Case& c : kCases) {
    CAPTURE(c.bytes);
    const std::string route = hex(c.bytes);
    check_truncations<EvpnRoute>(route + route, {route.size(), 2 * route.size()}, parse_evpn);
    // The length covers less than the type needs.
    for (std::size_t n = 0; n + 2 < route.size() && route[0] < 11; ++n) {
      if (route[0] == 2 && (n == route.size() - 2 - 3)) continue;  // the second label may be absent
      std::string shorter = route.substr(0, n + 2);
      shorter[1] = static_cast<char>(n);
      std::vector<EvpnRoute> list;
      CAPTURE(n);
      CHECK(parse_evpn(as_bytes(shorter), PathIds::kNo, list) == NlriResult::kBad);
    }
  }
}

TEST_CASE("malformed EVPN routes are refused") {
  for (const char* bytes : {
           "00 00",                                                                              // type 0 is reserved
           "02 21 0000 fde8 00000001 00 000000000000000000 00000000 2f aabbccddee01 00 000000",  // MAC of 47 bits
           "02 25 0000 fde8 00000001 00 000000000000000000 00000000 30 aabbccddee01 18 0a280001 001389",
           "03 0d 0000 fde8 00000001 00000000 00",                                                 // no originator
           "05 22 0001 0a630002 0006 00 000000000000000000 00000000 21 0a3200ff 0a630002 00138a",  // length 33
           "03 12 0000 fde8 00000001 00000000 20 c0000201 00",                                     // too long
           "0b 05 00 00 00 00 00",
       }) {
    CAPTURE(bytes);
    std::vector<EvpnRoute> list;
    CHECK(parse_evpn(as_bytes(hex(bytes)), PathIds::kNo, list) == NlriResult::kBad);
    CHECK(list.empty());
  }
}

TEST_CASE("an EVPN route of unknown type does not put those behind it out of step") {
  const std::string field = hex("2a 03 112233  03 11 0000 fde8 00000001 00000000 20 c0000201  ff 00");
  std::vector<EvpnRoute> list;
  REQUIRE(parse_evpn(as_bytes(field), PathIds::kNo, list) == NlriResult::kOk);
  REQUIRE(list.size() == 3);
  CHECK(!list[0].known);
  CHECK(text_of(list[0].raw) == hex("112233"));
  CHECK(list[1].known);
  CHECK(list[1].originator.size == 4);
  CHECK(!list[2].known);
}

TEST_CASE("EVPN path identifiers are found out by what follows them") {
  const std::string route = hex("03 11 0000 fde8 00000001 00000000 20 c0000201"), unknown = hex("2a 01 11");
  using enum NlriResult;
  const struct {
    std::string field;
    PathIds expected;
    NlriResult result;
    std::uint32_t id;
  } cases[] = {
      {be32(7) + route, PathIds::kYes, kOk, 7},
      {be32(7) + route, PathIds::kNo, kOkOtherForm, 7},
      {be32(7) + route, PathIds::kUnknown, kOkOtherForm, 7},
      {route, PathIds::kYes, kOkOtherForm, 0},  // agreed, but left out, as FRR does
      {route, PathIds::kUnknown, kOk, 0},
      {route + unknown, PathIds::kYes, kOkOtherForm, 0},
      {be32(7) + unknown, PathIds::kYes, kOk, 7},
      {be32(7) + unknown, PathIds::kNo, kBad, 0},  // not believed against the OPENs
      {be32(0xfff00007) + route, PathIds::kYes, kOk, 0xfff00007},
  };
  for (const auto& c : cases) {
    std::vector<EvpnRoute> list;
    CAPTURE(&c - cases);
    CHECK(parse_evpn(as_bytes(c.field), c.expected, list) == c.result);
    CHECK((list.empty() ? 0 : list[0].path_id) == c.id);
  }
}

TEST_CASE("what is no part of an EVPN route's identity does not change its key") {
  const EvpnRoute mac =
      one("02 25 0000 fde8 00000001 00 000000000000000000 00000000 30 aabbccddee01 20 0a280001 001389");
  // Withdrawn with other labels and without its ESI.
  CHECK(key_of(mac) == key_of(one("02 28 0000 fde8 00000001 01 aabbccddeeff 0064 00 00000000 30 aabbccddee01 20 "
                                  "0a280001 000000 000000")));
  CHECK(key_of(mac) !=
        key_of(one("02 25 0000 fde8 00000001 00 000000000000000000 00000001 30 aabbccddee01 20 0a280001 001389")));
  CHECK(key_of(mac) !=
        key_of(one("02 21 0000 fde8 00000001 00 000000000000000000 00000000 30 aabbccddee01 00 001389")));
  const EvpnRoute prefix = one("05 22 0000 fde8 00000001 00 000000000000000000 00000000 18 0a320000 0a630002 00138a");
  CHECK(key_of(prefix) == key_of(one("05 22 0000 fde8 00000001 00 000000000000000001 00000000 18 0a320001 00000000 "
                                     "000000")));
  CHECK(key_of(prefix) != key_of(one("05 22 0000 fde8 00000001 00 000000000000000000 00000000 19 0a320000 0a630002 "
                                     "00138a")));
  CHECK(key_of(one("06 18 0000 fde8 00000001 00000000 00 20 e0000101 20 c0000201 82")) ==
        key_of(one("06 18 0000 fde8 00000001 00000000 00 20 e0000101 20 c0000201 01")));
  // A segment is its ESI.
  CHECK(key_of(one("04 17 0000 fde8 00000001 03 020000000001 000203 20 c0000201")) !=
        key_of(one("04 17 0000 fde8 00000001 03 020000000001 000204 20 c0000201")));
}
