// What is written as a router writes it is read as it was meant: random values, repeatable. The families of
// nlri_builders.h have theirs beside their parsers.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "bmp-recv/attribute_text.h"
#include "bmp-recv/bgp_open.h"
#include "bmp-recv/bgp_update.h"
#include "bmp-recv/bmp_parser.h"
#include "bmp-recv/nlri_ls.h"
#include "bmp-recv/nlri_vpn.h"
#include "tests/unit/bmp-recv/nlri_builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

std::string tlv(std::size_t type, const std::string& value) { return be16(type) + be16(value.size()) + value; }

// As somebody may announce it: no default route, no bits beyond the length.
Prefix some_prefix(Dice& dice, bool v6) {
  Prefix p;
  p.v6 = v6;
  p.length = static_cast<std::uint8_t>(8 + dice.below(v6 ? 121 : 25));
  dice.fill(p.address);
  p.address[0] = static_cast<std::uint8_t>(v6 ? 0x20 + dice.below(0x20) : 1 + dice.below(223));
  for (unsigned bit = p.length; bit < 128; ++bit)
    p.address[bit / 8] = static_cast<std::uint8_t>(p.address[bit / 8] & ~(0x80U >> bit % 8));
  return p;
}
std::string prefix_bytes(const Prefix& p) { return text_of(Bytes(p.address)).substr(0, (p.length + 7U) / 8); }

}  // namespace

TEST_CASE("plain prefixes survive a round trip, with and without path identifiers") {
  Dice dice;
  for (int round = 0; round < 2000; ++round) {
    CAPTURE(round);
    const bool v6 = dice.below(2) == 1, ids = dice.below(2) == 1;
    std::vector<Prefix> list(1 + dice.below(5)), read;
    std::string field;
    for (Prefix& p : list) {
      p = some_prefix(dice, v6);
      if (ids) field += be32(p.path_id = static_cast<std::uint32_t>(1 + dice.below(1000)));
      field += be8(p.length) + prefix_bytes(p);
    }
    bool large_ids = false;
    REQUIRE(parse_nlri(as_bytes(field), v6, ids ? PathIds::kYes : PathIds::kNo, large_ids, read) == NlriResult::kOk);
    REQUIRE(read == list);
    REQUIRE(!large_ids);
  }
}

TEST_CASE("labelled, VPN and multicast prefixes survive a round trip") {
  static constexpr Family kFamilies[] = {{1, 2}, {2, 2}, {1, 4}, {2, 4}, {1, 128}, {2, 128}, {1, 129}, {2, 129}};
  Dice dice;
  VpnCodec codec;
  for (int round = 0; round < 4000; ++round) {
    const Family family = kFamilies[dice.below(std::size(kFamilies))];
    CAPTURE(round);
    CAPTURE(family.safi);
    const bool v6 = family.afi == 2, has_rd = family.safi >= 128, ids = dice.below(2) == 1;
    const bool has_labels = family.safi == 4 || family.safi == 128, many = dice.below(2) == 1;
    std::string field;
    std::vector<std::string> want;
    const std::size_t count = 1 + dice.below(4);
    for (std::size_t n = 0; n < count; ++n) {
      const Prefix p = some_prefix(dice, v6);
      std::string labels, shown;
      // All of it has to fit a length of one byte.
      const std::size_t most = v6 && has_rd ? 2 : 3, depth = !has_labels ? 0 : many ? 1 + dice.below(most) : 1;
      for (std::size_t k = 0; k < depth; ++k) {
        const std::size_t label = 16 + dice.below(1U << 19);
        labels += be24(label << 4 | (k + 1 == depth ? 1U : 0U));
        shown += (k == 0 ? "" : ",") + std::to_string(label);
      }
      std::string rd, rd_text = "0:0";
      if (has_rd) {
        const std::size_t asn = 1 + dice.below(65000), number = dice.below(100000);
        rd = be16(0) + be16(asn) + be32(number);
        rd_text = std::to_string(asn) + ':' + std::to_string(number);
      }
      const std::size_t id = ids ? 1 + dice.below(1000) : 0;
      if (ids) field += be32(id);
      field += be8(p.length + 8 * (labels.size() + rd.size())) + labels + rd + prefix_bytes(p);
      want.push_back(std::to_string(id) + ' ' + rd_text + ' ' + shown + ' ' + text_of(Bytes(p.address)) +
                     std::to_string(p.length));
    }
    NlriContext context;
    context.family = family;
    context.ids = ids ? PathIds::kYes : PathIds::kNo;
    context.many_labels = many ? PathIds::kYes : PathIds::kNo;
    REQUIRE(codec.parse(as_bytes(field), context) == NlriResult::kOk);
    REQUIRE(codec.size() == want.size());
    for (std::size_t n = 0; n < want.size(); ++n) {
      TextBuffer rd, labels, prefix;
      codec.print(n, 2, false, rd);
      codec.print(n, 1, false, labels);
      codec.print(n, 0, false, prefix);
      // The prefix as bytes again.
      const std::vector<std::string> parts = split(prefix.view(), '\t');
      IpPrefix read;
      REQUIRE(parse_ip_prefix(parts.at(0) + '/' + parts.at(1), read));
      const std::string address = text_of(Bytes(read.address));
      const std::string bytes = v6 ? address : address.substr(12) + std::string(12, '\0');
      CHECK(std::to_string(codec.path_id(n)) + ' ' + split(rd.view(), '\t').at(0) + ' ' + std::string(labels.view()) +
                ' ' + bytes + parts.at(1) ==
            want[n]);
    }
  }
}

TEST_CASE("BGP-LS routes survive a round trip, with and without distinguishers and path identifiers") {
  Dice dice;
  for (int round = 0; round < 2000; ++round) {
    CAPTURE(round);
    const bool has_rd = dice.below(2) == 1, ids = dice.below(2) == 1;
    struct Written {
      std::size_t type, protocol, id, asn, ls_id, area;
      std::string rd, identifier, router_id, remote_id, sid;
      Prefix prefix;
    };
    std::vector<Written> list(1 + dice.below(3));
    std::string field;
    for (Written& w : list) {
      static constexpr std::size_t kTypes[] = {1, 2, 3, 4, 6};
      w = {kTypes[dice.below(5)],   1 + dice.below(6), 1 + dice.below(1000),
           dice.below(1U << 31),    dice.below(1000),  dice.below(9),
           be16(0) + dice.bytes(6), dice.bytes(8),     dice.bytes(dice.below(2) == 0 ? 4 : 6),
           dice.bytes(6),           dice.bytes(16),    {}};
      const auto node = [&](const std::string& router_id) {
        return tlv(512, be32(w.asn)) + tlv(513, be32(w.ls_id)) + tlv(514, be32(w.area)) + tlv(515, router_id);
      };
      std::string value = be8(w.protocol) + w.identifier + tlv(256, node(w.router_id));
      if (w.type == 2) value += tlv(257, node(w.remote_id)) + tlv(258, be32(7) + be32(8));
      if (w.type == 3 || w.type == 4) {
        w.prefix = some_prefix(dice, w.type == 4);
        value += tlv(265, be8(w.prefix.length) + prefix_bytes(w.prefix));
      }
      if (w.type == 6) value += tlv(518, w.sid);
      if (ids) field += be32(w.id);
      field += tlv(w.type, (has_rd ? w.rd : "") + value);
    }
    std::vector<LsRoute> read;
    std::size_t skipped = 0;
    REQUIRE(parse_ls_nlri(as_bytes(field), has_rd, ids, read, skipped));
    REQUIRE(skipped == 0);
    REQUIRE(read.size() == list.size());
    for (std::size_t n = 0; n < list.size(); ++n) {
      const Written& w = list[n];
      const LsRoute& r = read[n];
      CHECK(static_cast<std::size_t>(r.type) == w.type);
      CHECK(static_cast<std::size_t>(r.protocol) == w.protocol);
      CHECK(r.path_id == (ids ? w.id : 0));
      CHECK(text_of(r.rd) == (has_rd ? w.rd : std::string(8, '\0')));
      CHECK(be32(r.identifier >> 32) + be32(r.identifier & 0xffffffff) == w.identifier);
      CHECK(r.local.asn == w.asn);
      CHECK(r.local.ls_id == w.ls_id);
      CHECK((r.local.has_area && r.local.area == w.area));
      CHECK(text_of(r.local.igp_router_id) == w.router_id);
      CHECK(text_of(r.remote.igp_router_id) == (w.type == 2 ? w.remote_id : ""));
      if (w.type == 3 || w.type == 4) CHECK(r.prefix == w.prefix);
      if (w.type == 6) CHECK(text_of(find_ls_tlv(r.tlvs, 518)) == w.sid);
    }
  }
}

TEST_CASE("an OPEN survives a round trip") {
  Dice dice;
  static constexpr Family kFamilies[] = {{1, 1}, {2, 1}, {1, 4}, {1, 128}, {2, 128}, {25, 70}, {16388, 71}, {1, 133}};
  for (int round = 0; round < 1000; ++round) {
    CAPTURE(round);
    const std::size_t asn = dice.below(2) == 0 ? 1 + dice.below(65000) : 65536 + dice.below(1U << 30);
    const bool as4 = asn > 65535 || dice.below(2) == 0;
    std::string capabilities = as4 ? as4_capability(static_cast<unsigned>(asn)) : "";
    std::vector<Family> families;
    std::map<Family, int> modes;
    for (const Family& f : kFamilies) {
      const std::string bytes = be16(f.afi) + be8(0) + be8(f.safi);
      if (dice.below(2) == 0) {
        families.push_back(f);
        capabilities += hex("01 04") + bytes;
      }
      if (dice.below(3) == 0) {
        modes[f] = static_cast<int>(1 + dice.below(3));
        capabilities += hex("45 04") + be16(f.afi) + be8(f.safi) + be8(static_cast<std::size_t>(modes[f]));
      }
    }
    const std::string message = open(asn > 65535 ? 23456 : static_cast<unsigned>(asn), capabilities);
    Open o;
    REQUIRE(parse_open(as_bytes(message), o));
    CHECK(o.asn == asn);
    CHECK(o.as4 == as4);
    CHECK(o.hold_time == 180);
    if (families.empty()) families.push_back(kIpv4Unicast);
    CHECK(o.families == families);
    std::map<Family, int> read;
    for (const AddPath& a : o.add_path) read[a.family] = a.mode;
    CHECK(read == modes);
  }
}

TEST_CASE("path attributes and the prefixes of an UPDATE survive a round trip") {
  Dice dice;
  for (int round = 0; round < 2000; ++round) {
    CAPTURE(round);
    const bool as4 = dice.below(4) != 0;
    const auto number = [&](std::uint64_t below) { return static_cast<std::uint32_t>(dice.below(below)); };
    // AS_PATH: sequences and sets.
    std::string path, path_text;
    for (std::size_t segments = dice.below(4); segments > 0; --segments) {
      const bool set = dice.below(3) == 0;
      const std::size_t count = 1 + dice.below(6);
      path += be8(set ? 1 : 2) + be8(count);
      path_text += set ? " {" : "";
      for (std::size_t n = 0; n < count; ++n) {
        const std::uint32_t asn = 1 + number(as4 ? 4294967294U : 65000U);
        path += as4 ? be32(asn) : be16(asn);
        path_text += ' ' + std::to_string(asn);
      }
      path_text += set ? " }" : "";
    }
    const std::uint32_t med = number(1ULL << 32), local_pref = number(1ULL << 32), origin = number(3);
    const std::string next_hop = dice.bytes(4), communities = dice.bytes(4 * (1 + dice.below(5))),
                      large = dice.bytes(12 * (1 + dice.below(3))), ext = dice.bytes(8 * (1 + dice.below(4))),
                      clusters = dice.bytes(4 * (1 + dice.below(3))), originator = dice.bytes(4),
                      aggregator_id = dice.bytes(4);
    const std::uint32_t aggregator = 1 + number(65000);
    std::vector<std::string> parts{attribute(1, be8(origin)),
                                   attribute(2, path),
                                   attribute(3, next_hop),
                                   attribute(4, be32(med)),
                                   attribute(5, be32(local_pref)),
                                   attribute(6, ""),
                                   attribute(7, (as4 ? be32(aggregator) : be16(aggregator)) + aggregator_id),
                                   attribute(8, communities),
                                   attribute(9, originator),
                                   attribute(10, clusters),
                                   attribute(16, ext),
                                   attribute(32, large)};
    for (std::size_t n = parts.size(); n > 1; --n) std::swap(parts[n - 1], parts[dice.below(n)]);  // any order
    std::string attributes;
    for (const std::string& part : parts) attributes += part;
    std::vector<Prefix> withdrawn(dice.below(3)), announced(1 + dice.below(4));
    std::string withdrawn_field, announced_field;
    for (Prefix& p : withdrawn) {
      p = some_prefix(dice, false);
      withdrawn_field += be8(p.length) + prefix_bytes(p);
    }
    for (Prefix& p : announced) {
      p = some_prefix(dice, false);
      announced_field += be8(p.length) + prefix_bytes(p);
    }
    const std::string message = update(withdrawn_field, attributes, announced_field);
    UpdateContext context;
    context.expect_as4 = as4;
    context.ids_v4 = context.ids_v6 = PathIds::kNo;
    Update u;
    REQUIRE(parse_update(as_bytes(message), context, u) == Fault::kNone);
    REQUIRE(u.faults.withdraw == Fault::kNone);
    CHECK(u.withdrawn == withdrawn);
    CHECK(u.announced == announced);
    const PathAttributes& a = u.attributes;
    CHECK(a.origin == origin);
    TextBuffer text;
    append_as_path(text, a.as_path);
    CHECK(text.view() == path_text);
    CHECK(text_of(Bytes(a.next_hop.bytes.data(), a.next_hop.size)) == next_hop);
    CHECK((a.med == med && a.local_pref == local_pref));
    CHECK((a.has_aggregator && a.aggregator_asn == aggregator && text_of(a.aggregator_id) == aggregator_id));
    CHECK(text_of(a.communities) == communities);
    CHECK(text_of(a.large_communities) == large);
    CHECK(text_of(a.ext_communities) == ext);
    CHECK(text_of(a.cluster_list) == clusters);
    CHECK(text_of(a.originator_id) == originator);
    CHECK(a.has(AttributeType::kAtomicAggregate));
  }
}

TEST_CASE("a per-peer header and statistics survive a round trip") {
  Dice dice;
  for (int round = 0; round < 1000; ++round) {
    CAPTURE(round);
    const std::string bytes = dice.bytes(42);
    ByteReader r(as_bytes(bytes));
    PeerHeader h;
    REQUIRE(parse_peer_header(r, h));
    CHECK(be8(h.type) + be8(h.flags) + text_of(h.distinguisher) + text_of(h.address) + be32(h.asn) + text_of(h.bgp_id) +
              be32(h.seconds) + be32(h.micros) ==
          bytes);
    const std::size_t count = dice.below(10);
    std::string body = be32(count);
    for (std::size_t n = 0; n < count; ++n) {
      static constexpr std::size_t kSizes[] = {4, 8, 11, 3};
      body += tlv(dice.below(60), dice.bytes(kSizes[dice.below(4)]));
    }
    Statistics s;
    REQUIRE(parse_statistics(ByteReader(as_bytes(body)), s) == Fault::kNone);
    REQUIRE(s.all.size() == count);
    std::string again = be32(count);
    for (const Statistic& one : s.all) {
      const std::string value = be32(one.value >> 32) + be32(one.value & 0xffffffff);
      again += tlv(one.type, one.has_family ? be16(one.family.afi) + be8(one.family.safi) + value
                             : one.has_value && one.raw.size() == 8 ? value
                             : one.has_value                        ? value.substr(4)
                                                                    : text_of(one.raw));
    }
    CHECK(again == body);
  }
}
