#include "bmp-recv/bgp_attributes.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "bmp-recv/attribute_text.h"
#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

struct Parsed {
  std::string bytes;  // owns what the views point to
  PathAttributes attributes;
  AttributeFaults faults;
};
Parsed parse(const std::string& field, bool as4 = true, bool external = false) {
  Parsed p;
  p.bytes = field;
  parse_attributes(as_bytes(p.bytes), as4, p.attributes, p.faults, external);
  return p;
}
std::string path_text(const AsPath& path) {
  TextBuffer out;
  append_as_path(out, path);
  return std::string(out.view());
}
std::string seq4(std::initializer_list<unsigned> asns) {
  std::string s{'\x02', static_cast<char>(asns.size())};
  for (const unsigned a : asns) s += be32(a);
  return s;
}
std::string seq2(std::initializer_list<unsigned> asns) {
  std::string s{'\x02', static_cast<char>(asns.size())};
  for (const unsigned a : asns) s += be16(a);
  return s;
}

}  // namespace

TEST_CASE("a malformed attribute has the effect that RFC 7606 gives it") {
  const struct {
    std::uint8_t type;
    Fault withdraw, discard;
    const char* value;
  } cases[] = {
      {1, Fault::kNone, Fault::kNone, "00"},
      {1, Fault::kNone, Fault::kNone, "02"},
      {1, Fault::kOrigin, Fault::kNone, "03"},
      {1, Fault::kOrigin, Fault::kNone, ""},
      {1, Fault::kOrigin, Fault::kNone, "00 00"},
      {2, Fault::kNone, Fault::kNone, ""},
      {2, Fault::kAsPath, Fault::kNone, "02 00"},           // empty segment
      {2, Fault::kAsPath, Fault::kNone, "05 01 0000fde9"},  // unknown segment type
      {2, Fault::kAsPath, Fault::kNone, "02 02 0000fde9"},  // overrun
      {2, Fault::kAsPath, Fault::kNone, "02"},
      {3, Fault::kNone, Fault::kNone, "c0000201"},
      {3, Fault::kNextHop, Fault::kNone, "c00002"},
      {4, Fault::kNone, Fault::kNone, "00000001"},
      {4, Fault::kMed, Fault::kNone, "000001"},
      {5, Fault::kNone, Fault::kNone, "00000064"},
      {5, Fault::kLocalPref, Fault::kNone, "0000006400"},
      {6, Fault::kNone, Fault::kNone, ""},
      {6, Fault::kNone, Fault::kAtomicAggregate, "00"},
      {7, Fault::kNone, Fault::kNone, "fde9 c0000201"},
      {7, Fault::kNone, Fault::kNone, "0000fde9 c0000201"},
      {7, Fault::kNone, Fault::kAggregator, "fde9 c00002"},
      {8, Fault::kNone, Fault::kNone, "fde90001"},
      {8, Fault::kCommunity, Fault::kNone, "fde9000100"},
      {8, Fault::kCommunity, Fault::kNone, ""},
      {9, Fault::kNone, Fault::kNone, "c0000201"},
      {9, Fault::kOriginatorId, Fault::kNone, "c000"},
      {10, Fault::kNone, Fault::kNone, "c0000201c0000202"},
      {10, Fault::kClusterList, Fault::kNone, "c0000201c0"},
      {16, Fault::kNone, Fault::kNone, "0002fde900000001"},
      {16, Fault::kExtCommunity, Fault::kNone, "0002fde9000000"},
      {32, Fault::kNone, Fault::kNone, "0000000100000002 00000003"},
      {32, Fault::kLargeCommunity, Fault::kNone, "00000001"},
      {22, Fault::kNone, Fault::kNone, "00 06 000100 c0000201"},
      {22, Fault::kPmsiTunnel, Fault::kNone, "00 06 0001"},
      {23, Fault::kNone, Fault::kNone, "000a 0000"},
      {23, Fault::kTunnelEncapsulation, Fault::kNone, ""},
      {23, Fault::kTunnelEncapsulation, Fault::kNone, "000a 0003 0000"},
      {25, Fault::kNone, Fault::kNone, "0002 20010db8000000000000000000000001 0005"},
      {25, Fault::kIpv6ExtCommunity, Fault::kNone, "0002 20010db8000000000000000000000001 00"},
      {25, Fault::kIpv6ExtCommunity, Fault::kNone, ""},
      {26, Fault::kNone, Fault::kNone, "01 000b 0000000000000064"},
      {26, Fault::kNone, Fault::kAigp, "01 000b 00000000000000"},
      {26, Fault::kNone, Fault::kAigp, "01 0002"},
      {26, Fault::kNone, Fault::kAigp, "02 0003"},  // no metric in it
      {29, Fault::kNone, Fault::kNone, "0400 0001 80"},
      {29, Fault::kNone, Fault::kLinkState, "0400 0002 80"},
      {35, Fault::kNone, Fault::kNone, "0000fde9"},
      {35, Fault::kOtc, Fault::kNone, "fde9"},
      {40, Fault::kNone, Fault::kNone, "01 0007 00 0000 00000005"},
      {40, Fault::kNone, Fault::kPrefixSid, "01 0007 00 0000 000005"},
      {40, Fault::kSrv6Service, Fault::kNone, "05 0000"},
      {41, Fault::kNone, Fault::kNone, "0001 0004 00 0005 00"},
      {41, Fault::kNone, Fault::kBier, "0001 0003 00 0005"},
      {128, Fault::kNone, Fault::kNone, "0000fde9"},
      {128, Fault::kAttrSet, Fault::kNone, "0000fd"},
      {128, Fault::kAttrSet, Fault::kNone, "0000fde9 4001"},
      {128, Fault::kAttrSet, Fault::kNone, "0000fde9 400101 07"},
      {99, Fault::kNone, Fault::kNone, "abcd"},
      {255, Fault::kNone, Fault::kNone, ""},
  };
  for (const auto& c : cases) {
    CAPTURE(c.type);
    CAPTURE(c.value);
    const Parsed p = parse(attribute(c.type, hex(c.value)));
    CHECK(p.faults.fatal == Fault::kNone);
    CHECK(p.faults.withdraw == c.withdraw);
    CHECK(p.faults.discarded_count == (c.discard == Fault::kNone ? 0 : 1));
    if (c.discard != Fault::kNone) {
      CHECK(p.faults.discarded[0] == c.discard);
      CHECK(p.attributes.all.empty());
      CHECK_FALSE(p.attributes.has(static_cast<AttributeType>(c.type)));
    }
  }
}

TEST_CASE("what RFC 7606 7 says of each attribute, of internal and of external peers") {
  // Section, type, value, and what becomes of the message from an internal and from an external peer.
  enum Effect { kUsed, kDiscarded, kWithdrawn };
  const struct {
    const char* section;
    unsigned type;
    const char* value;
    Effect internal, external;
  } cases[] = {
      {"7.1", 1, "01", kUsed, kUsed},
      {"7.1: length", 1, "0000", kWithdrawn, kWithdrawn},
      {"7.1: no length", 1, "", kWithdrawn, kWithdrawn},
      {"7.1: undefined value", 1, "03", kWithdrawn, kWithdrawn},
      {"7.2", 2, "0201 0000fde9", kUsed, kUsed},
      {"7.2: of no segment, as an internal peer sends it", 2, "", kUsed, kUsed},
      {"7.2: unrecognized segment type", 2, "0001 0000fde9", kWithdrawn, kWithdrawn},
      {"7.2: segment overrun", 2, "0202 0000fde9", kWithdrawn, kWithdrawn},
      {"7.2: segment underrun", 2, "0201 0000fde9 02", kWithdrawn, kWithdrawn},
      {"7.2: segment of no AS", 2, "0200", kWithdrawn, kWithdrawn},
      {"7.3", 3, "c0000201", kUsed, kUsed},
      {"7.3: short", 3, "c00002", kWithdrawn, kWithdrawn},
      {"7.3: long", 3, "c000020100", kWithdrawn, kWithdrawn},
      {"7.3: no length", 3, "", kWithdrawn, kWithdrawn},
      {"7.4", 4, "00000001", kUsed, kUsed},
      {"7.4: short", 4, "000001", kWithdrawn, kWithdrawn},
      {"7.4: no length", 4, "", kWithdrawn, kWithdrawn},
      {"7.5", 5, "00000064", kUsed, kUsed},
      {"7.5: short", 5, "000064", kWithdrawn, kDiscarded},
      {"7.5: no length", 5, "", kWithdrawn, kDiscarded},
      {"7.6", 6, "", kUsed, kUsed},
      {"7.6: length", 6, "01", kDiscarded, kDiscarded},
      {"7.7", 7, "0000fde9 c0000201", kUsed, kUsed},
      {"7.7: of a 2-byte speaker", 7, "fde9 c0000201", kUsed, kUsed},
      {"7.7: between the two", 7, "00fde9 c0000201", kDiscarded, kDiscarded},
      {"7.7: no length", 7, "", kDiscarded, kDiscarded},
      {"7.8", 8, "fde90001 fde90002", kUsed, kUsed},
      {"7.8: no multiple of 4", 8, "fde90001 fd", kWithdrawn, kWithdrawn},
      {"7.8: no length", 8, "", kWithdrawn, kWithdrawn},
      {"7.9", 9, "c0000201", kUsed, kUsed},
      {"7.9: long", 9, "c000020100", kWithdrawn, kDiscarded},
      {"7.9: no length", 9, "", kWithdrawn, kDiscarded},
      {"7.10", 10, "c0000201 c0000202", kUsed, kUsed},
      {"7.10: no multiple of 4", 10, "c0000201 c0", kWithdrawn, kDiscarded},
      {"7.10: no length", 10, "", kWithdrawn, kDiscarded},
      {"7.13: traffic engineering is kept as it came", 24, "00", kUsed, kUsed},
      {"7.14", 16, "0002fde900000001", kUsed, kUsed},
      {"7.14: no multiple of 8", 16, "0002fde9000000", kWithdrawn, kWithdrawn},
      {"7.14: no length", 16, "", kWithdrawn, kWithdrawn},
      {"7.15: no multiple of 20", 25, "0002 20010db8000000000000000000000001 00", kWithdrawn, kWithdrawn},
      {"7.15: no length", 25, "", kWithdrawn, kWithdrawn},
      {"7.16: attribute set", 128, "0000fde9 400101", kWithdrawn, kWithdrawn},
      {"7.16: no origin AS", 128, "0000fd", kWithdrawn, kWithdrawn},
      {"RFC 8092 5: large communities", 32, "00000001", kWithdrawn, kWithdrawn},
      {"RFC 8092 5: no length", 32, "", kWithdrawn, kWithdrawn},
  };
  for (const auto& c : cases)
    for (const bool external : {false, true}) {
      CAPTURE(c.section);
      CAPTURE(external);
      const Parsed p = parse(attribute(c.type, hex(c.value)), true, external);
      const Effect want = external ? c.external : c.internal;
      CHECK(p.faults.fatal == Fault::kNone);
      CHECK((p.faults.withdraw != Fault::kNone) == (want == kWithdrawn));
      CHECK(p.faults.discarded_count == (want == kDiscarded ? 1 : 0));
      CHECK(p.attributes.has(static_cast<AttributeType>(c.type)) == (want != kDiscarded));
    }
}

TEST_CASE("LOCAL_PREF of an external peer that can be read is kept: the router says it") {
  const Parsed p = parse(attribute(5, be32(120)) + attribute(9, hex("0a000001")), true, true);
  CHECK(p.attributes.local_pref == 120);
  CHECK(p.attributes.has(AttributeType::kOriginatorId));
  CHECK(p.faults.discarded_count == 0);
}

TEST_CASE("a field that ends inside an attribute counts as a withdrawal, at every length") {
  const std::string whole = plain_attributes() + attribute(8, hex("fde90001"));
  const std::vector<std::size_t> ends{0, 5, 15, 23, 31};
  REQUIRE(whole.size() == ends.back());
  for (std::size_t n = 0; n < whole.size(); ++n) {
    CAPTURE(n);
    const Parsed p = parse(whole.substr(0, n));
    const bool between = std::find(ends.begin(), ends.end(), n) != ends.end();
    CHECK(p.faults.withdraw == (between ? Fault::kNone : Fault::kAttributeLength));
  }
}

TEST_CASE("of an attribute that comes twice the first counts, MP_REACH may not come twice") {
  const Parsed p = parse(attribute(4, be32(1)) + attribute(4, be32(2)));
  CHECK(p.attributes.med == 1);
  REQUIRE(p.faults.discarded_count == 1);
  CHECK(p.faults.discarded[0] == Fault::kDuplicateAttribute);
  CHECK(parse(attribute(14, "a") + attribute(14, "b")).faults.fatal == Fault::kDuplicateMp);
  CHECK(parse(attribute(15, "a") + attribute(15, "b")).faults.fatal == Fault::kDuplicateMp);
}

TEST_CASE("wrong attribute flags are counted and cost nothing, both length forms are read") {
  const Parsed p = parse(hex("00 04 04 00000007  f0 05 0004 00000008"));
  CHECK(p.faults.withdraw == Fault::kNone);
  CHECK(p.faults.discarded_count == 1);  // both at once
  CHECK(p.faults.discarded[0] == Fault::kAttributeFlags);
  CHECK(parse(hex("80 04 04 00000007  50 05 0004 00000008 e0 08 04 00010001")).faults.discarded_count == 0);
  CHECK(p.attributes.med == 7);
  CHECK(p.attributes.local_pref == 8);
}

TEST_CASE("AS_PATH prints as the contract says") {
  const std::string value = seq4({65001, 4200000001}) + hex("01 02") + be32(64512) + be32(64513) + hex("03 01") +
                            be32(65100) + hex("04 01") + be32(65101);
  const Parsed p = parse(attribute(2, value));
  CHECK(path_text(p.attributes.as_path) == " 65001 4200000001 { 64512 64513 } 65100 65101");
  CHECK(p.attributes.as_path.asns.size() == 6);
  CHECK(p.attributes.as_path.hops() == 3);
}

TEST_CASE("the width of AS numbers is what fits, whatever was expected") {
  const Parsed two = parse(attribute(2, seq2({65001, 65002, 65003})), true);
  CHECK(two.faults.withdraw == Fault::kNone);
  CHECK(two.faults.other_as_width);
  CHECK(path_text(two.attributes.as_path) == " 65001 65002 65003");
  const Parsed four = parse(attribute(2, seq4({65001, 70000})), false);
  CHECK(four.faults.other_as_width);
  CHECK(path_text(four.attributes.as_path) == " 65001 70000");
  CHECK_FALSE(parse(attribute(2, seq2({1, 2})), false).faults.other_as_width);
}

TEST_CASE("AS4_PATH completes the path of an old speaker") {
  const struct {
    std::string path, as4, want;
  } cases[] = {
      {seq2({65001, 23456, 65007}), seq4({4200000009, 65007}), " 65001 4200000009 65007"},
      {seq2({65001, 65005, 23456, 65007}), seq4({4200000009, 65007}), " 65001 65005 4200000009 65007"},
      {seq2({23456}), seq4({70000}), " 70000"},
      {seq2({65001}), seq4({1, 2}), " 65001"},  // longer than AS_PATH: ignored
      // A set counts as one.
      {seq2({65001, 23456}) + hex("01 02") + be16(1) + be16(2), seq4({70000}) + hex("01 02") + be32(1) + be32(2),
       " 65001 70000 { 1 2 }"},
      // Confederation segments do not count, and are not allowed in AS4_PATH.
      {hex("03 01") + be16(64900) + seq2({65001, 23456}), hex("03 01") + be32(9) + seq4({70000}), " 64900 65001 70000"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.want);
    const Parsed p = parse(attribute(2, c.path) + attribute(17, c.as4), false);
    CHECK(p.faults.withdraw == Fault::kNone);
    CHECK(path_text(p.attributes.as_path) == c.want);
  }
}

TEST_CASE("a sequence that AS_PATH and AS4_PATH share becomes one segment, as far as it fits one") {
  using Segments = std::vector<std::pair<SegmentType, unsigned>>;
  constexpr auto kSeq = SegmentType::kSequence;
  const auto merged = [](const std::string& path, const std::string& as4) {
    const Parsed p = parse(attribute(2, path) + attribute(17, as4), false);
    Segments list;
    std::size_t sum = 0;
    for (const AsPath::Segment& s : p.attributes.as_path.segments) {
      list.emplace_back(s.type, s.count);
      sum += s.count;
    }
    CHECK(sum == p.attributes.as_path.asns.size());
    return list;
  };
  const auto long2 = [](std::size_t n) {
    std::string s = hex("02") + static_cast<char>(n);
    for (std::size_t k = 0; k < n; ++k) s += be16(23456);
    return s;
  };
  const auto long4 = [](std::size_t n) {
    std::string s = hex("02") + static_cast<char>(n);
    for (std::size_t k = 0; k < n; ++k) s += be32(70000 + k);
    return s;
  };
  const std::string set2 = hex("01 01") + be16(5), set4 = hex("01 01") + be32(5);
  const std::string confed2 = hex("03 01") + be16(64900), confed4 = hex("03 01") + be32(64900);
  CHECK(merged(seq2({65001, 65002, 23456}), seq4({70000})) == Segments{{kSeq, 3}});
  CHECK(merged(seq2({65001, 23456}) + set2, seq4({70000}) + set4) == Segments{{kSeq, 2}, {SegmentType::kSet, 1}});
  CHECK(merged(confed2 + seq2({65001, 23456}), seq4({70000})) ==
        Segments{{SegmentType::kConfedSequence, 1}, {kSeq, 2}});
  CHECK(merged(seq2({65001, 23456}), confed4 + seq4({70000})) == Segments{{kSeq, 2}});  // that one is discarded
  CHECK(merged(seq2({65001}) + confed2 + seq2({23456}), seq4({70000})) ==
        Segments{{kSeq, 1}, {SegmentType::kConfedSequence, 1}, {kSeq, 1}});
  // Segments that the sender had cut stay cut where it cut them.
  CHECK(merged(seq2({65001, 23456}) + seq2({23456}), seq4({70000}) + seq4({70001})) == Segments{{kSeq, 2}, {kSeq, 1}});
  CHECK(merged(set2 + seq2({23456}), seq4({70000})) == Segments{{SegmentType::kSet, 1}, {kSeq, 1}});
  CHECK(merged(long2(255), long4(200)) == Segments{{kSeq, 255}});
  CHECK(merged(seq2({65001}) + long2(255), long4(255)) == Segments{{kSeq, 1}, {kSeq, 255}});
}

TEST_CASE("AS4_PATH of a new speaker, or behind an old aggregator, does not count") {
  CHECK(path_text(parse(attribute(2, seq4({65001, 65002})) + attribute(17, seq4({70000}))).attributes.as_path) ==
        " 65001 65002");
  const std::string old_path = attribute(2, seq2({65001, 23456}));
  const Parsed outdated = parse(old_path + attribute(7, be16(65001) + hex("c0000201")) + attribute(17, seq4({70000})) +
                                    attribute(18, be32(70000) + hex("c0000202")),
                                false);
  CHECK(path_text(outdated.attributes.as_path) == " 65001 23456");
  CHECK(outdated.attributes.aggregator_asn == 65001);
  const Parsed current = parse(old_path + attribute(7, be16(23456) + hex("c0000201")) + attribute(17, seq4({70000})) +
                                   attribute(18, be32(70000) + hex("c0000202")),
                               false);
  CHECK(path_text(current.attributes.as_path) == " 65001 70000");
  CHECK(current.attributes.aggregator_asn == 70000);
}

TEST_CASE("malformed AS4 attributes are discarded, the path stays") {
  const Parsed p = parse(attribute(2, seq2({65001, 23456})) + attribute(17, "x") + attribute(18, "y"), false);
  CHECK(p.faults.withdraw == Fault::kNone);
  CHECK(p.faults.discarded_count == 2);
  CHECK(path_text(p.attributes.as_path) == " 65001 23456");
}

TEST_CASE("communities of all kinds print as the contract says") {
  TextBuffer out;
  append_communities(out, as_bytes(hex("fde90001 ffff029a")));
  CHECK(out.view() == "65001:1 65535:666");
  out.clear();
  append_large_communities(out, as_bytes(hex("fa56ea01 00000001 ffffffff 00000002 00000003 00000004")));
  CHECK(out.view() == "4200000001:1:4294967295 2:3:4");
  out.clear();
  append_cluster_list(out, as_bytes(hex("0a000001 0a000002")));
  CHECK(out.view() == "10.0.0.1 10.0.0.2 ");
}

TEST_CASE("route distinguishers print by their type") {
  const struct {
    const char* bytes;
    const char* want;
  } cases[] = {{"0000000000000000", "0:0"},
               {"0000fde800000064", "65000:100"},
               {"0001c00002010007", "192.0.2.1:7"},
               {"0002fa56ea010009", "4200000001:9"}};
  for (const auto& c : cases) {
    std::array<std::uint8_t, 8> rd{};
    const std::string bytes = hex(c.bytes);
    std::copy(bytes.begin(), bytes.end(), rd.begin());
    TextBuffer out;
    append_rd(out, rd);
    CHECK(out.view() == c.want);
  }
}
