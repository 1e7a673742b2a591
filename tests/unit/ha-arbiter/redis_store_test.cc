// The store against a real redis-server of its own (unix socket in a temporary directory).
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "ha-arbiter/node_blob.h"
#include "ha-arbiter/redis_store.h"
#include "tests/support/need_server.h"

using namespace bmpha;
using namespace bmpha::arbiter;

namespace {

struct RedisServer {
  std::string dir;
  pid_t pid = -1;
  explicit RedisServer(const std::string& password = {}) {
    char name[] = "/tmp/arbiter-redis-XXXXXX";
    dir = mkdtemp(name);
    start(password);
  }
  ~RedisServer() {
    stop();
    std::filesystem::remove_all(dir);
  }
  std::string socket() const { return dir + "/redis.sock"; }
  void start(const std::string& password = {}) {
    pid = fork();
    if (pid == 0) {
      const int null = open("/dev/null", O_RDWR);
      dup2(null, 1);
      dup2(null, 2);
      const std::string path = socket();
      if (password.empty())
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path.c_str(), "--save", "", "--dir",
               dir.c_str(), static_cast<char*>(nullptr));
      else
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path.c_str(), "--save", "", "--dir",
               dir.c_str(), "--requirepass", password.c_str(), static_cast<char*>(nullptr));
      _exit(127);
    }
    for (int n = 0; n < 200 && !std::filesystem::exists(socket()); ++n) usleep(20'000);
  }
  void stop() {
    if (pid <= 0) return;
    kill(pid, SIGCONT);
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    pid = -1;
    std::filesystem::remove(socket());
  }
};

bool have_redis() {
  static const bool found = [] {
    for (const char* path : {"/usr/bin/redis-server", "/usr/local/bin/redis-server"})
      if (access(path, X_OK) == 0) return true;
    return false;
  }();
  return bmpha::test::have_server(found ? "" : "redis-server is not installed");
}

struct Client {
  EventLoop loop;
  std::unique_ptr<RedisStore> store;
  explicit Client(const RedisServer& s, const std::string& node = "a", std::uint64_t cluster = 1,
                  const std::string& password = {}, std::uint32_t db = 0) {
    RedisSettings settings;
    settings.address.path = s.socket();
    settings.address.password = password;
    settings.address.db = db;
    settings.cluster_name = "c";
    settings.cluster_id = cluster;
    settings.node = node;
    settings.timeout = Millis(200);
    store = std::make_unique<RedisStore>(loop, settings);
  }
  // A failure makes the store pause before it connects again: ask until it answers.
  Result<TickReply> tick(const TickRequest& r = {}) {
    std::optional<Result<TickReply>> got;
    store->tick(r, [&](Result<TickReply> x) {
      got = std::move(x);
      loop.stop();
    });
    if (!got) loop.run();
    return std::move(*got);
  }
  Result<TickReply> tick_until_ok(const TickRequest& r = {}) {
    for (int n = 0; n < 60; ++n) {
      auto reply = tick(r);
      if (reply) return reply;
      usleep(50'000);
    }
    return tick(r);
  }
  Result<ClaimReply> claim(const ClaimRequest& r) {
    std::optional<Result<ClaimReply>> got;
    store->claim(r, [&](Result<ClaimReply> x) {
      got = std::move(x);
      loop.stop();
    });
    if (!got) loop.run();
    return std::move(*got);
  }
  Status wait(const std::function<void(Store::Done)>& f) {
    std::optional<Status> got;
    f([&](Status s) {
      got = std::move(s);
      loop.stop();
    });
    if (!got) loop.run();
    return *got;
  }
};

std::string value_of(const TickReply& r, const std::string& node) {
  for (const auto& [id, value] : r.nodes)
    if (id == node) return value;
  return "-";
}

}  // namespace

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
  Client a(server, "a-1"), b(server, "xa-1"), other(server, "a-1", 10);

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

  CHECK(a.wait([&](Store::Done d) { a.store->forget({{"r1", "a-1 5"}, {"r2", "a-1 5"}}, d); }));
  CHECK(a.tick().value().owners.size() == 2);  // r1 belongs to the other by now
  CHECK(a.wait([&](Store::Done d) { a.store->leave(d); }));
  CHECK(value_of(b.tick().value(), "a-1").empty());
}

TEST_CASE("a request that comes late is not written") {
  if (!have_redis()) return;
  RedisServer server;
  Client a(server);
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
  Client a(server);
  REQUIRE(a.tick({"x", 0}));
  usleep(2'100'000);
  auto reply = a.tick();
  REQUIRE(reply);
  CHECK(value_of(reply.value(), "a").empty());  // known, but gone
}

TEST_CASE("a silent Redis fails the request in time, and is found again; scripts are sent anew after its restart") {
  if (!have_redis()) return;
  RedisServer server;
  Client a(server);
  REQUIRE(a.tick({"x", 0}));
  REQUIRE(a.tick({"x", 0}));  // by its hash
  kill(server.pid, SIGSTOP);
  const BootTime begun = BootClock::now();
  auto none = a.tick({"y", 0});
  CHECK(!none);
  CHECK(none.error().find("no answer") != std::string::npos);
  CHECK(BootClock::now() - begun < Millis(350));
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

TEST_CASE("scripts that Redis has forgotten are sent again within the same request") {
  if (!have_redis()) return;
  RedisServer server;
  Client a(server);
  REQUIRE(a.tick({"x", 0}));
  REQUIRE(a.tick({"x", 0}));
  REQUIRE(std::system(("redis-cli -s " + server.socket() + " script flush >/dev/null").c_str()) == 0);
  CHECK(a.tick({"x", 0}));
  CHECK(a.tick({"x", 0}));
}

TEST_CASE("password and database number; an error reply is a failure that says why") {
  if (!have_redis()) return;
  RedisServer server("geheim");
  Client none(server), wrong(server, "a", 1, "falsch"), right(server, "a", 1, "geheim", 5);
  auto refused = none.tick({"x", 0});
  REQUIRE(!refused);
  CHECK(refused.error().find("NOAUTH") != std::string::npos);
  auto bad = wrong.tick({"x", 0});
  REQUIRE(!bad);
  CHECK(bad.error().find("WRONGPASS") != std::string::npos);
  REQUIRE(right.tick({"x", 0}));
  Client zero(server, "a", 1, "geheim");
  CHECK(zero.tick().value().before.empty());  // another database
  CHECK(right.tick().value().before.ends_with(" x"));
}

TEST_CASE("a Redis that may not write counts as unreachable") {
  if (!have_redis()) return;
  RedisServer server;
  Client a(server);
  REQUIRE(a.tick({"x", 0}));
  REQUIRE(std::system(("redis-cli -s " + server.socket() + " replicaof 127.0.0.1 1 >/dev/null").c_str()) == 0);
  auto refused = a.tick({"x", 0});
  REQUIRE(!refused);
  CHECK(refused.error().find("READONLY") != std::string::npos);
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
