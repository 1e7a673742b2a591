// Alarms: raised once after their patience, cleared once with their length.
#include <doctest/doctest.h>

#include "ha-arbiter/alarm_watch.h"
#include "tests/unit/ha-arbiter/sim.h"

using namespace bmpha;
using namespace bmpha::arbiter;
using namespace bmpha::arbiter::sim;

namespace {

using std::chrono::seconds;
const RouterId kR = router_id(1);

// Two nodes with one router; each has a watch that looks at every tick.
struct Watched {
  World w;
  Node& a;
  Node& b;
  std::map<std::string, AlarmWatch> watches;
  std::map<std::string, Census> censuses;
  std::map<std::string, std::string> told_peers;  // as Redis has it
  Nanos counted_at{0};
  std::map<std::string, std::vector<AlarmWatch::Change>> changes;
  std::optional<Millis> skew;

  Watched() : a(w.add("a", Millis(0))), b(w.add("b", Millis(230))) {
    w.dial(kR, 1);
    w.run(seconds(2));
    w.synced(kR);
    run(seconds(15));
    REQUIRE(changes.empty());
  }
  void run(Nanos time) {
    for (const Nanos end = w.t + time; w.t < end;) {
      w.run(Millis(500));
      for (Node& n : w.nodes) {
        if (!n.alive) continue;
        censuses[n.id].count(*n.decider, seconds(30), w.now(n));
        for (AlarmWatch::Change& c : watches[n.id].look(*n.decider, censuses[n.id], skew, seconds(30), w.now(n)))
          changes[n.id].push_back(std::move(c));
      }
      if (w.t - counted_at < kCensusInterval) continue;
      counted_at = w.t;
      exchange();
    }
  }
  void exchange() {
    for (Node& n : w.nodes) {
      if (!n.alive) continue;
      told_peers[n.id] = censuses[n.id].next_text(n.decider->settings().inc);
      censuses[n.id].take({told_peers.begin(), told_peers.end()}, n.id, w.now(n));
    }
  }
  void peers(Node& n, std::uint32_t up) { n.gate.routers[kR].row.peers_up = up; }
  // Exactly this was told by the node since the last question.
  bool told(const std::string& id, Alarm alarm, bool raised) {
    const std::vector<AlarmWatch::Change> got = std::exchange(changes[id], {});
    return got.size() == 1 && got[0].alarm == alarm && got[0].raised == raised;
  }
  bool told_nothing() {
    return std::all_of(changes.begin(), changes.end(), [](const auto& c) { return c.second.empty(); });
  }
};

}  // namespace

TEST_CASE("a router on one node only is an alarm on every node after its patience, and is cleared with its length") {
  Watched c;
  c.b.gate.lose_session(kR, false);
  c.run(seconds(25));
  CHECK(c.told_nothing());
  c.run(seconds(10));
  REQUIRE(c.changes["a"].size() == 1);
  CHECK(c.changes["a"][0].name == "r1");
  CHECK(c.changes["a"][0].detail == "only node a has a session of it");
  CHECK(c.told("a", Alarm::kRedundancyLost, true));
  CHECK(c.told("b", Alarm::kRedundancyLost, true));
  CHECK(c.watches["a"].raised(Alarm::kRedundancyLost) == 1);
  c.run(seconds(60));
  CHECK(c.told_nothing());
  c.b.gate.dial(kR, 2, c.w.now(c.b));
  c.run(seconds(3));
  REQUIRE(c.changes["a"].size() == 1);
  CHECK(c.changes["a"][0].lasted > seconds(60));
  CHECK(c.changes["a"][0].lasted < seconds(70));
  CHECK(c.told("a", Alarm::kRedundancyLost, false));
  CHECK(c.watches["a"].raised(Alarm::kRedundancyLost) == 0);
}

TEST_CASE("a single node has nothing to lose, and a router on no node is no lost redundancy") {
  Watched c;
  c.a.gate.lose_session(kR, false);
  c.b.gate.lose_session(kR, false);
  c.run(seconds(120));
  CHECK(c.told_nothing());
  c.a.gate.dial(kR, 2, c.w.now(c.a));
  c.w.kill(c.b);
  c.run(seconds(120));
  CHECK(c.told_nothing());
}

TEST_CASE("all forced standby is told at once") {
  Watched c;
  c.a.decider->command(Command::kForceStandby, c.w.now(c.a));
  c.run(seconds(5));
  CHECK(c.told_nothing());
  c.b.decider->command(Command::kForceStandby, c.w.now(c.b));
  c.run(seconds(3));
  CHECK(c.told("a", Alarm::kAllForcedStandby, true));
  CHECK(c.told("b", Alarm::kAllForcedStandby, true));
  c.a.decider->command(Command::kAutomatic, c.w.now(c.a));
  c.run(seconds(3));
  CHECK(c.told("a", Alarm::kAllForcedStandby, false));
  CHECK(c.told("b", Alarm::kAllForcedStandby, false));
}

TEST_CASE("a stalled session is an alarm of the node that has it, until it reads again") {
  Watched c;
  Node& silent = c.w.owner(kR) == "a" ? c.a : c.b;
  Node& other = c.w.owner(kR) == "a" ? c.b : c.a;
  silent.gate.routers.at(kR).silent = true;
  c.run(seconds(25));
  CHECK(c.told_nothing());
  c.run(seconds(15));
  REQUIRE(c.changes[silent.id].size() == 1);
  CHECK(c.changes[silent.id][0].name == "r1");
  CHECK(c.told(silent.id, Alarm::kStalled, true));
  CHECK(c.watches[silent.id].raised(Alarm::kStalled) == 1);
  CHECK(c.told_nothing());
  CHECK(c.w.owner(kR) == other.id);
  silent.gate.routers.at(kR).silent = false;
  c.run(seconds(10));
  CHECK(c.told(silent.id, Alarm::kStalled, false));
  CHECK(c.told_nothing());
}

TEST_CASE("nodes that differ in grain are an alarm on both until one is gone") {
  Watched c;
  c.w.tune = [](DeciderSettings& s) { s.grain = Grain::kCollector; };
  Node& third = c.w.add("c", Millis(100));
  c.run(seconds(4));
  REQUIRE(c.changes["a"].size() == 1);
  CHECK(c.changes["a"][0].detail == "grain is router here and not on c");
  CHECK(c.told("a", Alarm::kGrainDiffers, true));
  CHECK(c.told("b", Alarm::kGrainDiffers, true));
  REQUIRE(c.changes["c"].size() == 1);
  CHECK(c.changes["c"][0].detail == "grain is collector here and not on a, b");
  CHECK(c.told("c", Alarm::kGrainDiffers, true));
  c.w.kill(third);
  c.run(seconds(5));
  CHECK(c.told("a", Alarm::kGrainDiffers, false));
  CHECK(c.told("b", Alarm::kGrainDiffers, false));
}

TEST_CASE("a clock that is far off is told while it is") {
  Watched c;
  c.skew = Millis(61'000);
  c.run(seconds(2));
  CHECK(c.told("a", Alarm::kRedisClock, true));
  CHECK(c.told("b", Alarm::kRedisClock, true));
  c.skew.reset();
  c.run(seconds(1));
  CHECK(c.told("a", Alarm::kRedisClock, false));
}

TEST_CASE("while Redis is away nothing is said of who owns") {
  Watched c;
  c.w.redis_up = false;
  c.run(seconds(90));
  CHECK(c.told_nothing());
  c.w.redis_up = true;
  c.run(seconds(60));
  CHECK(c.told_nothing());
}

TEST_CASE("a router that nobody forwards, or two nodes do") {
  Watched c;
  Node& owner = c.w.owner(kR) == "a" ? c.a : c.b;
  Node& other = c.w.owner(kR) == "a" ? c.b : c.a;
  // Somebody writes into Redis that a node owns which is not the one that forwards: nobody may claim.
  NodeBlob ghost;
  ghost.id = "z";
  ghost.inc = 5;
  ghost.gen = 1;
  ghost.settled = true;
  ghost.seen = {{"a", c.a.decider->gen()}, {"b", c.b.decider->gen()}};
  RouterEntry e;
  e.router = kR;
  e.hold = Hold::kTail;
  e.role = Role::kReleasing;  // for ever
  e.cls = 2;
  e.since = 1;
  e.epoch = owner.epochs.back() + 1;
  ghost.routers.push_back(e);
  const auto haunt = [&](Role role, Nanos time) {
    ghost.routers[0].role = role;
    for (const Nanos end = c.w.t + time; c.w.t < end;) {
      ++ghost.tick;
      (void)c.w.cluster.tick("z", {encode_blob(ghost), 0}, c.w.redis_ms());
      c.run(Millis(500));
    }
  };
  haunt(Role::kActive, seconds(40));
  CHECK(c.told(owner.id, Alarm::kOwnedByTwo, true));
  CHECK(c.told(other.id, Alarm::kOwnedByTwo, true));
  owner.gate.lose_session(kR, false);
  haunt(Role::kReleasing, seconds(45));
  CHECK(c.changes[other.id].size() == 3);  // two no more; on one node only; nobody
  CHECK(c.watches[other.id].raised(Alarm::kOwnedByNone) == 1);
  CHECK(c.watches[other.id].raised(Alarm::kOwnedByTwo) == 0);
}

TEST_CASE("sessions with different numbers of peers are an alarm on every node, and cleared once they agree") {
  Watched c;
  c.peers(c.a, 3);
  c.peers(c.b, 3);
  c.run(seconds(90));
  CHECK(c.told_nothing());
  c.peers(c.b, 2);
  c.run(seconds(25));
  CHECK(c.told_nothing());
  c.run(seconds(60));
  REQUIRE(c.changes["a"].size() == 1);
  CHECK(c.changes["a"][0].name == "r1");
  CHECK(c.changes["a"][0].detail == "peers up: 3 on node a, 2 on node b");
  CHECK(c.told("a", Alarm::kRedundancyDiffers, true));
  CHECK(c.told("b", Alarm::kRedundancyDiffers, true));
  CHECK(c.watches["b"].raised(Alarm::kRedundancyDiffers) == 1);
  c.peers(c.b, 3);
  c.run(seconds(25));
  CHECK(c.told("a", Alarm::kRedundancyDiffers, false));
  CHECK(c.told("b", Alarm::kRedundancyDiffers, false));
  c.run(seconds(60));
  CHECK(c.told_nothing());
}

TEST_CASE("peers that come and go on both nodes are no difference, nor are those of a dump") {
  Watched c;
  for (std::uint32_t n = 0; n < 24; ++n) {
    c.peers(c.a, n % 4);
    c.peers(c.b, n % 4);
    c.run(seconds(7));
  }
  CHECK(c.told_nothing());
  // A new session that is never synced: its number says nothing.
  c.b.gate.dial(kR, 2, c.w.now(c.b));
  c.peers(c.b, 0);
  c.run(seconds(120));
  CHECK(c.told_nothing());
  // Once it is, it counts after its patience.
  c.b.gate.synced(kR, c.w.now(c.b));
  c.run(seconds(55));
  CHECK(c.told_nothing());
  c.run(seconds(30));
  CHECK(c.told("a", Alarm::kRedundancyDiffers, true));
}

TEST_CASE("a census is believed of a live node's present process, while it goes on") {
  Watched c;
  c.peers(c.a, 3);
  c.peers(c.b, 2);
  c.run(seconds(60));
  const std::uint64_t inc = c.b.decider->settings().inc;
  Census& a = c.censuses["a"];
  const BootTime now = c.w.now(c.a);
  CHECK(a.peers("b", inc, kR, now) == 2u);
  CHECK(!a.peers("b", inc + 1, kR, now));
  CHECK(!a.peers("b", inc, router_id(2), now));
  CHECK(!a.peers("z", inc, kR, now));
  // The same text again and again: whoever wrote it does so no more.
  a.take({c.told_peers.begin(), c.told_peers.end()}, "a", now);
  a.take({c.told_peers.begin(), c.told_peers.end()}, "a", now + seconds(40));
  CHECK(!a.peers("b", inc, kR, now + seconds(40)));
  a.take({{"b", "bmpha-census 1 nonsense"}, {"a", "rubbish of our own"}}, "a", now);
  CHECK(!a.peers("b", inc, kR, now));
}
