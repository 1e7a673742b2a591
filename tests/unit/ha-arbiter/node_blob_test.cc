// The texts in Redis: round trip, every truncation, hostile values.
#include <doctest/doctest.h>

#include <random>

#include "ha-arbiter/memory_store.h"
#include "ha-arbiter/node_blob.h"

using namespace bmpha;
using namespace bmpha::arbiter;

namespace {

NodeBlob sample() {
  NodeBlob b;
  b.id = "a-1.x_%+:@~";
  b.inc = 0xfedcba9876543210ULL;
  b.tick = 17;
  b.gen = 1'700'000'000'123;
  b.forced_standby = b.settled = true;
  b.seen = {{"b", 4}, {"xa-1", 1'700'000'000'000}};
  for (std::uint8_t n = 0; n < 3; ++n) {
    RouterEntry e;
    e.router.bytes[7] = static_cast<std::uint8_t>(n + 1);
    e.hold = static_cast<Hold>(n + 1);
    e.cls = n;
    e.since = 1'700'000'000'000 + n;
    e.role = static_cast<Role>(n);
    e.epoch = n * 1000u;
    e.session = {0xffffffffffffffffULL, n};
    if (n != 0) e.w_age = Millis(300 * n);
    if (n == 2) e.read_age = Millis(0);
    e.unclean = n == 1;
    e.solo = n != 0;
    b.routers.push_back(e);
  }
  return b;
}

std::string with(std::string text, const std::string& what, const std::string& instead) {
  const std::size_t at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), instead);
}

}  // namespace

TEST_CASE("a blob comes back as it was written, and a person can read it") {
  const std::string text = encode_blob(sample());
  const auto back = decode_blob(text);
  REQUIRE(back);
  CHECK(back.value() == sample());
  CHECK(text.starts_with("bmpha-node 1\nid a-1.x_%+:@~\ninc fedcba9876543210\ntick 17\n"));
  CHECK(text.find("\nrouter 00000000000000020000000000000000 torn 1 1700000000001 active 1000 ") != std::string::npos);
  CHECK(text.find(" 600 0 solo\nend 3\n") != std::string::npos);
  NodeBlob empty;
  empty.id = "n";
  REQUIRE(decode_blob(encode_blob(empty)));
  CHECK(decode_blob(encode_blob(empty)).value() == empty);
}

TEST_CASE("a node that ranks as one whole says so in a blob of version 2; others are written as version 1") {
  NodeBlob b = sample();
  b.collector = CollectorEntry{1'700'000'000'777, 2, 0x77};
  const std::string text = encode_blob(b);
  CHECK(text.starts_with("bmpha-node 2\n"));
  CHECK(text.find("\nflags forced-standby,settled\ncollector 1700000000777 2 0000000000000077\nseen b 4\n") !=
        std::string::npos);
  const auto back = decode_blob(text);
  REQUIRE(back);
  CHECK(back.value() == b);
  const auto plain = decode_blob(with(encode_blob(sample()), "bmpha-node 1", "bmpha-node 2"));
  REQUIRE(plain);
  CHECK(plain.value() == sample());
  for (std::size_t n = 0; n < text.size(); ++n) CHECK(!decode_blob(text.substr(0, n)));
  for (const char* bad :
       {"collector 1700000000777 2", "collector 1700000000777 4 0000000000000077", "collector -1 2 0000000000000077",
        "collector 1700000000777 2 0000000000000077 1", "collector 4611686018427387905 2 0000000000000077"}) {
    CAPTURE(bad);
    CHECK(!decode_blob(with(text, "collector 1700000000777 2 0000000000000077", bad)));
  }
  CHECK(!decode_blob(with(text, "bmpha-node 2", "bmpha-node 1")));
  // A claim is written in the version that its blob needs.
  CHECK(encode_claims({b, {}}, "a", 0).head.starts_with("bmpha-node 2\n"));
  CHECK(encode_claims({sample(), {}}, "a", 0).head.starts_with("bmpha-node 1\n"));
}

TEST_CASE("an age that does not fit in nanoseconds is refused: it would wrap into the future") {
  const std::string text = encode_blob(sample());
  CHECK(decode_blob(with(text, " 600 0 solo", " 4398046511104 0 solo")));
  CHECK(!decode_blob(with(text, " 600 0 solo", " 4398046511105 0 solo")));
  CHECK(!decode_blob(with(text, " 600 0 solo", " 600 4398046511105 solo")));
}

TEST_CASE("every truncation of a blob is refused") {
  const std::string text = encode_blob(sample());
  for (std::size_t n = 0; n < text.size(); ++n) CHECK(!decode_blob(text.substr(0, n)));
}

TEST_CASE("bytes changed at random never crash, and never pass for another shape") {
  std::mt19937 random(4);
  const std::string text = encode_blob(sample());
  for (int n = 0; n < 20000; ++n) {
    std::string bad = text;
    for (int k = 0; k < 3; ++k) bad[random() % bad.size()] = static_cast<char>(random());
    const auto b = decode_blob(bad);
    if (b) CHECK(encode_blob(b.value()).size() == bad.size());
  }
}

TEST_CASE("what is not exactly a blob is refused") {
  const std::string text = encode_blob(sample());
  const std::string line = "router 00000000000000010000000000000000 ";
  for (const auto& [what, instead] : std::vector<std::pair<std::string, std::string>>{
           {"bmpha-node 1", "bmpha-node 3"},  // written by a newer version
           {"bmpha-node 1", "bmpha-node 0"},  // never existed
           {"bmpha-node 1", "bmpha-node"},
           {"id a-1", "id a b"},
           {"id a-1", "id a/1"},
           {"inc fed", "inc xfed"},
           {"tick 17", "tick -17"},
           {"tick 17", "tick 99999999999999999999"},
           {"tick 17", "tick 4611686018427387905"},  // above what is believed
           {"tick 17", "tick  17"},
           {"gen 17", "gne 17"},
           {"flags forced-standby,settled", "flags forced-standby,settled,"},
           {"flags forced-standby,settled", "flags settled,settled"},
           {"flags forced-standby,settled", "flags royal"},
           {"flags forced-standby,settled", "flags "},
           {"seen b 4", "seen b 4 4"},
           {"seen b 4", "seen b"},
           {"seen xa-1", "seen b"},
           {line + "tail", line + "all"},
           {line + "tail 0", line + "tail 4"},
           {line + "tail 0", line + "tail  0"},
           {" 300 ", " -300 "},
           {" 300 ", " 1e3 "},
           {"end 3", "end 2"},
           {"end 3\n", "end 3\n\n"},
           {"end 3\n", "end 3\nend 3\n"},
           {"router 00000000000000020", "router 00000000000000010"},  // twice
       }) {
    CAPTURE(what);
    CAPTURE(instead);
    CHECK(!decode_blob(with(text, what, instead)));
  }
}

TEST_CASE("owners: node and epoch, or nothing of ours") {
  CHECK(decode_owner("a-1.50%+own 77").node == "a-1.50%+own");
  CHECK(decode_owner("a 77").epoch == 77);
  for (const char* bad : {"", "a", "a ", " 7", "a b 7", "a -7", "a 7 ", "a 18446744073709551615", "\xff 7"}) {
    CAPTURE(bad);
    CHECK(decode_owner(bad).node.empty());
    CHECK(decode_owner(bad).raw == bad);  // a claim can still replace it
  }
}

TEST_CASE("what cannot be read is left out of a reading and counted") {
  NodeBlob b;
  b.id = "b";
  TickReply reply;
  reply.redis_ms = 1000;
  reply.nodes = {{"a", ""},
                 {"b", "990 " + encode_blob(b)},
                 {"c", "990 garbage"},
                 {"d", "no time"},
                 {"e", "990 " + encode_blob(b)},  // another node's blob
                 {"not a name", "990 x"}};
  RouterId r;
  r.bytes[0] = 1;
  reply.owners = {{to_hex(r), "b 5"}, {"zz", "b 5"}};
  std::size_t malformed = 0;
  const Observation o = read_observation(reply, BootTime(Millis(7)), malformed);
  CHECK(malformed == 5);
  CHECK(o.nodes.size() == 3);
  CHECK(o.nodes.at("b").blob);
  CHECK(o.nodes.at("b").pub_ms == 990);
  CHECK(!o.nodes.at("c").blob);  // it lives, but cannot be read
  CHECK(!o.nodes.at("e").blob);
  CHECK(o.own.size() == 1);
  CHECK(o.own.at(r).epoch == 5);
}

TEST_CASE("the store in memory: compare and set, blob in the same step, expiry, late requests") {
  MemoryCluster m(2000, 400);
  const ClaimRequest claim{
      "head ", "tail", {{"r1", "", "a 5", "won1 ", "lost1 "}, {"r2", "b 1", "a 5", "won2 ", "lost2 "}}, 0};
  const ClaimReply reply = m.claim("a", claim, 1000);
  CHECK(reply.won == std::vector<bool>{true, false});
  TickReply t = m.tick("b", {"blob-b", 0}, 1100);
  CHECK(t.nodes ==
        std::vector<std::pair<std::string, std::string>>{{"a", "1000 head won1 lost2 tail"}, {"b", "1100 blob-b"}});
  CHECK(t.owners == std::vector<std::pair<std::string, std::string>>{{"r1", "a 5"}});
  CHECK(t.before.empty());
  t = m.tick("b", {"", 0}, 3050);
  CHECK(t.before == "1100 blob-b");
  CHECK(t.nodes.at(0).second.empty());  // expired
  CHECK(m.tick("b", {"x", 2000}, 3050).late);
  CHECK(m.tick("b", {"x", 4000}, 3050).late);
  CHECK(!m.tick("b", {"x", 2700}, 3050).late);
  m.forget({{"r1", "b 5"}});
  CHECK(m.owners().size() == 1);
  m.forget({{"r1", "a 5"}});
  CHECK(m.owners().empty());
}

TEST_CASE("a blob is of the version before until something is said that its readers do not know") {
  NodeBlob b = sample();
  CHECK(encode_blob(b).starts_with("bmpha-node 1\n"));
  b.routers.at(1).wanted = true;
  const std::string text = encode_blob(b);
  CHECK(text.starts_with("bmpha-node 2\n"));
  CHECK(text.find(" unclean,solo,wanted\n") != std::string::npos);
  REQUIRE(decode_blob(text));
  CHECK(decode_blob(text).value() == b);
  CHECK(!decode_blob(with(text, "bmpha-node 2", "bmpha-node 1")));
  ClaimBatch claims;
  claims.base.id = "n";
  claims.items.push_back({b.routers.at(0).router, "", 7, b.routers.at(0), b.routers.at(0)});
  CHECK(encode_claims(claims, "n", 0).head.starts_with("bmpha-node 1\n"));
  claims.items.back().lost.wanted = true;
  CHECK(encode_claims(claims, "n", 0).head.starts_with("bmpha-node 2\n"));
}
