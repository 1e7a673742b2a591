// grain = collector: the table of the ancestors, with two nodes and with three. Only A: active. Several: the smallest
// timestamp is active for all routers. Redis unavailable: all active. Signals 34 to 37. And records dropped by age.
#include <doctest/doctest.h>

#include "tests/unit/ha-arbiter/sim.h"

using namespace bmpha;
using namespace bmpha::arbiter;
using namespace bmpha::arbiter::sim;

namespace {

const RouterId kR = router_id(1);
const RouterId kS = router_id(2);
constexpr Nanos kSoon = std::chrono::seconds(4);

// Nodes a, b, ... that start a second after one another, two routers up and synced on all of them.
struct Collectors {
  World w;
  explicit Collectors(int count) {
    w.tune = [](DeciderSettings& s) { s.grain = Grain::kCollector; };
    for (int n = 0; n < count; ++n) {
      add(std::string(1, static_cast<char>('a' + n)));
      w.run(Millis(1000));
    }
    w.run(std::chrono::seconds(12));
  }
  Node& add(const std::string& id) {
    Node& n = w.add(id, Millis(130) * static_cast<int>(w.nodes.size()));
    for (const RouterId& r : {kR, kS}) {
      n.gate.dial(r, 1, w.now(n));
      n.gate.synced(r, w.now(n));
    }
    return n;
  }
  Node& operator[](std::size_t n) { return w.nodes.at(n); }
  using Ids = std::vector<std::string>;
  bool active(const Ids& ids) const { return w.active(kR) == ids && w.active(kS) == ids; }
  bool becomes(const Ids& ids, Nanos most = kSoon) {
    return w.until([&] { return active(ids); }, most);
  }
  // For a while, without an exception.
  bool stays(const Ids& ids, Nanos d = std::chrono::seconds(20)) {
    return !w.until([&] { return !active(ids); }, d);
  }
  void signal(Node& n, Command c) {
    n.decider->command(c, w.now(n));
    n.soon = w.t;
  }
  std::size_t claims() const {
    std::size_t n = 0;
    for (const Node& node : w.nodes) n += node.epochs.size();
    return n;
  }
};

}  // namespace

TEST_CASE("collector: the only one is active, the one that started first stays so") {
  Collectors c(1);
  CHECK(c.active({"a"}));
  c.add("b");
  CHECK(c.stays({"a"}));
  c.add("c");
  CHECK(c.stays({"a"}));
  CHECK(c.claims() == 2);  // one a router
  CHECK(c.w.doubles == 0);
  const auto stamp = [&](std::size_t n) { return c[n].decider->collector()->since; };
  CHECK((stamp(0) < stamp(1) && stamp(1) < stamp(2)));
}

TEST_CASE("collector: the active one dies, the next in age takes every router; when it is back it is the youngest") {
  Collectors c(3);
  c.w.kill(c[0]);
  REQUIRE(c.becomes({"b"}, Millis(2900)));
  CHECK(c.stays({"b"}));
  c[0].gate = GateSim{};
  c[0].gate.recv_inc = 78;
  c[0].gate_alive = true;
  c.w.start(c[0]);
  for (const RouterId& r : {kR, kS}) {
    c[0].gate.dial(r, 1, c.w.now(c[0]));
    c[0].gate.synced(r, c.w.now(c[0]));
  }
  CHECK(c.stays({"b"}));
  c.w.kill(c[1]);
  CHECK(c.becomes({"c"}));
  c.w.kill(c[2]);
  CHECK(c.becomes({"a"}));
  CHECK(c.w.doubles == 0);
}

TEST_CASE("collector: a new timestamp makes it the youngest, one switch of everything") {
  for (int count : {2, 3}) {
    Collectors c(count);
    c.signal(c[0], Command::kRestamp);
    const Nanos begun = c.w.t;
    REQUIRE(c.becomes({"b"}));
    CHECK(c.w.t - begun < Millis(1500));
    CHECK(c.stays({"b"}));
    CHECK(c.claims() == 4);
    c.signal(c[1], Command::kRestamp);
    CHECK(c.becomes({count == 2 ? "a" : "c"}));
    CHECK(c.w.doubles == 0);
  }
}

TEST_CASE("collector: forced standby is seen by the others, forced active comes first, automatic ends both") {
  Collectors c(3);
  c.signal(c[0], Command::kForceStandby);
  CHECK(c.becomes({"b"}));
  c.signal(c[2], Command::kForceActive);
  CHECK(c.becomes({"c"}));
  c.signal(c[2], Command::kAutomatic);
  CHECK(c.becomes({"b"}));
  c.signal(c[0], Command::kAutomatic);
  CHECK(c.becomes({"a"}));
  for (std::size_t n : {0u, 1u, 2u}) c.signal(c[n], Command::kForceStandby);
  c.w.run(std::chrono::seconds(5));
  CHECK(c.active({"a"}));  // never none at all
  CHECK(c.w.doubles == 0);
}

TEST_CASE("collector: Redis unavailable, all are active; back again, with or without its data, the oldest is") {
  for (const bool empty : {false, true}) {
    Collectors c(3);
    c.w.redis_up = false;
    REQUIRE(c.becomes({"a", "b", "c"}));
    CHECK(c.stays({"a", "b", "c"}, std::chrono::seconds(10)));
    if (empty) c.w.cluster.clear();
    c.w.redis_up = true;
    REQUIRE(c.becomes({"a"}, std::chrono::seconds(8)));
    CHECK(c.stays({"a"}));
    CHECK(c.w.shared_epochs == 0);
  }
}

TEST_CASE("collector: Redis comes back for one node first, and the order stays what it was") {
  Collectors c(3);
  c.w.redis_up = false;
  REQUIRE(c.becomes({"a", "b", "c"}));
  c.w.cluster.clear();
  c[0].reachable = c[2].reachable = false;
  c.w.redis_up = true;
  REQUIRE(c.w.until([&] { return c.w.owner(kR) == "b"; }, kSoon));
  c[0].reachable = c[2].reachable = true;
  REQUIRE(c.becomes({"a"}, std::chrono::seconds(8)));
  CHECK(c.stays({"a"}));
}

TEST_CASE("collector: one that was cut off from Redis is active again in the end, and no router has to dump anew") {
  Collectors c(2);
  c[0].reachable = false;
  REQUIRE(c.becomes({"a", "b"}));
  c.w.run(std::chrono::seconds(20));
  c[0].reachable = true;
  REQUIRE(c.becomes({"a"}, std::chrono::seconds(8)));
  CHECK(c.stays({"a"}));
  CHECK((c[0].gate.resets.empty() && c[1].gate.resets.empty()));
}

TEST_CASE("collector: one that hung does not take everything back") {
  Collectors c(2);
  c[0].arbiter_hung = true;
  REQUIRE(c.becomes({"b"}));
  c.w.run(std::chrono::seconds(5));
  c[0].arbiter_hung = false;
  c.w.run(std::chrono::seconds(15));
  CHECK(c.stays({"b"}));
  // b could not go back to what a had sent last; a could, so nobody had to dump anew.
  CHECK((c[0].gate.resets.empty() && c[1].gate.resets.empty()));
  CHECK(c[0].count("new timestamp for this collector") == 1);
}

TEST_CASE("collector: a router that the active one lost moves nothing, is not forwarded, and is said") {
  for (int count : {2, 3}) {
    Collectors c(count);
    const std::size_t claims = c.claims();
    c[0].gate.lose_session(kR, false);
    c.w.run(std::chrono::seconds(30));
    CHECK(c.w.active(kR).empty());
    CHECK(c.w.active(kS) == std::vector<std::string>{"a"});
    CHECK(c.claims() == claims);
    CHECK(c[1].count("not forwarded") == 1);
    CHECK(c[0].count("router stale") + c[1].count("router stale") == 0);  // it lives
    // Nothing of it is dropped meanwhile: whoever is active next continues from there.
    CHECK(c.w.now(c[1]) - c[1].gate.routers.at(kR).row.trimmed_to > std::chrono::seconds(30));
    c[0].gate.dial(kR, 2, c.w.now(c[0]));
    CHECK(c.becomes({"a"}));
    c[0].gate.lose_session(kR, false);
    c.w.run(std::chrono::seconds(5));
    c.w.kill(c[0]);
    CHECK(c.becomes({"b"}));
    CHECK(c[1].gate.resets.empty());
    CHECK(c.w.doubles == 0);
  }
}

TEST_CASE("collector: a tail that only a standby holds keeps no router from being declared stale") {
  Collectors c(2);
  c[0].gate.lose_session(kR, false);
  c[1].gate.lose_session(kR, true);
  c.w.run(std::chrono::seconds(30));
  CHECK(c[0].count("router stale") == 1);
  CHECK(c[1].count("router stale") == 0);
  CHECK(c.w.doubles == 0);
}

TEST_CASE("collector: one whose processes or whose Kafka fail gives way with every router") {
  Collectors c(2);
  c[0].gate.kafka_ok = false;
  c[0].gate.changed = true;
  REQUIRE(c.becomes({"b"}, std::chrono::seconds(6)));
  c[0].gate.kafka_ok = true;
  c[0].gate.changed = true;
  CHECK(c.becomes({"a"}));  // the older one again
  c.w.run(kSoon);
  c[0].gate_alive = false;
  CHECK(c.becomes({"b"}));
  CHECK(c.w.doubles == 0);
}

TEST_CASE("collector: a bmp-recv that restarts makes its collector the youngest") {
  Collectors c(2);
  c[0].gate.recv_inc = 78;
  for (const RouterId& r : {kR, kS}) {
    c[0].gate.dial(r, 1, c.w.now(c[0]));
    c[0].gate.synced(r, c.w.now(c[0]));
  }
  REQUIRE(c.becomes({"b"}));
  CHECK(c.stays({"b"}));
}

TEST_CASE("collector: the arbiter restarts within a second, nothing moves") {
  Collectors c(2);
  const std::uint64_t since = c[0].decider->collector()->since;
  c.w.stop(c[0]);
  c.w.run(Millis(700));
  c.w.start(c[0]);
  CHECK(c.stays({"a"}, std::chrono::seconds(10)));
  CHECK(c[0].decider->collector()->since == since);
  CHECK(c.claims() == 2);
}

TEST_CASE("collector: the clock of Redis was set back, one that starts now is the youngest all the same") {
  Collectors c(1);
  c.w.redis_step = -std::chrono::hours(1);
  c.add("b");
  CHECK(c.stays({"a"}));
  CHECK(c[0].decider->collector()->since < c[1].decider->collector()->since);
}

TEST_CASE("collector: while a node ranks router by router all do, and it is said") {
  Collectors c(2);
  c.w.tune = nullptr;
  c.add("c");
  c.w.run(std::chrono::seconds(5));
  CHECK(c[0].count("nodes differ in grain") == 1);
  CHECK(c[2].count("nodes differ in grain") == 1);
  CHECK(c.active({"a"}));
  c[0].gate.lose_session(kR, false);
  CHECK(c.w.until([&] { return c.w.active(kR) == std::vector<std::string>{"b"}; }, kSoon));
  CHECK(c.w.active(kS) == std::vector<std::string>{"a"});
  c.w.kill(c[2]);
  c.w.run(std::chrono::seconds(4));
  CHECK(c.w.active(kR).empty());  // one role for the node again
}

TEST_CASE("collector: leaving, it waits for its heir only") {
  Collectors c(3);
  c[1].gate.lose_session(kR, false);  // the heir has not got this one
  c.w.run(std::chrono::seconds(2));
  c.signal(c[0], Command::kLeave);
  const Nanos begun = c.w.t;
  REQUIRE(c.w.until([&] { return c[0].decider->may_exit(c.w.now(c[0])); }, kSoon));
  CHECK(c.w.t - begun < Millis(1500));
  CHECK(c.w.owner(kS) == "b");
}

TEST_CASE("by age: a standby keeps what is younger than hold, and a take-over sends what is held") {
  for (const Grain grain : {Grain::kRouter, Grain::kCollector})
    for (const Nanos hold : {Nanos(Millis(8000)), Nanos(Millis(1000))}) {
      CAPTURE(std::chrono::duration_cast<Millis>(hold).count());
      World w;
      w.tune = [&](DeciderSettings& s) {
        s.grain = grain;
        s.by_age = true;
        s.hold = hold;
      };
      Node& a = w.add("a", Millis(0));
      w.run(Millis(1000));
      Node& b = w.add("b", Millis(230));
      w.dial(kR, 1);
      w.run(Millis(500));
      w.synced(kR);
      w.run(std::chrono::seconds(20));
      REQUIRE(w.owner(kR) == "a");
      const GateRouter& row = b.gate.routers.at(kR).row;
      CHECK(b.gate.heard.back().by_age);
      CHECK(w.now(b) - row.trimmed_to >= hold);
      CHECK(w.now(b) - row.trimmed_to < hold + Millis(600));
      const Nanos killed = w.t;
      w.kill(a);
      REQUIRE(w.until([&] { return w.active(kR) == std::vector<std::string>{"b"}; }, kSoon));
      const BootTime start = b.gate.heard.back().routers.at(0).start;
      const BootTime death(killed + b.boot_offset);
      // Long enough: from the owner's last progress. Too short: everything held, and the router is left in peace.
      if (hold > Millis(5000)) CHECK((start <= death - Millis(2000) && start >= death - Millis(4000)));
      if (hold < Millis(5000)) CHECK(start == BootTime{});
      CHECK(b.gate.resets.empty());
    }
}
