#include "common/outage.h"

#include <doctest/doctest.h>

using namespace bmpha;

namespace {
BootTime at(std::int64_t seconds) { return BootTime(std::chrono::seconds(seconds)); }
}  // namespace

TEST_CASE("an outage is news once, and its end once") {
  Outage o;
  CHECK(!o.works(at(1)));
  CHECK(!o.lasts());
  CHECK(o.failed(at(1), at(10)));
  CHECK(!o.failed(at(2), at(11)));
  CHECK(!o.failed(at(11), at(12)));
  CHECK(o.lasts());
  const auto away = o.works(at(14));
  REQUIRE(away);
  CHECK(*away == std::chrono::seconds(4));
  CHECK(!o.works(at(14)));
  CHECK(!o.lasts());
}

TEST_CASE("a connection that died in the last outage and is found dead later is no news, a newer one is") {
  Outage o;
  CHECK(o.failed(at(1), at(10)));
  CHECK(o.works(at(14)));
  CHECK(!o.failed(at(2), at(60)));
  CHECK(o.failed(at(14), at(61)));
  CHECK(o.works(at(62)));
}

TEST_CASE("seconds for a log line have one digit") {
  CHECK(seconds_of(Millis{4230}) == "4.2");
  CHECK(seconds_of(Millis{0}) == "0.0");
}
