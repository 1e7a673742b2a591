#include "bmp-recv/text.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>

#include <ctime>

#include "bmp-recv/identity.h"
#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

TEST_CASE("IPv6 addresses print like inet_ntop") {
  std::uint64_t seed = 1;
  for (int n = 0; n < 20000; ++n) {
    std::array<std::uint8_t, 16> a{};
    for (std::size_t k = 0; k < 8; ++k) {  // many zero words, in all places
      seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
      const auto r = static_cast<std::uint32_t>(seed >> 33);
      if (r % 3 != 0) continue;
      a[2 * k] = static_cast<std::uint8_t>(r % 5 == 0 ? 0 : r >> 8);
      a[2 * k + 1] = static_cast<std::uint8_t>(r >> 16);
    }
    if (n % 7 == 0) a[10] = a[11] = 0xff;
    char want[INET6_ADDRSTRLEN], got[kMaxIpText];
    inet_ntop(AF_INET6, a.data(), want, sizeof want);
    char* end = put_ipv6(got, a.data());
    REQUIRE(std::string(static_cast<char*>(got), end) == want);
  }
}

TEST_CASE("IPv4 addresses and numbers print exactly") {
  const std::uint8_t a[4] = {0, 9, 99, 255};
  char text[kMaxIpText];
  char* end = put_ipv4(text, a);
  CHECK(std::string(static_cast<char*>(text), end) == "0.9.99.255");
  end = put_number(text, UINT64_MAX);
  CHECK(std::string(static_cast<char*>(text), end) == "18446744073709551615");
  const auto check = [&](std::uint64_t v) {
    REQUIRE(std::string(static_cast<char*>(text), put_number(text, v)) == std::to_string(v));
  };
  for (std::uint64_t v = 0; v < 200000; ++v) check(v);
  for (std::uint64_t v = 1; v < 10000000000000000000ULL; v *= 10)
    for (const std::uint64_t n : {v - 1, v, v + 1, 7 * v, 9 * v - 1}) check(n);
  for (std::uint64_t v = 1; v < 1000000000; v += v / 1000 + 1) check(v);
}

TEST_CASE("time stamps print in UTC, with six digits") {
  TimestampText t;
  char text[kTimestampText];
  for (const std::time_t s : {std::time_t{946684800}, std::time_t{951782399}, std::time_t{1700000000},
                              std::time_t{1709164800}, std::time_t{4294967295}}) {
    char want[32];
    std::tm tm{};
    gmtime_r(&s, &tm);
    std::strftime(want, sizeof want, "%Y-%m-%d %H:%M:%S", &tm);
    for (const std::uint32_t us : {0U, 7U, 123456U, 999999U}) {
      REQUIRE(t.put(text, s, us) == text + kTimestampText);
      char fraction[16];
      std::snprintf(fraction, sizeof fraction, ".%06u", us);
      CHECK(std::string(text, sizeof text) == std::string(want) + fraction);
    }
  }
  t.put(text, 1700000000, 1999999);
  CHECK(std::string(text, sizeof text) == "2023-11-14 22:13:20.999999");
}

TEST_CASE("router-supplied text cannot break a row or an SQL text") {
  const std::string nul("a\0b", 3);
  CHECK(clean("plain name-1", 99) == "plain name-1");
  CHECK(clean("tab\tline\nend\r", 99) == "tab line end ");
  CHECK(clean("it's", 99) == "it`s");
  CHECK(clean(nul, 99) == "a b");
  CHECK(clean("z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x98\x80", 99) == "z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x98\x80");
  CHECK(clean("\xff\xc3(\xe2\x82", 99) == std::string("?") + "?(?" + "?");
  CHECK(clean("\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80", 99) == std::string(9, '?'));  // overlong, surrogate, too high
  CHECK(clean("abcdef", 3) == "abc");
  CHECK(clean("ab\xc3\xbc", 3) == "ab");  // no half character
}

TEST_CASE("hashes depend on what they name and on nothing else") {
  CHECK(router_hash("c", "192.0.2.1") != router_hash("c1", "92.0.2.1"));
  CHECK(router_hash("c", "r") == router_hash("c", "r"));
  PeerHeader h;
  h.flags = kPeerFlagPostPolicy;
  PeerHeader same = h;
  same.flags = kPeerFlagAs2 | kPeerFlagAdjOut;
  same.asn = 7;
  same.seconds = 9;
  CHECK(peer_key(h) == peer_key(same));
  PeerHeader other = h;
  other.distinguisher[7] = 1;
  CHECK_FALSE(peer_key(h) == peer_key(other));
  const Hash128 peer = peer_hash(router_hash("c", "r"), peer_key(h));
  Prefix p;
  p.length = 8;
  Prefix id = p;
  id.path_id = 1;
  Prefix six = p;
  six.v6 = true;
  CHECK(route_hash(peer, p, View::kInPre) != route_hash(peer, p, View::kInPost));
  CHECK(route_hash(peer, p, View::kInPre) != route_hash(peer, id, View::kInPre));
  CHECK(route_hash(peer, p, View::kInPre) != route_hash(peer, six, View::kInPre));
}

TEST_CASE("an attribute set has one hash, however it was sent") {
  const auto hash = [](const std::string& field, bool as4) {
    PathAttributes a;
    AttributeFaults f;
    parse_attributes(as_bytes(field), as4, a, f);
    Address hop;
    hop.size = 4;
    std::vector<std::uint8_t> scratch;
    return attributes_hash(a, hop, scratch);
  };
  const std::string origin = attribute(1, hex("00")), med = attribute(4, be32(5));
  const std::string as4 = attribute(2, hex("0201") + be32(65001)), as2 = attribute(2, hex("0201") + be16(65001));
  const Hash128 want = hash(origin + as4 + med, true);
  CHECK(hash(med + as4 + origin, true) == want);
  CHECK(hash(origin + as2 + med, false) == want);
  CHECK(hash(hex("40 01 01 00") + as4 + med, true) == want);  // the short length form
  const std::string whole = attribute(2, hex("0203") + be32(65001) + be32(4200000009) + be32(65007));
  const std::string parts = attribute(2, hex("0203") + be16(65001) + be16(23456) + be16(65007)) +
                            attribute(17, hex("0202") + be32(4200000009) + be32(65007));
  CHECK(hash(origin + whole, true) == hash(origin + parts, false));
  CHECK(hash(origin + as4 + attribute(4, be32(6)), true) != want);
  CHECK(hash(origin + as4, true) != want);
  CHECK(hash(origin + as4 + med + attribute(99, "x"), true) != want);
}
