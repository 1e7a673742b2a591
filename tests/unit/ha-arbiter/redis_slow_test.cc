// A real Redis behind a far or endless line: every byte is late, or there is no end of them.
#include <thread>

#include "tests/unit/ha-arbiter/redis_server.h"

using namespace bmpha;
using namespace bmpha::arbiter;
using namespace bmpha::arbiter::test;

namespace {

int listen_on(std::uint16_t& port, int type = SOCK_STREAM | SOCK_NONBLOCK) {
  const int fd = ::socket(AF_INET, type, 0);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof a;
  REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&a), size) == 0);
  REQUIRE(listen(fd, 16) == 0);
  getsockname(fd, reinterpret_cast<sockaddr*>(&a), &size);
  port = ntohs(a.sin_port);
  return fd;
}

// Passes everything on to the server's unix socket, and its answers back after `delay`.
struct FarAway {
  EventLoop& loop;
  std::string socket;
  Millis delay;
  std::uint16_t port = 0;
  int listener = listen_on(port);
  int connections = 0;
  std::vector<int> fds;
  FarAway(EventLoop& l, std::string to, Millis d) : loop(l), socket(std::move(to)), delay(d) {
    loop.watch(listener, EPOLLIN, [this](std::uint32_t) { take(); });
  }
  ~FarAway() {
    loop.unwatch(listener);
    close(listener);
    for (const int fd : fds) {
      loop.unwatch(fd);
      close(fd);
    }
  }
  void take() {
    const int near = accept(listener, nullptr, nullptr);
    if (near < 0) return;
    ++connections;
    const int far = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    socket.copy(a.sun_path, sizeof a.sun_path - 1);
    REQUIRE(connect(far, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0);
    fds.insert(fds.end(), {near, far});
    pass(near, far, Millis(0));
    pass(far, near, delay);
  }
  void pass(int from, int to, Millis after) {
    loop.watch(from, EPOLLIN, [this, from, to, after](std::uint32_t) {
      char buffer[16384];
      const ssize_t n = read(from, buffer, sizeof buffer);
      if (n <= 0) {
        loop.unwatch(from);
        shutdown(to, SHUT_WR);
        return;
      }
      loop.after(after, [to, text = std::string(buffer, static_cast<std::size_t>(n))] {
        (void)!::send(to, text.data(), text.size(), MSG_NOSIGNAL);
      });
    });
  }
};

}  // namespace

TEST_CASE("logging in and the first request take longer than one request may: the connection is kept for the next") {
  if (!have_redis()) return;
  RedisServer server({"--requirepass", "geheim"});
  RedisAddress a;
  a.host = "127.0.0.1";
  a.password = "geheim";
  RedisSettings settings = settings_for(a);
  settings.timeout = Millis(500);
  Client client(settings);
  FarAway far(client.loop, server.socket(), Millis(300));
  settings.address.port = far.port;
  client.store = std::make_unique<RedisStore>(client.loop, settings);
  CHECK(!client.tick({"x", 0}));  // 300 ms for AUTH, and as many for the request
  CHECK(client.tick_until_ok({"x", 0}, 8));
  CHECK(far.connections == 1);
}

TEST_CASE("an answer without an end does not keep the loop from its deadline") {
  std::uint16_t port = 0;
  const int listener = listen_on(port, SOCK_STREAM);
  std::thread server([listener] {
    const int fd = accept(listener, nullptr, nullptr);
    const std::string head = "$536870000\r\n", block(1 << 20, 'x');
    CHECK(::send(fd, head.data(), head.size(), MSG_NOSIGNAL) > 0);
    std::vector<std::thread> writers(3);  // together faster than one reader
    for (std::thread& w : writers)
      w = std::thread([fd, &block] {
        while (::send(fd, block.data(), block.size(), MSG_NOSIGNAL) > 0) {
        }
      });
    for (std::thread& w : writers) w.join();
    close(fd);
  });
  {
    RedisAddress a;
    a.host = "127.0.0.1";
    a.port = port;
    RedisSettings settings = settings_for(a);
    settings.timeout = Millis(50);
    Client client(settings);
    const auto reply = client.tick({"x", 0});
    REQUIRE(!reply);
    CHECK(reply.error().find("no answer within 50 ms") != std::string::npos);
  }
  server.join();
  close(listener);
}

TEST_CASE("silent for two requests, there again for the third: its connection stands already") {
  if (!have_redis()) return;
  RedisServer server;
  Client client(settings_for(at_socket(server)));
  REQUIRE(client.tick_until_ok({"x", 0}));
  kill(server.pid, SIGSTOP);
  CHECK(!client.tick({"x", 0}));
  CHECK(!client.tick({"x", 0}));
  kill(server.pid, SIGCONT);
  CHECK(client.tick({"x", 0}));
}

TEST_CASE("the attempt that is made at once costs no pause: the request behind its failure connects") {
  if (!have_redis()) return;
  RedisServer server({"--requirepass", "geheim"});
  RedisAddress a = at_socket(server);
  a.password = "geheim";
  Client client(settings_for(a));
  REQUIRE(client.tick_until_ok({"x", 0}));
  kill(server.pid, SIGSTOP);
  CHECK(!client.tick({"x", 0}));
  CHECK(!client.tick({"x", 0}));  // lost: an attempt begins, whose log-in goes unanswered
  client.pause(Millis(360));
  kill(server.pid, SIGCONT);
  client.pause(Millis(90));  // together longer than log-in and first pause, not than a second one
  CHECK(client.tick({"x", 0}));
}
