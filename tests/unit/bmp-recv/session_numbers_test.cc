#include "bmp-recv/session_numbers.h"

#include <doctest/doctest.h>

#include <set>

using namespace bmpha;
using namespace bmpha::recv;

namespace {
RouterId router(std::uint8_t n) {
  RouterId id{};
  id.bytes[0] = n;
  return id;
}
}  // namespace

TEST_CASE("session numbers grow per router, also of routers that were forgotten meanwhile") {
  SessionNumbers numbers(3);
  std::set<RouterId> up;
  const auto is_up = [&](const RouterId& id) { return up.contains(id); };
  CHECK(numbers.next(router(1), is_up) == 1);
  CHECK(numbers.next(router(1), is_up) == 2);
  CHECK(numbers.next(router(1), is_up) == 3);
  CHECK(numbers.next(router(2), is_up) == 1);
  up.insert(router(2));
  for (std::uint8_t n = 10; n < 200; ++n) {
    CHECK(numbers.next(router(n), is_up) >= 1);
    CHECK(numbers.size() <= 3);
  }
  CHECK(numbers.next(router(2), is_up) == 2);  // remembered: it was up all the time
  CHECK(numbers.next(router(1), is_up) > 3);
}
