#include "ha-arbiter/timing.h"

#include <fmt/format.h>

#include <algorithm>

namespace bmpha::arbiter {
namespace {

// TCP keepalive finds a silently dead connection of a router within this (A.7).
constexpr Nanos kLinkDetection = std::chrono::seconds(5);
// kafka-gate calls Kafka failing when a record has had no answer for so long, and waits at a release for what is in
// flight.
constexpr Nanos kKafkaBad = std::chrono::seconds(5);
constexpr Nanos kReleaseWait = Millis(1500);

std::string compare(Nanos is, const char* how, const char* what, Nanos bound) {
  const auto ms = [](Nanos d) { return std::chrono::duration_cast<Millis>(d).count(); };
  return fmt::format("{} ms is {} {} = {} ms", ms(is), how, what, ms(bound));
}

}  // namespace

std::optional<BrokenBound> broken_bound(const Timing& t) {
  const Nanos exchange = t.tick + 2 * t.redis_timeout;
  if (exchange > t.ttl) return BrokenBound{"ttl", compare(t.ttl, "less than", "tick + 2 * redis-timeout", exchange)};
  if (t.lease >= t.ttl) return BrokenBound{"lease", compare(t.lease, "not less than", "ttl", t.ttl)};
  const Nanos need = 2 * t.margin + t.tick + t.redis_timeout;
  if (t.retain < need)
    return BrokenBound{"retain", compare(t.retain, "less than", "2 * hold + tick + redis-timeout", need)};
  return std::nullopt;
}

// The longest time in which an owner may deliver nothing before another node begins: it is dead, its link is, or it is
// cut from Kafka, and gives way only when it could have heard that the others are not (`ttl`).
Nanos safe_hold(const Timing& t) {
  const Nanos exchange = t.tick + t.redis_timeout;
  return std::max({t.ttl + exchange, kLinkDetection, kKafkaBad + t.ttl + kReleaseWait + exchange}) + t.margin;
}

}  // namespace bmpha::arbiter
