// Orders of an operator: nodes in virtual time, and the requests that come through the control socket.
#include <doctest/doctest.h>

#include <random>

#include "ha-arbiter/control.h"
#include "tests/unit/ha-arbiter/sim.h"

using namespace bmpha;
using namespace bmpha::arbiter;
using namespace bmpha::arbiter::sim;

namespace {

using std::chrono::seconds;

const RouterId kR = router_id(1);
constexpr Nanos kPatience = seconds(10);

// Nodes whose sessions of router 1 are synced; the first dialled, "a", owns.
struct Nodes {
  World w;
  explicit Nodes(std::vector<std::string> names = {"a", "b"}) {
    int phase = 0;
    for (const std::string& name : names) w.add(name, Millis(170 * phase++));
    for (Node& n : w.nodes) {
      n.gate.dial(kR, 1, w.now(n));
      w.run(Millis(1000));
    }
    w.synced(kR);
    w.run(seconds(15));
    REQUIRE(only("a"));
  }
  Node& node(const std::string& id) {
    for (Node& n : w.nodes)
      if (n.id == id) return n;
    FAIL("no such node");
    return w.nodes.front();
  }
  const RouterState& state(const std::string& id) { return node(id).decider->routers().at(kR); }
  std::string order(const std::string& id, Order o, Nanos patience = kPatience) {
    Node& n = node(id);
    const std::string why = n.decider->order(o, kR, patience, w.now(n));
    n.soon = w.t;
    return why;
  }
  bool only(const std::string& id) { return w.active(kR) == std::vector<std::string>{id}; }
  std::size_t claims() const {
    std::size_t n = 0;
    for (const Node& x : w.nodes) n += x.epochs.size();
    return n;
  }
  GateRouter& row(const std::string& id) { return node(id).gate.routers.at(kR).row; }
  ErrandEnd ended(const std::string& id) {
    CHECK(state(id).errand.order == Order::kNone);
    return state(id).errand_end;
  }
  bool asked_to_close(const std::string& id, const SessionId& s) {
    const auto& asked = node(id).gate.resets[kR];
    return !asked.empty() && asked.back() == s;
  }
};

}  // namespace

TEST_CASE("a node takes a router on request: one ordered switch, and it stays") {
  for (const std::size_t count : {2u, 3u}) {
    CAPTURE(count);
    Nodes c(count == 2 ? std::vector<std::string>{"a", "b"} : std::vector<std::string>{"a", "b", "c"});
    const std::string taker = count == 2 ? "b" : "c";  // with three: b's session is older than c's
    const std::size_t claims = c.claims();
    const Nanos begun = c.w.t;
    REQUIRE(c.order(taker, Order::kTake).empty());
    REQUIRE(c.w.until([&] { return c.only(taker); }, seconds(4)));
    CHECK(c.w.t - begun < Millis(1500));
    c.w.run(seconds(30));
    CHECK(c.only(taker));
    CHECK(c.claims() == claims + 1);
    CHECK(c.w.doubles == 0);
    CHECK(c.ended(taker).ok);
    CHECK_FALSE(c.node("a").decider->nodes().at(taker).routers.at(kR).entry.wanted);
  }
}

TEST_CASE("two nodes want the same router: each has it once, and the later session keeps it") {
  Nodes c({"a", "b", "c"});
  const std::size_t claims = c.claims();
  REQUIRE(c.order("b", Order::kTake).empty());
  REQUIRE(c.order("c", Order::kTake).empty());
  c.w.run(seconds(30));
  CHECK(c.only("c"));  // b's session was the older of the two: it came first
  CHECK(c.claims() == claims + 2);
  CHECK(c.ended("b").ok);
  CHECK(c.ended("c").ok);
  CHECK(c.w.doubles == 0);
}

TEST_CASE("a wish of a node that is no better than dumping moves nothing from a synced one") {
  Nodes c;
  c.node("b").gate.dial(kR, 2, c.w.now(c.node("b")));
  c.w.run(seconds(2));
  REQUIRE(c.state("b").cls == 1);
  REQUIRE(c.order("b", Order::kTake).empty());
  c.w.run(seconds(20));
  CHECK(c.only("a"));
  CHECK_FALSE(c.ended("b").ok);
}

TEST_CASE("the owner gives one router away on request") {
  Nodes c;
  REQUIRE(c.order("a", Order::kGive).empty());
  REQUIRE(c.w.until([&] { return c.only("b"); }, seconds(3)));
  c.w.run(seconds(20));
  CHECK(c.only("b"));
  CHECK(c.ended("a").ok);
}

TEST_CASE("orders that cannot be carried out are refused, and change nothing") {
  Nodes c;
  CHECK(c.order("a", Order::kTake) == "this node owns it already");
  CHECK(c.order("b", Order::kGive) == "this node does not own it");
  CHECK(c.order("b", Order::kRaise) == "this node does not own it");
  CHECK(c.order("a", Order::kForget) == "node a has a session of it");
  CHECK(c.order("b", Order::kForget) == "node b has a session of it");
  CHECK(c.order("a", Order::kResync).find("begins at a node that does not") != std::string::npos);
  CHECK(c.order("b", Order::kResync).empty());
  CHECK(c.order("b", Order::kTake).find("busy with resync") == 0);
  CHECK(c.node("b").decider->cancel(kR, c.w.now(c.node("b"))).empty());
  CHECK(c.node("b").decider->order(Order::kTake, router_id(9), kPatience, c.w.now(c.node("b"))) ==
        "this node knows no such router");
  c.w.redis_up = false;
  c.w.run(seconds(3));
  CHECK(c.order("b", Order::kTake) == "Redis is not reachable");
  c.w.redis_up = true;
  c.w.run(seconds(20));
  CHECK(c.w.active(kR).size() == 1);
}

TEST_CASE("nobody to hand it to: giving is refused") {
  Nodes c;
  c.w.kill(c.node("b"));
  c.w.run(seconds(5));
  CHECK(c.order("a", Order::kGive).find("no other node") == 0);
  CHECK(c.only("a"));
}

TEST_CASE("a resync closes the standby's session, keeps its whole dump and begins with its first record") {
  Nodes c;
  const SessionId old = c.row("b").session;
  REQUIRE(c.order("b", Order::kResync, seconds(900)).empty());
  c.w.run(seconds(1));
  CHECK(c.asked_to_close("b", old));
  CHECK(c.only("a"));
  Node& b = c.node("b");
  b.gate.lose_session(kR, false);
  c.w.run(seconds(40));  // the router takes its time
  CHECK(c.only("a"));
  CHECK(c.node("b").decider->errand_step(c.state("b")) == "waits for the router to dial again");
  const BootTime first = c.w.now(b);
  b.gate.dial(kR, 2, first);
  c.w.run(seconds(60));  // a long dump: without the order its beginning would be trimmed as soon as it has ended
  CHECK(c.only("a"));
  CHECK(c.row("b").brackets.back().first == first);
  b.gate.synced(kR, c.w.now(b));
  REQUIRE(c.w.until([&] { return c.only("b"); }, seconds(6)));
  const RoleRouter& role = b.gate.heard.back().routers.at(0);
  CHECK(role.session == SessionId{77, 2});
  CHECK(role.start <= first);
  c.w.run(seconds(30));
  CHECK(c.only("b"));
  CHECK(c.ended("b").ok);
  CHECK(c.ended("b").how == "the dump is in Kafka");
  CHECK(c.w.doubles == 0);
}

TEST_CASE("nothing of the dump is trimmed while the owner does not give way") {
  Nodes c;
  Node& a = c.node("a");
  Node& b = c.node("b");
  REQUIRE(c.order("b", Order::kResync, seconds(900)).empty());
  c.w.run(seconds(1));
  b.gate.lose_session(kR, false);
  c.w.run(seconds(1));
  const BootTime first = c.w.now(b);
  b.gate.dial(kR, 2, first);
  c.w.run(seconds(2));
  b.gate.synced(kR, c.w.now(b));
  a.decider->command(Command::kForceActive, c.w.now(a));
  c.w.run(seconds(9));
  REQUIRE_FALSE(c.row("b").brackets.empty());
  CHECK(c.row("b").brackets.back().first == first);
  c.w.run(seconds(20));
  CHECK(c.ended("b").how == "the owner did not give way");
  CHECK(c.only("a"));
  c.w.run(seconds(20));
  CHECK(c.row("b").brackets.empty());  // the order is over
}

TEST_CASE("a resync whose router stays away, or whose dump is torn, is reported and moves nothing") {
  Nodes c;
  Node& b = c.node("b");
  REQUIRE(c.order("b", Order::kResync, seconds(30)).empty());
  c.w.run(seconds(1));
  b.gate.lose_session(kR, false);
  c.w.run(seconds(32));
  CHECK(c.ended("b").how.find("waits for the router to dial again") != std::string::npos);
  b.gate.dial(kR, 2, c.w.now(b));
  b.gate.synced(kR, c.w.now(b));
  c.w.run(seconds(20));
  CHECK(c.only("a"));
  REQUIRE(c.order("b", Order::kResync, seconds(30)).empty());
  b.gate.dial(kR, 3, c.w.now(b)).row.torn = true;
  c.w.run(seconds(2));
  CHECK(c.ended("b").how.find("bytes-limit") != std::string::npos);
  CHECK(c.only("a"));
}

TEST_CASE("a resync on a single node closes the owner's session and claims the new one") {
  Nodes c({"a"});
  Node& a = c.node("a");
  REQUIRE(c.order("a", Order::kResync, seconds(60)).empty());
  c.w.run(seconds(1));
  CHECK(c.asked_to_close("a", {77, 1}));
  a.gate.lose_session(kR, false);
  c.w.run(seconds(3));
  const BootTime first = c.w.now(a);
  a.gate.dial(kR, 2, first);
  c.w.run(seconds(3));
  CHECK(c.state("a").errand.order == Order::kResync);  // the dump goes on
  a.gate.synced(kR, c.w.now(a));
  c.w.run(seconds(10));
  CHECK(c.ended("a").ok);
  CHECK(a.gate.heard.back().routers.at(0).start <= first);
}

TEST_CASE("a session is closed on request, once") {
  Nodes c;
  REQUIRE(c.order("b", Order::kReset).empty());
  c.w.run(seconds(1));
  CHECK(c.asked_to_close("b", {77, 1}));
  c.node("b").gate.dial(kR, 2, c.w.now(c.node("b")));
  c.w.run(seconds(2));
  CHECK(c.ended("b").ok);
  CHECK(c.node("b").gate.heard.back().routers.at(0).reset_session.is_none());
  CHECK(c.only("a"));
}

TEST_CASE("a router that is gone for good is down at once, and no node has an entry of it") {
  Nodes c;
  for (Node& n : c.w.nodes) n.gate.lose_session(kR, false);
  c.w.run(seconds(2));
  Node& a = c.node("a");
  REQUIRE(c.order("a", Order::kForget).empty());
  CHECK(c.w.until([&] { return c.w.owner(kR).empty(); }, seconds(5)));
  CHECK(c.row("a").emitted == static_cast<std::uint8_t>(Emit::kDown));
  c.w.run(seconds(10));
  for (Node& n : c.w.nodes) {
    // What was held may go, but nothing that could have been read since.
    const Nanos behind = c.w.now(n) - n.gate.routers.at(kR).row.trimmed_to;
    CHECK(behind < seconds(8));
    CHECK(behind >= seconds(7));
    n.gate.routers.clear();  // as gates do with a router that they hold nothing of
  }
  c.w.run(seconds(5));
  for (Node& n : c.w.nodes) CHECK(n.decider->routers().empty());
  CHECK(a.count("order done") == 1);
  CHECK(a.count("router down") == 1);
}

TEST_CASE("a raised epoch is above what was asked for, for this claim and all later ones") {
  Nodes c;
  Node& a = c.node("a");
  const std::uint64_t above = a.epochs.back() + 5'000'000'000;
  REQUIRE(c.order("a", Order::kRaise).empty());
  a.decider->raise_epoch(above);
  c.w.run(seconds(2));
  CHECK(c.only("a"));
  CHECK(a.epochs.back() > above);
  CHECK(c.ended("a").ok);
  REQUIRE(c.order("b", Order::kTake).empty());
  c.w.run(seconds(5));
  CHECK(c.only("b"));
  CHECK(c.node("b").epochs.back() > above + 1);
}

// --- requests

namespace {

struct Asked : Nodes {
  ControlAnswer ask(const std::string& request) {
    Node& b = node("b");
    return answer_control(
        request, *b.decider, [] { return std::string("{\"here\":1}"); }, w.now(b));
  }
  bool refuses(const std::string& request, const std::string& why) {
    const ControlAnswer a = ask(request);
    INFO(a.reply);
    const bool right = a.reply.starts_with("{\"ok\":false,\"error\":") && a.reply.find(why) != std::string::npos;
    CHECK(right);
    return right && !a.acted;
  }
};

}  // namespace

TEST_CASE("a request names a router by its name or by its id") {
  Asked c;
  CHECK(c.ask(R"({"command":"take","router":"r1","timeout_ms":5000})").reply ==
        "{\"ok\":true,\"router\":\"" + to_hex(kR) + "\"}");
  CHECK(c.state("b").errand.deadline - c.state("b").errand.begun == seconds(5));
  CHECK(c.ask(R"({"command":"cancel","router":")" + to_hex(kR) + "\"}").acted);
  CHECK(c.refuses(R"({"command":"cancel","router":"r1"})", "nothing is to be cancelled"));
  CHECK(c.ask(R"({"command":"status"})").reply == R"({"ok":true,"state":{"here":1}})");
  CHECK(c.ask(R"({"command":"force-standby"})").acted);
  CHECK(c.node("b").decider->mode() == Mode::kForcedStandby);
}

TEST_CASE("two routers of one name must be told apart by their ids") {
  Asked c;
  c.w.dial(router_id(2), 1);
  for (Node& n : c.w.nodes) n.gate.routers.at(router_id(2)).row.name = "r1";
  c.w.run(seconds(1));
  CHECK(c.refuses(R"({"command":"take","router":"r1"})", "2 routers have the name"));
  CHECK(c.ask(R"({"command":"reset-session","router":")" + to_hex(router_id(2)) + "\"}").acted);
}

TEST_CASE("what is not exactly a request is refused and does nothing") {
  Asked c;
  CHECK(c.refuses("", "not a JSON object"));
  CHECK(c.refuses("[]", "not a JSON object"));
  CHECK(c.refuses("{\"command\":", "not a JSON object"));
  CHECK(c.refuses("{\"command\":\"\xff\"}", "not a JSON object"));
  CHECK(c.refuses(std::string(kMaxControlRequest + 1, ' '), "too long"));
  CHECK(c.refuses(std::string(kMaxControlRequest, '['), "not a JSON object"));
  CHECK(c.refuses("{}", "\\\"command\\\" is missing"));
  CHECK(c.refuses(R"({"command":7})", "expected text"));
  CHECK(c.refuses(R"({"command":"fly"})", "no such command"));
  CHECK(c.refuses(R"({"command":"take"})", "\\\"router\\\" is missing"));
  CHECK(c.refuses(R"({"command":"take","router":"none"})", "no router"));
  CHECK(c.refuses(R"({"command":"take","router":"r1","speed":1})", "no such key"));
  CHECK(c.refuses(R"({"command":"take","router":"r1","timeout_ms":-1})", "expected a whole number"));
  CHECK(c.refuses(R"({"command":"take","router":"r1","timeout_ms":1e99})", "expected a whole number"));
  CHECK(c.refuses(R"({"command":"take","router":"r1","above":5})", "belongs to raise-epoch"));
  CHECK(
      c.refuses(R"({"command":"raise-epoch","router":"all","above":9223372036854775807})", "expected a whole number"));
  CHECK(c.refuses(R"({"command":"status","router":"r1"})", "takes no argument"));
  CHECK(c.refuses(R"({"command":"take","router":")" + std::string(600, 'x') + "\"}", "too long"));
  CHECK(c.state("b").errand.order == Order::kNone);
}

TEST_CASE("bytes changed at random in a request never crash it") {
  Asked c;
  std::mt19937 random(5);
  const std::string request = R"({"command":"take","router":"r1","timeout_ms":5000})";
  for (int n = 0; n < 5000; ++n) {
    std::string bad = request;
    for (int k = 0; k < 3; ++k) bad[random() % bad.size()] = static_cast<char>(random());
    CHECK(c.ask(bad).reply.starts_with("{\"ok\":"));
  }
}
