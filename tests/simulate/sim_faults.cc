// Faults at random times.
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulate/sim.h"

namespace bmpha::simulate {
namespace {

constexpr std::array<const char*, kFaults> kNames = {
    "none",      "crash",        "reboot",        "hang",       "hang-gate",    "hang-arbiter",
    "hang-recv", "kill-gate",    "kill-arbiter",  "kill-recv",  "dead-link",    "reset",
    "cut-redis", "cut-kafka",    "redis-lost",    "redis-down", "redis-clock",  "claim-answer",
    "restamp",   "force-active", "force-standby", "leave",      "lose-producer"};

// Faults are drawn from these; one behind them (lose-producer) comes when it is asked for by its name.
constexpr int kDrawn = static_cast<int>(Fault::kLeave);

constexpr Nanos kFirst = std::chrono::seconds(10);
constexpr Nanos kLast = std::chrono::seconds(22);

}  // namespace

const char* fault_name(Fault f) { return kNames[static_cast<std::size_t>(f)]; }

void Sim::plan_faults() {
  Nanos last = kFirst;
  for (int i = 0; i < s_.faults; ++i) {
    const Fault f = s_.which.empty() ? static_cast<Fault>(1 + below(kDrawn))
                                     : s_.which[static_cast<std::size_t>(i) % s_.which.size()];
    const Nanos when = between(kFirst, kLast);
    last = std::max(last, when);
    at(when, [this, f] { begin(f); });
  }
  // Silence soon after the faults: later changes would heal what went wrong.
  quiet_from_ = last + between(Millis(-1500), Millis(6000));
}

void Sim::stop(Process& p, Nanos how_long) { p.stopped_until = std::max(p.stopped_until, t_ + how_long); }

void Sim::crash(Node& n) {
  for (Process* p : {static_cast<Process*>(&n.recv), static_cast<Process*>(&n.gate), static_cast<Process*>(&n.arbiter)})
    p->alive = false;
  n.ever_lost = true;
  for (int r = 0; r < kRouters; ++r) end_session(n, r, std::nullopt);
}

void Sim::begin(Fault f) {
  Node& n = nodes_[static_cast<std::size_t>(below(kNodes))];
  const int router = below(kRouters);
  const Nanos while_ = between(Millis(300), Millis(9000));
  const auto dial_all = [this, &n] {
    for (int r = 0; r < kRouters; ++r) in(between(Millis(200), Millis(2000)), [this, &n, r] { dial(n, r); });
  };
  begun_.push_back({f, n.index, t_, t_ + while_});
  verdict_.story += fmt::format("{}{} {} at {:.3f}", verdict_.story.empty() ? "" : ", ", fault_name(f), n.id,
                                static_cast<double>(t_.count()) / 1e9);
  tell("FAULT {} {} router {} for {} ms", fault_name(f), n.id, router, while_.count() / 1'000'000);
  if (n.is_dead) return;
  const auto command = [this, &n](arbiter::Command c) {
    if (n.arbiter.alive)
      in_process(n.arbiter, Nanos{0}, [this, &n, c] {
        n.arbiter.decider->command(c, clock(n));
        decide(n);
      });
  };
  switch (f) {
    case Fault::kNone:
      return;
    case Fault::kCrash:
      n.is_dead = true;
      return crash(n);
    case Fault::kReboot:
      crash(n);
      return in(while_, [this, &n, dial_all] {
        if (n.is_dead) return;
        start_recv(n);
        start_gate(n);
        start_arbiter(n);
        dial_all();
      });
    case Fault::kHang:
      stop(n.recv, while_);
      stop(n.gate, while_);
      return stop(n.arbiter, while_);
    case Fault::kHangGate:
      return stop(n.gate, while_);
    case Fault::kHangArbiter:
      return stop(n.arbiter, while_);
    case Fault::kHangRecv:
      return stop(n.recv, while_);
    case Fault::kKillGate:
      n.gate.alive = false;
      n.ever_lost = true;
      return in(while_ / 2, [this, &n] {
        if (!n.is_dead && !n.gate.alive) start_gate(n);
      });
    case Fault::kKillArbiter:
      n.arbiter.alive = false;
      return in(while_ / 2, [this, &n] {
        if (!n.is_dead && !n.arbiter.alive) start_arbiter(n);
      });
    case Fault::kKillRecv:
      n.recv.alive = false;
      n.ever_lost = true;
      for (int r = 0; r < kRouters; ++r) end_session(n, r, std::nullopt);
      return in(while_ / 2, [this, &n, dial_all] {
        if (n.is_dead || n.recv.alive) return;
        start_recv(n);
        dial_all();
      });
    case Fault::kDeadLink:
      n.sessions[static_cast<std::size_t>(router)].silent = true;
      return in(std::chrono::seconds(4) + between(Nanos{0}, Millis(1000)), [this, &n, router] {
        if (n.sessions[static_cast<std::size_t>(router)].silent)
          end_session(n, router, between(Millis(200), Millis(6000)));
      });
    case Fault::kReset:
      return end_session(n, router, between(Millis(200), Millis(6000)));
    case Fault::kCutRedis:
      n.redis_cut_until = t_ + while_;
      return;
    case Fault::kCutKafka:
      n.kafka_cut_until = t_ + 2 * while_;
      return;
    case Fault::kRedisLost:
      redis_down_until_ = t_ + while_;
      return in(while_, [this] { redis_.clear(); });
    case Fault::kRedisDown:
      redis_down_until_ = t_ + while_;
      return;
    case Fault::kRedisClock:
      redis_step_ms_ += chance(2) ? 3'600'000 : -3'600'000;
      return;
    case Fault::kClaimAnswer:
      n.answers_lost_until = t_ + while_ / 3;
      return;
    case Fault::kRestamp:
      return command(arbiter::Command::kRestamp);
    case Fault::kForceActive:
    case Fault::kForceStandby:
      command(f == Fault::kForceActive ? arbiter::Command::kForceActive : arbiter::Command::kForceStandby);
      return in(while_, [command] { command(arbiter::Command::kAutomatic); });
    case Fault::kLeave:
      n.arbiter.leaving_at = t_;
      command(arbiter::Command::kLeave);
      return in(std::chrono::seconds(4) + while_, [this, &n] {
        if (!n.is_dead && !n.arbiter.alive) start_arbiter(n);
      });
    case Fault::kLoseProducer:
      if (!n.gate.alive) return;
      return in_process(n.gate, Nanos{0}, [this, &n] { replace_producer(n); });
  }
}

// Two faults that may leave a hole in the history, known and bounded: while Redis is down every node sends alone, and
// what one has sent counts only until the others go back, at their re-assert, to where it had begun. A node that dies
// before that cannot tell where; one whose session is deaf meanwhile has sent old news last. So both overlap, with the
// time in which a death is noticed and everybody re-asserts.
bool Sim::is_known_double() const {
  constexpr Nanos kSettles = std::chrono::seconds(5);
  const auto is_down = [](Fault f) { return f == Fault::kRedisLost || f == Fault::kRedisDown; };
  const auto dies_or_is_deaf = [](Fault f) {
    return f == Fault::kCrash || f == Fault::kReboot || f == Fault::kDeadLink;
  };
  for (const Begun& down : begun_)
    for (const Begun& other : begun_)
      if (is_down(down.fault) && dies_or_is_deaf(other.fault) && other.at < down.until + kSettles &&
          down.at < other.until + kSettles)
        return true;
  return false;
}

}  // namespace bmpha::simulate
