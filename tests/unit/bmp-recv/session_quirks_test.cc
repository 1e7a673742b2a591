// What real routers do with BMP, message by message: FRR 8.4, GoBGP 3.10, and what RFC 8671, 9069, 9736 and 9972 add.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "bmp-recv/objects.h"
#include "bmp-recv/route_marks.h"
#include "bmp-recv/session_decoder.h"
#include "bmp-recv/statistics.h"
#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

using Row = std::vector<std::string>;

// Columns of peer rows.
enum PeerColumn : std::size_t {
  kHash = 2,
  kBgpId = 5,
  kRemoteIp = 9,
  kRd = 10,
  kLocalAsn = 12,
  kLocalIp = 13,
  kReason = 21,
  kErrorCode = 22,
  kErrorSubcode = 23,
  kErrorText = 24,
  kIsL3vpn = 25,
  kIsPrePolicy = 26,
  kIsLocRib = 28,
  kIsFiltered = 29,
  kTableName = 30,
  kAdminLabel = 31
};

// All rows of one object, in order.
std::vector<Row> rows_of(const Replay& r, const std::string& object) {
  std::vector<Row> rows;
  for (const Seen& s : r.keep.seen())
    if (s.object == object) rows.insert(rows.end(), s.rows.begin(), s.rows.end());
  return rows;
}
// "add 10.1.2.0/24 7": action, prefix, path identifier.
std::string routes(const Replay& r) {
  std::string list;
  for (const Row& c : rows_of(r, "unicast_prefix"))
    list += (list.empty() ? "" : ", ") + c[0] + ' ' + c[10] + '/' + c[11] + ' ' + c[27];
  return list;
}
std::uint64_t all_faults(const Replay& r) {
  std::uint64_t sum = 0;
  for (const std::uint64_t n : r.shared.counters.faults) sum += n;
  return sum;
}

std::string tlv(std::size_t type, const std::string& value) { return be16(type) + be16(value.size()) + value; }
std::string add_path(unsigned afi, unsigned safi, unsigned mode) {
  return hex("45 04") + be16(afi) + static_cast<char>(safi) + static_cast<char>(mode);
}
std::string no_time(std::string header) {
  std::fill(header.begin() + 34, header.end(), '\0');
  return header;
}
// Of a local route as GoBGP reports it, or of its Loc-RIB: no address, AS, identifier.
std::string anonymous(unsigned type, unsigned flags) {
  return std::string{static_cast<char>(type), static_cast<char>(flags)} + std::string(40, '\0');
}
std::string with_distinguisher(std::string header, const std::string& rd) { return header.replace(2, 8, rd); }

const std::string kRouterOpen = open(64512, as4_capability(64512));
const std::string kPeerOpen = open(65001, as4_capability(65001));
const std::string kNet = hex("18 0a 01 02");
const std::string kRoute = update({}, plain_attributes(), kNet);

}  // namespace

// ---- FRR

TEST_CASE("FRR at connect: a Peer Down with FSM event 0 and no identifier for each peer that is not up") {
  Replay r;
  std::string never_up = peer_header(9);
  never_up.replace(30, 4, 4, '\0');
  REQUIRE(r.feed(initiation("r1") + bmp(2, never_up + hex("02 0000"))));
  const std::vector<Row> peers = rows_of(r, "peer");
  REQUIRE(peers.size() == 1);
  CHECK(peers[0][0] == "down");
  CHECK(peers[0][kBgpId] == "0.0.0.0");
  CHECK(peers[0][kReason] == "2");
  CHECK(peers[0][kErrorText] == "local system closed, FSM event 0");
  CHECK(all_faults(r) == 0);
  CHECK(r.decoder->peers_up() == 0);
  REQUIRE(r.feed(peer_up(peer_header(9), kRouterOpen, kPeerOpen) + monitoring(peer_header(9), kRoute)));
  CHECK(r.decoder->peers_up() == 1);
  CHECK(routes(r) == "add 10.1.2.0/24 0");
  CHECK(r.keep.seen()[3].envelope.opener);
}

TEST_CASE("FRR's dump: post before pre of each prefix, End-of-RIB without a time") {
  Replay r;
  REQUIRE(r.feed(peer_up(peer_header(1), kRouterOpen, kPeerOpen) + monitoring(peer_header(1, 0x40), kRoute) +
                 monitoring(peer_header(1), kRoute) + monitoring(no_time(peer_header(1)), update({}, {}, {})) +
                 monitoring(no_time(peer_header(1, 0x40)), update({}, {}, {}))));
  const std::vector<Row> prefixes = rows_of(r, "unicast_prefix"), ends = rows_of(r, "eor");
  REQUIRE(prefixes.size() == 2);
  CHECK(prefixes[0][29] == "0");
  CHECK(prefixes[1][29] == "1");
  CHECK(prefixes[0][2] != prefixes[1][2]);
  REQUIRE(ends.size() == 2);
  CHECK(ends[0][7] == "2023-11-14 22:15:00.000000");  // the time of receipt
  CHECK((ends[0][8] == "1" && ends[0][9] == "1" && ends[0][10] == "1" && ends[1][10] == "0"));
  CHECK(r.decoder->peers_known() == 1);
}

TEST_CASE("FRR: AS_PATH stands as the router reports it, its own AS in front included") {
  Replay r;
  const std::string attributes =
      attribute(1, hex("00")) + attribute(2, hex("02 02") + be32(64512) + be32(65001)) + attribute(3, hex("c0000201"));
  REQUIRE(r.feed(peer_up(peer_header(1), kRouterOpen, kPeerOpen) +
                 monitoring(peer_header(1), update({}, attributes, kNet))));
  const Row row = rows_of(r, "unicast_prefix").at(0);
  CHECK(row[14] == " 64512 65001");
  CHECK(row[19] == "0");  // no LOCAL_PREF
}

TEST_CASE("FRR: path identifiers are agreed on and never sent, in any family") {
  Replay r;
  const std::string both = add_path(1, 1, 3) + add_path(2, 1, 3) + add_path(1, 128, 3);
  const std::string vpn =
      attribute(14, hex("0001 80 0c 0000000000000000 c0000209 00") +
                        hex("70 000641 0000fde900000064 0a0102  70 000651 0000fde900000064 0a0103"));
  const std::string six =
      attribute(14, hex("0002 01 10 20010db8000000000000000000000001 00 30 20010db80001 30 20010db80002"));
  const std::string plain = attribute(1, hex("00")) + attribute(2, hex("0201") + be32(65001));
  REQUIRE(r.feed(
      peer_up(peer_header(1), open(64512, as4_capability(64512) + both), open(65001, as4_capability(65001) + both)) +
      monitoring(peer_header(1), update({}, plain_attributes(), kNet + hex("18 0a 01 03"))) +
      monitoring(peer_header(1), update({}, plain + six, {})) +
      monitoring(peer_header(1), update({}, plain + vpn, {})) + monitoring(peer_header(1), update(kNet, {}, {}))));
  CHECK(routes(r) ==
        "add 10.1.2.0/24 0, add 10.1.3.0/24 0, add 2001:db8:1::/48 0, add 2001:db8:2::/48 0, del 10.1.2.0/24 0");
  const std::vector<Row> l3vpn = rows_of(r, "l3vpn");
  REQUIRE(l3vpn.size() == 2);
  CHECK((l3vpn[0][10] == "10.1.2.0" && l3vpn[0][27] == "0" && l3vpn[1][10] == "10.1.3.0" && l3vpn[1][27] == "0"));
  CHECK(r.shared.counters.path_id_fallbacks == 4);
  CHECK(all_faults(r) == 0);
}

TEST_CASE("FRR: VPN routes with a label of zero without the bottom-of-stack bit, announced and withdrawn") {
  Replay r;
  const std::string routes_of_two = hex("70 000000 0000fde900000064 0a0102  70 000000 0000fde900000064 0a0103");
  const std::string reach = attribute(14, hex("0001 80 0c 0000000000000000 c0000209 00") + routes_of_two);
  const std::string unreach = attribute(15, hex("0001 80") + routes_of_two);
  const std::string plain = attribute(1, hex("00")) + attribute(2, hex("0201") + be32(65001));
  REQUIRE(r.feed(peer_up(peer_header(1), kRouterOpen, kPeerOpen) +
                 monitoring(peer_header(1), update({}, plain + reach, {})) +
                 monitoring(peer_header(1), update({}, unreach, {}))));
  const std::vector<Row> rows = rows_of(r, "l3vpn");
  REQUIRE(rows.size() == 4);
  for (std::size_t n = 0; n < 2; ++n) {
    CHECK(rows[n][0] == "add");
    CHECK(rows[n + 2][0] == "del");
    CHECK(rows[n][10] == (n == 0 ? "10.1.2.0" : "10.1.3.0"));
    CHECK(rows[n][28] == "0");
    CHECK(rows[n][31] == "65001:100");
    CHECK(rows[n][2] == rows[n + 2][2]);
  }
  CHECK(all_faults(r) == 0);
}

TEST_CASE("FRR: an IPv4 route with an IPv6 next hop comes as a classic route without NEXT_HOP") {
  Replay r;
  const std::string attributes = attribute(1, hex("00")) + attribute(2, hex("0201") + be32(65001));
  REQUIRE(r.feed(peer_up(peer_header(1), kRouterOpen, kPeerOpen) +
                 monitoring(peer_header(1), update({}, attributes, kNet))));
  const Row row = rows_of(r, "unicast_prefix").at(0);
  CHECK(row[0] == "add");
  CHECK(row[10] == "10.1.2.0");
  CHECK(row[14] == " 65001");
  CHECK(row[17].empty());
  CHECK(rows_of(r, "base_attribute").empty());
  CHECK(all_faults(r) == 0);
}

TEST_CASE("withdrawals of routes that were never announced, once and again, are rows") {
  Replay r;
  REQUIRE(r.feed(peer_up(peer_header(1), kRouterOpen, kPeerOpen) +
                 monitoring(peer_header(1, 0x40), update(kNet, {}, {})) +
                 monitoring(peer_header(1, 0x40), update(kNet, {}, {}))));
  CHECK(routes(r) == "del 10.1.2.0/24 0, del 10.1.2.0/24 0");
  CHECK(all_faults(r) == 0);
}

// ---- GoBGP

TEST_CASE("GoBGP: the A flag on post-policy messages by mistake makes no other peer and spoils no path") {
  Replay r;
  REQUIRE(r.feed(peer_up(peer_header(1), kRouterOpen, kPeerOpen) + monitoring(peer_header(1, 0x60), kRoute) +
                 monitoring(peer_header(1, 0x60), update({}, {}, {}))));
  CHECK(r.decoder->peers_known() == 1);
  CHECK(rows_of(r, "unicast_prefix").at(0)[14] == " 65001");
  CHECK(r.shared.counters.as_width_fallbacks == 1);
  const Row end = rows_of(r, "eor").at(0);
  CHECK((end[10] == "0" && end[11] == "1"));
  CHECK(all_faults(r) == 0);
}

TEST_CASE("GoBGP: the dump of a view comes without path identifiers, live messages of the same view with them") {
  Replay r;
  const std::string both = add_path(1, 1, 3);
  const std::string with_ids = be32(1) + kNet + be32(2) + kNet;
  REQUIRE(r.feed(
      peer_up(peer_header(1), open(64512, as4_capability(64512) + both), open(65001, as4_capability(65001) + both)) +
      monitoring(peer_header(1), update({}, plain_attributes(), kNet)) +
      monitoring(peer_header(1), update({}, plain_attributes(), with_ids)) +
      monitoring(peer_header(1), update(be32(2) + kNet, {}, {})) +
      monitoring(peer_header(1, 0x40), update({}, plain_attributes(), kNet))));
  CHECK(routes(r) == "add 10.1.2.0/24 0, add 10.1.2.0/24 1, add 10.1.2.0/24 2, del 10.1.2.0/24 2, add 10.1.2.0/24 0");
  CHECK(r.shared.counters.path_id_fallbacks == 2);
}

TEST_CASE("GoBGP: large path identifiers in live pre-policy messages say nothing of the post-policy view") {
  const std::string both = add_path(1, 1, 3);
  const std::string sent = open(64512, as4_capability(64512) + both), got = open(65001, as4_capability(65001) + both);
  const std::string large = hex("ff 00 00 01") + kNet, host = hex("20 0a 01 02 00");
  Replay r;
  REQUIRE(r.feed(peer_up(peer_header(1), sent, got) +
                 monitoring(peer_header(1), update({}, plain_attributes(), large)) +
                 monitoring(peer_header(1, 0x40), update({}, plain_attributes(), host)) +
                 monitoring(peer_header(1, 0x40), update(host, {}, {}))));
  CHECK(routes(r) == "add 10.1.2.0/24 4278190081, add 10.1.2.0/32 0, del 10.1.2.0/32 0");
  CHECK(r.shared.counters.path_id_fallbacks == 2);
}

TEST_CASE("a Peer Up forgets that large path identifiers were seen, one of another view only that of this view") {
  const std::string both = add_path(1, 1, 3);
  const std::string sent = open(64512, as4_capability(64512) + both), got = open(65001, as4_capability(65001) + both);
  const std::string large = update({}, plain_attributes(), hex("ff 00 00 01") + kNet);
  const std::string host = update({}, plain_attributes(), hex("20 0a 01 02 00"));
  Replay r;
  REQUIRE(r.feed(peer_up(peer_header(1), sent, got) + monitoring(peer_header(1), large) +
                 monitoring(peer_header(1, 0x40), large) + peer_up(peer_header(1, 0x40), sent, got) +
                 monitoring(peer_header(1), host) + monitoring(peer_header(1, 0x40), host) +
                 peer_up(peer_header(1, 0x40), sent, got) + monitoring(peer_header(1), host)));
  CHECK(routes(r) ==
        "add 10.1.2.0/24 4278190081, add 10.1.2.0/24 4278190081, add 0.0.0.0/0 537526530, add 10.1.2.0/32 0, "
        "add 10.1.2.0/32 0");
}

TEST_CASE("without a Peer Up, AS4_PATH and the length of AGGREGATOR tell the width of AS numbers") {
  // Of either width by its length: 65001 65002 {65003}, or 4259970538 16907755.
  const std::string path = attribute(2, hex("0202 fde9 fdea 0101 fdeb"));
  const std::string base = attribute(1, hex("00")) + attribute(3, hex("c0000201"));
  const std::string as4 = attribute(17, hex("0202 0000fde9 0000fdea 0101 0000fdeb"));
  const struct {
    std::string more;
    const char* path;
    unsigned fallbacks;
  } cases[] = {{as4, " 65001 65002 { 65003 }", 1},
               {attribute(7, hex("fdea c0000201")), " 65001 65002 { 65003 }", 1},
               {attribute(7, hex("0000fdea c0000201")), " 4259970538 16907755", 0},
               {attribute(7, hex("0000fdea c0000201")) + as4, " 4259970538 16907755", 0},
               {{}, " 4259970538 16907755", 0}};
  for (const auto& c : cases) {
    CAPTURE(c.path);
    Replay r;
    REQUIRE(r.feed(monitoring(peer_header(1), update({}, base + path + c.more, kNet))));
    CHECK(rows_of(r, "unicast_prefix").at(0)[14] == c.path);
    CHECK(r.shared.counters.as_width_fallbacks == c.fallbacks);
    Replay known;  // what the OPENs say goes before all that
    REQUIRE(known.feed(peer_up(peer_header(1), kRouterOpen, kPeerOpen) +
                       monitoring(peer_header(1), update({}, base + path + c.more, kNet))));
    CHECK(rows_of(known, "unicast_prefix").at(0)[14] == " 4259970538 16907755");
  }
}

TEST_CASE("GoBGP: 2-byte paths with the A flag, as its peer sent them") {
  Replay r;
  const std::string attributes = attribute(1, hex("00")) + attribute(2, hex("0202") + be16(65001) + be16(23456)) +
                                 attribute(3, hex("c0000201")) + attribute(17, hex("0201") + be32(4200000009));
  REQUIRE(r.feed(peer_up(peer_header(1), kRouterOpen, open(65001, {})) +
                 monitoring(peer_header(1, 0x20), update({}, attributes, kNet))));
  CHECK(rows_of(r, "unicast_prefix").at(0)[14] == " 65001 4200000009");
  CHECK(r.shared.counters.as_width_fallbacks == 0);
}

TEST_CASE("GoBGP: Loc-RIB and local routes come without any Peer Up; each peer gets one opener") {
  Replay r;
  const std::string local = anonymous(0, 0xc0), loc_rib = anonymous(3, 0);
  REQUIRE(r.feed(monitoring(loc_rib, kRoute) + monitoring(local, kRoute) + monitoring(local, kRoute) +
                 monitoring(loc_rib, update(kNet, {}, {}))));
  const std::vector<Row> peers = rows_of(r, "peer");
  REQUIRE(peers.size() == 2);
  CHECK((peers[0][0] == "first" && peers[0][kIsLocRib] == "1" && peers[0][kRemoteIp] == "::"));
  CHECK((peers[1][0] == "first" && peers[1][kIsLocRib] == "0" && peers[1][kRemoteIp] == "::"));
  CHECK(peers[0][kHash] != peers[1][kHash]);
  CHECK(r.shared.counters.peers_first == 2);
  CHECK(r.decoder->peers_up() == 2);
  const auto records = r.keep.seen();
  CHECK(std::count_if(records.begin(), records.end(), [](const Seen& s) { return s.envelope.opener; }) == 2);
  const std::vector<Row> prefixes = rows_of(r, "unicast_prefix");
  REQUIRE(prefixes.size() == 4);
  for (const Row& row : prefixes) CHECK(row[8] == "0");
}

TEST_CASE("GoBGP: withdrawals behind a Peer Down are passed on as they were encoded, and do not revive the peer") {
  Replay r;
  const std::string both = add_path(1, 1, 3);
  const std::string loc_rib = anonymous(3, 0);
  // The peer is seen to use large identifiers; what then comes is readable as two prefixes as well, and only the OPENs
  // say that it has one.
  const std::string large = hex("ff 00 00 01") + kNet, misleading = hex("18 0a 01 02  08 0a");
  REQUIRE(r.feed(
      peer_up(peer_header(1), open(64512, as4_capability(64512) + both), open(65001, as4_capability(65001) + both)) +
      monitoring(peer_header(1), update({}, plain_attributes(), large)) +
      monitoring(peer_header(1), update({}, plain_attributes(), misleading)) + peer_down(peer_header(1)) +
      monitoring(loc_rib, kRoute) + monitoring(peer_header(1), update(misleading, {}, {})) +
      monitoring(peer_header(1, 0x40), update(kNet, {}, {})) + monitoring(loc_rib, update(kNet, {}, {})) +
      monitoring(peer_header(1), kRoute)));
  CHECK(routes(r) ==
        "add 10.1.2.0/24 4278190081, add 10.0.0.0/8 403308802, add 10.1.2.0/24 0, del 10.1.2.0/24 0, del 10.0.0.0/8 "
        "403308802, del 10.1.2.0/24 0");
  CHECK(r.shared.counters.after_peer_down == 1);
  CHECK(r.decoder->peers_up() == 1);  // the Loc-RIB
  CHECK(rows_of(r, "peer").size() == 3);
}

// ---- messages of BMP

TEST_CASE("every reason of a Peer Down has its data in its row") {
  const std::string cease = bgp(3, hex("06 02 04") + "bye!"), hold = bgp(3, hex("04 00"));
  const struct {
    std::string data;
    const char* reason;
    const char* code;
    const char* subcode;
    const char* text;
    const char* table;
  } cases[] = {
      {hex("01") + hold, "1", "4", "0", "hold timer expired", ""},
      {hex("02 0012"), "2", "0", "0", "local system closed, FSM event 18", ""},
      {hex("03") + cease, "3", "6", "2", "cease: administrative shutdown: bye!", ""},
      {hex("04"), "4", "0", "0", "", ""},
      {hex("05"), "5", "0", "0", "", ""},
      {hex("06") + tlv(3, "vrf-a"), "6", "0", "0", "", "vrf-a"},
      {hex("06") + tlv(3, "vrf-a") + tlv(0, "gone"), "6", "0", "0", "gone", "vrf-a"},
      // Version 4 has TLVs behind any of them.
      {hex("02 0012") + tlv(0, "why") + tlv(3, "red"), "2", "0", "0", "local system closed, FSM event 18; why", "red"},
      {hex("fb") + std::string("experiment"), "251", "0", "0", "", ""},
  };
  for (const auto& c : cases) {
    CAPTURE(c.reason);
    Replay r;
    REQUIRE(r.feed(peer_up(peer_header(1), kRouterOpen, kPeerOpen) + bmp(2, peer_header(1) + c.data)));
    const Row row = rows_of(r, "peer").at(1);
    CHECK(row[0] == "down");
    CHECK(row[kReason] == c.reason);
    CHECK(row[kErrorCode] == c.code);
    CHECK(row[kErrorSubcode] == c.subcode);
    CHECK(row[kErrorText] == c.text);
    CHECK(row[kTableName] == c.table);
    CHECK(r.decoder->peers_up() == 0);
    CHECK(all_faults(r) == 0);
  }
}

TEST_CASE("an OPEN that can be read is told though the other cannot") {
  Replay r;
  std::string broken = kPeerOpen;
  broken[18] = '\2';  // an UPDATE
  REQUIRE(r.feed(peer_up(peer_header(1), kRouterOpen, broken) + monitoring(peer_header(1), kRoute)));
  const Row row = rows_of(r, "peer").at(0);
  REQUIRE(row.size() == 31);
  CHECK(row[kLocalAsn] == "64512");
  CHECK(row[17] == "4 Octet ASN (65)");
  CHECK(row[18].empty());
  CHECK(row[19].empty());
  CHECK(row[20] == "180");
  CHECK(r.faults(Fault::kPeerUpOpen) == 1);
  CHECK(routes(r) == "add 10.1.2.0/24 0");
}

TEST_CASE("Peer Up TLVs (RFC 9736): text, table, admin label; others are skipped and counted") {
  Replay r;
  REQUIRE(r.feed(bmp(3, peer_header(1) + std::string(12, '\0') + hex("c0 00 02 fe 00 b3 9c 40") + kRouterOpen +
                            kPeerOpen + tlv(0, "to the north") + tlv(77, "?") + tlv(3, "vrf-a") + tlv(4, "it"))));
  const Row row = rows_of(r, "peer").at(0);
  REQUIRE(row.size() == 32);
  CHECK(row[16] == "to the north");
  CHECK(row[kTableName] == "vrf-a");
  CHECK(row[kAdminLabel] == "it");
  CHECK(r.shared.counters.unknown_tlvs == 1);
}

TEST_CASE("all views of a peer, whatever the flags of its Peer Up (RFC 8671)") {
  for (const unsigned up_flags : {0x00U, 0x40U, 0x10U, 0x50U}) {
    CAPTURE(up_flags);
    Replay r;
    std::string stream = peer_up(peer_header(1, up_flags), kRouterOpen, kPeerOpen);
    for (const unsigned flags : {0x00U, 0x40U, 0x10U, 0x50U}) stream += monitoring(peer_header(1, flags), kRoute);
    REQUIRE(r.feed(stream));
    std::string views;
    std::vector<std::string> hashes;
    for (const Row& c : rows_of(r, "unicast_prefix")) {
      views += c[29] + c[30] + ' ';
      hashes.push_back(c[2]);
      CHECK(c[6] == rows_of(r, "peer").at(0)[kHash]);
    }
    CHECK(views == "11 01 10 00 ");  // isPrePolicy, isAdjRibIn
    std::sort(hashes.begin(), hashes.end());
    CHECK(std::unique(hashes.begin(), hashes.end()) == hashes.end());
    CHECK(r.decoder->peers_known() == 1);
    CHECK(r.shared.counters.peers_first == 0);
  }
}

TEST_CASE("path identifiers are agreed on per direction: towards the router, not from it") {
  Replay r;
  const std::string misleading = hex("18 0a 01 02  08 0a");  // with an identifier 10.0.0.0/8, without two prefixes
  REQUIRE(r.feed(peer_up(peer_header(1), open(64512, as4_capability(64512) + add_path(1, 1, 1)),
                         open(65001, as4_capability(65001) + add_path(1, 1, 2))) +
                 monitoring(peer_header(1), update({}, plain_attributes(), be32(7) + kNet)) +
                 monitoring(peer_header(1, 0x10), update({}, plain_attributes(), misleading))));
  CHECK(routes(r) == "add 10.1.2.0/24 7, add 10.1.2.0/24 0, add 10.0.0.0/8 0");
  CHECK(r.shared.counters.path_id_fallbacks == 0);
}

TEST_CASE("a Loc-RIB with the OPENs that its router makes up (RFC 9069)") {
  Replay r;
  // Filtered; both OPENs are the router's own and say what its routes look like.
  const std::string header = anonymous(3, 0x80).replace(26, 4, be32(64512)).replace(30, 4, hex("0a000001"));
  const std::string made_up = open(64512, as4_capability(64512) + add_path(1, 1, 2));
  const std::string up = bmp(3, header + std::string(16, '\0') + hex("0000 0000") + made_up + made_up + tlv(3, "red"));
  REQUIRE(r.feed(up + monitoring(header, update({}, plain_attributes(), be32(7) + kNet)) +
                 monitoring(header, update({}, plain_attributes() + attribute(5, hex("00")), be32(8) + kNet)) +
                 bmp(2, header + hex("06") + tlv(3, "red"))));
  const std::vector<Row> peers = rows_of(r, "peer");
  REQUIRE(peers.size() == 2);
  CHECK(peers[0][0] == "up");
  CHECK(peers[0][kRemoteIp] == "::");
  CHECK(peers[0][kLocalIp] == "::");
  CHECK(peers[0][kLocalAsn] == "64512");
  CHECK((peers[0][kIsLocRib] == "1" && peers[0][kIsFiltered] == "1" && peers[0][kIsPrePolicy] == "0"));
  CHECK(peers[0][kTableName] == "red");
  CHECK((peers[1][0] == "down" && peers[1][kReason] == "6" && peers[1][kTableName] == "red"));
  // Of its own AS: a malformed LOCAL_PREF is one of an internal peer.
  CHECK(routes(r) == "add 10.1.2.0/24 7, del 10.1.2.0/24 8");
  const Row row = rows_of(r, "unicast_prefix").at(0);
  CHECK((row[29] == "0" && row[30] == "0"));
  CHECK(r.shared.counters.path_id_fallbacks == 0);
  CHECK(r.faults(Fault::kLocalPref) == 1);
}

TEST_CASE(
    "a malformed LOCAL_PREF of an external peer is left out and its route stays; of an internal one it does not") {
  const std::string bad = update({}, plain_attributes() + attribute(5, hex("00")), kNet);
  for (const bool external : {false, true}) {
    Replay r;
    REQUIRE(r.feed(peer_up(peer_header(1), kRouterOpen, external ? kPeerOpen : kRouterOpen) +
                   monitoring(peer_header(1), bad)));
    CHECK(routes(r) == (external ? "add 10.1.2.0/24 0" : "del 10.1.2.0/24 0"));
    CHECK(r.faults(Fault::kLocalPref) == 1);
    CHECK(r.shared.counters.treated_as_withdraw == (external ? 0 : 1));
  }
  Replay unknown;  // nobody has said what this peer is
  REQUIRE(unknown.feed(monitoring(peer_header(1), bad)));
  CHECK(routes(unknown) == "del 10.1.2.0/24 0");
}

TEST_CASE("NLRI of MP_REACH that cannot be read leaves the classic routes of its message") {
  Replay r;
  const std::string bad = attribute(14, hex("0002 01 10 20010db8000000000000000000000001 00 81 00"));
  REQUIRE(r.feed(peer_up(peer_header(1), kRouterOpen, kPeerOpen) +
                 monitoring(peer_header(1), update(hex("08 0b"), plain_attributes() + bad, kNet))));
  CHECK(routes(r) == "del 11.0.0.0/8 0, add 10.1.2.0/24 0");
  CHECK(r.faults(Fault::kMpReach) == 1);
}

TEST_CASE("one address under several peer types and distinguishers: several peers") {
  Replay r;
  const std::string rd1 = hex("0000fde900000001"), rd2 = hex("0001c00002010002");
  const std::string headers[] = {peer_header(1), with_distinguisher(peer_header(1, 0, 1), rd1),
                                 with_distinguisher(peer_header(1, 0, 1), rd2),
                                 with_distinguisher(peer_header(1, 0, 2), rd1)};
  std::string stream;
  for (const std::string& h : headers) stream += peer_up(h, kRouterOpen, kPeerOpen) + monitoring(h, kRoute);
  REQUIRE(r.feed(stream + peer_down(headers[1])));
  const std::vector<Row> peers = rows_of(r, "peer"), prefixes = rows_of(r, "unicast_prefix");
  REQUIRE(peers.size() == 5);
  REQUIRE(prefixes.size() == 4);
  const char* const want_rd[] = {"0:0", "65001:1", "192.0.2.1:2", "65001:1"};
  for (std::size_t n = 0; n < 4; ++n) {
    CAPTURE(n);
    CHECK(peers[n][kRemoteIp] == "192.0.2.1");
    CHECK(peers[n][kRd] == want_rd[n]);
    CHECK(peers[n][kIsL3vpn] == (n == 1 || n == 2 ? "1" : "0"));
    CHECK(std::count_if(prefixes.begin(), prefixes.end(), [&](const Row& c) { return c[6] == peers[n][kHash]; }) == 1);
    for (std::size_t k = 0; k < n; ++k) CHECK(peers[n][kHash] != peers[k][kHash]);
  }
  CHECK(r.decoder->peers_known() == 4);
  CHECK(r.decoder->peers_up() == 3);
}

TEST_CASE("every statistics type there is has a row with its value and its name") {
  // In the form of its document: a counter of 4 bytes, a gauge of 8, a gauge per AFI and SAFI of 11.
  const auto form = [](std::uint16_t type) {
    const std::string_view name = statistic_name(type);
    if (name.ends_with("_per_family")) return hex("0002 80") + be32(0) + be32(1000U + type);
    const bool gauge = type == 7 || type == 8 || type >= 14;
    return (gauge ? be32(0) : std::string()) + be32(1000U + type);
  };
  std::string tlvs;
  std::size_t count = 0;
  for (std::uint16_t type = 0; type < 60; ++type)
    if (!statistic_name(type).empty()) tlvs += tlv(type, form(type)), ++count;
  CHECK(count == 42);  // RFC 7854: 0 to 13, RFC 8671: 14 to 17, RFC 9972: 18 to 23 and 26 to 43
  Replay r;
  REQUIRE(r.feed(bmp(1, peer_header(1) + be32(count) + tlvs)));
  const Row stat = rows_of(r, "bmp_stat").at(0);
  for (std::size_t type = 0; type < kBmpStatTypes; ++type) CHECK(stat[8 + type] == std::to_string(1000 + type));
  std::map<std::string, Row> others;
  for (const Row& row : rows_of(r, "bmp_stat_ext")) others[row[8]] = row;
  CHECK(others.size() == count - kBmpStatTypes);
  for (const auto& [text, row] : others) {
    const auto type = static_cast<std::uint16_t>(std::stoul(text));
    CAPTURE(type);
    CHECK(row[9] == statistic_name(type));
    const bool per_family = statistic_name(type).ends_with("_per_family");
    CHECK(row[10] == (per_family ? "2" : ""));
    CHECK(row[11] == (per_family ? "128" : ""));
    CHECK(row[12] == std::to_string(1000 + type));
    CHECK(row[13].empty());
  }
  CHECK(r.shared.counters.unknown_statistics == 0);
}

TEST_CASE("statistics of a type that nobody has defined, or of a strange length, are kept raw") {
  Replay r;
  REQUIRE(r.feed(
      bmp(1, peer_header(1) + be32(3) + tlv(65531, be32(7)) + tlv(24, hex("0102030405")) + tlv(20, hex("aabb")))));
  const std::vector<Row> rows = rows_of(r, "bmp_stat_ext");
  REQUIRE(rows.size() == 3);
  CHECK((rows[0][8] == "65531" && rows[0][9].empty() && rows[0][12] == "7" && rows[0][13] == "00000007"));
  CHECK((rows[1][8] == "24" && rows[1][12].empty() && rows[1][13] == "0102030405"));
  CHECK((rows[2][9] == "adj_rib_in_post_routes" && rows[2][12].empty() && rows[2][13] == "aabb"));
  CHECK(r.shared.counters.unknown_statistics == 2);
  CHECK(r.decoder->peers_up() == 0);  // statistics alone open no peer
}

// ---- version 4

namespace {

std::string indexed(std::size_t type, std::size_t index, const std::string& value) {
  return be16(type) + be16(value.size()) + be16(index) + value;
}
std::string version4(std::string message) {
  message[0] = '\4';
  return message;
}
// What stands behind the columns of an object: of other attributes, and marks.
Row optional_columns(const Row& row, const std::string& object) {
  const ObjectInfo* info = find_object(object);
  REQUIRE(info != nullptr);
  return {row.begin() + static_cast<std::ptrdiff_t>(info->columns.size()), row.end()};
}
Row marks_of(const Row& row, const std::string& object) {
  const Row behind = optional_columns(row, object);
  if (behind.empty()) return {};
  const std::size_t extra = extra_attribute_columns().size();
  REQUIRE(behind.size() == extra + route_mark_columns().size());
  REQUIRE(behind.size() == find_object(object)->optional.size());
  return {behind.begin() + static_cast<std::ptrdiff_t>(extra), behind.end()};
}

}  // namespace

TEST_CASE("version 4: path status and table name stand behind the columns of announced routes, and only there") {
  Replay r;
  const std::string three = kNet + hex("18 0a 01 03") + hex("18 0a 01 04");
  const std::string tlvs = indexed(3, 0, "red") + indexed(5, 0, be32(4) + be16(3)) +
                           indexed(2, 0x8001, be16(2) + be16(3)) + indexed(5, 0x8001, be32(0x10)) +
                           indexed(5, 3, be32(2 | 8));
  REQUIRE(
      r.feed(peer_up(peer_header(1), kRouterOpen, kPeerOpen) +
             version4(bmp(0, peer_header(1) + tlvs + indexed(4, 0, update(hex("08 0b"), plain_attributes(), three)))) +
             monitoring(peer_header(1), kRoute)));
  const std::vector<Row> rows = rows_of(r, "unicast_prefix");
  REQUIRE(rows.size() == 5);
  CHECK(rows[0][0] == "del");
  CHECK(marks_of(rows[0], "unicast_prefix").empty());
  CHECK(marks_of(rows[1], "unicast_prefix") == Row{"non-selected", "local-pref", "red"});
  CHECK(marks_of(rows[2], "unicast_prefix") == Row{"backup", "", "red"});
  CHECK(marks_of(rows[3], "unicast_prefix") == Row{"best,primary", "", "red"});
  CHECK(marks_of(rows[4], "unicast_prefix").empty());  // version 3: as ever
  for (const Row& base : rows_of(r, "base_attribute")) CHECK(optional_columns(base, "base_attribute").empty());
  CHECK(r.shared.counters.path_marks == 3);
  CHECK(r.shared.counters.path_marks_unplaced == 0);
  CHECK(all_faults(r) == 0);
}

TEST_CASE("version 4: marks stand behind the columns of other attributes, in routes of every family") {
  Replay r;
  const std::string reach =
      attribute(14, hex("0001 80 0c 0000000000000000 c0000209 00") +
                        hex("70 000641 0000fde900000064 0a0102  70 000651 0000fde900000064 0a0103"));
  const std::string attributes =
      attribute(1, hex("00")) + attribute(2, hex("0201") + be32(65001)) + attribute(35, be32(65001)) + reach;
  const std::string pdu = indexed(7, 0, update({}, attributes, {}));
  REQUIRE(r.feed(version4(bmp(0, peer_header(1) + pdu + indexed(5, 2, be32(2)) + indexed(5, 0, "vrf-1")))));
  const std::vector<Row> rows = rows_of(r, "l3vpn");
  REQUIRE(rows.size() == 2);
  CHECK(marks_of(rows[0], "l3vpn") == Row{"", "", "vrf-1"});
  CHECK(marks_of(rows[1], "l3vpn") == Row{"best", "", "vrf-1"});
  CHECK(optional_columns(rows[0], "l3vpn")[5] == "65001");  // otc
  CHECK(rows[0][2] != rows[1][2]);
}

TEST_CASE("version 4: a status of single routes of a message with routes in several places is not guessed") {
  Replay r;
  const std::string reach = attribute(14, hex("0002 01 10 20010db8000000000000000000000001 00 30 20010db80001"));
  const std::string pdu = indexed(4, 0, update({}, plain_attributes() + reach, kNet));
  REQUIRE(r.feed(version4(bmp(0, peer_header(1) + indexed(5, 1, be32(2)) + pdu)) +
                 version4(bmp(0, peer_header(1) + indexed(5, 0, be32(2)) + pdu))));
  const std::vector<Row> rows = rows_of(r, "unicast_prefix");
  REQUIRE(rows.size() == 4);
  for (std::size_t n = 0; n < 4; ++n) CHECK(marks_of(rows[n], "unicast_prefix") == Row{n < 2 ? "" : "best", "", ""});
  CHECK(r.shared.counters.path_marks_unplaced == 1);
}

TEST_CASE("version 4: statistics in a TLV of their own, as its newer revisions have them") {
  Replay r;
  const std::string statistics = be32(2) + tlv(7, be32(0) + be32(5)) + tlv(20, be32(0) + be32(6));
  REQUIRE(
      r.feed(version4(bmp(1, peer_header(1) + tlv(1, statistics))) + version4(bmp(1, peer_header(1) + statistics))));
  const std::vector<Row> stats = rows_of(r, "bmp_stat"), others = rows_of(r, "bmp_stat_ext");
  REQUIRE(stats.size() == 2);
  REQUIRE(others.size() == 2);
  for (std::size_t n = 0; n < 2; ++n) CHECK((stats[n][15] == "5" && others[n][12] == "6"));
  CHECK(all_faults(r) == 0);
}
