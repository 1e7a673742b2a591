#include "bmp-recv/bmp_parser.h"

#include <doctest/doctest.h>

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
  const std::string torn = tlv(2, "name") + hex("00 01 00 09 41");
  Initiation part;
  CHECK(parse_initiation(reader(torn), part) == Fault::kInitiation);
  CHECK(part.sys_name == "name");
}

TEST_CASE("Peer Up is usable up to its OPENs, and its TLVs are optional") {
  const std::string head = std::string(12, '\0') + hex("c0 00 02 fe 00 b3 9c 40");
  const std::string sent = open(65000, {}), received = open(65001, {});
  const std::string whole = head + sent + received + tlv(0, "info") + tlv(3, "vrf-a") + tlv(77, "new");
  PeerUp up;
  CHECK(parse_peer_up(reader(whole), up) == Fault::kNone);
  CHECK(up.local_port == 179);
  CHECK(up.remote_port == 40000);
  CHECK(up.sent_open.size() == sent.size());
  CHECK(up.received_open.size() == received.size());
  CHECK(up.info == "info");
  CHECK(up.table_name == "vrf-a");
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
  CHECK(s.value[0] == 5);
  CHECK(s.value[7] == 9);
  CHECK(s.value[9] == 7);
  CHECK(s.unknown == 2);
  CHECK(s.known == ((1U << 0) | (1U << 7) | (1U << 9)));
  for (std::size_t n = 0; n < 4; ++n) {
    Statistics t;
    const std::string cut = body.substr(0, n);
    CHECK(parse_statistics(reader(cut), t) == Fault::kStatistics);
  }
  body.pop_back();
  Statistics t;
  CHECK(parse_statistics(reader(body), t) == Fault::kStatistics);
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
