// Every state of a real Redis in which it answers but does not do what it should: each counts as unreachable, says why,
// and is over as soon as the server is right again.
#include <sys/un.h>

#include "tests/unit/ha-arbiter/redis_server.h"

using namespace bmpha;
using namespace bmpha::arbiter;
using namespace bmpha::arbiter::test;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// Ticks, looks without a blob and claims all fail with this.
void check_unreachable(Client& a, const std::string& reason) {
  CAPTURE(reason);
  const std::string error = a.tick_until_failure(reason);
  CHECK(has(error, reason));
  CHECK(has(error, "HINT"));
  CHECK(!a.tick());
  CHECK(!a.claim({"head", "tail", {{"r", "", "a 1", "w", "l"}}, 0}));
}

RedisAddress with_login(RedisAddress a, const std::string& user, const std::string& password, std::uint32_t db = 0) {
  a.user = user;
  a.password = password;
  a.db = db;
  return a;
}

}  // namespace

TEST_CASE("password and database number; a password that is changed, and changed back") {
  if (!have_redis()) return;
  RedisServer server({"--requirepass", "geheim"});
  Client none(settings_for(at_socket(server)));
  Client wrong(settings_for(with_login(at_socket(server), "", "falsch")));
  Client right(settings_for(with_login(at_socket(server), "", "geheim", 5)));
  check_unreachable(none, "NOAUTH");
  check_unreachable(wrong, "WRONGPASS");
  REQUIRE(right.tick({"x", 0}));
  Client zero(settings_for(with_login(at_socket(server), "", "geheim")));
  CHECK(zero.tick().value().before.empty());  // another database
  CHECK(right.tick().value().before.ends_with(" x"));
  Client beyond(settings_for(with_login(at_socket(server), "", "geheim", 99)));
  CHECK(has(beyond.tick_until_failure("DB index"), "out of range"));

  // A connection that is logged in stays so; a new one is refused.
  CHECK(has(server.cli("--no-auth-warning -a geheim config set requirepass anders"), "OK"));
  CHECK(has(server.cli("--no-auth-warning -a anders client kill type normal skipme yes"), ""));
  check_unreachable(right, "WRONGPASS");
  CHECK(has(server.cli("--no-auth-warning -a anders config set requirepass geheim"), "OK"));
  CHECK(right.tick_until_ok({"y", 0}));
}

TEST_CASE("an ACL user with the rights that the documentation lists can do everything; with less it is refused") {
  if (!have_redis()) return;
  RedisServer server;
  CHECK(has(server.cli("acl setuser bmpha on '>geheim' '~bmpha:*' +auth +select +role +script\\|load +eval +evalsha "
                       "+time +get +set +del +zadd +zrange +zremrangebyscore +hget +hset +hdel +hgetall"),
            "OK"));
  Client a(settings_for(with_login(at_socket(server), "bmpha", "geheim", 1)));
  REQUIRE(a.tick({"x", 0}));
  REQUIRE(a.tick({"x", 0}));
  auto claimed = a.claim({"head", "tail", {{"r", "", "a 1", "w", "l"}}, 0});
  REQUIRE(claimed);
  CHECK(claimed.value().won == std::vector<bool>{true});
  CHECK(a.forget({{"r", "a 1"}}));
  CHECK(a.census("text"));
  CHECK(a.leave());
  CHECK(has(server.cli("acl setuser bmpha -hset -zremrangebyscore"), "OK"));
  CHECK(has(a.tick_until_failure("HINT: the user needs"), "command"));
  CHECK(has(server.cli("acl setuser bmpha -eval -evalsha"), "OK"));
  check_unreachable(a, "NOPERM");
  CHECK(has(server.cli("acl setuser bmpha +hset +zremrangebyscore +eval +evalsha"), "OK"));
  CHECK(a.tick_until_ok({"x", 0}));
}

TEST_CASE("READONLY: a replica is no Redis to decide by, not even to look at") {
  if (!have_redis()) return;
  RedisServer server;
  Client a(settings_for(at_socket(server)));
  REQUIRE(a.tick({"x", 0}));
  CHECK(has(server.cli("replicaof 127.0.0.1 1"), "OK"));
  check_unreachable(a, "READONLY");
  CHECK(has(server.cli("replicaof no one"), "OK"));
  CHECK(a.tick_until_ok({"x", 0}));
}

TEST_CASE("OOM: memory is full and nothing is evicted") {
  if (!have_redis()) return;
  RedisServer server;
  Client a(settings_for(at_socket(server)));
  REQUIRE(a.tick({"x", 0}));
  CHECK(has(server.cli("config set maxmemory-policy noeviction maxmemory 1mb"), "OK"));
  check_unreachable(a, "OOM");
  CHECK(has(server.cli("config set maxmemory 0"), "OK"));
  CHECK(a.tick_until_ok({"x", 0}));
}

TEST_CASE("MISCONF: the snapshot cannot be written") {
  if (!have_redis()) return;
  RedisServer server;
  Client a(settings_for(at_socket(server)));
  REQUIRE(a.tick({"x", 0}));
  const std::string gone = server.directory.path + "/gone";
  std::filesystem::create_directory(gone);
  server.stop();
  server.arguments = {"--dir", gone, "--save", "3600", "1"};
  server.start();
  REQUIRE(a.tick_until_ok({"x", 0}));
  std::filesystem::remove_all(gone);
  CHECK(has(server.cli("bgsave"), "started"));
  REQUIRE(server.cli_until("info persistence", "rdb_last_bgsave_status:err"));
  check_unreachable(a, "MISCONF");
  CHECK(has(server.cli("config set save ''"), "OK"));
  CHECK(a.tick_until_ok({"x", 0}));
}

TEST_CASE("NOREPLICAS: a master that was cut off from its replicas") {
  if (!have_redis()) return;
  RedisServer server;
  Client a(settings_for(at_socket(server)));
  REQUIRE(a.tick({"x", 0}));
  CHECK(has(server.cli("config set min-replicas-to-write 1"), "OK"));
  check_unreachable(a, "NOREPLICAS");
  CHECK(has(server.cli("config set min-replicas-to-write 0"), "OK"));
  CHECK(a.tick_until_ok({"x", 0}));
}

TEST_CASE("LOADING: a server that reads its data back") {
  if (!have_redis()) return;
  RedisServer server;
  CHECK(has(server.cli("eval \"for n = 1, 1000 do redis.call('SET', n, string.rep('x', 100)) end return 'done'\" 0"),
            "done"));
  CHECK(has(server.cli("save"), "OK"));
  server.stop();
  // A millisecond for each key; it answers meanwhile.
  server.arguments = {"--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"};
  server.start();
  Client a(settings_for(at_socket(server)));
  CHECK(has(a.tick_until_failure("LOADING"), "LOADING"));
  CHECK(a.tick_until_ok({"x", 0}, 400));
}

TEST_CASE("CLUSTERDOWN and MOVED: a Redis Cluster is refused with what to do instead") {
  if (!have_redis()) return;
  const std::uint16_t port = free_port(), bus = free_port();
  const auto arguments = [](std::uint16_t p, std::uint16_t b) {
    return std::vector<std::string>{"--port",
                                    std::to_string(p),
                                    "--cluster-enabled",
                                    "yes",
                                    "--bind",
                                    "127.0.0.1",
                                    "--cluster-port",
                                    std::to_string(b),
                                    "--cluster-require-full-coverage",
                                    "no"};
  };
  RedisServer first(arguments(port, bus)), second(arguments(free_port(), free_port()));
  Client a(settings_for(at_socket(second)));
  check_unreachable(a, "CLUSTERDOWN");
  CHECK(has(first.cli("cluster addslotsrange 0 16383"), "OK"));
  CHECK(has(second.cli("cluster meet 127.0.0.1 " + std::to_string(port) + " " + std::to_string(bus)), "OK"));
  REQUIRE(second.cli_until("cluster info", "cluster_slots_assigned:16384"));
  check_unreachable(a, "MOVED");
}

TEST_CASE("a server that is no Redis, and one that hangs up") {
  const TemporaryDirectory directory;
  const std::string path = directory.path + "/s";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
  REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(listen(listener, 8) == 0);
  RedisAddress where;
  where.path = path;
  Client a(settings_for(where));
  std::string greeting = "HTTP/1.1 400 Bad Request\r\n\r\n";
  a.loop.watch(listener, EPOLLIN, [&](std::uint32_t) {
    const int fd = accept(listener, nullptr, nullptr);
    if (fd < 0) return;
    if (!greeting.empty()) CHECK(write(fd, greeting.data(), greeting.size()) > 0);
    close(fd);
  });
  CHECK(has(a.tick_until_failure("protocol"), "not Redis' protocol"));
  greeting = "-DENIED Redis is running in protected mode\r\n";
  CHECK(has(a.tick_until_failure("DENIED"), "HINT"));
  greeting.clear();
  CHECK(has(a.tick_until_failure("closed"), "closed"));
  a.loop.unwatch(listener);
  close(listener);
}

TEST_CASE("a server that does not know AUTH answers with its arguments: the password stands in no message") {
  if (!have_redis()) return;
  RedisServer server({"--rename-command", "AUTH", ""});
  Client a(settings_for(with_login(at_socket(server), "", "geheim")));
  const std::string error = a.tick_until_failure("unknown command");
  CHECK(has(error, "unknown command"));
  CHECK(!has(error, "geheim"));
}
