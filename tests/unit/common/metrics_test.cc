#include "common/metrics.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/log_counts.h"

using namespace bmpha;

namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return a;
}

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

// Listens on a port that the kernel chose.
std::pair<Socket, std::uint16_t> taken_port() {
  Socket s(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in a = loopback(0);
  socklen_t size = sizeof a;
  REQUIRE(bind(s.fd(), reinterpret_cast<sockaddr*>(&a), size) == 0);
  REQUIRE(listen(s.fd(), 1) == 0);
  REQUIRE(getsockname(s.fd(), reinterpret_cast<sockaddr*>(&a), &size) == 0);
  return {std::move(s), ntohs(a.sin_port)};
}

std::uint16_t free_port() { return taken_port().second; }
std::string address(std::uint16_t port) { return "127.0.0.1:" + std::to_string(port); }

Socket dial(std::uint16_t port, const std::string& request) {
  Socket s(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{10, 0};
  setsockopt(s.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const sockaddr_in a = loopback(port);
  REQUIRE(connect(s.fd(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
  REQUIRE(send(s.fd(), request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size()));
  return s;
}

constexpr const char* kGet = "GET /metrics HTTP/1.0\r\n\r\n";

std::string get(std::uint16_t port) {
  const Socket s = dial(port, kGet);
  std::string text;
  std::array<char, 65536> buffer{};
  for (ssize_t n = 0; (n = recv(s.fd(), buffer.data(), buffer.size(), 0)) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(n));
  return text;
}

bool has_line(const std::string& text, const std::string& line) {
  return text.find('\n' + line + '\n') != std::string::npos;
}

}  // namespace

TEST_CASE("a GET returns the page that was published last") {
  const std::uint16_t port = free_port();
  MetricsServer server;
  REQUIRE(server.listen(address(port)).is_ok());
  MetricsPage page = tool_page("unit");
  page.gauge("unit_level", "a level", 1.5);
  page.gauge("unit_routers", "by role", 3, {{"role", "active"}});
  page.gauge("unit_routers", "by role", 4, {{"role", "stand\"by\n"}});
  page.counter("unit_seen_total", "a count", std::uint64_t{1} << 40);
  page.histogram("unit_seconds", "times", {{0.5, 2}, {1, 5}}, 6, 7.25);
  server.publish(page);
  const std::string first = get(port);
  CHECK(first.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(has_line(first, "# TYPE unit_level gauge"));
  CHECK(has_line(first, "# HELP unit_level a level"));
  CHECK(has_line(first, "unit_level 1.5"));
  CHECK(has_line(first, "unit_routers{role=\"active\"} 3"));
  CHECK(has_line(first, "unit_routers{role=\"stand\\\"by\\n\"} 4"));
  CHECK(has_line(first, "# TYPE unit_seen_total counter"));
  CHECK(has_line(first, "unit_seen_total 1099511627776"));
  CHECK(has_line(first, "unit_seconds_bucket{le=\"0.5\"} 2"));
  CHECK(has_line(first, "unit_seconds_bucket{le=\"+Inf\"} 6"));
  CHECK(has_line(first, "unit_seconds_sum 7.25"));
  CHECK(has_line(first, "bmpha_log_lines_dropped_total " + std::to_string(log_lines_dropped())));
  MetricsPage next;
  next.gauge("unit_level", "a level", 2);
  server.publish(next);
  const std::string second = get(port);
  CHECK(has_line(second, "unit_level 2"));
  CHECK(second.find("unit_routers") == std::string::npos);
}

TEST_CASE("several scrapers at once each get whole pages while new ones are published") {
  const std::uint16_t port = free_port();
  MetricsServer server;
  REQUIRE(server.listen(address(port)).is_ok());
  const auto publish = [&](int round) {
    MetricsPage page;
    for (int n = 0; n < 500; ++n)
      page.gauge("unit_level", "all of one page are equal", round, {{"n", std::to_string(n)}});
    server.publish(std::move(page));
  };
  publish(0);
  std::array<int, 2> whole{};
  std::vector<std::thread> scrapers;
  for (int& count : whole)
    scrapers.emplace_back([&count, port] {
      for (int n = 0; n < 20; ++n) {
        const std::string text = get(port);
        const std::size_t at = text.find("unit_level{n=\"0\"} ");
        if (at == std::string::npos) continue;
        const std::string value = text.substr(at + 18, text.find('\n', at) - at - 18);
        std::size_t equal = 0;
        for (std::size_t p = 0; (p = text.find("\"} " + value + '\n', p)) != std::string::npos; ++p) ++equal;
        count += equal == 500 ? 1 : 0;
      }
    });
  for (int round = 1; round < 200; ++round) publish(round);
  for (std::thread& t : scrapers) t.join();
  CHECK(whole[0] == 20);
  CHECK(whole[1] == 20);
}

TEST_CASE("clients that never read, or never ask, keep neither others from reading nor the server from ending") {
  const std::uint16_t port = free_port();
  auto server = std::make_unique<MetricsServer>();
  REQUIRE(server->listen(address(port)).is_ok());
  MetricsPage page;
  for (int n = 0; n < 100000; ++n)  // far more than the kernel buffers
    page.gauge("unit_level", "a level", 7, {{"n", std::string(100, 'x') + std::to_string(n)}});
  server->publish(std::move(page));
  std::vector<Socket> hostile;
  for (int n = 0; n < 4; ++n) hostile.push_back(dial(port, kGet));
  for (int n = 0; n < 4; ++n) hostile.push_back(dial(port, "GET /met"));
  MetricsPage small;
  small.gauge("unit_level", "a level", 8);
  server->publish(std::move(small));  // is not held up
  std::string text;
  for (int n = 0; n < 10 && !has_line(text, "unit_level 8"); ++n) text = get(port);
  CHECK(has_line(text, "unit_level 8"));
  server.reset();  // they are still connected
}

TEST_CASE("an address that is taken, or is none, is an error that says so") {
  const auto [holder, port] = taken_port();
  MetricsServer server;
  const Status taken = server.listen(address(port));
  CHECK(taken.message() == "cannot serve metrics on " + address(port) +
                               ": Address already in use HINT: set metrics-listen to an address of this host with a "
                               "port that is free");
  CHECK(!server.is_on());
  const Status foreign = server.listen("192.0.2.1:9400");
  CHECK(foreign.message().find("Cannot assign requested address") != std::string::npos);
}

TEST_CASE("without an address there is no server") {
  MetricsServer server;
  REQUIRE(server.listen("").is_ok());
  CHECK(!server.is_on());
  server.publish(tool_page("unit"));
}

TEST_CASE("metrics-listen is a numeric address with a port") {
  for (const char* right : {"", "127.0.0.1:9400", "0.0.0.0:1", "[::1]:65535", "[::]:9400"})
    CHECK_MESSAGE(check_metrics_listen(right).empty(), right);
  for (const char* wrong : {"9400", ":9400", "localhost:9400", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536",
                            "127.0.0.1:9400,1", "::1:9400", "[::1]", "[127.0.0.1]:9", "127.0.0.1:9400s", "[]:9"})
    CHECK_MESSAGE(!check_metrics_listen(wrong).empty(), wrong);
}
