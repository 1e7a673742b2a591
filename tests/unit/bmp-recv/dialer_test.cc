#include "bmp-recv/dialer.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <thread>

using namespace bmpha;
using namespace bmpha::recv;

namespace {

IpAddress ip(const std::string& text) {
  IpPrefix p;
  REQUIRE(parse_ip_prefix(text, p));
  return p.address;
}

// Listens on 127.0.0.1 alone.
struct Listener {
  Listener() : fd(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
    REQUIRE(bind(fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
    REQUIRE(listen(fd.get(), 4) == 0);
    socklen_t size = sizeof a;
    getsockname(fd.get(), reinterpret_cast<sockaddr*>(&a), &size);
    port = ntohs(a.sin_port);
  }
  Fd fd;
  std::uint16_t port = 0;
};

struct Dialled {
  explicit Dialled(const std::string& text)
      : dialer({parsed(text)}, [this](std::size_t number, const std::string& host) {
          asked.push_back(std::to_string(number) + ' ' + host);
          return can_ask;
        }) {}
  static ListenAddress parsed(const std::string& text) {
    ListenAddress a;
    REQUIRE(parse_dial_address(text, a));
    return a;
  }
  // Until a connection is there, or for a moment; the clock of the dialer stands still.
  void poll(bool wait = false) {
    for (int n = 0; n < (wait ? 2000 : 1); ++n) {
      dialer.poll(now, [this](std::size_t /*number*/, const std::string& /*tag*/, Accepted c) {
        taken.push_back(ip_text(c.ip));
        connection = std::move(c);
      });
      if (!wait || !taken.empty()) return;
      std::this_thread::sleep_for(Millis{1});
    }
  }
  bool can_ask = true;
  std::vector<std::string> asked, taken;
  Accepted connection;
  BootTime now{Millis{100000}};
  Dialer dialer;
};

}  // namespace

TEST_CASE("a name is looked up at each attempt, and no connection is tried before the answer") {
  Dialled d("r1.example.net:1790,tag=r1");
  d.poll();
  d.poll();
  CHECK(d.asked == std::vector<std::string>{"0 r1.example.net"});
  d.dialer.resolved(0, {}, "no such name", d.now);
  CHECK(d.dialer.failures() == 1);
  d.now += Dialer::kFirstWait / 4;
  d.poll();
  CHECK(d.asked.size() == 1);
  d.now += Dialer::kFirstWait;
  d.poll();
  CHECK(d.asked.size() == 2);
  CHECK(d.taken.empty());
}

TEST_CASE("all that a name stands for is tried in turn, and the connection has the address that answered") {
  Listener listener;
  Dialled d("r1.example.net:" + std::to_string(listener.port));
  d.poll();
  d.dialer.resolved(0, {ip("127.0.0.9"), ip("127.0.0.8"), ip("127.0.0.1"), ip("127.0.0.7")}, {}, d.now);
  d.poll(true);
  REQUIRE(d.taken == std::vector<std::string>{"127.0.0.1"});
  CHECK(d.dialer.failures() == 0);
  d.dialer.ended(0, d.now, Nanos{0});
  d.now += Millis{300000};
  d.poll();
  CHECK(d.asked.size() == 2);  // again, not from memory
  d.dialer.resolved(0, {ip("127.0.0.9")}, {}, d.now);
  d.taken.clear();
  for (int n = 0; n < 2000 && d.dialer.failures() == 0; ++n) {
    d.poll();
    std::this_thread::sleep_for(Millis{1});
  }
  CHECK(d.dialer.failures() == 1);
  CHECK(d.taken.empty());
}

TEST_CASE("a lookup without an answer counts as a failure, and its late answer is not used") {
  Listener listener;
  Dialled d("r1.example.net:" + std::to_string(listener.port));
  d.poll();
  d.now += Dialer::kLookupTimeout;
  d.poll();
  CHECK(d.dialer.failures() == 1);
  d.dialer.resolved(0, {ip("127.0.0.1")}, {}, d.now);
  for (int n = 0; n < 20; ++n) d.poll();
  CHECK(d.taken.empty());
  d.can_ask = false;
  d.now += Millis{300000};
  d.poll();
  CHECK(d.dialer.failures() == 2);
}

TEST_CASE("an address is dialled without a lookup") {
  Listener listener;
  Dialled d("127.0.0.1:" + std::to_string(listener.port));
  d.poll(true);
  CHECK(d.taken == std::vector<std::string>{"127.0.0.1"});
  CHECK(d.asked.empty());
}
