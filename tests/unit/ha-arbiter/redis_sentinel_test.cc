// Sentinels: real ones, with a real master and replica, and small servers of our own where one must answer wrongly.
#include <fstream>

#include "tests/unit/ha-arbiter/redis_server.h"

using namespace bmpha;
using namespace bmpha::arbiter;
using namespace bmpha::arbiter::test;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::vector<std::string> on_port(std::uint16_t port, std::vector<std::string> more = {}) {
  std::vector<std::string> all{"--port",    std::to_string(port),         "--bind",
                               "127.0.0.1", "--repl-diskless-sync-delay", "0"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

// A Sentinel that watches the master on that port, alone: its word is enough.
struct SentinelServer {
  TemporaryDirectory directory;
  std::uint16_t port = free_port();
  std::unique_ptr<RedisServer> process;
  explicit SentinelServer(std::uint16_t master, const std::string& more = {}) {
    const std::string file = directory.path + "/sentinel.conf";
    std::ofstream(file)
        << "port " << port << "\nbind 127.0.0.1\ndir " << directory.path << "\nsentinel monitor the-master 127.0.0.1 "
        << master << " 1\nsentinel down-after-milliseconds the-master 500\nsentinel failover-timeout the-master 3000\n"
        << more;
    process = std::make_unique<RedisServer>(std::vector<std::string>{file, "--sentinel"});
  }
};

RedisSettings by_sentinels(const std::vector<std::uint16_t>& ports) {
  RedisAddress a;
  for (const std::uint16_t p : ports) a.sentinels.push_back({"127.0.0.1", p});
  a.master = "the-master";
  return settings_for(a);
}

// Accepts connections and answers each command with the next of these, or not at all.
struct Answering {
  EventLoop& loop;
  int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  std::uint16_t port = 0;
  std::string answer;
  int asked = 0;
  std::vector<int> open;
  Answering(EventLoop& l, std::string text) : loop(l), answer(std::move(text)) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof a;
    REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&a), size) == 0);
    REQUIRE(listen(listener, 16) == 0);
    getsockname(listener, reinterpret_cast<sockaddr*>(&a), &size);
    port = ntohs(a.sin_port);
    loop.watch(listener, EPOLLIN, [this](std::uint32_t) { take(); });
  }
  void take() {
    const int fd = accept(listener, nullptr, nullptr);
    if (fd < 0) return;
    open.push_back(fd);
    loop.watch(fd, EPOLLIN, [this, fd](std::uint32_t) {
      char buffer[4096];
      if (read(fd, buffer, sizeof buffer) <= 0) return loop.unwatch(fd);
      ++asked;
      if (!answer.empty()) CHECK(write(fd, answer.data(), answer.size()) > 0);
    });
  }
  ~Answering() {
    loop.unwatch(listener);
    for (const int fd : open) {
      loop.unwatch(fd);
      close(fd);
    }
    close(listener);
  }
};

}  // namespace

TEST_CASE("the master that real Sentinels name; a failover is followed") {
  if (!have_redis()) return;
  const std::uint16_t master_port = free_port(), replica_port = free_port();
  RedisServer master(on_port(master_port)),
      replica(on_port(replica_port, {"--replicaof", "127.0.0.1 " + std::to_string(master_port)}));
  REQUIRE(replica.cli_until("role", "connected"));
  const SentinelServer sentinel(master_port);
  Client a(by_sentinels({free_port(), sentinel.port}));
  REQUIRE(a.tick_until_ok({"x", 0}, 100));
  CHECK(master.cli("exists bmpha:{c-1}:node:a").starts_with("1"));

  kill(master.pid, SIGSTOP);
  CHECK(!a.tick_until_failure("").empty());
  REQUIRE(replica.cli_until("role", "master", 150));
  REQUIRE(a.tick_until_ok({"y", 0}, 200));
  CHECK(has(replica.cli("get bmpha:{c-1}:node:a"), " y"));

  // The old master, back, is no longer believed; it becomes a replica.
  kill(master.pid, SIGCONT);
  REQUIRE(a.tick_until_ok({"z", 0}, 200));
  CHECK(has(replica.cli("get bmpha:{c-1}:node:a"), " z"));
  CHECK(master.cli_until("role", "slave", 150));
}

TEST_CASE("a link that works is left when the Sentinels name another master") {
  if (!have_redis()) return;
  const std::uint16_t first_port = free_port(), second_port = free_port();
  RedisServer first(on_port(first_port)), second(on_port(second_port));
  RedisSettings settings = by_sentinels({1});
  Client a(settings);
  const auto named = [](std::uint16_t port) {
    const std::string text = std::to_string(port);
    return "*2\r\n$9\r\n127.0.0.1\r\n$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
  };
  Answering sentinel(a.loop, named(first_port));
  settings.address.sentinels = {{"127.0.0.1", sentinel.port}};
  a.store = std::make_unique<RedisStore>(a.loop, settings);
  REQUIRE(a.tick_until_ok({"x", 0}));
  sentinel.answer = named(second_port);
  a.pause(Millis(1200));  // once a second they are asked
  REQUIRE(a.tick_until_ok({"y", 0}));
  CHECK(has(second.cli("get bmpha:{c-1}:node:a"), " y"));
  CHECK(has(first.cli("get bmpha:{c-1}:node:a"), " x"));

  // Named, but a replica: not believed.
  CHECK(has(first.cli("replicaof 127.0.0.1 1"), "OK"));
  sentinel.answer = named(first_port);
  a.pause(Millis(1200));
  CHECK(has(a.tick_until_failure("master"), "is not the master"));
}

TEST_CASE("Sentinels that do not help: silent, unknown name, error, nonsense; every one is named with its reason") {
  if (!have_redis()) return;
  const std::uint16_t port = free_port();
  RedisServer master(on_port(port));
  RedisSettings settings = by_sentinels({1});
  Client a(settings);
  Answering silent(a.loop, ""), unknown(a.loop, "*-1\r\n"), error(a.loop, "-NOAUTH Authentication required.\r\n"),
      nonsense(a.loop, "*2\r\n$1\r\nx\r\n$5\r\n99999\r\n");
  settings.timeout = Millis(200);
  settings.address.sentinels = {
      {"127.0.0.1", silent.port}, {"127.0.0.1", unknown.port}, {"127.0.0.1", error.port}, {"127.0.0.1", nonsense.port}};
  a.store = std::make_unique<RedisStore>(a.loop, settings);
  const std::string why = a.tick_until_failure("no Sentinel");
  CAPTURE(why);
  CHECK(has(why, std::to_string(silent.port) + ": no answer within 200 ms"));
  CHECK(has(why, "knows no master \"the-master\""));
  CHECK(has(why, "NOAUTH"));
  CHECK(has(why, "another form"));

  // One that is right is enough, after three that are not; next time it is asked first.
  SentinelServer real(port);
  settings.address.sentinels[3] = {"127.0.0.1", real.port};
  a.store = std::make_unique<RedisStore>(a.loop, settings);
  REQUIRE(a.tick_until_ok({"x", 0}, 100));
  const int before = silent.asked;
  CHECK(has(master.cli("client kill type normal skipme yes"), ""));
  REQUIRE(a.tick_until_ok({"x", 0}, 100));
  CHECK(silent.asked <= before + 1);
}

TEST_CASE("Sentinels and servers with passwords of their own") {
  if (!have_redis()) return;
  const std::uint16_t port = free_port();
  RedisServer master(on_port(port, {"--requirepass", "server"}));
  SentinelServer sentinel(port, "sentinel auth-pass the-master server\nrequirepass watcher\n");
  RedisSettings settings = by_sentinels({sentinel.port});
  settings.address.password = "server";
  CHECK(has(Client(settings).tick_until_failure("NOAUTH"), "no Sentinel"));
  settings.sentinel_password = "falsch";
  CHECK(has(Client(settings).tick_until_failure("WRONGPASS"), "no Sentinel"));
  settings.sentinel_password = "watcher";
  CHECK(Client(settings).tick_until_ok({"x", 0}));
  settings.address.password.clear();
  CHECK(has(Client(settings).tick_until_failure("NOAUTH"), "redis-password"));
}

namespace {

std::string naming(const std::string& host, std::uint16_t port) {
  const std::string number = std::to_string(port);
  return "*2\r\n$" + std::to_string(host.size()) + "\r\n" + host + "\r\n$" + std::to_string(number.size()) + "\r\n" +
         number + "\r\n";
}

}  // namespace

TEST_CASE("a Sentinel that listens on one of its name's addresses only is found") {
  if (!have_redis()) return;
  const std::uint16_t port = free_port();
  RedisServer master(on_port(port));
  RedisSettings settings = by_sentinels({1});
  Client a(settings);
  Answering sentinel(a.loop, naming("127.0.0.1", port));
  settings.address.sentinels = {{"sentinel.test", sentinel.port}};
  settings.lookup = [](const std::string&) {
    return Result<Resolver::Addresses>(Resolver::Addresses{"127.0.0.9", "127.0.0.1"});
  };
  a.store = std::make_unique<RedisStore>(a.loop, settings);
  // ROLE is answered by the real master; the Sentinel is asked again until its second address has its turn.
  CHECK(a.tick_until_ok({"x", 0}, 30));
}

TEST_CASE("a Sentinel that names a master which cannot be found is not asked first again") {
  if (!have_redis()) return;
  const std::uint16_t port = free_port();
  RedisServer master(on_port(port));
  RedisSettings settings = by_sentinels({1});
  Client a(settings);
  Answering lost(a.loop, naming("no-such-host.test", port)), right(a.loop, naming("127.0.0.1", port));
  settings.address.sentinels = {{"127.0.0.1", lost.port}, {"127.0.0.1", right.port}};
  settings.lookup = [](const std::string&) { return Result<Resolver::Addresses>::failure("no such host"); };
  a.store = std::make_unique<RedisStore>(a.loop, settings);
  CHECK(a.tick_until_ok({"x", 0}, 30));
}

TEST_CASE("Sentinels that name one master by name and by address do not make the link move; another address does") {
  if (!have_redis()) return;
  const std::uint16_t port = free_port();
  RedisServer master(on_port(port));
  RedisSettings settings = by_sentinels({1});
  Client a(settings);
  Answering sentinel(a.loop, naming("127.0.0.1", port));
  settings.address.sentinels = {{"127.0.0.1", sentinel.port}};
  settings.lookup = [](const std::string& host) {
    if (host != "redis.test") return Result<Resolver::Addresses>::failure("no such host");
    return Result<Resolver::Addresses>(Resolver::Addresses{"127.0.0.9", "127.0.0.1"});
  };
  a.store = std::make_unique<RedisStore>(a.loop, settings);
  REQUIRE(a.tick_until_ok({"x", 0}));
  const auto clients = [&] {  // numbered: a new connection has a new number
    const std::string list = master.cli("client list type normal");
    return list.substr(0, list.find(' '));
  };
  const std::string before = clients();
  CHECK(has(before, "id="));
  for (const char* name : {"redis.test", "no-such-host.test"}) {
    CAPTURE(name);
    sentinel.answer = naming(name, port);
    const int asked = sentinel.asked;
    a.pause(Millis(1300));
    CHECK(sentinel.asked > asked);
    CHECK(a.tick({"x", 0}));
    CHECK(clients() == before);
  }
  sentinel.answer = naming("127.0.0.9", port);
  a.pause(Millis(1300));
  CHECK(!a.tick_until_failure("127.0.0.9").empty());
}
