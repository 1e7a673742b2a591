#include "bmp-recv/nlri_flowspec.h"

#include "tests/unit/bmp-recv/nlri_builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

std::string columns(const FlowspecRoute& r) { return columns_of(r, append_flowspec_columns); }
std::string key_of(const FlowspecRoute& r) {
  KeyBytes key;
  append_key(key, r);
  return text_of(key);
}

template <FlowKind kKind, bool kVpn>
NlriResult parse(Bytes field, PathIds expected, std::vector<FlowspecRoute>& out) {
  return parse_flowspec(field, kKind, kVpn, expected, out);
}
using enum FlowKind;
constexpr auto kParse4 = parse<kIpv4, false>;

struct Case {
  FlowKind kind;
  const char* components;
  const char* want;
};
constexpr Case kCases[] = {
    // RFC 8955 4.3: packets to 192.0.2.0/24 and TCP port 25.
    {kIpv4, "01 18 c0 00 02  03 81 06  04 81 19", "dst 192.0.2.0/24; proto =6; port =25"},
    // From 203.0.113.0/24 to 192.0.2.0/24, port 137 to 139 or 8080.
    {kIpv4, "01 18 c0 00 02  02 18 cb 00 71  04 03 89 45 8b 91 1f 90",
     "dst 192.0.2.0/24; src 203.0.113.0/24; port >=137&<=139|=8080"},
    // To 192.0.2.1/32, fragments but not the first: neither DF nor FF.
    {kIpv4, "01 20 c0 00 02 01  0c 80 05", "dst 192.0.2.1/32; fragment 0x5"},
    {kIpv4, "01 00", "dst 0.0.0.0/0"},
    {kIpv4, "01 09 0a ff", "dst 10.128.0.0/9"},  // bits beyond the length do not count
    {kIpv4, "03 81 06  05 03 50 c5 5a  09 81 02", "proto =6; dport >=80&<=90; tcp-flags =0x2"},
    {kIpv4, "09 02 12 c3 3f", "tcp-flags !0x12&!=0x3f"},
    {kIpv4, "09 01 02 80 10", "tcp-flags =0x2|0x10"},
    {kIpv4, "07 81 08 08 81 00", "icmp-type =8; icmp-code =0"},
    {kIpv4, "0a 92 05 dc", "length >1500"},
    {kIpv4, "0a a4 00 01 00 00", "length <65536"},
    {kIpv4, "06 b1 00 00 00 01 00 00 00 00", "sport =4294967296"},
    {kIpv4, "0b 06 0a c6 0c", "dscp !=10&!=12"},
    {kIpv4, "05 80 00", "dport false"},
    {kIpv4, "05 87 00", "dport true"},
    {kIpv4, "05 c1 50", "dport =80"},  // AND of the first test has no meaning
    // What GoBGP sends for a filter on 802.1p bits: no component of IPv4.
    {kIpv4, "01 18 0a 46 00 05 81 50 18 0a 46 00 03 81 06", "dst 10.70.0.0/24; dport =80; type24 0x0a4600038106"},
    {kIpv4, "0d 81 01", "type13 0x8101"},
    // GoBGP where path identifiers were agreed on for IPv4 unicast: one stands inside the rule.
    {kIpv4, "01 00 00 00 00 18 0a 46 00 03 81 06 05 81 50", "dst 10.70.0.0/24; proto =6; dport =80"},
    // RFC 8956 3.8.1: to 2001:db8::/32, from the bits 64 to 104 that are 1234:5678:9a, and UDP.
    {kIpv6, "01 20 00 20 01 0d b8  02 68 40 12 34 56 78 9a  03 81 11",
     "dst 2001:db8::/32; src ::1234:5678:9a00:0/64-104; proto =17"},
    // An offset within a byte: the pattern begins at its first bit.
    {kIpv6, "02 68 3c 11 23 45 67 89 80", "src ::1:1234:5678:9800:0/60-104"},
    {kIpv6, "01 00 00", "dst ::/0"},
    {kIpv6, "01 80 7f 80", "dst ::1/127-128"},
    {kIpv6, "0d a1 00 0f ff ff", "flow-label =1048575"},
    // Frames: the MAC with its length in bytes (as GoBGP sends it) or in bits.
    {kLayer2, "0e 91 08 00  0f 06 aa bb cc 11 22 33  10 30 dd ee ff 11 22 33",
     "ethertype =2048; src-mac aa:bb:cc:11:22:33; dst-mac dd:ee:ff:11:22:33"},
    {kLayer2, "10 18 01 00 5e", "dst-mac 01:00:5e:00:00:00/24"},
    {kLayer2, "11 81 aa  12 81 aa  13 81 03  14 a1 00 00 08 00", "dsap =170; ssap =170; llc =3; snap =2048"},
    {kLayer2, "15 03 64 c5 c8  16 81 05  17 91 01 00  18 81 07",
     "vlan >=100&<=200; vlan-cos =5; inner-vlan =256; inner-vlan-cos =7"},
    {kLayer2, "03 81 06  05 81 50  0e 91 08 00", "proto =6; dport =80; ethertype =2048"},
    {kLayer2, "01 18 c0 00 02", "type1 0x18c00002"},  // of IPv4 or IPv6: nothing tells
    {kLayer2, "19 81 01", "type25 0x8101"},
};

// A rule with components of ascending type.
std::string invent_components(Dice& dice, FlowKind kind) {
  std::string out;
  const bool v6 = kind == kIpv6;
  for (unsigned type = 1; type <= (v6 ? 13U : 12U); ++type) {
    if (dice.below(3) != 0) continue;
    out += be8(type);
    if (type <= 2) {
      const auto length = static_cast<unsigned>(dice.below(v6 ? 129 : 33));
      const auto offset = static_cast<unsigned>(v6 && length != 0 ? dice.below(length) : 0);
      out += be8(length) + (v6 ? be8(offset) : "") + dice.bytes((length - offset + 7) / 8);
      continue;
    }
    const auto tests = 1 + dice.below(4);
    for (std::uint64_t n = 0; n < tests; ++n) {
      const auto op = static_cast<unsigned>(dice.below(128)) & ~8U;
      out += be8(op | (n + 1 == tests ? 0x80U : 0U)) + dice.bytes(std::size_t{1} << (op >> 4 & 3));
    }
  }
  return out.empty() ? hex("01 00") + (v6 ? be8(0) : "") : out;
}

}  // namespace

TEST_CASE("flow rules are printed in one form") {
  for (const Case& c : kCases) {
    CAPTURE(c.components);
    const std::string components = hex(c.components);
    std::vector<FlowspecRoute> list;
    const std::string field = be8(components.size()) + components;
    REQUIRE(parse_flowspec(as_bytes(field), c.kind, false, PathIds::kNo, list) == NlriResult::kOk);
    REQUIRE(list.size() == 1);
    CHECK(columns(list[0]) == std::string("||") + c.want);
    const std::string_view want = c.want;
    CHECK(list[0].known != (want.starts_with("type") || want.find("; type") != std::string_view::npos));
  }
}

TEST_CASE("flow rules of a VPN begin with its distinguisher") {
  const std::string field = hex("0c 0001 c0000201 0064 05 81 50");
  const std::string whole = hex("0b 0001 c0000201 0064 05 81 50");
  std::vector<FlowspecRoute> list;
  CHECK(parse_flowspec(as_bytes(field), kIpv4, true, PathIds::kNo, list) == NlriResult::kBad);
  REQUIRE(parse_flowspec(as_bytes(whole), kIpv4, true, PathIds::kNo, list) == NlriResult::kOk);
  CHECK(columns(list[0]) == "192.0.2.1:100|1|dport =80");
  CHECK(key_of(list[0]) == hex("0001 c0000201 0064 05 81 50"));
}

TEST_CASE("a long flow rule has a length of two octets") {
  std::string components = hex("05");
  for (unsigned port = 0; port < 400; ++port) components += hex("11") + be16(1000 + port);
  components[components.size() - 3] = '\x91';
  REQUIRE(components.size() == 1201);
  const std::string field = be16(0xf000 | components.size()) + components + hex("03 03 81 06");
  std::vector<FlowspecRoute> list;
  REQUIRE(kParse4(as_bytes(field), PathIds::kNo, list) == NlriResult::kOk);
  REQUIRE(list.size() == 2);
  CHECK(columns(list[0]).starts_with("||dport =1000|=1001|"));
  CHECK(columns(list[0]).ends_with("|=1399"));
  CHECK(columns(list[1]) == "||proto =6");
}

TEST_CASE("flow rules survive a round trip, with and without path identifiers") {
  std::vector<std::string> kept;  // components are borrowed
  kept.reserve(100000);
  const auto same = [](const FlowspecRoute& a, const FlowspecRoute& b) {
    return columns(a) == columns(b) && key_of(a) == key_of(b);
  };
  const auto check = [&](FlowKind kind, bool vpn, auto parse_field) {
    check_round_trips<FlowspecRoute>(
        [&](Dice& dice) {
          FlowspecRoute r;
          r.kind = kind;
          r.vpn = vpn;
          if (vpn) dice.fill(r.rd);
          kept.push_back(invent_components(dice, kind));
          r.components = as_bytes(kept.back());
          return r;
        },
        parse_field, same);
  };
  check(kIpv4, false, parse<kIpv4, false>);
  check(kIpv6, false, parse<kIpv6, false>);
  check(kIpv4, true, parse<kIpv4, true>);
  check(kIpv6, true, parse<kIpv6, true>);
}

TEST_CASE("a truncated field of flow rules is refused as a whole") {
  for (const Case& c : kCases) {
    CAPTURE(c.components);
    const std::string components = hex(c.components), rule = be8(components.size()) + components;
    const auto parse_field = [&](Bytes field, PathIds expected, std::vector<FlowspecRoute>& out) {
      return parse_flowspec(field, c.kind, false, expected, out);
    };
    check_truncations<FlowspecRoute>(rule + rule, {rule.size(), 2 * rule.size()}, parse_field);
  }
  std::vector<FlowspecRoute> list;
  CHECK(kParse4(as_bytes(hex("f0")), PathIds::kNo, list) == NlriResult::kBad);
}

TEST_CASE("malformed flow rules are refused") {
  const struct {
    FlowKind kind;
    const char* bytes;
  } cases[] = {
      {kIpv4, "02 05 81"},              // no value
      {kIpv4, "03 05 01 50"},           // no last test
      {kIpv4, "06 01 21 c0000201 00"},  // length 33
      {kIpv6, "03 01 20 20"},           // offset is not below the length
      {kIpv6, "03 01 00 01"},
      {kIpv6, "05 01 81 7f 00 00"},
      {kLayer2, "07 0f 06 aa bb cc 11 22"},        // a byte is missing
      {kLayer2, "09 0f 31 aa bb cc 11 22 33 00"},  // length 49
      {kIpv4, "01 05"},
      {kIpv4, "05 05 91 00 50 06"},  // a component without operator
  };
  for (const auto& c : cases) {
    CAPTURE(c.bytes);
    std::vector<FlowspecRoute> list;
    CHECK(parse_flowspec(as_bytes(hex(c.bytes)), c.kind, false, PathIds::kNo, list) == NlriResult::kBad);
    CHECK(list.empty());
  }
}

TEST_CASE("path identifiers of flow rules are found out by what follows them") {
  std::vector<FlowspecRoute> list;
  REQUIRE(kParse4(as_bytes(hex("00000003 03 05 81 50")), PathIds::kNo, list) == NlriResult::kOkOtherForm);
  CHECK(list.back().path_id == 3);
  REQUIRE(kParse4(as_bytes(hex("03 05 81 50")), PathIds::kYes, list) == NlriResult::kOkOtherForm);
  CHECK(columns(list.back()) == "||dport =80");
  // Components out of order are read, but not taken for an unexpected form.
  REQUIRE(kParse4(as_bytes(hex("06 05 81 50 03 81 06")), PathIds::kNo, list) == NlriResult::kOk);
  CHECK(columns(list.back()) == "||dport =80; proto =6");
}
