#include "bmp-recv/bmp_parser.h"

#include <doctest/doctest.h>

#include "bmp-recv/statistics.h"
#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {
std::string tlv(std::size_t type, const std::string& value) { return be16(type) + be16(value.size()) + value; }
ByteReader reader(const std::string& s) { return ByteReader(as_bytes(s)); }
}  // namespace

TEST_CASE("a per-peer header is read whole or not at all") {
  const std::string bytes = peer_header(7, 0x80 | 0x40);
  REQUIRE(bytes.size() == 42);
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const std::string cut = bytes.substr(0, n);
    ByteReader r = reader(cut);
    PeerHeader h;
    CHECK_FALSE(parse_peer_header(r, h));
    CHECK(r.remaining() == n);
  }
  ByteReader r = reader(bytes);
  PeerHeader h;
  REQUIRE(parse_peer_header(r, h));
  CHECK(r.empty());
  CHECK(h.asn == 65007);
  CHECK(h.seconds == 1700000000);
  CHECK(h.micros == 250);
  CHECK(h.is_v6());
  CHECK_FALSE(h.is_pre_policy());
}

TEST_CASE("the view of a route comes from type and flags") {
  const struct {
    unsigned flags, type;
    View want;
  } cases[] = {{0x00, 0, View::kInPre},  {0x40, 0, View::kInPost}, {0x10, 0, View::kOutPre}, {0x50, 0, View::kOutPost},
               {0x00, 3, View::kLocRib}, {0xf0, 3, View::kLocRib}, {0xa0, 1, View::kInPre}};
  for (const auto& c : cases) {
    PeerHeader h;
    h.flags = static_cast<std::uint8_t>(c.flags);
    h.type = static_cast<std::uint8_t>(c.type);
    CHECK(view_of(h) == c.want);
  }
}

TEST_CASE("Initiation keeps what it knows and bears with the rest") {
  const std::string good = tlv(99, "?") + tlv(1, "descr") + tlv(2, "name") + tlv(0, "one") + tlv(0, "two");
  Initiation i;
  CHECK(parse_initiation(reader(good), i) == Fault::kNone);
  CHECK(i.sys_name == "name");
  CHECK(i.sys_descr == "descr");
  CHECK(i.text == "two");
  CHECK(i.unknown == 1);
  const std::string torn = tlv(2, "name") + hex("00 01 00 09 41");
  Initiation part;
  CHECK(parse_initiation(reader(torn), part) == Fault::kInitiation);
  CHECK(part.sys_name == "name");
}

TEST_CASE("Peer Up is usable up to its OPENs, and its TLVs are optional") {
  const std::string head = std::string(12, '\0') + hex("c0 00 02 fe 00 b3 9c 40");
  const std::string sent = open(65000, {}), received = open(65001, {});
  const std::string whole =
      head + sent + received + tlv(0, "info") + tlv(3, "vrf-a") + tlv(4, "label") + tlv(77, "new");
  PeerUp up;
  CHECK(parse_peer_up(reader(whole), up) == Fault::kNone);
  CHECK(up.local_port == 179);
  CHECK(up.remote_port == 40000);
  CHECK(up.sent_open.size() == sent.size());
  CHECK(up.received_open.size() == received.size());
  CHECK(up.info == "info");
  CHECK(up.table_name == "vrf-a");
  CHECK(up.admin_label == "label");
  CHECK(up.unknown == 1);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const std::string cut = whole.substr(0, n);
    PeerUp p;
    const Fault f = parse_peer_up(reader(cut), p);
    if (n < head.size()) {
      CHECK(f == Fault::kPeerUp);
    } else if (n < head.size() + sent.size() + received.size()) {
      CHECK(f == Fault::kPeerUpOpen);
      CHECK(p.sent_open.empty());
    } else {
      CHECK((f == Fault::kNone || f == Fault::kPeerUpTlv));
      CHECK(!p.received_open.empty());
    }
  }
}

TEST_CASE("Peer Down reasons") {
  const std::string cease = bgp(3, hex("06 02") + std::string("\x04") + "bye!");
  PeerDown d;
  CHECK(parse_peer_down(reader(hex("02 00 11")), d) == Fault::kNone);
  CHECK(d.fsm_event == 17);
  PeerDown n;
  const std::string notified = hex("03") + cease;
  CHECK(parse_peer_down(reader(notified), n) == Fault::kNone);
  CHECK(n.error_code == 6);
  CHECK(n.error_subcode == 2);
  CHECK(n.error_data.size() == 5);
  const struct {
    const char* bytes;
    Fault want;
  } cases[] = {
      {"", Fault::kPeerDown},          {"04", Fault::kNone},           {"05", Fault::kNone}, {"63", Fault::kNone},
      {"02 00", Fault::kPeerDownData}, {"01 ff", Fault::kPeerDownData}};
  for (const auto& c : cases) {
    const std::string bytes = hex(c.bytes);
    PeerDown p;
    CHECK(parse_peer_down(reader(bytes), p) == c.want);
  }
  for (std::size_t k = 1; k < notified.size() - 5; ++k) {
    const std::string cut = notified.substr(0, k);
    PeerDown p;
    CHECK(parse_peer_down(reader(cut), p) == Fault::kPeerDownData);
    CHECK(p.reason == 3);
  }
}

TEST_CASE("statistics of all types are read, unknown ones counted") {
  std::string body = be32(6) + tlv(0, be32(5)) + tlv(7, std::string(4, '\0') + be32(9)) +
                     tlv(9, hex("00 01 01") + std::string(4, '\0') + be32(3)) +
                     tlv(9, hex("00 02 01") + std::string(4, '\0') + be32(4)) + tlv(65531, be32(1)) + tlv(1, "odd");
  Statistics s;
  CHECK(parse_statistics(reader(body), s) == Fault::kNone);
  REQUIRE(s.all.size() == 6);
  CHECK((s.all[0].type == 0 && s.all[0].has_value && s.all[0].value == 5));
  CHECK((s.all[1].type == 7 && s.all[1].has_value && s.all[1].value == 9));
  CHECK((s.all[3].has_family && s.all[3].family == Family{2, 1} && s.all[3].value == 4));
  CHECK((s.all[4].type == 65531 && s.all[4].value == 1 && statistic_name(65531).empty()));
  CHECK_FALSE(s.all[5].has_value);
  CHECK(s.all[5].raw.size() == 3);
  for (std::size_t n = 0; n < body.size(); ++n) {
    const std::string cut = body.substr(0, n);
    const Fault f = parse_statistics(reader(cut), s);
    std::size_t read = 4;  // whole TLVs
    for (const Statistic& one : s.all) read += 4 + one.raw.size();
    CHECK(f == (n >= 4 && read == n ? Fault::kNone : Fault::kStatistics));
  }
}

TEST_CASE("statistics have the names of their registry") {
  CHECK(statistic_name(0) == "rejected_prefixes");
  CHECK(statistic_name(10) == "loc_rib_routes_per_family");
  CHECK(statistic_name(17) == "adj_rib_out_post_routes_per_family");
  CHECK(statistic_name(24).empty());  // unassigned
  CHECK(statistic_name(26) == "damped_routes_per_family");
  CHECK(statistic_name(31) == "routes_until_license_threshold");
  CHECK(statistic_name(35) == "adj_rib_in_post_rpki_invalid_per_family");
  CHECK(statistic_name(43) == "adj_rib_out_post_rpki_not_found_per_family");
  CHECK(statistic_name(44).empty());
}

TEST_CASE("Peer Down of a Loc-RIB says which table, and what stands behind a reason is read") {
  PeerDown d;
  const std::string body = hex("06") + tlv(3, "vrf-a") + tlv(0, "bye") + tlv(9, "?");
  CHECK(parse_peer_down(reader(body), d) == Fault::kNone);
  CHECK(d.is(DownReason::kLocalTlvs));
  CHECK(d.table_name == "vrf-a");
  CHECK(d.info == "bye");
  CHECK(d.unknown == 1);
  for (std::size_t n = 1; n < body.size(); ++n) {
    const std::string cut = body.substr(0, n);
    PeerDown p;
    CHECK(parse_peer_down(reader(cut), p) == (n == 1 || n == 10 || n == 17 ? Fault::kNone : Fault::kPeerDownData));
  }
  PeerDown event;
  const std::string with_tlv = hex("02 0011") + tlv(3, "vrf-b");
  CHECK(parse_peer_down(reader(with_tlv), event) == Fault::kNone);
  CHECK(event.table_name == "vrf-b");
}

TEST_CASE("Route Mirroring: messages and marks are counted") {
  Mirroring m;
  const std::string body = tlv(0, "PDU") + tlv(1, be16(0)) + tlv(1, be16(1)) + tlv(1, be16(7)) + tlv(5, "");
  CHECK(parse_mirroring(reader(body), m) == Fault::kNone);
  CHECK((m.messages == 1 && m.errored == 1 && m.lost == 1 && m.unknown == 2));
  for (const std::size_t n : {1U, 3U, 6U, 12U}) {
    const std::string cut = body.substr(0, n);
    Mirroring p;
    CHECK(parse_mirroring(reader(cut), p) == Fault::kMirroring);
  }
}

TEST_CASE("Route Monitoring of version 4: every revision's code points, known by the BGP message") {
  const auto indexed = [](std::size_t type, std::size_t index, const std::string& value) {
    return be16(type) + be16(value.size()) + be16(index) + value;
  };
  const std::string pdu = update({}, {}, {});
  const std::string ids = hex("45 04 0001 80 03") + hex("41 04 00000000") + hex("08 04 0001 80 02");
  const struct {
    std::size_t stateless, group, table, message, status;
  } revisions[] = {{4, 2, 3, 1, 5}, {1, 2, 3, 4, 5}, {6, 4, 5, 7, 5}, {3, 1, 2, 4, 99}};
  for (const auto& v : revisions) {
    CAPTURE(v.message);
    CAPTURE(v.group);
    const std::string body = indexed(v.stateless, 0, ids) + indexed(v.table, 0, "global") + indexed(v.message, 0, pdu) +
                             indexed(v.group, 0x8001, be16(1)) + indexed(0x8009, 0, "enterprise") + indexed(99, 0, "") +
                             (v.status == 99 ? std::string() : indexed(v.status, 0x8001, be32(2) + be16(3)));
    MonitoringTlvs t;
    CHECK(parse_monitoring_tlvs(reader(body), t) == Fault::kNone);
    CHECK(t.update.size() == pdu.size());
    CHECK(t.as4);
    CHECK(t.ids.contains({1, 128}));
    CHECK_FALSE(t.ids.contains(kIpv4Unicast));
    CHECK(t.many_labels.contains({1, 128}));
    CHECK(t.marks.table() == "global");
    CHECK(t.marks.groups() == 1);
    CHECK(t.unknown == 2);
    if (v.status != 99) {
      REQUIRE(t.marks.status_of(1) != nullptr);
      CHECK((t.marks.status_of(1)->bits == 2 && t.marks.status_of(1)->reason == 3));
      CHECK(t.marks.status_of(2) == nullptr);
    }
    const std::size_t with_message = 12 + ids.size() + 6 + 6 + pdu.size();
    for (std::size_t n = 0; n < body.size(); ++n) {
      const std::string cut = body.substr(0, n);
      MonitoringTlvs p;
      const Fault f = parse_monitoring_tlvs(reader(cut), p);
      if (n < with_message) CHECK(f == Fault::kMonitoringTlv);
    }
    CHECK(parse_monitoring_tlvs(reader(indexed(v.message, 0, pdu)), t) == Fault::kNone);  // nothing of before is left
    CHECK_FALSE(t.marks.any());
    CHECK_FALSE(t.as4);
    CHECK(t.unknown == 0);
  }
}

TEST_CASE("a path status is told from what has its number in other revisions") {
  const auto indexed = [](std::size_t type, std::size_t index, const std::string& value) {
    return be16(type) + be16(value.size()) + be16(index) + value;
  };
  const std::string pdu = update({}, {}, {});
  const struct {
    std::string body;
    std::size_t statuses;
    const char* table;
    std::uint32_t unknown;
  } cases[] = {
      {indexed(5, 1, be32(2)) + indexed(4, 0, pdu) + indexed(5, 2, be32(4) + be16(1)) + indexed(5, 0, "x"), 2, "", 1},
      {indexed(7, 0, pdu) + indexed(5, 0, be32(2) + be16(3)), 1, "", 0},
      {indexed(7, 0, pdu) + indexed(5, 0, "blue"), 0, "blue", 0},
      {indexed(7, 0, pdu) + indexed(5, 0, "global"), 0, "global", 0},
      {indexed(4, 0, pdu) + indexed(3, 0, "global") + indexed(5, 0, be32(2)), 1, "global", 0},
      // Revision 21: a sequence number, and a time.
      {indexed(4, 0, pdu) + indexed(5, 0, be32(2)) + indexed(7, 0, be32(1) + be32(2)), 0, "", 2},
      {indexed(9, 0, pdu) + indexed(5, 0, be32(2)), 0, "", 1},  // of no revision that is known
  };
  for (const auto& c : cases) {
    CAPTURE(c.body.size());
    MonitoringTlvs t;
    CHECK(parse_monitoring_tlvs(reader(c.body), t) == Fault::kNone);
    CHECK(t.marks.statuses() == c.statuses);
    CHECK(t.marks.table() == c.table);
    CHECK(t.unknown == c.unknown);
  }
}

TEST_CASE("statistics of version 4 stand alone or in a TLV of their own") {
  const std::string statistics = be32(1) + tlv(0, be32(5));
  Statistics s;
  CHECK(parse_statistics_tlvs(reader(statistics), s) == Fault::kNone);
  CHECK((s.all.size() == 1 && s.all[0].value == 5 && s.unknown == 0));
  const std::string inside = tlv(1, statistics) + tlv(9, "?");
  CHECK(parse_statistics_tlvs(reader(inside), s) == Fault::kNone);
  CHECK((s.all.size() == 1 && s.all[0].value == 5 && s.unknown == 1));
  for (std::size_t n = 0; n < inside.size(); ++n) {
    const std::string cut = inside.substr(0, n);
    const Fault f = parse_statistics_tlvs(reader(cut), s);
    CHECK((f == Fault::kNone) == (n == 16));
  }
}

TEST_CASE("Termination tells its reason") {
  Termination t;
  const std::string body = tlv(0, "bye") + tlv(1, be16(3));
  CHECK(parse_termination(reader(body), t) == Fault::kNone);
  CHECK(t.reason == 3);
  CHECK(t.text == "bye");
  const std::string torn = tlv(1, "x");
  CHECK(parse_termination(reader(torn), t) == Fault::kTermination);
}
