// The store against a real redis-server of its own (unix socket in a temporary directory).
#include <algorithm>
#include <atomic>
#include <thread>

#include "tests/unit/ha-arbiter/redis_server.h"

using namespace bmpha;
using namespace bmpha::arbiter;
using namespace bmpha::arbiter::test;

TEST_CASE("keys are those of the protocol; clusters 1 and 10 do not meet") {
  const RedisKeys k = redis_keys("default", 0, "a-1.50%+x");
  CHECK(k.own == "bmpha:{default-0}:own");
  CHECK(k.nodes == "bmpha:{default-0}:nodes");
  CHECK(k.node == "bmpha:{default-0}:node:a-1.50%+x");
  CHECK(k.node == k.node_prefix + "a-1.50%+x");
  CHECK(redis_keys("c", 1, "0").node != redis_keys("c", 10, "").node);
}

TEST_CASE("ticks and claims in a real Redis") {
  if (!have_redis()) return;
  RedisServer server;
  Client a(settings_for(at_socket(server), "a-1")), b(settings_for(at_socket(server), "xa-1")),
      other(settings_for(at_socket(server), "a-1", 10));

  auto first = a.tick({"blob a", 0});
  REQUIRE(first);
  CHECK(first.value().before.empty());
  CHECK(first.value().redis_ms > 1'600'000'000'000);
  CHECK(value_of(first.value(), "a-1") == std::to_string(first.value().redis_ms) + " blob a");

  auto second = b.tick({"blob b\nwith lines", 0});
  REQUIRE(second);
  CHECK(second.value().nodes.size() == 2);
  CHECK(value_of(second.value(), "xa-1").ends_with("blob b\nwith lines"));
  CHECK(value_of(second.value(), "a-1").ends_with("blob a"));
  REQUIRE(other.tick({"blob other", 0}));
  CHECK(other.tick().value().nodes.size() == 1);

  // Exactly one wins; the loser's blob says so in the same step.
  const ClaimRequest by_a{
      "A ", "end", {{"r1", "", "a-1 5", "r1 won ", "r1 lost "}, {"r2", "", "a-1 5", "r2 won ", "r2 lost "}}, 0};
  const ClaimRequest by_b{
      "B ", "end", {{"r1", "", "xa-1 6", "r1 won ", "r1 lost "}, {"r3", "", "xa-1 6", "r3 won ", "r3 lost "}}, 0};
  auto won_a = a.claim(by_a);
  auto won_b = b.claim(by_b);
  REQUIRE(won_a);
  REQUIRE(won_b);
  CHECK(won_a.value().won == std::vector<bool>{true, true});
  CHECK(won_b.value().won == std::vector<bool>{false, true});
  auto seen = a.tick();
  REQUIRE(seen);
  CHECK(value_of(seen.value(), "xa-1").ends_with("B r1 lost r3 won end"));
  CHECK(seen.value().before.ends_with("A r1 won r2 won end"));
  CHECK(seen.value().owners.size() == 3);

  // A claim over another value.
  auto over = b.claim({"B ", "end", {{"r1", "a-1 5", "xa-1 9", "w", "l"}, {"r2", "a-1 4", "xa-1 9", "w", "l"}}, 0});
  REQUIRE(over);
  CHECK(over.value().won == std::vector<bool>{true, false});

  CHECK(a.forget({{"r1", "a-1 5"}, {"r2", "a-1 5"}}));
  CHECK(a.tick().value().owners.size() == 2);  // r1 belongs to the other by now
  CHECK(a.leave());
  CHECK(value_of(b.tick().value(), "a-1").empty());
}

TEST_CASE("names of nodes that are gone, however many, do not push out a living one") {
  if (!have_redis()) return;
  RedisServer server;
  Client a(settings_for(at_socket(server), "a")), b(settings_for(at_socket(server), "b"));
  REQUIRE(a.tick({"blob a", 0}));
  const std::string script =
      "eval \"local t = redis.call('TIME') for i = 1, 1100 do "
      "redis.call('ZADD', KEYS[1], t[1] * 1000 - 60000, 'gone' .. i) end\" 1 'bmpha:{c-1}:nodes'";
  server.cli(script);
  REQUIRE(server.cli("zcard 'bmpha:{c-1}:nodes'").starts_with("1101"));
  const auto seen = b.tick({"blob b", 0});
  REQUIRE(seen);
  CHECK(value_of(seen.value(), "a").ends_with(" blob a"));
  CHECK(value_of(seen.value(), "b").ends_with(" blob b"));
}

TEST_CASE("a request that comes late is not written") {
  if (!have_redis()) return;
  RedisServer server;
  Client a(settings_for(at_socket(server)));
  const std::int64_t now = a.tick({"x", 0}).value().redis_ms;
  auto late = a.tick({"late", now - 10'000});
  REQUIRE(late);
  CHECK(late.value().late);
  CHECK(late.value().redis_ms >= now);
  CHECK(a.tick({"ahead", now + 10'000}).value().late);
  auto claim = a.claim({"late", "", {{"r", "", "a 1", "", ""}}, now - 10'000});
  REQUIRE(claim);
  CHECK(claim.value().late);
  auto after = a.tick();
  CHECK(after.value().before.ends_with(" x"));
  CHECK(after.value().owners.empty());
  CHECK(!a.tick({"in time", now}).value().late);
}

TEST_CASE("the key lives for the TTL") {
  if (!have_redis()) return;
  RedisServer server;
  Client a(settings_for(at_socket(server)));
  REQUIRE(a.tick({"x", 0}));
  usleep(2'100'000);
  auto reply = a.tick();
  REQUIRE(reply);
  CHECK(value_of(reply.value(), "a").empty());  // known, but gone
}

TEST_CASE("a silent Redis fails the request in time, and is found again; scripts are sent anew after its restart") {
  if (!have_redis()) return;
  RedisServer server;
  Client a(settings_for(at_socket(server)));
  REQUIRE(a.tick({"x", 0}));
  REQUIRE(a.tick({"x", 0}));  // by its hash
  kill(server.pid, SIGSTOP);
  const BootTime begun = BootClock::now();
  auto none = a.tick({"y", 0});
  CHECK(!none);
  CHECK(none.error().find("no answer") != std::string::npos);
  CHECK(BootClock::now() - begun < Millis(500));
  CHECK(!a.tick({"y", 0}));  // also while it pauses before the next attempt
  kill(server.pid, SIGCONT);
  CHECK(a.tick_until_ok({"z", 0}));
  server.stop();
  CHECK(!a.tick({"z", 0}));
  server.start();
  auto back = a.tick_until_ok({"z", 0});
  REQUIRE(back);
  CHECK(back.value().before.empty());
}

TEST_CASE("one answer that does not come costs no connection, two do") {
  if (!have_redis()) return;
  RedisServer server;
  Client a(settings_for(at_socket(server)));
  // "id=5 addr=... cmd=evalsha ...", a line for each connection.
  const auto connection = [&] {
    REQUIRE(a.tick_until_ok({"x", 0}));
    const std::string list = server.cli("client list");
    const std::size_t end = list.find(" cmd=eval");
    REQUIRE(end != std::string::npos);
    const std::size_t line = list.rfind("id=", end);
    return list.substr(line, list.find(' ', line) - line);
  };
  const std::string first = connection();
  kill(server.pid, SIGSTOP);
  CHECK(!a.tick({"y", 0}));
  kill(server.pid, SIGCONT);
  CHECK(a.tick({"z", 0}));
  CHECK(connection() == first);
  kill(server.pid, SIGSTOP);
  CHECK(!a.tick({"y", 0}));
  CHECK(!a.tick({"y", 0}));
  kill(server.pid, SIGCONT);
  CHECK(connection() != first);
}

TEST_CASE("scripts that Redis has forgotten are sent again within the same request") {
  if (!have_redis()) return;
  RedisServer server;
  Client a(settings_for(at_socket(server)));
  REQUIRE(a.tick({"x", 0}));
  REQUIRE(a.tick({"x", 0}));
  CHECK(server.cli("script flush").find("OK") != std::string::npos);
  CHECK(a.tick({"x", 0}));
  CHECK(a.tick({"x", 0}));
}

TEST_CASE("nobody listens, or the name does not resolve: a failure in time, the loop goes on") {
  EventLoop loop;
  for (const char* host : {"127.0.0.1", "localhost", "no-such-host.invalid"}) {
    CAPTURE(host);
    RedisSettings settings;
    settings.address.host = host;
    settings.address.port = 1;
    settings.node = "a";
    settings.timeout = Millis(300);
    RedisStore store(loop, settings);
    int turns = 0;
    const EventLoop::TimerId id = loop.every(Millis(10), [&] { ++turns; });
    std::string error;
    store.tick({"x", 0}, [&](const Result<TickReply>& r) {
      if (!r) error = r.error();
      loop.after(Millis(50), [&] { loop.stop(); });
    });
    const BootTime begun = BootClock::now();
    loop.run();
    loop.cancel(id);
    CHECK(!error.empty());
    CHECK(turns > 0);
    CHECK(BootClock::now() - begun < Millis(800));
  }
}

TEST_CASE("a name that takes long to resolve fails requests in time and holds nothing up; then it is used") {
  if (!have_redis()) return;
  const std::uint16_t port = free_port();
  RedisServer server({"--port", std::to_string(port), "--bind", "127.0.0.1"});
  RedisAddress where;
  where.host = "slow.example";
  where.port = port;
  RedisSettings settings = settings_for(where);
  settings.timeout = Millis(200);
  static std::atomic<int> lookups{0};
  lookups = 0;
  settings.lookup = [](const std::string&) {
    ++lookups;
    std::this_thread::sleep_for(Millis(1500));
    return Result<Resolver::Addresses>(Resolver::Addresses{"127.0.0.1"});
  };
  {
    Client gone(settings);  // its thread ends later, and finds nobody
    CHECK(!gone.tick({"x", 0}));
  }
  Client a(settings);
  BootTime last = BootClock::now();
  Nanos gap{0};
  a.loop.every(Millis(10), [&] {
    const BootTime now = BootClock::now();
    gap = std::max(gap, now - last);
    last = now;
  });
  const BootTime begun = BootClock::now();
  auto first = a.tick({"x", 0});
  REQUIRE(!first);
  CHECK(first.error().find("resolving slow.example") != std::string::npos);
  CHECK(BootClock::now() - begun < Millis(400));
  CHECK(a.tick_until_ok({"x", 0}));
  CHECK(BootClock::now() - begun >= Millis(1500));
  CHECK(gap < Millis(400));    // the lookup takes 1500
  CHECK(lookups.load() == 2);  // one thread each, however many requests waited for it
  // What is known serves at once while it is looked up again.
  CHECK(server.cli("client kill type normal skipme yes").find('1') != std::string::npos);
  const BootTime again = BootClock::now();
  CHECK(a.tick_until_ok({"y", 0}));
  CHECK(BootClock::now() - again < Millis(1000));
  for (int n = 0; n < 100 && lookups < 3; ++n) a.pause(Millis(20));  // its thread has to get its turn
  CHECK(lookups.load() == 3);
}

TEST_CASE("a name with several addresses: those that nobody answers at are passed over") {
  if (!have_redis()) return;
  const std::uint16_t port = free_port();
  RedisServer server({"--port", std::to_string(port), "--bind", "127.0.0.1"});
  RedisAddress where;
  where.host = "two.example";
  where.port = port;
  RedisSettings settings = settings_for(where);
  settings.lookup = [](const std::string&) {
    return Result<Resolver::Addresses>(Resolver::Addresses{"127.0.0.2", "127.0.0.1"});
  };
  Client a(settings);
  CHECK(a.tick_until_ok({"x", 0}));
  CHECK(Client(settings).tick_until_ok({"x", 0}));
}

TEST_CASE("the census: everybody known, bounded, beside the other requests") {
  if (!have_redis()) return;
  RedisServer server;
  Client a(settings_for(at_socket(server), "a")), b(settings_for(at_socket(server), "b"));
  const std::string key = "'bmpha:{c-1}:census' ";
  bool called = false;
  a.store->census("unconnected", [&](const Result<Store::Pairs>&) { called = true; });
  a.pause(Millis(50));
  CHECK(!called);
  REQUIRE(a.tick({"x", 0}));
  REQUIRE(b.tick({"x", 0}));
  CHECK(a.census("of a").value() == Store::Pairs{{"a", "of a"}});
  CHECK(b.census("of b").value().size() == 2);
  CHECK(a.census("of a, again").value().size() == 2);
  CHECK(server.cli("hget " + key + "a").starts_with("of a, again"));

  // What a node that nobody knows has left goes, and what is too long is not read.
  server.cli("hset " + key + "ghost x");
  server.cli("eval \"redis.call('HSET', KEYS[1], 'b', string.rep('x', 1048577))\" 1 " + key);
  CHECK(a.census("of a").value() == Store::Pairs{{"a", "of a"}});
  CHECK(server.cli("hlen " + key).starts_with("2"));

  // It does not wait for a tick that is under way, nor the tick for it.
  std::string order;
  a.store->tick({"y", 0}, [&](const Result<TickReply>& r) { order += r ? "tick " : "failed "; });
  a.store->census("of a", [&](const Result<Store::Pairs>& r) { order += r ? "census " : "failed "; });
  a.pause(Millis(200));
  CHECK(order == "tick census ");

  // Refused, it takes nothing else with it: the next tick uses the same connection.
  server.cli("del " + key);
  server.cli("set " + key + "text");
  const std::string connections = server.cli("info stats | grep total_connections_received");
  CHECK(!a.census("of a").is_ok());
  CHECK(a.tick({"z", 0}));
  CHECK(!a.census("of a").is_ok());
  CHECK(a.tick({"z", 0}));
  const auto count = [](const std::string& line) { return std::stoi(line.substr(line.find(':') + 1)); };
  CHECK(count(server.cli("info stats | grep total_connections_received")) == count(connections) + 1);  // the question's
}
