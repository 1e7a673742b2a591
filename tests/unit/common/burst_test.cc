#include "common/burst.h"

#include <doctest/doctest.h>

using namespace bmpha;

namespace {
BootTime at(std::int64_t seconds) { return BootTime(std::chrono::seconds(seconds)); }
}  // namespace

TEST_CASE("of a burst the first is told, the others as a number once a pause") {
  Burst b(std::chrono::seconds(10));
  CHECK(b.is_news("refused", "too large", at(100)));
  for (int n = 0; n < 500; ++n) CHECK_FALSE(b.is_news("refused", "too large", at(101)));
  CHECK(b.due(at(109)).empty());
  auto counts = b.due(at(110));
  REQUIRE(counts.size() == 1);
  CHECK(counts[0].event == "refused");
  CHECK(counts[0].why == "too large");
  CHECK(counts[0].more == 500);
  CHECK(b.due(at(110)).empty());
  // It goes on: no second first.
  CHECK_FALSE(b.is_news("refused", "too large", at(115)));
  counts = b.due(at(121));
  REQUIRE(counts.size() == 1);
  CHECK(counts[0].more == 1);
}

TEST_CASE("after a pause without any the next one is told again") {
  Burst b(std::chrono::seconds(10));
  CHECK(b.is_news("refused", "too large", at(100)));
  CHECK(b.due(at(109)).empty());
  CHECK_FALSE(b.is_news("refused", "too large", at(109)));
  CHECK(b.due(at(110)).size() == 1);
  CHECK(b.due(at(120)).empty());
  CHECK(b.is_news("refused", "too large", at(121)));
}

TEST_CASE("another event and another reason are bursts of their own") {
  Burst b(std::chrono::seconds(10));
  CHECK(b.is_news("refused", "too large", at(1)));
  CHECK(b.is_news("refused", "no such topic", at(1)));
  CHECK(b.is_news("late", "", at(1)));
  CHECK_FALSE(b.is_news("late", "", at(2)));
  const auto counts = b.due(at(11));
  REQUIRE(counts.size() == 1);
  CHECK(counts[0].event == "late");
}
