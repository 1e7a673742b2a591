#include "bmp-recv/name_cache.h"

#include <doctest/doctest.h>

using namespace bmpha;
using namespace bmpha::recv;

namespace {

IpAddress address(std::uint8_t n) {
  IpAddress a{};
  a[15] = n;
  return a;
}

// "?" not known, "-" known to have no name, else the name; "!" behind it: to be asked.
std::string look(NameCache& cache, std::uint8_t n, BootTime now) {
  const NameCache::Answer a = cache.look(address(n), now);
  return (!a.is_known ? (a.name.empty() ? "?" : "wrong") : a.name.empty() ? "-" : a.name) + (a.is_due ? "!" : "");
}

}  // namespace

TEST_CASE("a name is asked for once, and told until it is too old; then it is told while it is asked for again") {
  NameCache cache({Millis{1000}, Millis{100}, Millis{500}, 10});
  BootTime now{Millis{5000}};
  CHECK(look(cache, 1, now) == "?!");
  CHECK(look(cache, 1, now + Millis{499}) == "?");
  CHECK(look(cache, 2, now) == "?!");
  now += Millis{200};
  cache.store(address(1), "r1.example.net", now);
  CHECK(look(cache, 1, now) == "r1.example.net");
  CHECK(look(cache, 1, now + Millis{999}) == "r1.example.net");
  CHECK(look(cache, 1, now + Millis{1000}) == "r1.example.net!");
  CHECK(look(cache, 1, now + Millis{1001}) == "r1.example.net");  // under way
  cache.store(address(1), "new.example.net", now + Millis{1100});
  CHECK(look(cache, 1, now + Millis{1101}) == "new.example.net");
  cache.store(address(1), "", now + Millis{1200});  // it has none any more
  CHECK(look(cache, 1, now + Millis{1299}) == "-");
  CHECK(look(cache, 1, now + Millis{1300}) == "-!");
  CHECK(look(cache, 2, now + Millis{1300}) == "?!");  // no answer for long
}

TEST_CASE("the address that was wanted longest ago makes room for a new one") {
  NameCache cache({Millis{1000}, Millis{1000}, Millis{500}, 3});
  const BootTime now{Millis{5000}};
  for (std::uint8_t n = 1; n <= 3; ++n) {
    CHECK(look(cache, n, now) == "?!");
    cache.store(address(n), "r" + std::to_string(n), now);
  }
  CHECK(look(cache, 1, now) == "r1");
  CHECK(look(cache, 4, now) == "?!");  // in place of 2
  CHECK(cache.size() == 3);
  CHECK(look(cache, 1, now) == "r1");
  CHECK(look(cache, 3, now) == "r3");
  CHECK(look(cache, 2, now) == "?!");  // in place of 4
  cache.store(address(4), "late", now);
  CHECK(cache.size() == 3);
  CHECK(look(cache, 2, now) == "?");
  for (unsigned n = 0; n < 200; ++n) (void)cache.look(address(static_cast<std::uint8_t>(n)), now);
  CHECK(cache.size() == 3);
  NameCache none({Millis{1000}, Millis{1000}, Millis{500}, 0});
  CHECK(look(none, 1, now) == "?");
}
