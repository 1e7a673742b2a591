// Several nodes in virtual time: who owns, when it moves, and what the gates are told.
#include <doctest/doctest.h>

#include "tests/unit/ha-arbiter/sim.h"

using namespace bmpha;
using namespace bmpha::arbiter;
using namespace bmpha::arbiter::sim;

namespace {

const RouterId kR = router_id(1);

// Two nodes in step: router 1 up and synced everywhere, one of them owns.
struct TwoNodes {
  World w;
  Node& a;
  Node& b;
  explicit TwoNodes(Nanos phase_a = Millis(0), Nanos phase_b = Millis(230))
      : a(w.add("a", phase_a)), b(w.add("b", phase_b)) {
    w.dial(kR, 1);
    w.run(Millis(2000));
    w.synced(kR);
    w.run(std::chrono::seconds(15));
  }
  Node& owner() { return w.owner(kR) == "a" ? a : b; }
  Node& other() { return w.owner(kR) == "a" ? b : a; }
  bool only(const Node& n) { return w.active(kR) == std::vector<std::string>{n.id}; }
};

std::size_t claims_of(const Node& n) { return n.epochs.size(); }

}  // namespace

TEST_CASE("two nodes settle on one owner and stay there") {
  TwoNodes c;
  CHECK(c.w.active(kR).size() == 1);
  const std::size_t claims = claims_of(c.a) + claims_of(c.b);
  CHECK(claims == 1);
  c.w.run(std::chrono::seconds(60));
  CHECK(claims_of(c.a) + claims_of(c.b) == claims);
  CHECK(c.w.doubles == 0);
  CHECK(c.a.count("malformed") + c.b.count("malformed") == 0);
}

TEST_CASE("a standby is given a line that follows the owner's progress and never passes it") {
  TwoNodes c;
  const GateRouter& standby = c.other().gate.routers.at(kR).row;
  const Nanos behind = (c.w.now(c.other()) - standby.trimmed_to) - c.other().gate.retain;
  CHECK(behind >= Nanos{0});
  CHECK(behind < Millis(1800));
  const GateRouter& owner = c.owner().gate.routers.at(kR).row;
  CHECK(c.w.now(c.owner()) - owner.trimmed_to - c.owner().gate.retain < Millis(1800));
}

TEST_CASE("the owner dies: the other owns within 2.9 s, whatever the phases, and starts before the last progress") {
  for (int phase = 0; phase < 500; phase += 70) {
    for (int wait = 0; wait < 500; wait += 110) {
      CAPTURE(phase);
      CAPTURE(wait);
      TwoNodes c(Millis(0), Millis(phase));
      c.w.run(Millis(wait));
      Node& dead = c.owner();
      Node& next = c.other();
      c.w.kill(dead);
      const Nanos killed = c.w.t;
      REQUIRE(c.w.until([&] { return c.only(next); }, std::chrono::seconds(5)));
      CHECK(c.w.t - killed <= Millis(2900));
      const RoleRouter& row = next.gate.heard.back().routers.at(0);
      // W of the dead was at most the time of its death.
      const BootTime death(killed + next.boot_offset);
      CHECK(row.start <= death - Millis(2000));
      CHECK(row.start >= death - Millis(2000) - Millis(1300));
      CHECK(row.start >= next.gate.routers.at(kR).row.trimmed_to);
      CHECK(c.w.doubles == 0);
    }
  }
}

TEST_CASE("a planned switch takes less than 1.5 s and is ordered") {
  for (int phase = 0; phase < 500; phase += 90) {
    TwoNodes c(Millis(0), Millis(phase));
    Node& from = c.owner();
    Node& to = c.other();
    from.decider->command(Command::kRestamp, c.w.now(from));
    from.soon = c.w.t;
    const Nanos begun = c.w.t;
    REQUIRE(c.w.until([&] { return c.only(to); }, std::chrono::seconds(3)));
    CHECK(c.w.t - begun < Millis(1500));
    CHECK(c.w.doubles == 0);
    CHECK(from.count("releasing") == 1);
    c.w.run(std::chrono::seconds(20));
    CHECK(c.only(to));  // and it does not move back
    CHECK(claims_of(to) == 1);
  }
}

TEST_CASE("the arbiter restarts within a second: nothing moves") {
  for (int pause = 100; pause <= 1000; pause += 150) {
    CAPTURE(pause);
    TwoNodes c;
    Node& n = c.owner();
    const std::uint64_t epoch = n.gate.routers.at(kR).row.epoch;
    const std::uint64_t since = n.decider->routers().at(kR).since;
    c.w.stop(n);
    c.w.run(Millis(pause));
    c.w.start(n);
    c.w.run(std::chrono::seconds(10));
    CHECK(c.only(n));
    CHECK(n.gate.routers.at(kR).row.epoch == epoch);
    CHECK(n.decider->routers().at(kR).since == since);
    CHECK(claims_of(c.a) + claims_of(c.b) == 1);
    CHECK(n.count("releasing") == 0);
  }
}

TEST_CASE("the arbiter stays away for longer: the other owns, and it does not move back") {
  TwoNodes c;
  Node& n = c.owner();
  Node& other = c.other();
  c.w.stop(n);
  c.w.run(Millis(3500));
  CHECK(c.only(other));
  c.w.start(n);
  c.w.run(std::chrono::seconds(20));
  CHECK(c.only(other));
  CHECK(claims_of(other) == 1);
}

TEST_CASE("both sessions end: the owner's tail is sent, after ten seconds stale, later down, once each") {
  TwoNodes c;
  c.a.gate.lose_session(kR, &c.a == &c.owner());
  c.b.gate.lose_session(kR, &c.b == &c.owner());
  c.w.run(std::chrono::seconds(9));
  CHECK(c.a.count("router stale") + c.b.count("router stale") == 0);
  CHECK(!c.a.gate.routers.at(kR).row.unsent_tail);
  CHECK(!c.b.gate.routers.at(kR).row.unsent_tail);
  c.w.run(std::chrono::seconds(5));
  CHECK(c.a.count("router stale") + c.b.count("router stale") == 1);
  c.w.run(std::chrono::seconds(880));
  CHECK(c.a.count("router down") + c.b.count("router down") == 0);
  c.w.run(std::chrono::seconds(30));
  CHECK(c.a.count("router down") + c.b.count("router down") == 1);
  CHECK(c.w.owner(kR).empty());
  c.w.run(std::chrono::seconds(60));
  CHECK(c.a.count("router stale") + c.b.count("router stale") == 1);
  c.w.dial(kR, 2);
  c.w.run(std::chrono::seconds(5));
  CHECK(c.w.active(kR).size() == 1);
}

TEST_CASE("a router that returns before it is down is claimed as usual, wherever it returns") {
  for (const bool at_emitter : {true, false}) {
    TwoNodes c;
    c.a.gate.lose_session(kR, false);
    c.b.gate.lose_session(kR, false);
    c.w.run(std::chrono::seconds(30));
    Node& emitter = c.a.count("router stale") == 1 ? c.a : c.b;
    Node& elsewhere = &emitter == &c.a ? c.b : c.a;
    Node& back = at_emitter ? emitter : elsewhere;
    back.gate.dial(kR, 2, c.w.now(back));
    c.w.run(std::chrono::seconds(5));
    CHECK(c.only(back));
    CHECK(back.gate.routers.at(kR).row.claimed_session.number == 2);
    CHECK(c.a.count("router down") + c.b.count("router down") == 0);
  }
}

TEST_CASE("only the lost session moves its router") {
  TwoNodes c;
  const RouterId second = router_id(2);
  c.w.dial(second, 1);
  c.w.run(Millis(500));
  c.w.synced(second);
  c.w.run(std::chrono::seconds(15));
  const std::string before = c.w.owner(second);
  Node& from = c.owner();
  Node& to = c.other();
  from.gate.lose_session(kR, true);
  REQUIRE(c.w.until([&] { return c.only(to); }, std::chrono::seconds(2)));
  CHECK(c.w.owner(second) == before);
  from.gate.dial(kR, 2, c.w.now(from));
  c.w.run(std::chrono::seconds(15));
  CHECK(c.only(to));
  CHECK(c.w.doubles == 0);
}

TEST_CASE("a re-dial on a single node is a claim of its own") {
  World w;
  Node& a = w.add("a", Millis(0));
  a.gate.dial(kR, 1, w.now(a));
  w.run(Millis(1000));
  a.gate.synced(kR, w.now(a));
  w.run(std::chrono::seconds(5));
  REQUIRE(a.epochs.size() == 1);
  a.gate.dial(kR, 2, w.now(a));  // within the time of one message: never seen down
  w.run(std::chrono::seconds(2));
  CHECK(a.epochs.size() == 2);
  CHECK(a.gate.routers.at(kR).row.claimed_session.number == 2);
  CHECK(a.gate.is_active(kR, w.now(a)));
}

TEST_CASE("a node without Redis goes solo, the other owns, and at the heal the records of both are settled") {
  TwoNodes c;
  Node& cut = c.owner();
  Node& other = c.other();
  const std::uint64_t gen = cut.decider->gen();
  cut.reachable = false;
  c.w.run(std::chrono::seconds(6));
  CHECK(cut.decider->is_solo());
  CHECK(cut.gate.heard.back().solo);
  CHECK(!cut.gate.heard.back().routers.at(0).cover);  // solo trims nothing
  CHECK(cut.decider->gen() == gen + 1);
  CHECK(c.w.owner(kR) == other.id);
  c.w.run(std::chrono::seconds(24));
  const std::uint64_t epoch = other.gate.routers.at(kR).row.epoch;
  cut.reachable = true;
  c.w.run(std::chrono::seconds(5));
  CHECK(c.only(other));
  CHECK(other.gate.routers.at(kR).row.epoch > epoch);  // the re-assert
  bool settled = false;
  for (const RoleRouter& row : other.gate.heard.back().routers)
    for (const SettledGen& s : row.settles) settled = settled || (s.node == cut.id && s.gen == gen + 1);
  CHECK(settled);
  CHECK(!cut.decider->persisted().unsettled);
  const std::size_t claims = claims_of(other);
  c.w.run(std::chrono::seconds(30));
  CHECK(claims_of(other) == claims);
  CHECK(cut.gate.heard.back().routers.at(0).cover.has_value());  // its gen is echoed: it trims again
}

TEST_CASE("Redis comes back empty: all were solo, then one owns, and epochs still rise") {
  TwoNodes c;
  const std::uint64_t epoch = c.owner().gate.routers.at(kR).row.epoch;
  c.w.redis_up = false;
  c.w.run(std::chrono::seconds(10));
  CHECK(c.a.decider->is_solo());
  CHECK(c.b.decider->is_solo());
  CHECK(c.w.active(kR).size() == 2);
  c.w.cluster.clear();
  c.w.redis_step = -std::chrono::hours(1);
  c.w.redis_up = true;
  c.w.run(std::chrono::seconds(8));
  REQUIRE(c.w.active(kR).size() == 1);
  CHECK(c.owner().gate.routers.at(kR).row.epoch > epoch);
  CHECK(c.w.shared_epochs == 0);
  const std::size_t claims = claims_of(c.a) + claims_of(c.b);
  c.w.run(std::chrono::seconds(30));
  CHECK(claims_of(c.a) + claims_of(c.b) == claims);
  CHECK(!c.a.decider->persisted().unsettled);
  CHECK(!c.b.decider->persisted().unsettled);
}

TEST_CASE("Redis away for a second changes nothing") {
  TwoNodes c;
  c.w.redis_up = false;
  c.w.run(Millis(1000));
  c.w.redis_up = true;
  c.w.run(std::chrono::seconds(10));
  CHECK(claims_of(c.a) + claims_of(c.b) == 1);
  CHECK(c.a.count("solo") + c.b.count("solo") == 0);
}

TEST_CASE("the clock of Redis steps an hour forward and back: at most one needless switch") {
  for (const std::int64_t hours : {1, -1}) {
    TwoNodes c;
    c.w.redis_step = std::chrono::hours(hours);
    c.w.run(std::chrono::seconds(20));
    c.w.redis_step = Nanos{0};
    c.w.run(std::chrono::seconds(20));
    CHECK(c.w.active(kR).size() == 1);
    CHECK(claims_of(c.a) + claims_of(c.b) <= 3);
    CHECK(c.w.doubles == 0);
    CHECK(c.a.count("solo") + c.b.count("solo") == 0);
  }
}

TEST_CASE("a hung node gives way, and what it may still send is settled when it wakes") {
  TwoNodes c;
  Node& hung = c.owner();
  Node& other = c.other();
  const std::uint64_t gen = hung.decider->gen();
  hung.arbiter_hung = true;
  hung.gate.hung = true;
  c.w.run(std::chrono::seconds(4));
  CHECK(c.only(other));
  c.w.run(std::chrono::seconds(6));
  hung.arbiter_hung = hung.gate.hung = false;
  const std::size_t heard = hung.gate.heard.size();
  c.w.run(std::chrono::seconds(10));
  CHECK(hung.decider->gen() >= gen + 1);
  CHECK(hung.count("solo") == 0);
  CHECK(c.only(other));
  for (std::size_t n = heard; n < hung.gate.heard.size(); ++n) CHECK(!hung.gate.heard[n].solo);
  CHECK(claims_of(other) == 2);  // take-over and re-assert
}

TEST_CASE("a silent gate is class 3 after 1.5 s and the other owns") {
  TwoNodes c;
  Node& hung = c.owner();
  Node& other = c.other();
  hung.gate.hung = true;
  const Nanos begun = c.w.t;
  REQUIRE(c.w.until([&] { return c.w.owner(kR) == other.id; }, std::chrono::seconds(5)));
  CHECK(c.w.t - begun <= Millis(2900));
}

TEST_CASE("Kafka fails on the owner: the other owns") {
  TwoNodes c;
  Node& from = c.owner();
  Node& to = c.other();
  from.gate.kafka_ok = false;
  from.gate.changed = true;
  CHECK(c.w.until([&] { return c.only(to); }, std::chrono::seconds(4)));
}

TEST_CASE("Kafka fails everywhere: nobody moves") {
  TwoNodes c;
  c.owner().gate.kafka_ok = false;
  c.owner().gate.changed = true;
  c.w.run(Millis(700));  // the other finds out later
  c.other().gate.kafka_ok = false;
  c.w.run(std::chrono::seconds(20));
  CHECK(claims_of(c.a) + claims_of(c.b) == 1);
}

TEST_CASE("forced states: standby gives way, active takes, automatic leaves things as they are") {
  TwoNodes c;
  Node& first = c.owner();
  Node& second = c.other();
  first.decider->command(Command::kForceStandby, c.w.now(first));
  REQUIRE(c.w.until([&] { return c.only(second); }, std::chrono::seconds(2)));
  second.decider->command(Command::kForceStandby, c.w.now(second));
  c.w.run(std::chrono::seconds(5));
  CHECK(c.w.active(kR).size() == 1);  // no silent gap
  first.decider->command(Command::kAutomatic, c.w.now(first));
  second.decider->command(Command::kAutomatic, c.w.now(second));
  c.w.run(std::chrono::seconds(5));
  Node& now_owner = c.owner();
  Node& now_other = c.other();
  now_other.decider->command(Command::kForceActive, c.w.now(now_other));
  REQUIRE(c.w.until([&] { return c.only(now_other); }, std::chrono::seconds(2)));
  CHECK(c.w.doubles == 0);
  (void)now_owner;
}

TEST_CASE("a leaving node waits until the other owns, then may go") {
  TwoNodes c;
  Node& from = c.owner();
  Node& to = c.other();
  CHECK(!from.decider->may_exit(c.w.now(from)));
  from.decider->command(Command::kLeave, c.w.now(from));
  CHECK(!from.decider->may_exit(c.w.now(from)));
  REQUIRE(c.w.until([&] { return from.decider->may_exit(c.w.now(from)); }, Millis(3000)));
  CHECK(c.w.owner(kR) == to.id);
  CHECK(c.w.doubles == 0);
}

TEST_CASE("a leaving node that is alone may go at once") {
  World w;
  Node& a = w.add("a", Millis(0));
  a.gate.dial(kR, 1, w.now(a));
  w.run(std::chrono::seconds(5));
  a.decider->command(Command::kLeave, w.now(a));
  CHECK(a.decider->may_exit(w.now(a)));
}

TEST_CASE("a third node joins and leaves: nothing moves") {
  TwoNodes c;
  const std::size_t claims = claims_of(c.a) + claims_of(c.b);
  Node& third = c.w.add("c", Millis(110));
  third.gate.dial(kR, 1, c.w.now(third));
  c.w.run(std::chrono::seconds(3));
  third.gate.synced(kR, c.w.now(third));
  c.w.run(std::chrono::seconds(20));
  third.decider->command(Command::kLeave, c.w.now(third));
  c.w.run(std::chrono::seconds(1));
  c.w.kill(third);
  c.w.run(std::chrono::seconds(10));
  CHECK(claims_of(c.a) + claims_of(c.b) == claims);
  CHECK(claims_of(third) == 0);
}

TEST_CASE("three nodes: the owner is killed, then its successor") {
  TwoNodes c;
  Node& third = c.w.add("c", Millis(310));
  third.gate.dial(kR, 1, c.w.now(third));
  c.w.run(std::chrono::seconds(1));
  third.gate.synced(kR, c.w.now(third));
  c.w.run(std::chrono::seconds(15));
  Node& first = c.owner();
  Node& second = c.other();
  c.w.kill(first);
  REQUIRE(c.w.until([&] { return c.only(second); }, Millis(2900)));
  c.w.run(Millis(200));
  c.w.kill(second);
  REQUIRE(c.w.until([&] { return c.only(third); }, Millis(2900)));
  CHECK(c.w.shared_epochs == 0);
}

TEST_CASE("the gate restarts while its arbiter owns: the owner claims anew and sends everything held") {
  TwoNodes c;
  Node& n = c.owner();
  const std::uint64_t epoch = n.gate.routers.at(kR).row.epoch;
  n.gate_alive = false;
  c.w.run(Millis(600));
  GateSim fresh;
  fresh.inc = 2;
  fresh.recv_inc = n.gate.recv_inc;
  fresh.dial(kR, 1, c.w.now(n));
  fresh.routers.at(kR).row.trimmed_to = c.w.now(n) - Millis(700);  // what bmp-recv had released
  fresh.routers.at(kR).row.front_is_opener = false;
  fresh.routers.at(kR).row.brackets.clear();
  fresh.routers.at(kR).row.in_dump = false;
  n.gate = fresh;
  n.gate_alive = true;
  c.w.run(Millis(300));
  CHECK(n.gate.is_active(kR, c.w.now(n)));
  CHECK(n.gate.heard.front().routers.at(0).start == BootTime{});
  c.w.run(std::chrono::seconds(10));
  CHECK(n.gate.routers.at(kR).row.epoch > epoch);
  CHECK(c.only(n));
  CHECK(claims_of(c.a) + claims_of(c.b) == 2);
}

TEST_CASE("a restarted standby's gate is class 3 until the owner has passed what it lost") {
  TwoNodes c;
  Node& n = c.other();
  n.gate.inc = 2;
  GateRouter& g = n.gate.routers.at(kR).row;
  g.trimmed_to = c.w.now(n);
  n.gate.changed = true;
  c.w.run(Millis(600));
  CHECK(n.decider->routers().at(kR).cls == 3);
  c.w.run(std::chrono::seconds(8));
  CHECK(n.decider->routers().at(kR).cls == 0);
}

TEST_CASE("a session that is silent while the other's reads on is stalled: alarm and a switch within 35 s") {
  TwoNodes c;
  Node& silent = c.owner();
  Node& other = c.other();
  const Nanos begun = c.w.t;
  silent.gate.routers.at(kR).silent = true;
  CHECK(c.w.until([&] { return c.only(other); }, std::chrono::seconds(35)));
  CHECK(c.w.t - begun > std::chrono::seconds(29));
  CHECK(silent.count("session stalled") == 1);
  silent.gate.routers.at(kR).silent = false;
  c.w.run(std::chrono::seconds(10));
  CHECK(silent.decider->routers().at(kR).cls == 0);
  CHECK(c.only(other));  // and it does not move back
}

TEST_CASE("a quiet router is not stalled") {
  TwoNodes c;
  c.a.gate.routers.at(kR).silent = c.b.gate.routers.at(kR).silent = true;
  c.w.run(std::chrono::seconds(120));
  // Another node's new session dumps what this one has long read.
  c.other().gate.routers.at(kR).silent = false;
  c.other().gate.dial(kR, 2, c.w.now(c.other()));
  c.w.run(std::chrono::seconds(5));
  c.other().gate.synced(kR, c.w.now(c.other()));
  c.other().gate.routers.at(kR).silent = true;
  c.w.run(std::chrono::seconds(60));
  CHECK(claims_of(c.a) + claims_of(c.b) == 1);
  CHECK(c.a.count("session stalled") + c.b.count("session stalled") == 0);
}

TEST_CASE("all arbiters restart, and Redis is empty with an earlier clock: epochs rise, nobody's session is reset") {
  TwoNodes c;
  const std::uint64_t epoch = c.owner().gate.routers.at(kR).row.epoch;
  c.w.stop(c.a);
  c.w.stop(c.b);
  c.w.run(std::chrono::seconds(4));
  c.w.cluster.clear();
  c.w.redis_step = -std::chrono::hours(1);
  c.w.start(c.a);
  c.w.start(c.b);
  c.w.run(std::chrono::seconds(10));
  REQUIRE(c.w.active(kR).size() == 1);
  CHECK(c.owner().gate.routers.at(kR).row.epoch > epoch);
  CHECK(c.a.gate.resets.empty());
  CHECK(c.b.gate.resets.empty());
}

TEST_CASE("node names that are parts of one another, with odd characters, are different nodes") {
  World w;
  Node& a = w.add("a-1", Millis(0));
  Node& b = w.add("xa-1", Millis(130));
  Node& c = w.add("a-1.50%+own", Millis(260));
  w.dial(kR, 1);
  w.run(Millis(500));
  w.synced(kR);
  w.run(std::chrono::seconds(10));
  CHECK(w.active(kR).size() == 1);
  CHECK(a.decider->nodes().size() == 2);
  CHECK(b.decider->nodes().size() == 2);
  CHECK(c.decider->nodes().size() == 2);
  CHECK(claims_of(a) + claims_of(b) + claims_of(c) == 1);
}
