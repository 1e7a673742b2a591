// Lookups of what every host knows.
#include "bmp-recv/resolver.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "common/clock.h"

using namespace bmpha;
using namespace bmpha::recv;

namespace {

IpAddress ip(const std::string& text) {
  IpPrefix p;
  REQUIRE(parse_ip_prefix(text, p));
  return p.address;
}

// All answers that come until there are so many.
Resolver::Answers wait_answers(Resolver& r, std::size_t count) {
  Resolver::Answers all;
  const BootTime end = BootClock::now() + Millis{60000};
  while (all.names.size() + all.addresses.size() < count && BootClock::now() < end) {
    Resolver::Answers more = r.take();
    std::move(more.names.begin(), more.names.end(), std::back_inserter(all.names));
    std::move(more.addresses.begin(), more.addresses.end(), std::back_inserter(all.addresses));
    std::this_thread::sleep_for(Millis{2});
  }
  return all;
}

}  // namespace

TEST_CASE("addresses of a name and the name of an address; each answer wakes who waits") {
  std::atomic<int> woken{0};
  Resolver r([&] { ++woken; });
  REQUIRE(r.ask_name(ip("127.0.0.1")));
  REQUIRE(r.ask_addresses(7, "localhost"));
  REQUIRE(r.ask_addresses(8, std::string(70, 'a')));  // longer than a label may be
  REQUIRE(r.ask_addresses(9, "2001:db8::9"));         // one that needs no lookup
  const Resolver::Answers got = wait_answers(r, 4);
  REQUIRE(got.names.size() == 1);
  CHECK(got.names[0].address == ip("127.0.0.1"));
  CHECK(got.names[0].name.find("localhost") != std::string::npos);
  REQUIRE(got.addresses.size() == 3);
  CHECK(got.addresses[0].number == 7);
  const std::vector<IpAddress>& local = got.addresses[0].addresses;
  CHECK((std::count(local.begin(), local.end(), ip("127.0.0.1")) == 1 ||
         std::count(local.begin(), local.end(), ip("::1")) == 1));
  CHECK(got.addresses[1].number == 8);
  CHECK(got.addresses[1].addresses.empty());
  CHECK_FALSE(got.addresses[1].error.empty());
  CHECK(got.addresses[2].addresses == std::vector<IpAddress>{ip("2001:db8::9")});
  CHECK(woken == 4);
}

TEST_CASE("a resolver that goes does not wait for its answers, and nobody is woken for them") {
  std::atomic<int> woken{0};
  {
    Resolver r([&] { ++woken; });
    for (int n = 0; n < 100; ++n) REQUIRE(r.ask_name(ip("127.0.0.1")));
  }
  const int before = woken;
  std::this_thread::sleep_for(Millis{50});
  CHECK(woken == before);
}

TEST_CASE("questions that wait are bounded") {
  Resolver r([] {});
  std::size_t taken = 0;
  while (taken < 3 * Resolver::kMaxWaiting && r.ask_name(ip("127.0.0.1"))) ++taken;
  CHECK(taken >= Resolver::kMaxWaiting);
}
