#include <fmt/format.h>

#include "tests/simulate/sim.h"

namespace bmpha::simulate {
namespace {

constexpr std::int64_t kRedisStart = 1'700'000'000'000;
constexpr std::int64_t kTtlMs = 2000;
constexpr Nanos kFirstDial = Millis(500);
constexpr Nanos kChurnFrom = std::chrono::seconds(7);
constexpr Nanos kRest =
    std::chrono::seconds(45);  // the slowest to heal: Kafka is good again after 10 s, a dump after 12

}  // namespace

RouterId router_id(int router) {
  RouterId r;
  r.bytes[15] = static_cast<std::uint8_t>(router + 1);
  return r;
}

Hash128 peer_key(int router, int peer) {
  Hash128 k;
  k.bytes[0] = static_cast<std::uint8_t>(router + 1);
  k.bytes[1] = static_cast<std::uint8_t>(peer + 1);
  return k;
}

Sim::Sim(const Settings& settings) : s_(settings), random_(settings.seed), redis_(kTtlMs, kTtlMs) {
  coalesces_ = chance(2);
  for (int r = 0; r < kRouters; ++r) {
    Router& router = routers_[static_cast<std::size_t>(r)];
    router.id = router_id(r);
    for (Peer& p : router.peers)
      for (std::size_t x = 0; x < kPrefixes; ++x) {
        p.rows[x].announced = true;
        p.history[x][0] = true;
      }
  }
  for (int i = 0; i < kNodes; ++i) {
    Node& n = nodes_[static_cast<std::size_t>(i)];
    n.index = i;
    n.id = std::string(1, static_cast<char>('a' + i));
    n.boot = std::chrono::minutes(1 + below(100'000));
    held_[static_cast<std::size_t>(i)].node = n.id;
    held_[static_cast<std::size_t>(i)].partitions = kPartitions;
    at(between(Nanos{0}, Millis(700)), [this, &n] {
      start_recv(n);
      start_gate(n);
      start_arbiter(n);
    });
    for (int r = 0; r < kRouters; ++r)
      at(kFirstDial + between(Millis(300), Millis(2500)), [this, &n, r] { dial(n, r); });
  }
}

// --- events

void Sim::at(Nanos when, Action action) {
  events_.push({std::max(when, t_), ++order_, std::make_shared<Action>(std::move(action))});
}

void Sim::in_process(Process& p, Nanos delay, Action action) {
  at(t_ + delay, [this, &p, life = p.life, action = std::move(action)] { run_in(p, life, action); });
}

void Sim::run_in(Process& p, std::uint64_t life, const Action& action) {
  if (!p.alive || p.life != life) return;
  if (t_ >= p.stopped_until) return action();
  at(p.stopped_until, [this, &p, life, action] { run_in(p, life, action); });
}

void Sim::every(Process& p, Nanos period, const std::function<void()>& action) {
  in_process(p, period + between(Nanos{0}, period / 25), [this, &p, period, action] {
    action();
    every(p, period, action);
  });
}

Nanos Sim::between(Nanos low, Nanos high) {
  if (high <= low) return low;
  return low + Nanos(static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>((high - low).count())));
}

void Sim::run_until(Nanos end) {
  while (!events_.empty() && events_.top().at <= end && verdict_.violation.empty()) {
    const Event e = events_.top();
    events_.pop();
    t_ = e.at;
    (*e.action)();
  }
  t_ = std::max(t_, end);
}

std::int64_t Sim::redis_ms() const {
  return kRedisStart + redis_step_ms_ + std::chrono::duration_cast<Millis>(t_).count();
}

// --- a run

Verdict Sim::run() {
  at(kChurnFrom, [this] { churn(); });
  plan_faults();
  run_until(quiet_from_ + kRest);
  bool is_bounded = false;  // something is lost, but no more than sessions that differ too much explain
  if (verdict_.violation.empty()) {
    check_lost();
    is_bounded = verdict_.violation.empty() && verdict_.lost > 0;
    check_end();
  }
  if (!verdict_.violation.empty() && (is_bounded || is_known_double())) {
    // The history may have a hole; the next dump of the router must make the state right again.
    tell("every session is reset: {}", verdict_.violation);
    const std::string first = std::exchange(verdict_.violation, {});
    for (Node& n : nodes_)
      for (int r = 0; r < kRouters; ++r) end_session(n, r, between(Millis(200), Millis(1500)));
    run_until(t_ + kRest);
    check_end();
    verdict_.healed = verdict_.violation.empty();
    if (!verdict_.healed)
      verdict_.violation = fmt::format("{}; and not healed by a dump: {}", first, verdict_.violation);
  }
  return verdict_;
}

}  // namespace bmpha::simulate
