#include "kafka-gate/kafka_health.h"

#include <doctest/doctest.h>

using namespace bmpha;        // NOLINT
using namespace bmpha::gate;  // NOLINT

namespace {
BootTime at(std::int64_t ms) { return BootTime(Millis(1'000'000 + ms)); }
KafkaHealth make() { return KafkaHealth(Millis(5000), Millis(10000), at(0)); }
}  // namespace

TEST_CASE("kafka health: five seconds without an answer to what was handed over is failing") {
  KafkaHealth h = make();
  h.sent(at(1000), 1);
  CHECK(h.tick(at(5999)));
  CHECK_FALSE(h.tick(at(6000)));
}

TEST_CASE("kafka health: slow but steady answers are no failure, silence without work is none either") {
  KafkaHealth h = make();
  h.sent(at(0), 1);
  for (int n = 1; n <= 5; ++n) {
    h.sent(at(n * 4000 - 1), 2);
    h.answered(at(n * 4000), 1);
    CHECK(h.tick(at(n * 4000)));
  }
  h.answered(at(21'000), 0);
  CHECK(h.tick(at(100'000)));
}

TEST_CASE("kafka health: good again only after ten seconds without trouble") {
  KafkaHealth h = make();
  h.sent(at(0), 1);
  CHECK_FALSE(h.tick(at(5000)));
  h.answered(at(7000), 0);
  CHECK_FALSE(h.tick(at(7000)));
  CHECK_FALSE(h.tick(at(14'000)));
  h.sent(at(14'000), 1);
  CHECK_FALSE(h.tick(at(15'500)));  // waits for more than a second: trouble again
  h.answered(at(15'600), 0);
  CHECK_FALSE(h.tick(at(25'400)));
  CHECK(h.tick(at(25'500)));
}

TEST_CASE("kafka health: brokers that answer no question for five seconds are failing, idle or not") {
  KafkaHealth h = make();
  h.asked(at(2000), true);
  h.asked(at(4000), false);
  CHECK(h.tick(at(6999)));
  CHECK_FALSE(h.tick(at(7000)));
  h.asked(at(8000), true);
  CHECK_FALSE(h.tick(at(9000)));
  CHECK(h.tick(at(17'000)));
}

TEST_CASE("kafka health: a topic that must not be written to is failing until it is right again") {
  KafkaHealth h = make();
  h.blocked(true, at(1000));
  h.blocked(true, at(3000));
  CHECK_FALSE(h.tick(at(6000)));
  h.blocked(false, at(7000));
  CHECK_FALSE(h.tick(at(15'000)));
  CHECK(h.tick(at(16'000)));
}

TEST_CASE("kafka health: producers that are lost one after another are failing; one that is lost and replaced is not") {
  KafkaHealth h = make();
  const auto lose_at = [&](std::int64_t ms) {
    h.lost(at(ms));
    h.blocked(true, at(ms));
    const bool ok = h.tick(at(ms));
    h.cleared();
    h.blocked(false, at(ms + 1000));
    return ok;
  };
  for (std::int64_t ms = 0; ms < 5000; ms += 1100) {
    h.sent(at(ms), 1);
    CHECK(lose_at(ms + 50));
  }
  h.sent(at(5500), 1);
  CHECK_FALSE(lose_at(5550));

  KafkaHealth once = make();
  once.lost(at(0));
  once.blocked(true, at(0));
  once.cleared();
  once.blocked(false, at(1000));
  CHECK(once.tick(at(60'000)));  // nothing to send: nothing fails
  once.sent(at(60'000), 1);
  once.answered(at(60'010), 0);
  once.sent(at(70'000), 1);
  CHECK(once.tick(at(74'000)));
}
