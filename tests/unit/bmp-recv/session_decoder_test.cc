#include "bmp-recv/session_decoder.h"

#include <doctest/doctest.h>

#include "bmp-recv/obmp_raw.h"

#include <algorithm>

#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

const std::string kSent = open(64512, as4_capability(64512));
const std::string kReceived = open(65001, as4_capability(65001));
const std::string kRoute = update({}, plain_attributes(), hex("18 0a 01 02"));

std::string kinds(const std::vector<Seen>& records) {
  std::string out;
  for (const Seen& r : records) {
    out += (out.empty() ? "" : " ") + std::string(kind_name(r.envelope.kind));
    if (r.envelope.opener) out += '!';
    if (!r.rows.empty()) out += '/' + std::to_string(r.rows.size());
  }
  return out;
}

}  // namespace

TEST_CASE("a session's records come in order, openers marked") {
  Replay r;
  REQUIRE(r.feed(initiation("r1") + peer_up(peer_header(1), kSent, kReceived) + monitoring(peer_header(1), kRoute) +
                 monitoring(peer_header(1), update({}, {}, {})) + peer_down(peer_header(1))));
  r.decoder->end(r.times());
  const std::vector<Seen> records = r.keep.seen();
  CHECK(kinds(records) == "session_begin router/1 peer!/1 attributes/1 routes/1 eor/1 peer/1 session_end");
  CHECK(records[0].data == "r1");
  for (const Seen& s : records) {
    CHECK(s.envelope.in_dump);
    CHECK(s.envelope.session == SessionId{7, 1});
    CHECK(s.envelope.router == router_hash("test", "192.0.2.254"));
    CHECK(s.announced_length == (s.object.empty() ? 0 : s.data.size()));
  }
  CHECK(records[1].envelope.key == records[1].envelope.router);
  CHECK(records[2].envelope.key == records[4].envelope.key);
  CHECK(to_hex(records[4].envelope.key) == records[4].rows[0][6]);
  CHECK(records[4].rows[0][5] == records[3].rows[0][2]);  // base attribute hash
  CHECK(records[6].rows[0][0] == "down");
}

TEST_CASE("the columns of routes are those of the contract") {
  Replay r;
  const std::string attributes = plain_attributes() + attribute(4, be32(7)) + attribute(5, be32(150)) +
                                 attribute(6, {}) + attribute(7, be32(65009) + hex("c0000209")) +
                                 attribute(8, hex("fde90001")) + attribute(9, hex("0a000001")) +
                                 attribute(10, hex("0a000002")) + attribute(16, hex("0002fde900000001")) +
                                 attribute(32, be32(1) + be32(2) + be32(3));
  REQUIRE(r.feed(monitoring(peer_header(1, 0x40), update(hex("08 0b"), attributes, hex("18 0a 01 02")))));
  const std::vector<Seen> records = r.keep.seen();
  const auto& rows = records.back().rows;
  REQUIRE(rows.size() == 2);
  const auto& del = rows[0];  // before the announcement of the same message
  const auto& add = rows[1];
  const std::vector<std::string> want_add{"add",
                                          "1",
                                          add[2],
                                          add[3],
                                          "192.0.2.254",
                                          add[5],
                                          add[6],
                                          "192.0.2.1",
                                          "65001",
                                          "2023-11-14 22:13:20.000250",
                                          "10.1.2.0",
                                          "24",
                                          "1",
                                          "igp",
                                          " 65001",
                                          "1",
                                          "65001",
                                          "192.0.2.1",
                                          "7",
                                          "150",
                                          "65009 192.0.2.9",
                                          "65001:1",
                                          "rt=65001:1",
                                          "10.0.0.2 ",
                                          "1",
                                          "1",
                                          "10.0.0.1",
                                          "0",
                                          "",
                                          "0",
                                          "1",
                                          "1:2:3"};
  CHECK(add == want_add);
  const std::vector<std::string> want_del{"del",      "0",    del[2],      del[3],  "192.0.2.254",
                                          "",         del[6], "192.0.2.1", "65001", "2023-11-14 22:13:20.000250",
                                          "11.0.0.0", "8",    "1",         "",      "",
                                          "",         "",     "",          "",      "",
                                          "",         "",     "",          "",      "",
                                          "",         "",     "0",         "",      "0",
                                          "1",        ""};
  CHECK(del == want_del);
  const auto& base = records[records.size() - 2].rows[0];
  const std::vector<std::string> want_base{"add",
                                           "0",
                                           add[5],
                                           add[3],
                                           "192.0.2.254",
                                           add[6],
                                           "192.0.2.1",
                                           "65001",
                                           "2023-11-14 22:13:20.000250",
                                           "igp",
                                           " 65001",
                                           "1",
                                           "65001",
                                           "192.0.2.1",
                                           "7",
                                           "150",
                                           "65009 192.0.2.9",
                                           "65001:1",
                                           "rt=65001:1",
                                           "10.0.0.2 ",
                                           "1",
                                           "1",
                                           "10.0.0.1",
                                           "1:2:3"};
  CHECK(base == want_base);
}

TEST_CASE("a prefix both withdrawn and announced in one message counts as announced") {
  Replay r;
  const std::string net = hex("18 0a 01 02");
  REQUIRE(r.feed(monitoring(peer_header(1), update(net, plain_attributes(), net))));
  const Seen last = r.keep.seen().back();
  REQUIRE(last.rows.size() == 2);
  CHECK(last.rows[0][0] == "del");
  CHECK(last.rows[1][0] == "add");
  CHECK(last.rows[0][2] == last.rows[1][2]);  // the same route
}

TEST_CASE("a peer without Peer Up gets one opener; Loc-RIB as GoBGP sends it") {
  Replay r;
  REQUIRE(r.feed(monitoring(peer_header(0, 0, 3), kRoute) + monitoring(peer_header(0, 0, 3), kRoute)));
  const std::vector<Seen> records = r.keep.seen();
  CHECK(kinds(records) == "session_begin peer!/1 attributes/1 routes/2");
  const auto& first = records[1].rows[0];
  CHECK(first[0] == "first");
  CHECK(first[9] == "::");
  CHECK(first[27] == "0");
  CHECK(first[28] == "1");  // isLocRib
  CHECK(records[3].rows[0][29] == "0");
  CHECK(records[3].rows[0][30] == "0");
  CHECK(r.shared.counters.peers_first == 1);
}

TEST_CASE("a Peer Down for a peer that never was up writes a row and no opener, and its routes do not revive it") {
  Replay r;
  REQUIRE(r.feed(peer_down(peer_header(1), 2) + monitoring(peer_header(1), kRoute) +
                 monitoring(peer_header(1), update(hex("18 0a 01 02"), {}, {}))));
  const std::vector<Seen> records = r.keep.seen();
  CHECK(kinds(records) == "session_begin peer/1 routes/1");
  CHECK(records[2].rows[0][0] == "del");
  CHECK(r.shared.counters.after_peer_down == 1);
  CHECK(r.faults(Fault::kPeerDownData) == 1);
  CHECK(r.decoder->peers_up() == 0);
  REQUIRE(r.feed(peer_up(peer_header(1), kSent, kReceived) + monitoring(peer_header(1), kRoute)));
  CHECK(kinds(r.keep.seen()) == "session_begin peer/1 routes/1 peer!/1 attributes/1 routes/1");
  CHECK(r.decoder->peers_up() == 1);
}

TEST_CASE("flags do not make another peer, a distinguisher does") {
  Replay r;
  std::string other = peer_header(1);
  other[9] = '\1';
  REQUIRE(r.feed(peer_up(peer_header(1), kSent, kReceived) + monitoring(peer_header(1, 0x60), kRoute) +
                 monitoring(peer_header(1, 0x10), kRoute)));
  CHECK(r.decoder->peers_known() == 1);
  REQUIRE(r.feed(monitoring(other, kRoute)));
  CHECK(r.decoder->peers_known() == 2);
}

TEST_CASE("the same Peer Up for another view is a row, not another opener") {
  Replay r;
  const std::string pre = peer_up(peer_header(1), kSent, kReceived),
                    post = peer_up(peer_header(1, 0x40), kSent, kReceived);
  REQUIRE(r.feed(pre + post));
  CHECK(kinds(r.keep.seen()) == "session_begin peer!/1 peer/1");
  REQUIRE(r.feed(pre + peer_down(peer_header(1)) + post));
  CHECK(kinds(r.keep.seen()) == "session_begin peer!/1 peer/1 peer/1 peer/1 peer!/1");
}

TEST_CASE("a Peer Up for another view whose information TLVs differ is no opener; one with another port is") {
  Replay r;
  const auto up = [](unsigned flags, const std::string& label) {
    return bmp(3, peer_header(1, flags) + std::string(12, '\0') + hex("c0 00 02 fe 00 b3 9c 40") + open(64512, {}) +
                      open(65001, {}) + be16(4) + be16(label.size()) + label);
  };
  std::string other_port = up(0, "pre");
  other_port[6 + 42 + 19] ^= 1;
  REQUIRE(r.feed(up(0, "pre") + up(0x40, "post-policy") + other_port));
  const auto records = r.keep.seen();
  REQUIRE(records.size() == 4);
  CHECK(records[1].envelope.opener);
  CHECK_FALSE(records[2].envelope.opener);
  CHECK(records[2].rows[0][0] == "up");
  CHECK(records[3].envelope.opener);
}

TEST_CASE("a Peer Up with unreadable OPENs still opens the peer") {
  Replay r;
  const std::string head = peer_header(1) + std::string(12, '\0') + hex("c0 00 02 fe 00 b3 9c 40");
  REQUIRE(r.feed(bmp(3, head + "no OPEN") + bmp(3, peer_header(2) + "x")));
  const std::vector<Seen> records = r.keep.seen();
  CHECK(kinds(records) == "session_begin peer!/1");
  CHECK(records[1].rows[0].size() == 31);
  CHECK(r.faults(Fault::kPeerUpOpen) == 1);
  CHECK(r.faults(Fault::kPeerUp) == 1);
}

TEST_CASE("a 2-byte peer without the A flag is read by its OPENs, one with the flag by the flag") {
  Replay r;
  const std::string old_open = open(65001, {});
  const std::string path2 = attribute(1, hex("00")) + attribute(2, hex("0202") + be16(65001) + be16(23456)) +
                            attribute(3, hex("c0000201")) + attribute(17, hex("0201") + be32(4200000009));
  const std::string route = update({}, path2, hex("08 0a"));
  REQUIRE(r.feed(peer_up(peer_header(1), kSent, old_open) + monitoring(peer_header(1), route) +
                 monitoring(peer_header(2, 0x20), route)));
  const std::vector<Seen> records = r.keep.seen();
  int routes = 0;
  for (const Seen& s : records)
    for (const auto& row : s.rows)
      if (s.object == "unicast_prefix" && ++routes > 0) CHECK(row[14] == " 65001 4200000009");
  CHECK(routes == 2);
  CHECK(r.shared.counters.as_width_fallbacks == 0);
}

TEST_CASE("a bad message costs itself, is counted, and the session goes on") {
  Replay r;
  std::string broken = kRoute;
  broken[18] = '\7';
  REQUIRE(r.feed(peer_up(peer_header(1), kSent, kReceived) + monitoring(peer_header(1), broken) +
                 monitoring(peer_header(1), broken) + bmp(0, "short") + bmp(77, "unknown type") +
                 bmp(6, peer_header(1)) + monitoring(peer_header(1), kRoute)));
  CHECK(kinds(r.keep.seen()) == "session_begin peer!/1 attributes/1 routes/1");
  CHECK(r.faults(Fault::kNotUpdate) == 2);
  CHECK(r.faults(Fault::kPeerHeader) == 1);
  CHECK(r.shared.counters.unknown_messages[77] == 1);
  CHECK(r.shared.counters.messages[6] == 1);
  const auto first = r.decoder->take_first_faults();
  REQUIRE(first.size() == 2);  // the second of a kind is only counted
  CHECK(first[0].fault == Fault::kNotUpdate);
  CHECK(first[0].peer == "192.0.2.1");
  CHECK(r.decoder->take_first_faults().empty());
}

TEST_CASE("attributes that are not decoded are counted by type, once a message, and cost nothing") {
  Replay r;
  const std::string odd = attribute(99, "x"), even = attribute(0, "");
  REQUIRE(r.feed(peer_up(peer_header(1), kSent, kReceived) +
                 monitoring(peer_header(1), update({}, plain_attributes() + odd + odd, hex("18 0a 00 01"))) +
                 monitoring(peer_header(1), update({}, plain_attributes() + odd + even, hex("18 0a 00 02")))));
  const auto& counted = r.shared.counters.other_attributes;
  CHECK(counted[99] == 2);
  CHECK(counted[0] == 1);
  CHECK(std::count(counted.begin(), counted.end(), 0U) == 254);
  CHECK(r.shared.counters.prefixes_announced == 2);
}

TEST_CASE("a message cut at any length inside a good frame never harms what follows") {
  const std::string bodies[] = {peer_header(1) + kRoute, peer_header(1) + std::string(20, '\0') + kSent + kReceived,
                                peer_header(1) + hex("03") + bgp(3, hex("0602")),
                                peer_header(1) + be32(1) + be16(0) + be16(4) + be32(1)};
  const unsigned types[] = {0, 3, 2, 1};
  for (std::size_t k = 0; k < 4; ++k)
    for (std::size_t n = 0; n <= bodies[k].size(); ++n) {
      Replay r;
      REQUIRE(r.feed(bmp(types[k], bodies[k].substr(0, n)) + monitoring(peer_header(9), kRoute)));
      const std::vector<Seen> records = r.keep.seen();
      REQUIRE(records.back().rows.size() == 1);
      REQUIRE(records.back().rows[0][7] == "192.0.2.9");
    }
}

TEST_CASE("synced ends in_dump; it comes once") {
  Replay r({Millis{2000}, Millis{60000}});
  REQUIRE(r.feed(peer_up(peer_header(1), kSent, kReceived) + monitoring(peer_header(1), kRoute)));
  CHECK_FALSE(r.decoder->poll_dump(r.times()));
  r.now += Millis{5000};
  CHECK_FALSE(r.decoder->poll_dump(r.times()));
  r.now += Millis{1000};
  CHECK(r.decoder->poll_dump(r.times()));
  CHECK_FALSE(r.decoder->poll_dump(r.times()));
  REQUIRE(r.feed(peer_up(peer_header(2), kSent, kReceived) + monitoring(peer_header(2), kRoute)));
  const std::vector<Seen> records = r.keep.seen();
  CHECK(kinds(records) == "session_begin peer!/1 attributes/1 routes/1 synced peer!/1 attributes/1 routes/1");
  for (std::size_t n = 0; n < records.size(); ++n) CHECK(records[n].envelope.in_dump == (n <= 4));
}

TEST_CASE("a session that is never read up to date is synced at the cap, with the times of its last read") {
  Replay r({Millis{2000}, Millis{60000}});
  REQUIRE(r.feed(peer_up(peer_header(1), kSent, kReceived) + monitoring(peer_header(1), kRoute)));
  const ReadTimes last = r.times();
  for (int n = 0; n < 59; ++n) {
    r.now += Millis{1000};
    r.decoder->on_stall(r.now);
    REQUIRE_FALSE(r.decoder->poll_dump_cap(r.now, last));
  }
  r.now += Millis{1000};
  CHECK(r.decoder->poll_dump_cap(r.now, last));
  CHECK(r.decoder->synced());
  CHECK_FALSE(r.decoder->poll_dump_cap(r.now, last));
  CHECK_FALSE(r.decoder->poll_dump(r.times()));
  REQUIRE(r.feed(monitoring(peer_header(1), kRoute)));
  const std::vector<Seen> records = r.keep.seen();
  CHECK(kinds(records) == "session_begin peer!/1 attributes/1 routes/1 synced attributes/1 routes/1");
  CHECK(records[4].envelope.read_time == last.read);
  CHECK(records[4].envelope.in_dump);
  CHECK_FALSE(records[6].envelope.in_dump);
}

TEST_CASE("rows of one peer and read form one record, at most 256 KiB; attribute sets once a read") {
  Replay r;
  std::string stream = peer_up(peer_header(1), kSent, kReceived) + peer_up(peer_header(2), kSent, kReceived);
  for (unsigned n = 0; n < 600; ++n) {
    stream +=
        monitoring(peer_header(1 + n % 2), update({}, plain_attributes(65001 + n % 3), hex("20 0a 01") + be16(n)));
  }
  REQUIRE(r.feed(stream, 1 << 20));
  CHECK(kinds(r.keep.seen()) == "session_begin peer!/1 peer!/1 attributes/3 routes/300 attributes/3 routes/300");
  Replay big;
  stream = peer_up(peer_header(1), kSent, kReceived);
  for (unsigned n = 0; n < 2000; ++n)
    stream += monitoring(peer_header(1), update({}, plain_attributes(65000 + n), hex("20 0a 01") + be16(n)));
  REQUIRE(big.feed(stream, 1 << 20));
  std::size_t rows = 0, most = 0;
  std::vector<std::string> known;
  for (const Seen& s : big.keep.seen()) {
    most = std::max<std::size_t>(most, s.envelope.payload_size);
    for (const auto& row : s.rows) {
      if (s.object == "base_attribute") known.push_back(row[2]);
      if (s.object != "unicast_prefix") continue;
      ++rows;
      REQUIRE(std::find(known.begin(), known.end(), row[5]) != known.end());  // its set went before it
    }
  }
  CHECK(rows == 2000);
  CHECK(most <= kFlushBytes + 200);
  CHECK(most > kFlushBytes / 2);
}

TEST_CASE("a message that would become far too many rows is refused") {
  Replay r;
  std::string communities;
  for (int n = 0; n < 4000; ++n) communities += hex("fde9ffff");
  const std::string attributes = plain_attributes() + attribute(8, communities);
  std::string nlri;
  for (unsigned n = 0; n < 5000; ++n) nlri += hex("18 0a") + be16(n);
  REQUIRE(r.feed(monitoring(peer_header(1), update({}, attributes, nlri))));
  CHECK(r.faults(Fault::kAmplification) == 1);
  CHECK(r.shared.counters.prefixes_announced == 0);
}

TEST_CASE("a message that is refused for its size withdraws what it announces, and what it withdraws") {
  std::string communities;
  for (int n = 0; n < 4000; ++n) communities += hex("fde9ffff");
  std::string nlri, vpn = hex("0001 80 0c 0000000000000000 c0000209 00");
  for (unsigned n = 0; n < 3500; ++n) nlri += hex("18 0a") + be16(n);
  for (unsigned n = 0; n < 1800; ++n) vpn += hex("70 000641 0000fde900000064 0a") + be16(n);
  const std::string small = hex("0001 80 0c 0000000000000000 c0000209 00 70 000641 0000fde900000064 0a0102");
  const std::string attributes = plain_attributes() + attribute(8, communities);
  const auto count = [](const Replay& r, const std::string& object, const std::string& action) {
    std::size_t rows = 0;
    for (const Seen& s : r.keep.seen())
      if (s.object == object)
        rows += static_cast<std::size_t>(
            std::count_if(s.rows.begin(), s.rows.end(), [&](const auto& row) { return row[0] == action; }));
    return rows;
  };
  Replay classic;
  REQUIRE(classic.feed(monitoring(peer_header(1), update(hex("08 0b"), attributes + attribute(14, small), nlri))));
  CHECK(classic.faults(Fault::kAmplification) == 1);
  CHECK(count(classic, "unicast_prefix", "add") == 0);
  CHECK(count(classic, "unicast_prefix", "del") == 3501);
  CHECK(count(classic, "l3vpn", "add") == 1);
  CHECK(classic.shared.counters.treated_as_withdraw == 1);
  Replay family;
  REQUIRE(family.feed(monitoring(peer_header(1), update({}, attributes + attribute(14, vpn), {}))));
  CHECK(family.faults(Fault::kAmplification) == 1);
  CHECK(count(family, "l3vpn", "add") == 0);
  CHECK(count(family, "l3vpn", "del") == 1800);
  CHECK(family.shared.counters.prefixes_withdrawn == 1800);
}

TEST_CASE("several UPDATEs in one message are all read; what is none behind them is counted") {
  const std::string other = update({}, plain_attributes(), hex("08 0b")), bad = update({}, {}, hex("ff"));
  Replay r;
  REQUIRE(r.feed(monitoring(peer_header(1), kRoute + other)));
  CHECK(r.shared.counters.prefixes_announced == 2);
  CHECK(r.decoder->faults() == 0);
  REQUIRE(r.feed(monitoring(peer_header(1), kRoute + bad + other)));
  CHECK(r.shared.counters.prefixes_announced == 4);
  CHECK(r.faults(Fault::kNlri) == 1);
  for (const std::string& rest : {std::string("x"), other.substr(0, other.size() - 1), std::string(19, '\xff')}) {
    const std::uint64_t before = r.faults(Fault::kBehindUpdate), routes = r.shared.counters.prefixes_announced;
    REQUIRE(r.feed(monitoring(peer_header(1), kRoute + rest)));
    CHECK(r.faults(Fault::kBehindUpdate) == before + 1);
    CHECK(r.shared.counters.prefixes_announced == routes + 1);
  }
}

TEST_CASE("several UPDATEs in one message become no more rows than one may") {
  std::string communities, nlri;
  for (int n = 0; n < 250; ++n) communities += hex("fde9fffe");
  for (unsigned n = 0; n < 14000; ++n) nlri += hex("18 0a") + be16(n);
  const std::string big = update({}, plain_attributes() + attribute(8, communities), nlri);
  Replay r;
  REQUIRE(r.feed(monitoring(peer_header(1), big) + monitoring(peer_header(1), big), 1 << 20));
  CHECK(r.faults(Fault::kAmplification) == 0);
  REQUIRE(r.feed(monitoring(peer_header(1), big + big + kRoute), 1 << 20));
  CHECK(r.faults(Fault::kAmplification) == 1);
  CHECK(r.shared.counters.prefixes_announced == 3 * 14000 + 1);
  REQUIRE(r.feed(monitoring(peer_header(1), big), 1 << 20));
  CHECK(r.faults(Fault::kAmplification) == 1);
}

TEST_CASE("a Peer Down of one view ends all views of the peer") {
  Replay r;
  REQUIRE(r.feed(peer_up(peer_header(1), kSent, kReceived) + peer_up(peer_header(1, 0x40), kSent, kReceived) +
                 peer_down(peer_header(1, 0x40)) + monitoring(peer_header(1), kRoute)));
  CHECK(kinds(r.keep.seen()) == "session_begin peer!/1 peer/1 peer/1");
  CHECK(r.decoder->peers_up() == 0);
  CHECK(r.shared.counters.after_peer_down == 1);
}

TEST_CASE("beyond the limit of peers, a new one takes the place of the one that is down for longest") {
  const auto header = [](std::size_t n) { return peer_header(1).replace(6, 4, be32(n)); };  // of the distinguisher
  const std::string end = update({}, {}, {});
  Replay r;
  std::string stream;
  for (std::size_t n = 0; n < SessionDecoder::kMaxPeers; ++n) {
    stream += monitoring(header(n), end);
    if (n % 4096 != 4095) continue;
    REQUIRE(r.feed(stream, 1 << 20));
    stream.clear();
    r.keep.records.clear();
  }
  CHECK(r.decoder->peers_up() == SessionDecoder::kMaxPeers);
  REQUIRE(r.feed(monitoring(header(100000), kRoute)));
  CHECK(r.faults(Fault::kTooManyPeers) == 1);
  REQUIRE(r.feed(peer_down(header(7)) + peer_down(header(3)) + monitoring(header(7), update(hex("08 0b"), {}, {})) +
                 monitoring(header(100000), kRoute) + monitoring(header(3), kRoute)));
  CHECK(r.faults(Fault::kTooManyPeers) == 1);
  CHECK(r.shared.counters.prefixes_withdrawn == 1);
  CHECK(r.shared.counters.after_peer_down == 1);  // the other one is known still
  CHECK(r.decoder->peers_known() == SessionDecoder::kMaxPeers);
  REQUIRE(r.feed(monitoring(header(100001), kRoute) + monitoring(header(100002), kRoute)));
  CHECK(r.faults(Fault::kTooManyPeers) == 2);
  CHECK(r.decoder->peers_up() == SessionDecoder::kMaxPeers);
}

TEST_CASE("faults of peers with one address are told apart by the distinguisher") {
  Replay r;
  std::string vrf = peer_header(1, 0, 1);
  vrf.replace(2, 8, hex("0000 fde9 00000064"));
  REQUIRE(r.feed(monitoring(vrf, "no BGP message") + monitoring(peer_header(1), "no BGP message")));
  CHECK(r.decoder->peer_faults().at({"192.0.2.1 65001:100", Fault::kBgpHeader}) == 1);
  CHECK(r.decoder->peer_faults().at({"192.0.2.1", Fault::kBgpHeader}) == 1);
}

TEST_CASE("every attribute that is discarded is counted") {
  Replay r;
  std::string attributes = plain_attributes();
  for (int n = 0; n < 30; ++n) attributes += attribute(4, be32(1));
  attributes += attribute(6, "x");
  REQUIRE(r.feed(monitoring(peer_header(1), update({}, attributes, hex("08 0a")))));
  CHECK(r.faults(Fault::kDuplicateAttribute) == 29);
  CHECK(r.faults(Fault::kAtomicAggregate) == 1);
}

TEST_CASE("a full message of 64 KiB is accepted as long as its rows stay below 64 MiB") {
  constexpr std::size_t kMost = 64 << 20;
  // The sum of the rows of a message that is as long as can be, with so many communities; 0: refused.
  const auto written = [](unsigned communities) {
    Replay r;
    std::string list, nlri;
    for (unsigned n = 0; n < communities; ++n) list += hex("fde9fffe");
    const std::string path =
        hex("0206") + be32(65001) + be32(65002) + be32(65003) + be32(4200000001) + be32(4200000002) + be32(4200000003);
    const std::string attributes =
        attribute(1, hex("00")) + attribute(2, path) + attribute(3, hex("c0000201")) + attribute(8, list);
    for (unsigned n = 0; nlri.size() + attributes.size() + 23 + 4 <= 65535; ++n) nlri += hex("18 0a") + be16(n);
    CHECK(r.feed(monitoring(peer_header(1), update({}, attributes, nlri)), 1 << 20));
    std::size_t bytes = 0, rows = 0;
    for (const Seen& s : r.keep.seen()) {
      if (s.object != "unicast_prefix" || s.rows.at(0).at(0) != "add") continue;
      bytes += s.data.size();
      rows += s.rows.size();
    }
    CHECK(rows == (r.faults(Fault::kAmplification) == 0 ? nlri.size() / 4 : 0));
    return bytes;
  };
  const std::size_t plain = written(1);
  CHECK(plain > 4U << 20);
  CHECK(plain < 7U << 20);
  CHECK(written(40) > 11U << 20);
  CHECK(written(100) > 20U << 20);
  CHECK(written(500) == 0);
  for (unsigned communities = 280; communities < 420; communities += 20) CHECK(written(communities) <= kMost);
}

TEST_CASE("no message of 4096 bytes is refused for its size") {
  // The attributes whose text is longest for their bytes, against routes that are shortest for theirs.
  for (std::size_t share = 100; share < 3900; share += 400) {
    Replay r;
    std::string list, nlri;
    while (list.size() < share) list += hex("01 02 ff ff ff fe ff ff");
    const std::string attributes = plain_attributes() + attribute(16, list);
    for (unsigned n = 0; nlri.size() + attributes.size() + 23 + 2 <= 4096; ++n)
      nlri += hex("08") + static_cast<char>(1 + n % 223);
    REQUIRE(r.feed(monitoring(peer_header(1), update({}, attributes, nlri))));
    CHECK(r.faults(Fault::kAmplification) == 0);
    CHECK(r.shared.counters.prefixes_announced == nlri.size() / 2);
  }
}

TEST_CASE("statistics and router rows have their columns") {
  Replay r;
  std::string init = bmp(4, be16(2) + be16(9) + "r\t1's\nXR!" + be16(1) + be16(4) + "desc");
  std::string stat =
      bmp(1, peer_header(1) + be32(2) + be16(0) + be16(4) + be32(3) + be16(7) + be16(8) + be32(0) + be32(9));
  REQUIRE(r.feed(init + stat));
  const std::vector<Seen> records = r.keep.seen();
  CHECK(kinds(records) == "session_begin router/1 stat/1");
  CHECK(records[1].rows[0][2] == "r 1`s XR!");
  CHECK(records[1].rows[0][11].empty());
  const auto& row = records[2].rows[0];
  REQUIRE(row.size() == 17);
  CHECK(row[8] == "3");
  CHECK(row[9] == "0");
  CHECK(row[15] == "9");
}

TEST_CASE("statistics without a column get a row each") {
  Replay r;
  const auto tlv = [](std::size_t type, const std::string& value) { return be16(type) + be16(value.size()) + value; };
  REQUIRE(r.feed(bmp(1, peer_header(1) + be32(4) + tlv(0, be32(3)) + tlv(9, hex("0002 80") + be32(0) + be32(7)) +
                            tlv(20, be32(0) + be32(8)) + tlv(65531, hex("0102 03")))));
  const std::vector<Seen> records = r.keep.seen();
  CHECK(kinds(records) == "session_begin stat/1 stat/3");
  CHECK(records[1].object == "bmp_stat");
  CHECK(records[2].object == "bmp_stat_ext");
  const auto tail = [&](std::size_t n) {
    const auto& row = records[2].rows[n];
    return std::vector<std::string>(row.begin() + 8, row.end());
  };
  CHECK(tail(0) == std::vector<std::string>{"9", "adj_rib_in_routes_per_family", "2", "128", "7", ""});
  CHECK(tail(1) == std::vector<std::string>{"20", "adj_rib_in_post_routes", "", "", "8", ""});
  CHECK(tail(2) == std::vector<std::string>{"65531", "", "", "", "", "010203"});
  CHECK(r.shared.counters.unknown_statistics == 1);
}

TEST_CASE("a report of very many statistics becomes several records") {
  Replay r;
  std::string body = peer_header(1) + be32(0);
  for (unsigned n = 0; n < 20000; ++n) body += hex("00 14 00 08 00000000 00000001");
  REQUIRE(r.feed(bmp(1, body)));
  std::size_t rows = 0;
  for (const Seen& s : r.keep.seen()) {
    CHECK(s.data.size() < kMaxPayload / 2);
    if (s.object == "bmp_stat_ext") rows += s.rows.size();
  }
  CHECK(rows == 20000);
}

TEST_CASE("names in Peer Up and Peer Down: table and admin label") {
  Replay r;
  const std::string tlvs = hex("0003 0005") + "vrf-a" + hex("0004 0002") + "it";
  REQUIRE(r.feed(
      bmp(3, peer_header(1) + std::string(12, '\0') + hex("c0 00 02 fe 00 b3 9c 40") + kSent + kReceived + tlvs) +
      bmp(2, peer_header(1) + hex("06 0003 0005") + "vrf-a")));
  const std::vector<Seen> records = r.keep.seen();
  REQUIRE(records.size() == 3);
  REQUIRE(records[1].rows[0].size() == 32);
  CHECK(records[1].rows[0][30] == "vrf-a");
  CHECK(records[1].rows[0][31] == "it");
  REQUIRE(records[2].rows[0].size() == 31);
  CHECK(records[2].rows[0][21] == "6");
  CHECK(records[2].rows[0][30] == "vrf-a");
}

TEST_CASE("Route Monitoring of version 4 is read as its TLVs say, whatever the OPENs say") {
  Replay r;
  const auto indexed = [](std::size_t type, const std::string& value) {
    return be16(type) + be16(value.size()) + be16(0) + value;
  };
  const std::string ids = hex("45 04 0001 01 03");
  // Readable as two prefixes as well: an identifier that begins with 0x18.
  const std::string nlri = hex("18 0a 01 02  08 0a");
  std::string message = bmp(0, peer_header(1) + indexed(1, ids) + indexed(4, update({}, plain_attributes(), nlri)));
  message[0] = '\x04';
  std::string plain = bmp(0, peer_header(1) + indexed(4, update({}, plain_attributes(), hex("08 0b"))));
  plain[0] = '\x04';
  REQUIRE(r.feed(peer_up(peer_header(1), kSent, kReceived) + message + plain));
  const auto& rows = r.keep.seen().back().rows;
  REQUIRE(rows.size() == 3);
  CHECK(rows.back()[10] == "11.0.0.0");
  CHECK(rows.back()[27] == "0");
}

TEST_CASE("what a stateless parsing TLV does not name is as the OPENs say") {
  Replay r;
  const std::string ids = hex("45 04 0001 01 03");
  const auto indexed = [](std::size_t type, const std::string& value) {
    return be16(type) + be16(value.size()) + be16(0) + value;
  };
  const std::string pdu = update({}, plain_attributes(), be32(7) + hex("18 0a 01 02"));
  std::string message = bmp(0, peer_header(1) + indexed(1, as4_capability(0)) + indexed(4, pdu));
  message[0] = '\x04';
  REQUIRE(r.feed(
      peer_up(peer_header(1), open(64512, as4_capability(64512) + ids), open(65001, as4_capability(65001) + ids)) +
      message));
  CHECK(r.keep.seen().back().rows.at(0)[27] == "7");
  CHECK(r.shared.counters.path_id_fallbacks == 0);
}

TEST_CASE("a Termination says why") {
  Replay r;
  REQUIRE(r.feed(bmp(5, hex("0001 0002 0002") + hex("0000 0003") + "bye")));
  CHECK(r.decoder->terminated());
  CHECK(r.decoder->termination() == "2 (out of resources): bye");
}

TEST_CASE("with raw messages every message is published as it came, Route Mirroring and unknown types too") {
  Replay r({}, nullptr, true);
  const std::string messages[] = {bmp(6, peer_header(1) + hex("0000 0003 010203 0001 0002 0001")), bmp(77, "what?"),
                                  initiation("r1")};
  std::string stream;
  for (const std::string& m : messages) stream += m;
  REQUIRE(r.feed(stream));
  CHECK(kinds(r.keep.seen()) == "session_begin raw raw raw router/1");
  for (std::size_t n = 0; n < 3; ++n) {
    const Record& record = r.keep.records[1 + n];
    RawMessage raw;
    REQUIRE(parse_obmp_raw(record.bytes().subspan(kEnvelopeSize), raw));
    CHECK(std::string(raw.message.begin(), raw.message.end()) == messages[n]);
    CHECK(ip_text(raw.router_ip) == "192.0.2.254");
    CHECK(raw.receipt_us == 1700000100000000);
    const Envelope e = r.keep.seen()[1 + n].envelope;
    CHECK(e.topic == TopicSelector::kBmpRaw);
    CHECK(e.key == e.router);
  }
  CHECK(r.shared.counters.raw_messages == 3);
  CHECK(r.shared.counters.raw_bytes == stream.size());
  CHECK(r.shared.counters.mirrored == 1);
  CHECK(r.shared.counters.mirrored_lost == 1);
}

TEST_CASE("zero time stamps are replaced by the time of receipt") {
  Replay r;
  std::string header = peer_header(1);
  std::fill(header.begin() + 34, header.end(), '\0');
  REQUIRE(r.feed(monitoring(header, kRoute)));
  CHECK(r.keep.seen().back().rows[0][9] == "2023-11-14 22:15:00.000000");
}

TEST_CASE("a Route Mirroring message is counted, decoded into nothing, and the session goes on") {
  Replay r;
  const std::string mirrored = peer_header(1) + hex("0001 0002 0001");  // information TLV: messages were lost
  REQUIRE(r.feed(initiation("r1") + bmp(6, mirrored) + peer_up(peer_header(1), kSent, kReceived)));
  CHECK(r.shared.counters.messages[6] == 1);
  CHECK(kinds(r.keep.seen()) == "session_begin router/1 peer!/1");
}

TEST_CASE("VPN routes have the columns of the contract") {
  Replay r;
  const std::string rd = hex("0000fde900000064");
  const std::string reach =
      attribute(14, hex("0001 80 0c 0000000000000000 c0000209 00") + hex("70 000641") + rd + hex("0a0102"));
  const std::string unreach = attribute(15, hex("0001 80") + hex("70 800000") + rd + hex("0a0103"));
  REQUIRE(r.feed(monitoring(peer_header(1), update({},
                                                   attribute(1, hex("00")) + attribute(2, hex("0201") + be32(65001)) +
                                                       attribute(32, be32(1) + be32(2) + be32(3)) + reach + unreach,
                                                   {}))));
  const std::vector<Seen> records = r.keep.seen();
  CHECK(kinds(records) == "session_begin peer!/1 attributes/1 routes/2");
  const Seen& routes = records.back();
  CHECK(routes.object == "l3vpn");
  CHECK(routes.envelope.topic == TopicSelector::kL3vpn);
  const auto& del = routes.rows[0];
  const auto& add = routes.rows[1];
  REQUIRE(add.size() == 34);
  CHECK(add[0] == "add");
  CHECK(add[1] == "1");
  CHECK(add[5] == records[2].rows[0][2]);
  CHECK(add[9] == "2023-11-14 22:13:20.000250");
  CHECK(std::vector<std::string>(add.begin() + 10, add.begin() + 14) ==
        std::vector<std::string>{"10.1.2.0", "24", "1", "igp"});
  CHECK(add[17] == "192.0.2.9");
  CHECK(std::vector<std::string>(add.begin() + 27, add.end()) ==
        std::vector<std::string>{"0", "100", "1", "1", "65001:100", "0", "1:2:3"});
  REQUIRE(del.size() == 34);
  CHECK(del[0] == "del");
  CHECK(del[5].empty());
  for (std::size_t n = 13; n < 27; ++n) CHECK(del[n].empty());
  CHECK(std::vector<std::string>(del.begin() + 27, del.end()) ==
        std::vector<std::string>{"0", "524288", "1", "1", "65001:100", "0", ""});
  CHECK(r.shared.counters.prefixes_announced == 1);
  CHECK(r.shared.counters.prefixes_withdrawn == 1);
}

TEST_CASE("objects of one UPDATE go into records of their own, attributes first") {
  Replay r;
  const std::string labelled = attribute(14, hex("0001 04 04 c0000209 00") + hex("30 000641 0a0102"));
  const std::string multicast = attribute(14, hex("0001 02 04 c0000209 00") + hex("18 e00001"));
  REQUIRE(r.feed(monitoring(peer_header(1), update({}, plain_attributes() + labelled, hex("18 0a0102"))) +
                 monitoring(peer_header(1), update({}, plain_attributes() + multicast, {}))));
  const std::vector<Seen> records = r.keep.seen();
  CHECK(kinds(records) == "session_begin peer!/1 attributes/2 routes/2 routes/1");
  CHECK(records[3].object == "unicast_prefix");
  CHECK(records[3].rows[0][28].empty());
  CHECK(records[3].rows[1][28] == "100");
  CHECK(records[3].rows[0][2] != records[3].rows[1][2]);
  CHECK(records[3].rows[1].size() == 32);
  CHECK(records[4].object == "multicast_prefix");
  CHECK(records[4].envelope.topic == TopicSelector::kMulticastPrefix);
  CHECK(records[4].rows[0].size() == 32);
}

TEST_CASE("a malformed attribute withdraws the routes of every family of the message") {
  Replay r;
  const std::string reach =
      attribute(14, hex("0001 80 0c 0000000000000000 c0000209 00 70 000641 0000fde900000064 0a0102"));
  REQUIRE(r.feed(monitoring(peer_header(1), update({}, attribute(1, hex("09")) + reach, {}))));
  const Seen last = r.keep.seen().back();
  CHECK(last.object == "l3vpn");
  REQUIRE(last.rows.size() == 1);
  CHECK(last.rows[0][0] == "del");
}

TEST_CASE("NLRI that cannot be read costs that family's part of the message") {
  Replay r;
  const std::string reach = attribute(14, hex("0001 80 04 c0000209 00 70 000641"));
  REQUIRE(r.feed(monitoring(peer_header(1), update({}, plain_attributes() + reach, hex("18 0a0102")))));
  CHECK(r.keep.seen().back().object == "unicast_prefix");
  CHECK(r.faults(Fault::kMpReach) == 1);
}

TEST_CASE("families that are not decoded are counted") {
  Replay r;
  const std::string reach = attribute(14, hex("4004 ee 04 c0000209 00 ff"));
  REQUIRE(r.feed(monitoring(peer_header(1), update({}, plain_attributes() + reach, {}))));
  CHECK(r.shared.counters.other_families.at(Family{0x4004, 0xee}) == 1);
}

TEST_CASE("faults are counted by peer and reason, and the messages handed on whole") {
  struct Kept : RawSink {
    void on_malformed(const BmpFrame& frame, Fault fault) override { got.emplace_back(fault, frame.whole.size()); }
    std::vector<std::pair<Fault, std::size_t>> got;
  } kept;
  Replay r({}, &kept);
  const std::string bad = monitoring(peer_header(1), update({}, attribute(1, hex("09")), hex("08 0a")));
  const std::string torn = bmp(4, hex("0002 0009 41"));
  REQUIRE(r.feed(bad + torn + bad + monitoring(peer_header(2), kRoute)));
  const auto& by_peer = r.decoder->peer_faults();
  REQUIRE(by_peer.size() == 3);
  CHECK(by_peer.at({"192.0.2.1", Fault::kOrigin}) == 2);
  CHECK(by_peer.at({"192.0.2.1", Fault::kMissingAttribute}) == 2);
  CHECK(by_peer.at({"", Fault::kInitiation}) == 1);
  REQUIRE(kept.got.size() == 3);
  CHECK(kept.got[0] == std::pair(Fault::kOrigin, bad.size()));
  CHECK(kept.got[1] == std::pair(Fault::kInitiation, torn.size()));
}

TEST_CASE("counters of faults by peer are bounded") {
  Replay r;
  std::string stream;
  for (unsigned n = 0; n < 2 * SessionDecoder::kMaxPeerFaults; ++n) {
    std::string header = peer_header(1);
    header[24] = static_cast<char>(n >> 8);
    header[25] = static_cast<char>(n);
    stream += monitoring(header, "no BGP message");
  }
  REQUIRE(r.feed(stream));
  CHECK(r.decoder->peer_faults().size() == SessionDecoder::kMaxPeerFaults + 1);
  CHECK(r.decoder->peer_faults().at({"others", Fault::kBgpHeader}) == SessionDecoder::kMaxPeerFaults);
  CHECK(r.decoder->faults() == 2 * SessionDecoder::kMaxPeerFaults);
}
