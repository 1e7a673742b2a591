#include "bmp-recv/bgp_update.h"

#include <doctest/doctest.h>

#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

std::string mp_reach(unsigned afi, const std::string& next_hop, const std::string& nlri, unsigned safi = 1) {
  return attribute(14, be16(afi) + static_cast<char>(safi) + static_cast<char>(next_hop.size()) + next_hop +
                           std::string(1, '\0') + nlri);
}
std::string mp_unreach(unsigned afi, const std::string& nlri, unsigned safi = 1) {
  return attribute(15, be16(afi) + static_cast<char>(safi) + nlri);
}
const std::string kV6Hop = hex("20010db8000000000000000000000001");
const std::string kNet4 = hex("18 0a 01 02");
const std::string kNet6 = hex("20 20010db8");

Fault parse(const std::string& message, Update& u, const UpdateContext& c = {}) {
  static std::string keep;  // views in u point here
  keep = message;
  return parse_update(as_bytes(keep), c, u);
}

}  // namespace

TEST_CASE("classic routes") {
  Update u;
  CHECK(parse(update(hex("10 0a09"), plain_attributes(), kNet4 + hex("08 0b")), u) == Fault::kNone);
  CHECK(u.withdrawn.size() == 1);
  CHECK(u.announced.size() == 2);
  CHECK(u.classic_count == 2);
  CHECK(u.attributes.next_hop.size == 4);
  CHECK_FALSE(u.end_of_rib.has_value());
}

TEST_CASE("multiprotocol routes, IPv4 with an IPv6 next hop among them") {
  Update u;
  CHECK(parse(update({}, plain_attributes() + mp_reach(2, kV6Hop + kV6Hop, kNet6), {}), u) == Fault::kNone);
  CHECK(u.announced.size() == 1);
  CHECK(u.announced[0].v6);
  CHECK(u.classic_count == 0);
  CHECK(u.mp_next_hop.size == 16);
  CHECK(parse(update({}, plain_attributes() + mp_reach(1, kV6Hop, kNet4), {}), u) == Fault::kNone);
  CHECK_FALSE(u.announced[0].v6);
  CHECK(u.mp_next_hop.size == 16);
  CHECK(parse(update({}, plain_attributes() + mp_reach(1, hex("c0000201"), kNet4), {}), u) == Fault::kNone);
  CHECK(u.mp_next_hop.size == 4);
  CHECK(parse(update({}, mp_unreach(2, kNet6), {}), u) == Fault::kNone);
  CHECK(u.withdrawn.size() == 1);
  CHECK(u.withdrawn[0].v6);
}

TEST_CASE("classic routes without a next hop are routes (RFC 8950 as FRR sends it)") {
  Update u;
  CHECK(parse(update({}, attribute(1, hex("00")) + attribute(2, {}), kNet4), u) == Fault::kNone);
  CHECK(u.announced.size() == 1);
  CHECK(u.attributes.next_hop.size == 0);
  CHECK(u.faults.discarded_count == 0);
}

TEST_CASE("routes without ORIGIN or AS_PATH are kept and counted") {
  Update u;
  CHECK(parse(update({}, attribute(3, hex("c0000201")), kNet4), u) == Fault::kNone);
  CHECK(u.announced.size() == 1);
  REQUIRE(u.faults.discarded_count == 1);
  CHECK(u.faults.discarded[0] == Fault::kMissingAttribute);
}

TEST_CASE("End-of-RIB in its two forms") {
  Update u;
  CHECK(parse(update({}, {}, {}), u) == Fault::kNone);
  REQUIRE(u.end_of_rib.has_value());
  CHECK(*u.end_of_rib == kIpv4Unicast);
  CHECK(parse(update({}, mp_unreach(25, {}, 70), {}), u) == Fault::kNone);
  REQUIRE(u.end_of_rib.has_value());
  CHECK(*u.end_of_rib == Family{25, 70});
  CHECK_FALSE(u.reach.has_value());
  CHECK_FALSE(u.unreach.has_value());
  CHECK(parse(update({}, plain_attributes() + mp_unreach(2, {}), kNet4), u) == Fault::kNone);
  CHECK_FALSE(u.end_of_rib.has_value());
}

TEST_CASE("routes of other families stay as they are") {
  Update u;
  CHECK(parse(update({}, plain_attributes() + mp_reach(1, "what", "ever", 128) + mp_unreach(25, "this is", 70), {}),
              u) == Fault::kNone);
  CHECK(u.announced.empty());
  CHECK(u.withdrawn.empty());
  REQUIRE(u.reach.has_value());
  CHECK(u.reach->family == Family{1, 128});
  CHECK(u.reach->nlri.size() == 4);
  REQUIRE(u.unreach.has_value());
  CHECK(u.unreach->family == Family{25, 70});
  CHECK(u.unreach->nlri.size() == 7);
}

TEST_CASE("next hops of all lengths") {
  const std::string v4 = hex("c0000201"), rd = hex("0000000000000000");
  const struct {
    std::string bytes;
    unsigned size;
  } cases[] = {{v4, 4},
               {rd + v4, 4},
               {kV6Hop, 16},
               {kV6Hop + kV6Hop, 16},
               {rd + kV6Hop, 16},
               {std::string(), 0},
               {rd + kV6Hop + rd + kV6Hop, 16}};
  for (const auto& c : cases) {
    Update u;
    REQUIRE(parse(update({}, plain_attributes() + mp_reach(2, c.bytes, "?", 128), {}), u) == Fault::kNone);
    REQUIRE(u.reach.has_value());
    CHECK(u.reach->next_hop.size == c.size);
    CHECK(u.faults.discarded_count == 0);
    if (c.size != 0) CHECK(u.reach->next_hop.bytes[0] == (c.size == 4 ? 0xc0 : 0x20));
  }
  Update u;
  REQUIRE(parse(update({}, plain_attributes() + mp_reach(25, hex("0102030405"), "?", 70), {}), u) == Fault::kNone);
  CHECK(u.reach->next_hop.size == 0);
  REQUIRE(u.faults.discarded_count == 1);
  CHECK(u.faults.discarded[0] == Fault::kNextHop);
}

TEST_CASE("a link-local next hop counts where the global one is zero") {
  const std::string rd = hex("0000000000000000"), none(16, '\0'), local = hex("fe80000000000000 0000000000000001");
  const struct {
    std::string bytes;
    unsigned safi;
    unsigned first;  // byte of the next hop
  } cases[] = {{none + local, 1, 0xfe},
               {kV6Hop + local, 1, 0x20},
               {none + local, 128, 0xfe},
               {rd + none + rd + local, 128, 0xfe},
               {rd + kV6Hop + rd + local, 128, 0x20},
               {none, 1, 0}};
  for (const auto& c : cases) {
    CAPTURE(c.bytes.size());
    Update u;
    const std::string nlri = c.safi == 1 ? hex("20 20010db8") : "?";
    REQUIRE(parse(update({}, plain_attributes() + mp_reach(2, c.bytes, nlri, c.safi), {}), u) == Fault::kNone);
    const Address& hop = c.safi == 1 ? u.mp_next_hop : u.reach->next_hop;
    CHECK(hop.size == 16);
    CHECK(hop.bytes[0] == c.first);
    if (c.first == 0xfe) CHECK(hop.bytes[15] == 1);
  }
}

TEST_CASE("a bad attribute turns the message into a withdrawal of all its prefixes") {
  Update u;
  const std::string bad = attribute(1, hex("09"));
  CHECK(parse(update(hex("08 0c"), bad + mp_reach(2, kV6Hop, kNet6), kNet4), u) == Fault::kNone);
  CHECK(u.faults.withdraw == Fault::kOrigin);
  CHECK(u.announced.empty());
  CHECK(u.withdrawn.size() == 3);
  CHECK(parse(update({}, plain_attributes() + mp_reach(2, hex("c0000201"), kNet6), {}), u) == Fault::kNone);
  CHECK(u.faults.withdraw == Fault::kNextHop);
  CHECK(u.withdrawn.size() == 1);
  CHECK(parse(update({}, attribute(1, hex("00")) + hex("40 02 09 02"), kNet4), u) == Fault::kNone);
  CHECK(u.faults.withdraw == Fault::kAttributeLength);
  CHECK(u.withdrawn.size() == 1);
}

TEST_CASE("what cannot be read at all costs the message") {
  const std::string good = update({}, plain_attributes(), kNet4);
  std::string marker = good, length = good, keepalive = good;
  marker[3] = '\0';
  length[17] = '\xff';
  keepalive[18] = '\4';
  const struct {
    std::string message;
    Fault want;
  } cases[] = {
      {marker, Fault::kBgpHeader},
      {length, Fault::kBgpHeader},
      {keepalive, Fault::kNotUpdate},
      {"", Fault::kBgpHeader},
      {bgp(2, {}), Fault::kUpdateLength},
      {bgp(2, be16(1)), Fault::kUpdateLength},
      {bgp(2, be16(0) + be16(5) + "abcd"), Fault::kUpdateLength},
      {update(hex("21 00"), {}, {}), Fault::kWithdrawnNlri},
      {update({}, plain_attributes(), hex("18 0a")), Fault::kNlri},
      {update({}, mp_unreach(1, kNet4) + mp_unreach(1, kNet4), {}), Fault::kDuplicateMp},
  };
  for (const auto& c : cases) {
    Update u;
    CHECK(parse(c.message, u) == c.want);
    CHECK(u.faults.fatal == c.want);
  }
}

TEST_CASE("MP_REACH and MP_UNREACH that cannot be read cost themselves, not the rest of the message") {
  const std::string bad_reach[] = {mp_reach(2, kV6Hop, hex("81")), mp_reach(1, kV6Hop, hex("18 0a")),
                                   mp_reach(2, hex("c0000201"), hex("81")),  // the next hop is wrong as well
                                   attribute(14, hex("00 02 01")), attribute(14, hex("00 02 01 ff 00"))};
  for (const std::string& bad : bad_reach) {
    Update u;
    CHECK(parse(update(hex("08 0b"), plain_attributes() + bad + mp_unreach(2, kNet6), kNet4), u) == Fault::kNone);
    CHECK(u.reach_fault == Fault::kMpReach);
    CHECK(u.unreach_fault == Fault::kNone);
    CHECK(u.faults.withdraw == Fault::kNone);
    CHECK(u.announced.size() == 1);
    CHECK(u.withdrawn.size() == 2);
    CHECK_FALSE(u.reach.has_value());
  }
  const std::string bad_unreach[] = {attribute(15, hex("00 02")), mp_unreach(1, hex("18 0a")),
                                     mp_unreach(2, hex("81"))};
  for (const std::string& bad : bad_unreach) {
    Update u;
    CHECK(parse(update(hex("08 0b"), plain_attributes() + mp_reach(2, kV6Hop, kNet6) + bad, kNet4), u) == Fault::kNone);
    CHECK(u.unreach_fault == Fault::kMpUnreach);
    CHECK(u.reach_fault == Fault::kNone);
    CHECK(u.announced.size() == 2);
    CHECK(u.withdrawn.size() == 1);
    CHECK_FALSE(u.end_of_rib.has_value());
    CHECK(parse(update({}, plain_attributes(), kNet4), u) == Fault::kNone);
    CHECK(u.unreach_fault == Fault::kNone);
  }
}

TEST_CASE("no truncation of a message is mistaken for it") {
  const std::string whole =
      update(hex("10 0a09"), plain_attributes() + mp_reach(2, kV6Hop, kNet6) + mp_unreach(2, kNet6), kNet4);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    Update u;
    CHECK(parse(whole.substr(0, n), u) == Fault::kBgpHeader);
    if (n < 19) continue;
    // With a header that fits, only the NLRI at the end may be cut between prefixes.
    const Fault f = parse(bgp(2, whole.substr(19, n - 19)), u);
    CHECK((f != Fault::kNone || u.announced.size() + u.withdrawn.size() < 4));
  }
}

TEST_CASE("bytes behind the BGP message are left alone") {
  Update u;
  CHECK(parse(update({}, plain_attributes(), kNet4) + "trailing", u) == Fault::kNone);
  CHECK(u.announced.size() == 1);
}
