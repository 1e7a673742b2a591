// Each rule of A4 by itself: one decider, hand-made tables of the gate and readings of Redis.
#include <doctest/doctest.h>

#include "ha-arbiter/decider.h"
#include "ha-arbiter/node_blob.h"

using namespace bmpha;
using namespace bmpha::arbiter;

namespace {

constexpr std::int64_t kRedis = 1'700'000'000'000;

RouterId router(std::uint8_t n = 1) {
  RouterId r;
  r.bytes[3] = n;
  return r;
}

// A decider `me` that has joined, with a gate that has router 1 up and synced, and another node `p` as wanted.
struct One {
  BootTime now;
  Decider d;
  GateStatus gate;
  Observation reading;
  Decision last;
  std::uint64_t n = 0;
  std::uint64_t peer_tick = 0;

  explicit One(const Persisted& p = {5, 7, false}, bool joined = true, Nanos born = std::chrono::hours(5))
      : now(born), d(settings(), p, now, kRedis) {
    gate.gate_inc = 1;
    gate.recv_inc = 9;
    gate.recv_alive = true;
    gate.routers.push_back(up(1));
    reading.redis_ms = kRedis;
    if (joined) d.join(nullptr, kRedis, now, now);
  }
  static DeciderSettings settings() {
    DeciderSettings s;
    s.node = "me";
    s.inc = 1;
    return s;
  }
  GateRouter up(std::uint64_t session) const {
    GateRouter g;
    g.router = router();
    g.name = "r1";
    g.session = {9, session};
    g.up = true;
    g.last_read = now;
    g.front_is_opener = true;
    return g;
  }
  GateRouter& row() { return gate.routers.at(0); }
  // Another node's entry of router 1; its blob is written now.
  NodeBlob& peer(const std::string& id = "p") {
    NodeReading& r = reading.nodes[id];
    if (!r.blob) {
      r.blob.emplace();
      r.blob->id = id;
      r.blob->inc = 3;
      r.blob->gen = 1;
      r.blob->settled = true;
      r.blob->seen["me"] = d.gen();
      RouterEntry e;
      e.router = router();
      e.hold = Hold::kUp;
      e.cls = 0;
      e.since = 1;
      r.blob->routers.push_back(e);
    }
    return *r.blob;
  }
  RouterEntry& theirs(const std::string& id = "p") { return peer(id).routers.at(0); }
  void owner(const std::string& node, std::uint64_t epoch) {
    reading.own[router()] = decode_owner(encode_owner(node, epoch));
  }
  void no_owner() { reading.own.clear(); }

  bool feed_gate() {
    gate.n = ++n;
    gate.sent = now;
    return d.gate(gate, now);
  }
  Decision& tick(Nanos step = Millis(500)) {
    now += step;
    d.begin_tick(now);
    feed_gate();
    return read();
  }
  // Reads Redis as set up and decides; silent peers are those in `silent`.
  Decision& read() {
    (void)d.blob(now);
    reading.at = now;
    reading.redis_ms = kRedis + std::chrono::duration_cast<Millis>(now.time_since_epoch()).count();
    for (auto& [id, r] : reading.nodes) {
      if (silent == id) continue;
      r.pub_ms = reading.redis_ms - 100;
      if (r.blob) r.blob->tick = ++peer_tick;
    }
    d.observe(reading, now);
    last = d.decide(now);
    return last;
  }
  std::string silent;
  void lose() {
    if (last.claims) d.claims_answered(std::vector<bool>(last.claims->items.size(), false), reading.redis_ms, now);
  }
  // Wins what was claimed: Redis and the gate follow.
  void win() {
    REQUIRE(last.claims);
    owner("me", last.claims->items.at(0).epoch);
    d.claims_answered(std::vector<bool>(last.claims->items.size(), true), reading.redis_ms, now);
    last = d.decide(now);
    follow();
  }
  void follow() {
    for (const RoleRouter& r : last.roles->routers) {
      GateRouter& g = row();
      if (r.role != Role::kActive && g.role == Role::kActive) g.role = Role::kStandby;
      if (r.role != Role::kActive) continue;
      g.role = Role::kActive;
      g.epoch = r.epoch;
      g.claimed_session = r.session;
      g.w = step_back(g.brackets, r.start);
    }
    now += Millis(10);
    feed_gate();
  }
  void become_owner() {
    tick();
    win();
    REQUIRE(state().role == Role::kActive);
  }
  const RouterState& state() const { return d.routers().at(router()); }
  const RoleRouter& role() const { return last.roles->routers.at(0); }
  bool has(const std::string& what) const {
    for (const Event& e : last.events)
      if (e.what == what) return true;
    return false;
  }
  std::uint8_t cls() {
    tick();
    return state().cls;
  }
};

}  // namespace

TEST_SUITE("A4.1 class") {
  TEST_CASE("0: up and synced; a bracket that is no longer held counts as done") {
    One o;
    CHECK(o.cls() == 0);
  }
  TEST_CASE("1 while the dump goes on, and for the margin after it") {
    One o;
    o.row().in_dump = true;
    o.row().brackets = {{o.row().session, o.now, std::nullopt}};
    CHECK(o.cls() == 1);
    o.row().in_dump = false;
    const BootTime synced = o.now;
    o.row().brackets[0].synced = synced;
    o.tick(Millis(1990));
    CHECK(o.state().cls == 1);
    o.tick(Millis(20));
    CHECK(o.now - synced >= Millis(2000));
    CHECK(o.state().cls == 0);
  }
  TEST_CASE("2: no session, tail left; nothing left is no candidate") {
    One o;
    o.row().up = false;
    o.row().unsent_tail = true;
    CHECK(o.cls() == 2);
    CHECK(o.state().hold == Hold::kTail);
    o.row().unsent_tail = false;
    o.tick();
    CHECK(o.state().hold == Hold::kNone);
    CHECK(!o.last.claims);
  }
  TEST_CASE("2: torn") {
    One o;
    o.row().torn = true;
    o.theirs();
    CHECK(o.cls() == 2);
    CHECK(o.state().hold == Hold::kTorn);
  }
  TEST_CASE("2: what is held does not reach back to where a claim would begin") {
    One o;
    o.theirs().role = Role::kActive;
    o.theirs().epoch = 10;
    o.theirs().w_age = Millis(400);
    o.owner("p", 10);
    o.row().front_is_opener = false;
    o.row().trimmed_to = o.now - Millis(2200);
    o.tick(Millis(100));
    CHECK(o.state().hold == Hold::kTorn);
    o.row().trimmed_to = o.now - Millis(3200);
    o.tick(Millis(100));
    CHECK(o.state().hold == Hold::kUp);
    CHECK(o.state().cls == 0);
  }
  TEST_CASE("3: Kafka failing, receiver gone, gate silent, leaving, forced standby") {
    SUBCASE("kafka") {
      One o;
      o.gate.kafka_ok = false;
      CHECK(o.cls() == 3);
    }
    SUBCASE("receiver") {
      One o;
      o.gate.recv_alive = false;
      CHECK(o.cls() == 3);
    }
    SUBCASE("gate") {
      One o;
      o.tick();
      o.now += Millis(1490);
      o.read();
      CHECK(o.state().cls == 0);
      o.now += Millis(20);
      o.read();
      CHECK(o.state().cls == 3);
    }
    SUBCASE("leaving") {
      One o;
      o.d.command(Command::kLeave, o.now);
      CHECK(o.cls() == 3);
    }
    SUBCASE("forced standby") {
      One o;
      o.d.command(Command::kForceStandby, o.now);
      CHECK(o.cls() == 3);
      o.d.command(Command::kAutomatic, o.now);
      CHECK(o.cls() == 0);
    }
  }
}

TEST_SUITE("A4.2 rank") {
  TEST_CASE("class first, then age, then name") {
    struct Case {
      std::uint8_t cls;
      std::uint64_t since;
      const char* peer;
      bool mine;
    };
    // My session is class 0 and its age is Redis' time now.
    for (const Case& c : {Case{0, 1, "p", false}, Case{1, 1, "p", true}, Case{3, 1, "p", true},
                          Case{0, kMaxCounter, "p", true}, Case{0, 0, "p", false}}) {
      CAPTURE(c.cls);
      CAPTURE(c.since);
      One o;
      o.tick(Millis(10));  // stamped before the other was seen
      o.lose();
      o.theirs(c.peer).cls = c.cls;
      o.theirs(c.peer).since = c.since;
      o.tick();
      CHECK(o.last.claims.has_value() == c.mine);
    }
    for (const char* name : {"a", "z"}) {
      One o;
      o.tick(Millis(10));
      o.lose();
      o.theirs(name).since = o.state().since;
      o.tick();
      CHECK(o.last.claims.has_value() == (std::string(name) == "z"));
    }
  }
  TEST_CASE("forced active comes first, but not with a session that is torn or gone") {
    One o;
    o.theirs().cls = 0;
    o.tick(Millis(10));
    CHECK(!o.last.claims);
    o.d.command(Command::kForceActive, o.now);
    o.tick();
    CHECK(o.last.claims);
    o.row().torn = true;
    o.tick();
    CHECK(!o.last.claims);
  }
  TEST_CASE("a dead node does not count: its tick has not risen for TTL") {
    One o;
    o.theirs();
    o.tick(Millis(10));
    CHECK(!o.last.claims);
    o.silent = "p";
    o.tick(Millis(1000));
    CHECK(!o.last.claims);
    o.tick(Millis(880));
    CHECK(!o.last.claims);
    o.tick(Millis(40));
    CHECK(o.last.claims);
  }
  TEST_CASE("a new session is always the youngest") {
    One o;
    o.theirs().since = static_cast<std::uint64_t>(kRedis) * 2;
    o.tick();
    o.row().session.number = 2;
    o.tick();
    CHECK(o.state().since == static_cast<std::uint64_t>(kRedis) * 2 + 1);
  }
}

TEST_SUITE("A4.3 claim") {
  TEST_CASE("a router that was never owned begins with everything held, for its session only") {
    One o;
    o.tick();
    REQUIRE(o.last.claims);
    const ClaimBatch::Item& item = o.last.claims->items.at(0);
    CHECK(item.expected.empty());
    CHECK(item.won.role == Role::kActive);
    CHECK(item.won.epoch == item.epoch);
    CHECK(!item.won.w_age);  // W is not known
    CHECK(item.lost.role == Role::kStandby);
    o.win();
    CHECK(o.role().role == Role::kActive);
    CHECK(o.role().session == o.row().session);
    CHECK(o.role().start == BootTime{});
  }
  TEST_CASE("the epoch rises above Redis' time, above every epoch known, and above the file's") {
    One a;
    a.tick();
    CHECK(a.last.claims->items.at(0).epoch == static_cast<std::uint64_t>(a.reading.redis_ms));
    One b({static_cast<std::uint64_t>(kRedis) * 3, 7, false});
    b.tick();
    CHECK(b.last.claims->items.at(0).epoch == static_cast<std::uint64_t>(kRedis) * 3 + 1);
    CHECK(b.d.persisted().epoch == static_cast<std::uint64_t>(kRedis) * 3 + 1);
    One c;
    c.theirs().cls = 3;
    c.theirs().epoch = static_cast<std::uint64_t>(kRedis) * 4;
    c.tick();
    CHECK(c.last.claims->items.at(0).epoch == static_cast<std::uint64_t>(kRedis) * 4 + 1);
    One e;
    e.row().epoch = static_cast<std::uint64_t>(kRedis) * 5;  // only the gate remembers
    e.tick();
    CHECK(e.last.claims->items.at(0).epoch == static_cast<std::uint64_t>(kRedis) * 5 + 1);
  }
  TEST_CASE("it waits while another live node shows role 1 or 2, or is the owner with an older blob") {
    for (const Role r : {Role::kActive, Role::kReleasing}) {
      One o;
      o.theirs().cls = 3;
      o.theirs().role = r;
      o.theirs().epoch = 10;
      o.owner("p", 10);
      o.tick();
      CHECK(!o.last.claims);
      o.theirs().role = Role::kStandby;
      o.tick();
      CHECK(o.last.claims);
    }
    One o;
    o.theirs().cls = 3;
    o.theirs().epoch = 9;
    o.owner("p", 10);
    o.tick();
    CHECK(!o.last.claims);
    o.theirs().epoch = 10;
    o.tick();
    CHECK(o.last.claims);
  }
  TEST_CASE("the start is the predecessor's published W on this host's clock, less the margin") {
    One o;
    o.theirs().cls = 3;
    o.theirs().epoch = 10;
    o.theirs().w_age = Millis(700);
    o.owner("p", 10);
    o.row().trimmed_to = o.now - std::chrono::seconds(30);
    o.row().front_is_opener = false;
    o.tick();
    REQUIRE(o.last.claims);
    o.win();
    // Written 100 ms before it was read.
    CHECK(o.role().start == o.reading.at - Millis(700 + 100) - Millis(2000));
    CHECK(o.state().w == o.role().start);
  }
  // `hung`: what this node sent is not settled.
  One succeeding(bool hung, BootTime& cover) {
    One o;
    o.theirs().role = Role::kActive;
    o.theirs().epoch = 10;
    o.theirs().w_age = Millis(3000);
    o.theirs().since = 1;
    o.owner("p", 10);
    o.tick();
    REQUIRE(o.role().cover);
    cover = *o.role().cover;
    o.theirs().role = Role::kStandby;
    o.theirs().cls = 3;
    o.theirs().w_age = Millis(0);
    o.tick(hung ? Millis(5000) : Millis(500));
    REQUIRE(o.last.claims);
    o.win();
    return o;
  }
  TEST_CASE("the own cover counts no further than a tick and an exchange behind the predecessor's W") {
    BootTime cover;
    const One o = succeeding(false, cover);
    CHECK(o.role().start == o.reading.at - Millis(0 + 100) - Millis(500 + 400) - Millis(2000));
    CHECK(o.role().start > cover);
  }
  TEST_CASE("while what this node sent is not settled, the lower of own cover and predecessor's W counts") {
    BootTime cover;
    const One o = succeeding(true, cover);
    CHECK(o.role().start == cover - Millis(2000));
  }
  TEST_CASE("W of the blob is where the sending begins: a start inside a dump goes back to its first record") {
    One o;
    o.theirs().cls = 3;
    o.theirs().epoch = 10;
    o.theirs().w_age = Millis(500);
    o.owner("p", 10);
    const BootTime first = o.now - std::chrono::seconds(60);
    o.row().brackets = {{o.row().session, first, o.now - Millis(2400)}};
    o.row().trimmed_to = first - Millis(1);
    o.tick(Millis(10));
    REQUIRE(o.last.claims);
    CHECK(*o.last.claims->items.at(0).won.w_age == std::chrono::seconds(60) + Millis(10));
    o.win();
    CHECK(o.state().w == first);
    CHECK(o.role().start > first);  // the gate steps back by itself
  }
  TEST_CASE("an age outside 0..TTL says nothing: W of a dead owner is unknown and everything held is replayed") {
    One o;
    o.theirs().role = Role::kActive;
    o.theirs().epoch = 10;
    o.owner("p", 10);
    o.tick(Millis(10));
    o.silent = "p";
    for (int n = 0; n < 6 && !o.last.claims; ++n) o.tick();
    REQUIRE(o.last.claims);
    o.win();
    CHECK(o.role().start == BootTime{});
    CHECK(!o.state().w);
  }
  TEST_CASE("a lost claim leaves the standby a standby") {
    One o;
    o.tick();
    REQUIRE(o.last.claims);
    o.d.claims_answered({false}, o.reading.redis_ms, o.now);
    CHECK(o.d.decide(o.now).roles->routers.at(0).role == Role::kStandby);
  }
  TEST_CASE("a claim without an answer that was made all the same holds nobody up") {
    One o;
    o.tick();
    REQUIRE(o.last.claims);
    const std::uint64_t epoch = o.last.claims->items.at(0).epoch;
    o.d.claims_failed(o.now);
    CHECK(o.d.decide(o.now).roles->routers.at(0).role == Role::kStandby);
    o.owner("me", epoch);
    o.theirs().since = 1;  // and now another should own
    o.tick();
    o.tick();
    CHECK(!o.last.claims);
    const NodeBlob b = o.d.blob(o.now);
    REQUIRE(b.routers.size() == 1);
    CHECK(b.routers[0].role == Role::kStandby);
    CHECK(b.routers[0].epoch == epoch);  // not lower than the owner's: the other need not wait
  }
}

TEST_SUITE("A4.4 ordered release") {
  TEST_CASE("role 2 until the gate has ended, then role 0 with the final W as cover") {
    One o;
    o.become_owner();
    o.row().w = o.now;
    o.theirs().cls = 0;
    o.theirs().since = 1;
    o.tick();
    CHECK(o.state().role == Role::kReleasing);
    CHECK(o.role().role == Role::kStandby);
    CHECK(o.d.blob(o.now).routers.at(0).role == Role::kReleasing);
    o.tick(Millis(300));
    CHECK(o.state().role == Role::kReleasing);  // records are in flight
    o.row().role = Role::kStandby;
    o.row().unclean = true;
    o.tick(Millis(300));
    CHECK(o.state().role == Role::kStandby);
    CHECK(o.d.blob(o.now).routers.at(0).unclean);
    CHECK(o.state().cover == o.state().w);
    CHECK(o.d.blob(o.now).routers.at(0).epoch == o.state().epoch);
  }
  TEST_CASE("a gate that cannot tell is not waited for") {
    One o;
    o.become_owner();
    o.theirs().since = 1;
    o.tick();
    CHECK(o.state().role == Role::kReleasing);
    o.now += Millis(1600);
    o.read();
    CHECK(o.state().role == Role::kStandby);
    CHECK(o.state().unclean);
  }
}

TEST_SUITE("A4.5 superseded") {
  TEST_CASE("another owner, another epoch or no owner: release and a new age") {
    for (int n = 0; n < 3; ++n) {
      CAPTURE(n);
      One o;
      o.become_owner();
      const std::uint64_t since = o.state().since;
      if (n == 0) o.owner("p", o.state().epoch + 1);
      if (n == 1) o.owner("me", o.state().epoch + 1);
      if (n == 2) o.no_owner();
      o.tick();
      CHECK(o.state().role == Role::kReleasing);
      CHECK(o.state().since > since);
      CHECK(o.state().why == "superseded");
    }
  }
  TEST_CASE("it comes before the re-assert") {
    One o;
    o.become_owner();
    o.peer().settled = false;
    o.theirs().cls = 3;
    o.owner("p", o.state().epoch + 1);
    o.tick();
    CHECK(!o.last.claims);
    CHECK(o.state().role == Role::kReleasing);
  }
}

TEST_SUITE("A4.6 solo") {
  TEST_CASE("after TTL without Redis: active, epoch unchanged, gen + 1, nothing is trimmed") {
    One o;
    o.become_owner();
    const std::uint64_t epoch = o.state().epoch;
    const std::uint64_t gen = o.d.gen();
    for (int n = 0; n < 4; ++n) {
      o.now += Millis(480);
      o.feed_gate();
      CHECK(!o.d.decide(o.now).roles->solo);
    }
    o.now += Millis(100);
    o.feed_gate();
    o.last = o.d.decide(o.now);
    CHECK(o.last.roles->solo);
    CHECK(o.role().role == Role::kActive);
    CHECK(o.role().epoch == epoch);
    CHECK(o.last.roles->gen == gen + 1);
    CHECK(!o.role().cover);
    CHECK(o.d.persisted().gen == gen + 1);
    CHECK(o.d.persisted().unsettled);
    for (int n = 0; n < 10; ++n) {
      o.now += Millis(500);
      o.feed_gate();
      o.last = o.d.decide(o.now);
    }
    CHECK(o.last.roles->gen == gen + 1);  // once per episode
  }
  TEST_CASE("a standby starts at its cover less the margin, also one that was forced") {
    One o;
    o.theirs().role = Role::kActive;
    o.theirs().epoch = 10;
    o.theirs().w_age = Millis(200);
    o.owner("p", 10);
    o.d.command(Command::kForceStandby, o.now);
    o.tick();
    const BootTime cover = o.role().cover.value();
    for (int n = 0; n < 5; ++n) {
      o.now += Millis(500);
      o.feed_gate();
      o.last = o.d.decide(o.now);
    }
    CHECK(o.role().role == Role::kActive);
    CHECK(o.role().start == cover - Millis(2000));
    CHECK(o.role().session == o.row().session);
  }
  TEST_CASE("Redis that was never there: solo after TTL") {
    One o({}, false);
    o.now += Millis(100);
    o.feed_gate();
    CHECK(!o.d.decide(o.now).roles);
    o.now += Millis(1950);
    o.feed_gate();
    o.last = o.d.decide(o.now);
    REQUIRE(o.last.roles);
    CHECK(o.last.roles->solo);
    CHECK(o.role().role == Role::kActive);
  }
}

TEST_SUITE("A4.7 re-assert") {
  TEST_CASE("back from solo, still the owner: a new epoch settles the own gen, and only then anything is trimmed") {
    One o;
    o.become_owner();
    o.row().w = o.now;
    const std::uint64_t epoch = o.state().epoch;
    for (int n = 0; n < 5; ++n) {
      o.now += Millis(500);
      o.feed_gate();
      o.last = o.d.decide(o.now);
    }
    REQUIRE(o.d.is_solo());
    o.row().w = o.now;
    o.feed_gate();
    o.read();
    REQUIRE(o.last.claims);
    CHECK(!o.role().cover);
    const BootTime w = *o.state().w;
    o.win();
    CHECK(o.role().epoch > epoch);
    CHECK(o.role().start == w - Millis(2000));
    CHECK(o.role().settles == std::vector<SettledGen>{{"me", o.d.gen()}});
    o.tick();  // was late
    o.tick();
    CHECK(o.role().cover);
    CHECK(!o.d.persisted().unsettled);
    CHECK(!o.last.claims);
  }
  TEST_CASE("a peer's unhandled gen: wait until it is no longer active, then min(own W, its W) - margin, then echo") {
    One o;
    o.become_owner();
    o.theirs().cls = 3;
    o.peer();
    o.tick();
    CHECK(o.d.blob(o.now).seen.at("p") == 1);
    o.row().w = o.now;
    o.peer().gen = 2;
    o.peer().settled = false;
    o.theirs().role = Role::kActive;
    o.theirs().solo = true;
    o.theirs().w_age = Millis(9000);
    o.tick();
    CHECK(!o.last.claims);
    CHECK(!o.role().cover);
    CHECK(o.d.blob(o.now).seen.at("p") == 1);  // not echoed: the peer trims nothing
    o.theirs().role = Role::kStandby;
    o.tick();
    REQUIRE(o.last.claims);
    o.win();
    CHECK(o.role().start == o.reading.at - Millis(9000 + 100) - Millis(2000));
    o.tick();
    CHECK(o.d.blob(o.now).seen.at("p") == 2);
    CHECK(!o.last.claims);
  }
  TEST_CASE("a gen under which nothing was sent without Redis is echoed without a claim") {
    One o;
    o.become_owner();
    o.theirs().cls = 3;
    o.peer().gen = 50;
    o.peer().settled = true;
    o.tick();
    CHECK(!o.last.claims);
    CHECK(o.d.blob(o.now).seen.at("p") == 50);
  }
  TEST_CASE("a start that is no longer held: released as torn") {
    One o;
    o.become_owner();
    o.theirs().cls = 3;
    o.row().w = o.now;
    o.row().trimmed_to = o.now - Millis(5000);
    o.row().front_is_opener = false;
    o.peer().settled = false;
    o.theirs().solo = true;
    o.theirs().w_age = std::chrono::seconds(60);
    o.tick();
    CHECK(!o.last.claims);
    CHECK(o.state().role == Role::kReleasing);
  }
  TEST_CASE("a hang of this process is a new gen, and Redis' silence meanwhile is no reason to go solo") {
    One o;
    o.become_owner();
    const std::uint64_t gen = o.d.gen();
    o.now += std::chrono::seconds(10);
    CHECK(!o.d.decide(o.now).roles);  // nothing is said before Redis was read
    CHECK(o.d.gen() == gen + 1);
    o.feed_gate();
    o.read();
    CHECK(!o.d.is_solo());
    CHECK(o.last.claims);  // the re-assert
    CHECK(o.d.gen() == gen + 1);
  }
  TEST_CASE("what was sent alone is shown until it is settled, also when its session has ended and another owns") {
    One o;
    o.peer();
    o.theirs().epoch = 9;
    o.owner("p", 9);
    o.tick();
    for (int n = 0; n < 5; ++n) {
      o.now += Millis(500);
      o.d.begin_tick(o.now);
      o.feed_gate();
      o.last = o.d.decide(o.now);
    }
    REQUIRE(o.d.is_solo());
    o.follow();
    o.row().up = false;
    o.row().session = {};
    o.tick(Millis(3000));
    o.row().role = Role::kStandby;
    o.tick();
    CHECK(o.state().hold == Hold::kNone);
    CHECK(o.state().role == Role::kStandby);
    const NodeBlob b = o.d.blob(o.now);
    REQUIRE(b.routers.size() == 1);
    CHECK(b.routers.at(0).solo);
  }
  TEST_CASE("Redis is gone when this process wakes: solo after TTL, not silence for ever") {
    One o;
    o.become_owner();
    o.now += std::chrono::seconds(10);
    CHECK(!o.d.decide(o.now).roles);
    for (int n = 0; n < 6; ++n) {
      o.now += Millis(500);
      o.feed_gate();
      o.last = o.d.decide(o.now);
    }
    CHECK(o.d.is_solo());
    REQUIRE(o.last.roles);
    CHECK(o.role().role == Role::kActive);
  }
  TEST_CASE("back from solo to a Redis that lost its owner: not settled before a claim has used this node's W") {
    One o;
    o.become_owner();
    for (int n = 0; n < 6; ++n) {  // Redis away
      o.now += Millis(500);
      o.feed_gate();
      o.last = o.d.decide(o.now);
    }
    REQUIRE(o.d.is_solo());
    o.no_owner();
    o.peer().seen["me"] = o.d.gen();  // the peer stands by and echoes at once
    o.theirs().role = Role::kActive;  // and is not done, so that this node has to wait with its claim
    o.row().role = Role::kStandby;
    o.now += std::chrono::seconds(10);  // a hang of this host: the others may be waking up with it
    o.tick();
    CHECK(o.role().reset_session.is_none());
    for (int n = 0; n < 4; ++n) o.tick();
    CHECK(o.state().role == Role::kStandby);
    CHECK_FALSE(o.d.blob(o.now).settled);
  }
  TEST_CASE("a hang of the gate is a new gen, a restart of it is not") {
    One o;
    o.become_owner();
    const std::uint64_t gen = o.d.gen();
    for (int n = 0; n < 4; ++n) {
      o.now += Millis(500);
      o.read();
    }
    o.gate.gate_inc = 2;
    o.feed_gate();
    CHECK(o.d.gen() == gen);
    for (int n = 0; n < 4; ++n) {
      o.now += Millis(500);
      o.read();
    }
    o.feed_gate();
    CHECK(o.d.gen() == gen + 1);
  }
}

TEST_SUITE("kafka-gate restarts under a claim") {
  // The owner's gate, with records of before the claim still unacknowledged or not, becomes another process that has
  // only what bmp-recv had not released.
  One restarted(bool replayed, bool heard_early = false) {
    One o;
    o.become_owner();
    const BootTime claimed = o.state().claimed_at;
    o.row().w = claimed - Millis(900);
    if (!replayed) o.row().oldest_unacked = claimed - Millis(800);
    o.tick();
    CHECK(o.state().replayed == replayed);
    o.gate.gate_inc = 2;
    if (heard_early) {  // before it has met bmp-recv its rows say nothing
      o.gate.recv_alive = false;
      o.tick(Millis(50));
      o.gate.recv_alive = true;
    }
    o.row().front_is_opener = false;
    o.row().trimmed_to = claimed - Millis(100);
    o.row().oldest_unacked.reset();
    o.row().w = o.now;  // of newer records, behind the hole
    o.tick();
    return o;
  }
  TEST_CASE("before its replay is acknowledged: the claim is given up, and W stays before the hole") {
    for (const bool heard_early : {false, true}) {
      CAPTURE(heard_early);
      One o = restarted(false, heard_early);
      CHECK(o.role().role == Role::kStandby);
      CHECK(o.has("releasing"));
      REQUIRE(o.state().w);
      CHECK(*o.state().w == o.state().claimed_at - Millis(900));
    }
  }
  TEST_CASE("a restart of the gate while the claim waits for its answer is not forgotten with the answer") {
    One o;
    o.tick();
    REQUIRE(o.last.claims);
    o.gate.gate_inc = 2;
    o.row().front_is_opener = false;
    o.row().trimmed_to = o.now - Millis(100);
    o.now += Millis(20);
    o.feed_gate();
    o.win();
    CHECK(o.role().role == Role::kStandby);
    CHECK(o.has("releasing"));
  }
  TEST_CASE("after that: a new claim sends everything held again, so that nothing older can land behind it") {
    One o = restarted(true);
    const std::uint64_t before = o.state().epoch;
    const std::optional<BootTime> w = o.state().w;
    CHECK(o.role().role == Role::kActive);
    CHECK(w == o.state().claimed_at - Millis(900));  // as when the gate died
    REQUIRE(o.last.claims);
    o.win();
    CHECK(o.role().role == Role::kActive);
    CHECK(o.state().epoch > before);
    CHECK(o.state().start == BootTime{});
    CHECK(o.state().w == w);
    CHECK_FALSE(o.state().replayed);  // a second restart now would lose what the first one had sent again
    o.row().w = o.now;
    o.tick();
    CHECK_FALSE(o.last.claims);
    CHECK(o.state().replayed);
    CHECK(o.state().w == o.row().w);
  }
  TEST_CASE("a claim that the gate gave up with its producer: a new one sends everything held again") {
    One o;
    o.become_owner();
    o.row().w = o.now - Millis(100);
    o.tick();
    CHECK_FALSE(o.last.claims);
    const std::uint64_t before = o.state().epoch;
    const std::optional<BootTime> w = o.state().w;
    o.row().role = Role::kStandby;
    o.now += Millis(50);
    CHECK(o.feed_gate());
    CHECK(o.d.decide(o.now).roles->routers.at(0).role == Role::kActive);  // nobody else gets it
    o.tick();
    REQUIRE(o.last.claims);
    CHECK(o.last.claims->items.at(0).won.w_age);
    o.win();
    CHECK(o.state().epoch > before);
    CHECK(o.state().why == "kafka producer lost");
    CHECK(o.state().start == BootTime{});
    CHECK(o.state().w == w);
    for (int n = 0; n < 4; ++n) {
      o.tick();
      CHECK_FALSE(o.last.claims);
    }
  }
  TEST_CASE("before the new process has said anything of the router, nothing is decided") {
    One o;
    o.become_owner();
    o.row().oldest_unacked = o.state().claimed_at;
    o.tick();
    o.gate.gate_inc = 2;
    o.row().session = {};
    o.tick();
    CHECK(o.role().role == Role::kActive);
  }
}

TEST_CASE("a stamp or an epoch beyond any clock is not counted on from: nobody could read what follows") {
  One o;
  o.theirs().cls = 2;
  o.theirs().since = o.theirs().epoch = kMaxCounter;
  o.owner("gone", kMaxCounter);
  o.tick();
  REQUIRE(o.last.claims);
  CHECK(o.last.claims->items.at(0).epoch < kMaxBelieved);
  CHECK(o.d.persisted().epoch < kMaxBelieved);
  o.d.command(Command::kRestamp, o.now);
  CHECK(o.state().since < kMaxBelieved);
  o.theirs().since = kMaxBelieved;  // still a stamp: a new one is younger
  o.tick();
  o.d.command(Command::kRestamp, o.now);
  CHECK(o.state().since == kMaxBelieved + 1);
  CHECK(decode_blob(encode_blob(o.d.blob(o.now))).is_ok());
}

TEST_SUITE("A4.8 session lost") {
  TEST_CASE("the role is dropped with the gate's message, before the next tick") {
    One o;
    o.become_owner();
    o.row().up = false;
    o.row().unsent_tail = true;
    o.now += Millis(50);
    CHECK(o.feed_gate());
    o.last = o.d.decide(o.now);
    CHECK(o.role().role == Role::kStandby);
    CHECK(o.state().why == "session lost");
    CHECK(o.last.tick_soon);
  }
  TEST_CASE("no other holder: the same node claims the old session's tail; the new session is a claim of its own") {
    One o;
    o.become_owner();
    o.row().up = false;
    o.row().unsent_tail = true;
    o.tick();
    o.row().role = Role::kStandby;
    o.tick();
    REQUIRE(o.last.claims);
    o.win();
    CHECK(o.role().session.number == 1);
    CHECK(o.state().role == Role::kActive);
    o.tick();
    CHECK(o.state().role == Role::kActive);
    const std::uint64_t since = o.state().since;
    GateRouter next = o.up(2);
    next.role = Role::kActive;
    next.epoch = o.row().epoch;
    next.claimed_session = o.row().claimed_session;
    next.blocked = true;
    next.w = o.row().w;
    o.row() = next;
    o.tick();
    REQUIRE(o.last.claims);
    o.win();
    CHECK(o.role().session.number == 2);
    CHECK(o.state().since > since);
  }
  TEST_CASE("another holder is first: no claim for the tail") {
    One o;
    o.become_owner();
    o.theirs().cls = 0;
    o.row().up = false;
    o.row().unsent_tail = true;
    o.tick();
    o.row().role = Role::kStandby;
    o.tick();
    CHECK(!o.last.claims);
  }
}

TEST_SUITE("A4.9 stale and down") {
  // The whole way is walked in cluster_test.cc.
  TEST_CASE("the last holder emits when it lives, else the smallest live id") {
    struct Case {
      const char* owner;
      const char* peer;
      bool mine;
    };
    for (const Case& c :
         {Case{"me", "a", true}, Case{"p", "p", false}, Case{"gone", "a", false}, Case{"gone", "z", true}}) {
      CAPTURE(c.owner);
      CAPTURE(c.peer);
      One o;
      o.gate.routers.clear();
      o.owner(c.owner, 10);
      RouterEntry& e = o.theirs(c.peer);
      e.hold = Hold::kNone;
      e.epoch = 10;
      o.tick();
      for (int n = 0; n < 19; ++n) {
        o.tick();
        CHECK(!o.last.claims);
      }
      for (int n = 0; n < 3 && !o.last.claims; ++n) o.tick();
      CHECK(o.last.claims.has_value() == c.mine);
    }
  }
  TEST_CASE("the claim is for the ended session and replays nothing of what the gate still keeps of it") {
    One o;
    o.owner("me", 10);
    o.theirs().hold = Hold::kNone;
    o.row().up = false;
    o.row().unsent_tail = false;
    for (int n = 0; n < 30 && !o.last.claims; ++n) o.tick();
    REQUIRE(o.last.claims);
    o.win();
    CHECK(o.role().emit == Emit::kStale);
    CHECK(o.role().session == o.row().session);
    CHECK(o.role().start > o.row().last_read);
  }
  TEST_CASE("while any live node has it nobody emits, also while that node's key cannot be read") {
    One o;
    o.gate.routers.clear();
    o.owner("me", 10);
    o.reading.nodes["p"].blob.reset();
    std::int64_t stamp = 0;
    for (int n = 0; n < 60; ++n) {
      o.reading.nodes["p"].pub_ms = ++stamp;
      o.tick();
      CHECK(!o.last.claims);
    }
  }
}

TEST_SUITE("torn") {
  One torn_alone() {
    One o;
    o.owner("gone", 10);
    o.row().torn = true;
    o.row().in_dump = true;
    return o;
  }
  TEST_CASE("only if no live node can continue, the session is reset; the new one is claimed with everything held") {
    One o = torn_alone();
    o.tick();
    CHECK(!o.last.claims);
    CHECK(o.role().reset_session.is_none());  // another one may be about to wake up
    for (int n = 0; n < 4; ++n) o.tick();
    CHECK(o.role().reset_session == o.row().session);
    CHECK(o.has("session reset"));
    GateRouter next = o.up(2);
    next.trimmed_to = o.now - Millis(5);
    next.front_is_opener = false;  // part of the old session is still held before it
    next.in_dump = true;
    next.brackets = {{next.session, o.now, std::nullopt}};
    o.row() = next;
    o.tick();
    REQUIRE(o.last.claims);
    o.win();
    CHECK(o.role().start == BootTime{});
    CHECK(o.role().reset_session.is_none());
  }
  TEST_CASE("another node can continue: no reset, and it comes first") {
    One o = torn_alone();
    o.theirs().cls = 2;
    o.theirs().hold = Hold::kTail;
    o.theirs().since = kMaxCounter - 1;
    o.tick();
    CHECK(!o.last.claims);
    CHECK(o.role().reset_session.is_none());
  }
}

TEST_SUITE("cover") {
  struct Standby : One {
    Standby() {
      theirs().role = Role::kActive;
      theirs().epoch = 10;
      theirs().w_age = Millis(300);
      owner("p", 10);
    }
    bool covered() {
      tick();
      return role().cover.has_value();
    }
  };
  TEST_CASE("a standby gets the current owner's W") {
    Standby o;
    REQUIRE(o.covered());
    CHECK(*o.role().cover == o.reading.at - Millis(300 + 100));
  }
  TEST_CASE("not from another epoch than the owner's") {
    Standby o;
    o.owner("p", 11);
    CHECK(!o.covered());
  }
  TEST_CASE("not from a node that is not active, nor from one that is solo") {
    Standby a;
    a.theirs().role = Role::kReleasing;
    CHECK(!a.covered());
    Standby b;
    b.peer().solo = true;
    CHECK(!b.covered());
  }
  TEST_CASE("not while the own gen is not echoed") {
    Standby o;
    o.peer().seen["me"] = o.d.gen() - 1;
    CHECK(!o.covered());
    o.peer().seen.clear();
    CHECK(!o.covered());
  }
  TEST_CASE("not from a blob whose age is outside 0..TTL") {
    Standby o;
    o.tick();
    for (const std::int64_t age : {-1, 2001, 3'600'000}) {
      Standby s;
      s.now += Millis(500);
      s.d.begin_tick(s.now);
      s.feed_gate();
      s.reading.at = s.now;
      s.reading.redis_ms = kRedis;
      s.reading.nodes["p"].pub_ms = kRedis - age;
      s.reading.nodes["p"].blob->tick = 1;
      s.d.observe(s.reading, s.now);
      CHECK(!s.d.decide(s.now).roles->routers.at(0).cover);
    }
  }
  TEST_CASE("not when Redis was not read for TTL, not when the tick is late") {
    Standby o;
    REQUIRE(o.covered());
    o.now += Millis(800);
    o.feed_gate();
    o.tick(Millis(800));
    CHECK(!o.role().cover);
    CHECK(o.has("tick late, nothing is trimmed"));
    o.tick();
    CHECK(o.role().cover);
  }
  TEST_CASE("not when the bounds of the timing do not hold with what was measured") {
    Standby late;
    REQUIRE(late.covered());
    late.tick(Millis(500 + 390));  // 2 * hold + tick + 390 ms leaves 110 ms for the exchange
    CHECK(late.role().cover);
    late.tick(Millis(500 + 510));
    CHECK(!late.role().cover);
    late.tick();
    CHECK(late.role().cover);

    Standby slow;  // an answer of Redis that came late, and one that came in time
    REQUIRE(slow.covered());
    for (const auto& [took, trims] : std::vector<std::pair<Millis, bool>>{{Millis(401), false}, {Millis(400), true}}) {
      slow.now += Millis(500);
      slow.d.begin_tick(slow.now - took);
      slow.feed_gate();
      slow.reading.at = slow.now - took;
      slow.reading.redis_ms = kRedis + std::chrono::duration_cast<Millis>(slow.reading.at.time_since_epoch()).count();
      slow.reading.nodes["p"].pub_ms = slow.reading.redis_ms;
      slow.reading.nodes["p"].blob->tick = ++slow.peer_tick;
      slow.d.observe(slow.reading, slow.now);
      slow.last = slow.d.decide(slow.now);
      CHECK(slow.role().cover.has_value() == trims);
    }
  }
  TEST_CASE("not while kafka-gate keeps less behind a cover than is needed, and that is an alarm, once") {
    Standby o;
    REQUIRE(o.covered());
    o.gate.retain = Millis(4899);
    CHECK(!o.covered());
    CHECK(o.d.broken_timing()->key == "retain");
    CHECK(!o.covered());
    CHECK(o.has("timing broken, nothing is trimmed"));
    CHECK(!o.covered());
    CHECK(!o.has("timing broken, nothing is trimmed"));
    o.gate.retain = Millis(4900);
    CHECK(o.covered());
    CHECK(!o.d.broken_timing());
  }
  TEST_CASE("by age: whatever the owner has sent, while there is one") {
    DeciderSettings s = One::settings();
    s.by_age = true;
    s.hold = Millis(3000);
    Standby o;
    o.d = Decider(s, {5, 7, false}, o.now, kRedis);
    o.d.join(nullptr, kRedis, o.now, o.now);
    o.theirs().w_age.reset();
    o.peer().seen["me"] = o.d.gen();
    REQUIRE(o.covered());
    CHECK(o.last.roles->by_age);
    CHECK(*o.role().cover == o.now - Millis(3000));
    o.tick(Millis(2000));  // 1.5 s late: no judgement
    CHECK(!o.role().cover);
    REQUIRE(o.covered());
    o.no_owner();
    CHECK(!o.covered());
    o.owner("gone", 12);
    CHECK(!o.covered());
  }
  TEST_CASE("the owner gets what Redis already has, never what was not yet published") {
    One o;
    o.become_owner();
    o.row().w = o.now - Millis(100);
    o.tick();  // written with this tick
    const BootTime published = *o.state().w;
    o.row().w = o.now;
    o.feed_gate();
    o.last = o.d.decide(o.now);
    REQUIRE(o.role().cover);
    CHECK(*o.role().cover == published);
  }
}

TEST_SUITE("restart") {
  NodeBlob left_by_owner(One & o) {
    o.become_owner();
    o.row().w = o.now;
    o.tick();
    return o.d.blob(o.now);
  }
  TEST_CASE("same sessions: age, epoch, role and gen come back, nothing is claimed or released") {
    One before;
    const NodeBlob blob = left_by_owner(before);
    One after(before.d.persisted(), false, (before.now + Millis(700)).time_since_epoch());
    after.gate = before.gate;
    after.reading = before.reading;
    const NodeReading left{after.reading.redis_ms, blob};
    after.d.join(&left, after.reading.redis_ms + 700, after.now, after.now);
    CHECK(!after.d.decide(after.now).roles);  // nothing is said before the gate was heard
    after.now += Millis(10);
    after.feed_gate();
    const auto early = after.d.decide(after.now);  // the owners were not read yet
    REQUIRE(early.roles);
    CHECK(early.roles->routers.at(0).role == Role::kActive);
    after.read();
    CHECK(!after.last.claims);
    CHECK(after.role().role == Role::kActive);
    CHECK(after.role().epoch == blob.routers.at(0).epoch);
    CHECK(after.role().session == after.row().session);
    CHECK(after.state().since == blob.routers.at(0).since);
    CHECK(after.d.gen() == blob.gen);
    CHECK(after.d.blob(after.now).tick > blob.tick);
  }
  TEST_CASE("bmp-recv is another process: the session is another, the role is dropped") {
    One before;
    const NodeBlob blob = left_by_owner(before);
    One after(before.d.persisted(), false, (before.now + Millis(700)).time_since_epoch());
    after.gate = before.gate;
    after.gate.recv_inc = 10;
    after.row().session = {10, 1};
    after.reading = before.reading;
    const NodeReading left{after.reading.redis_ms, blob};
    after.d.join(&left, after.reading.redis_ms + 700, after.now, after.now);
    after.feed_gate();
    after.read();
    CHECK(after.state().role == Role::kReleasing);
    CHECK(after.state().since > blob.routers.at(0).since);
  }
  TEST_CASE("without a blob: a new gen, and the gate's W counts when it was the last owner") {
    One before;
    left_by_owner(before);
    const Persisted stored = before.d.persisted();
    One after(stored, false, (before.now + Millis(4000)).time_since_epoch());
    after.gate = before.gate;
    after.row().role = Role::kStandby;
    after.row().front_is_opener = false;
    after.row().trimmed_to = *after.row().w - Millis(5000);
    after.reading = before.reading;
    after.reading.nodes.clear();
    after.d.join(nullptr, after.reading.redis_ms + 4000, after.now, after.now);
    CHECK(after.d.gen() == stored.gen + 1);
    after.feed_gate();
    after.read();
    REQUIRE(after.last.claims);
    after.win();
    CHECK(after.role().start == *before.state().w - Millis(2000));
  }
  TEST_CASE("forced states survive it") {
    One before;
    before.d.command(Command::kForceStandby, before.now);
    before.tick();
    const NodeBlob blob = before.d.blob(before.now);
    One after({}, false);
    const NodeReading left{kRedis, blob};
    after.d.join(&left, kRedis + 300, after.now, after.now);
    CHECK(after.d.mode() == Mode::kForcedStandby);
  }
  TEST_CASE("without a file the gen begins at the wall clock, with one it goes on") {
    CHECK(One({}, false).d.gen() == static_cast<std::uint64_t>(kRedis));
    CHECK(One({5, 41, false}, false).d.gen() == 42);
  }
}

TEST_CASE("the same inputs give the same decisions") {
  auto run = [] {
    One o;
    o.become_owner();
    o.peer().settled = false;
    o.theirs().cls = 3;
    o.tick();
    Decider copy = o.d;
    o.now += Millis(500);
    copy.begin_tick(o.now);
    o.d.begin_tick(o.now);
    CHECK(encode_roles(*copy.decide(o.now).roles) == encode_roles(*o.d.decide(o.now).roles));
    return encode_roles(*o.last.roles) + encode_blob(o.d.blob(o.now));
  };
  CHECK(run() == run());
}
