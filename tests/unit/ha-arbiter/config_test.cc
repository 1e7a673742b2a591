// Options and their bounds, Redis' address, the state file, and who may use a node's name.
#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "ha-arbiter/config.h"
#include "ha-arbiter/join_guard.h"
#include "ha-arbiter/node_blob.h"
#include "ha-arbiter/redis_address.h"
#include "ha-arbiter/state_file.h"

using namespace bmpha;
using namespace bmpha::arbiter;

namespace {

Config config() {
  Config c;
  c.node = "a";
  return c;
}

struct TempDir {
  std::string path;
  TempDir() {
    char name[] = "/tmp/arbiter-test-XXXXXX";
    path = mkdtemp(name);
  }
  ~TempDir() { std::filesystem::remove_all(path); }
};

std::string key(std::int64_t pub_ms, std::uint64_t inc, std::uint64_t tick, bool leaving = false) {
  NodeBlob b;
  b.id = "a";
  b.inc = inc;
  b.tick = tick;
  b.leaving = leaving;
  return std::to_string(pub_ms) + " " + encode_blob(b);
}

}  // namespace

TEST_CASE("the timing bounds of the protocol are checked, and the error names the key") {
  CHECK(check_timing(config()).empty());
  Config c = config();
  c.node.clear();
  CHECK(check_timing(c).starts_with("key \"node-name\":"));
  c = config();
  c.ttl = Millis(1299);
  CHECK(check_timing(c).starts_with("key ttl:"));
  c.ttl = Millis(1300);
  c.lease = Millis(1299);
  CHECK(check_timing(c).empty());
  c.lease = Millis(1300);
  CHECK(check_timing(c).starts_with("key lease:"));
  c = config();
  c.lease = c.tick;
  CHECK(check_timing(c).starts_with("key lease:"));
  c = config();
  c.retain = Millis(4899);
  CHECK(check_timing(c).starts_with("key retain:"));
  c.retain = Millis(4900);
  CHECK(check_timing(c).empty());
  c.down_delay = Millis(9999);
  CHECK(check_timing(c).starts_with("key router-down-delay:"));
}

TEST_CASE(
    "hold-by-time: a hold below what is safe is warned of, with the need; the bounds stand with a margin of 2 s") {
  Config c = config();
  CHECK(hold_warning(c).empty());  // evidence: it is the margin
  c.trim = "time";
  CHECK(decider_settings(c, 1).by_age);
  CHECK(decider_settings(c, 1).hold == Millis(2000));
  CHECK(hold_warning(c).find("at least 11400 ms") != std::string::npos);
  c.hold = Millis(11'399);
  CHECK(hold_warning(c).find("hold = 11399 ms") != std::string::npos);
  c.hold = Millis(11'400);
  CHECK(hold_warning(c).empty());
  CHECK(check_timing(c).empty());  // retain is not measured by this age
  CHECK(decider_settings(c, 1).margin == Millis(2000));
  c.ttl = Millis(6000);
  CHECK(hold_warning(c).find("at least 15400 ms") != std::string::npos);
  c = config();
  CHECK(decider_settings(c, 1).grain == Grain::kRouter);
  c.grain = "collector";
  CHECK(decider_settings(c, 1).grain == Grain::kCollector);
  CHECK(!decider_settings(c, 1).by_age);
}

TEST_CASE("options: command line and errors") {
  auto run = [](std::vector<const char*> arguments, Config& c) {
    Options o("ha-arbiter", "test");
    add_options(o, c);
    arguments.insert(arguments.begin(), "ha-arbiter");
    return o.parse(static_cast<int>(arguments.size()), arguments.data());
  };
  Config c;
  CHECK(!run({"--node-name", "n-1.50%+x", "--tick", "250ms", "--cluster-id", "10"}, c));
  CHECK(c.node == "n-1.50%+x");
  CHECK(c.tick == Millis(250));
  CHECK(decider_settings(c, 7).margin == Millis(2000));
  for (const auto& bad : std::vector<std::vector<const char*>>{{"--node-name", "a b"},
                                                               {"--node-name", ""},
                                                               {"--node-name", "a", "--redis-url", "http://x"},
                                                               {"--node-name", "a", "--grain", "node"},
                                                               {"--node-name", "a", "--trim", "2s"},
                                                               {"--node-name", "a", "--ttl", "1s"},
                                                               {"--node-name", "a", "--cluster-name", "x}y"},
                                                               {"--node-name", "a", "--redis-password", "secret"}}) {
    Config d;
    CHECK(run(bad, d) == std::optional<int>(kExitUsage));
  }
}

TEST_CASE("keys of Redis that do not fit together, and files that cannot be loaded, are told") {
  const auto check = [](const std::string& text) {
    const TempDir dir;
    const std::string file = dir.path + "/arbiter.toml";
    std::ofstream(file) << "node-name = 'a'\n" << text;
    Config c;
    Options o("ha-arbiter", "test");
    add_options(o, c);
    const char* arguments[] = {"ha-arbiter", "--config", file.c_str()};
    return o.parse(3, arguments).value_or(0);
  };
  CHECK(check("redis-url = 'redis://h'\nredis-user = 'u'\nredis-password = 'p'\n") == 0);
  CHECK(check("redis-url = 'redis://h'\nredis-user = 'u'\n") == 100);
  CHECK(check("redis-url = 'redis://h'\nredis-ca = '/x'\n") == 100);
  CHECK(check("redis-url = 'redis://h'\nsentinel-password = 'p'\n") == 100);
  CHECK(check("redis-url = 'sentinel://h/m'\nsentinel-password = 'p'\nsentinel-user = 'u'\n") == 0);
  CHECK(check("redis-url = 'sentinel://h/m'\nsentinel-user = 'u'\n") == 100);
  CHECK(check("redis-url = 'rediss://h'\n") == 0);
  CHECK(check("redis-url = 'rediss://h'\nredis-ca = '/no/such/file'\n") == 100);
  CHECK(check("redis-url = 'rediss://h'\nredis-cert = '/no/such/file'\n") == 100);
  CHECK(check("redis-url = 'rediss://h'\nredis-cert = '/x'\nredis-key = '/x'\n") == 100);
}

TEST_CASE("addresses of Redis") {
  const auto tcp = parse_redis_url("redis://user:p%40ss:w@redis.example:7000/3");
  REQUIRE(tcp);
  CHECK(tcp.value().host == "redis.example");
  CHECK(tcp.value().port == 7000);
  CHECK(tcp.value().user == "user");
  CHECK(tcp.value().password == "p@ss:w");
  CHECK(tcp.value().db == 3);
  CHECK(to_text(tcp.value()) == "redis://redis.example:7000/3");
  const auto v6 = parse_redis_url("redis://:secret@[2001:db8::1]");
  REQUIRE(v6);
  CHECK(v6.value().host == "2001:db8::1");
  CHECK(v6.value().port == 6379);
  CHECK(v6.value().password == "secret");
  CHECK(to_text(v6.value()) == "redis://[2001:db8::1]:6379/0");
  const auto local = parse_redis_url("unix:///run/redis.sock?db=2");
  REQUIRE(local);
  CHECK(local.value().path == "/run/redis.sock");
  CHECK(local.value().db == 2);
  const auto tls = parse_redis_url("rediss://u:p@h/1");
  REQUIRE(tls);
  CHECK(tls.value().tls);
  CHECK(to_text(tls.value()) == "rediss://h:6379/1");
  const auto named = parse_redis_url("sentinel://u:p%2f@s1,s2:7,[::1]:8/the-master/2");
  REQUIRE(named);
  CHECK(!named.value().tls);
  CHECK(named.value().by_sentinel());
  CHECK(named.value().sentinels == std::vector<HostPort>{{"s1", 26379}, {"s2", 7}, {"::1", 8}});
  CHECK(named.value().master == "the-master");
  CHECK(named.value().password == "p/");
  CHECK(to_text(named.value()) == "sentinel://s1:26379,s2:7,[::1]:8/the-master/2");
  CHECK(to_text(parse_redis_url("rediss+sentinel://s/m").value()) == "rediss+sentinel://s:26379/m/0");
  for (const char* bad : {"",
                          "redis://",
                          "redis://:0",
                          "redis://h:",
                          "redis://h:0",
                          "redis://h:99999",
                          "redis://h/x",
                          "redis://@h",
                          "redis://a%4@h",
                          "redis://[::1",
                          "redis://[::1]x",
                          "unix://x",
                          "unix:///",
                          "unix:///x?y=1",
                          "rediss://",
                          "http://h",
                          "sentinel://h",
                          "sentinel:///m",
                          "sentinel://h/",
                          "sentinel://h,/m",
                          "sentinel://h:0/m",
                          "sentinel://h/m/x",
                          "rediss+sentinel://h"}) {
    CAPTURE(bad);
    const auto a = parse_redis_url(bad);
    CHECK(!a);
    if (!a) CHECK(a.error().find("h:99999") == std::string::npos);
  }
}

TEST_CASE("the state file: written, read back, locked, refused when it is not one") {
  TempDir dir;
  const std::string path = dir.path + "/made/arbiter.state";
  std::string why;
  {
    StateFile f(path);
    REQUIRE(f.open(why) == StateFile::Opened::kYes);
    REQUIRE(f.load());
    CHECK(f.load().value() == Persisted{});
    CHECK(f.store({77, 5, true}));
    CHECK(f.load().value() == Persisted{77, 5, true});
    StateFile second(path);
    CHECK(second.open(why) == StateFile::Opened::kInUse);
    CHECK(why.find("HINT") != std::string::npos);
  }
  StateFile again(path);
  CHECK(again.open(why) == StateFile::Opened::kYes);
  CHECK(again.load().value() == Persisted{77, 5, true});
  const std::string text = encode_state({77, 5, true});
  for (std::size_t n = 0; n < text.size(); ++n) CHECK(!decode_state(text.substr(0, n)));
  CHECK(!decode_state(text + "x"));
  CHECK(!decode_state("bmpha-arbiter-state 2\nepoch 1\ngen 1\nunsettled 0\n"));
  CHECK(!decode_state("bmpha-arbiter-state 1\nepoch 18446744073709551615\ngen 1\nunsettled 0\n"));
  StateFile nowhere("/proc/nothing/here/x");
  CHECK(nowhere.open(why) == StateFile::Opened::kFailed);
}

TEST_CASE("a node name that a live arbiter uses is refused, one that was left behind is taken over") {
  const BootTime t0(std::chrono::hours(1));
  auto guard = [] { return JoinGuard(99, Millis(500), Millis(2000)); };
  using V = JoinGuard::Verdict;
  JoinGuard fresh = guard();
  CHECK(fresh.look("", 5000, t0) == V::kJoin);
  CHECK(!fresh.left_behind());

  JoinGuard alive = guard();
  CHECK(alive.look(key(4900, 1, 10), 5000, t0) == V::kWait);
  CHECK(alive.look(key(4900, 1, 10), 5300, t0 + Millis(300)) == V::kWait);
  CHECK(alive.look(key(5400, 1, 11), 5450, t0 + Millis(450)) == V::kRefuse);

  JoinGuard dead = guard();
  CHECK(dead.look(key(4900, 1, 10), 5000, t0) == V::kWait);
  CHECK(dead.look(key(4900, 1, 10), 5600, t0 + Millis(600)) == V::kJoin);
  REQUIRE(dead.left_behind());
  CHECK(dead.left_behind()->blob->tick == 10);

  JoinGuard left = guard();
  CHECK(left.look(key(4990, 1, 10, true), 5000, t0) == V::kJoin);  // it said goodbye
  CHECK(!left.left_behind());
  JoinGuard unreadable = guard();
  CHECK(unreadable.look("4990 something", 5000, t0) == V::kJoin);
}

TEST_CASE("a key that another process goes on writing is contested; one late write is not") {
  const BootTime t0(std::chrono::hours(1));
  JoinGuard g(99, Millis(500), Millis(2000));
  REQUIRE(g.look(key(4000, 1, 10), 5000, t0) == JoinGuard::Verdict::kJoin);
  CHECK(!g.is_contested(key(4000, 1, 10)));  // what was left
  CHECK(!g.is_contested(key(5100, 99, 11)));
  CHECK(!g.is_contested(""));
  CHECK(!g.is_contested(key(5200, 1, 11)));
  CHECK(!g.is_contested(key(5200, 1, 11)));
  CHECK(g.is_contested(key(5700, 1, 12)));
  CHECK(g.is_young(t0 + Millis(9000)));
  CHECK(!g.is_young(t0 + Millis(10'001)));
}
