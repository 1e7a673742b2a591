// Faults: how they begin, go on and end.
#include "tests/explore/world_parts.h"

namespace bmpha::explore {
namespace {

bool is_of_node(Fault f) { return f != Fault::kRedisLost && f != Fault::kRedisDown && f != Fault::kNobody; }

}  // namespace

void World::fault_acts(Oracle& oracle) {
  for (FaultState& f : faults_) {
    if (f.ended) continue;
    if (f.begun) {
      if (f.steps > 0 && --f.steps == 0) end_fault(f);
    } else if (!settling_ && (step_ >= scenario_->window || oracle.choose(2) == 1)) {
      begin_fault(f, oracle);
    }
  }
}

void World::begin_fault(FaultState& f, Oracle& oracle) {
  f.begun = true;
  if (is_of_node(f.fault)) f.victim = oracle.choose(static_cast<int>(nodes_.size()));
  NodeWorld& n = nodes_[static_cast<std::size_t>(f.victim)];
  if (n.dead != 0) {
    f.ended = true;  // by an earlier fault
    return;
  }
  switch (f.fault) {
    case Fault::kDeadLink:
    case Fault::kSilent:
    case Fault::kReset:
    case Fault::kNobody:
      return begin_link_fault(f, n, oracle);
    case Fault::kCutRedis:
      n.redis_cut = true;
      f.steps = pick({1, 3, 6}, oracle);
      return;
    case Fault::kCutKafka:
      n.kafka_cut = true;
      f.steps = pick({1, 4, 8}, oracle);
      return;
    case Fault::kRedisLost:
    case Fault::kRedisDown:
      redis_up_ = false;
      f.steps = pick({1, 3, 6}, oracle);
      return;
    case Fault::kClaimAnswer:
      f.steps = 4;
      return;
    case Fault::kSignalRestamp:
      if (n.decider) n.decider->command(arbiter::Command::kRestamp, now(n));
      f.ended = true;
      return;
    case Fault::kSignalActive:
      if (n.decider) n.decider->command(arbiter::Command::kForceActive, now(n));
      f.steps = pick({2, 3, 6}, oracle);
      return;
    case Fault::kSignalStandby:
      if (n.decider) n.decider->command(arbiter::Command::kForceStandby, now(n));
      f.steps = pick({2, 3, 6}, oracle);
      return;
    case Fault::kLeave:
      if (n.decider) n.decider->command(arbiter::Command::kLeave, now(n));
      n.leaving = true;
      f.steps = pick({4, 8}, oracle);
      return;
    default:
      return begin_process_fault(f, n, oracle);
  }
}

void World::begin_process_fault(FaultState& f, NodeWorld& n, Oracle& oracle) {
  switch (f.fault) {
    case Fault::kCrash:
      crash(n, oracle);
      n.dead = -1;
      f.ended = true;
      return;
    case Fault::kReboot:
      crash(n, oracle);
      n.dead = f.steps = pick({2, 5}, oracle);
      return;
    case Fault::kHang:
    case Fault::kHangGate:
      n.land_in = pick({-1, 1, 3}, oracle);
      for (std::size_t p = 0; p < kSlots; ++p) {
        n.lands[p] = n.in_flight[p].size();
        if (scenario_->partial && n.land_in > 0)
          n.lands[p] -= static_cast<std::size_t>(oracle.choose(static_cast<int>(n.lands[p]) + 1));
      }
      f.steps = pick({2, 3, 6}, oracle);
      (f.fault == Fault::kHang ? n.hung : n.gate_hung) = f.steps;
      return;
    case Fault::kHangArbiter:
      n.arbiter_hung = f.steps = pick({2, 3, 6}, oracle);
      return;
    case Fault::kHangRecv:
      n.recv_hung = f.steps = pick({2, 3, 6}, oracle);
      return;
    case Fault::kKillGate:
      stop_gate(n);
      lose_in_flight(n, oracle);
      n.gate_dead = f.steps = pick({1, 4}, oracle);
      return;
    case Fault::kLoseProducer:
      if (n.gate && n.gate_hung == 0) {
        lose_in_flight(n, oracle);
        n.answers.clear();
        n.gate->producer_lost();
      }
      f.ended = true;
      return;
    case Fault::kKillArbiter:
      n.decider.reset();
      n.arbiter_dead = f.steps = pick({1, 4}, oracle);
      return;
    case Fault::kKillRecv:
      n.recv_dead = f.steps = pick({1, 4}, oracle);
      end_session(n, -1);
      n.recv = {};
      return;
    default:
      f.ended = true;
      return;
  }
}

void World::begin_link_fault(FaultState& f, NodeWorld& n, Oracle& oracle) {
  switch (f.fault) {
    case Fault::kDeadLink:
      n.session.silent = true;
      n.session.found_in = kKeepalive;
      n.session.dial_in = pick({1, 4}, oracle);
      f.steps = kKeepalive + 5;
      return;
    case Fault::kSilent:
      n.session.silent = true;
      f.steps = 12;
      return;
    case Fault::kReset:
      end_session(n, pick({1, 2, 5}, oracle));
      f.steps = 6;
      return;
    default: {  // kNobody
      const int dial_in = pick({3, 9, 14, -1}, oracle);
      gone_ = dial_in < 0;
      for (NodeWorld& each : nodes_) end_session(each, dial_in < 0 ? -1 : dial_in + oracle.choose(2));
      f.steps = dial_in < 0 ? 1 : dial_in + 2;
      return;
    }
  }
}

void World::end_fault(FaultState& f) {
  f.ended = true;
  NodeWorld& n = nodes_[static_cast<std::size_t>(f.victim)];
  switch (f.fault) {
    case Fault::kCutRedis:
      n.redis_cut = false;
      return;
    case Fault::kCutKafka:
      n.kafka_cut = false;
      return;
    case Fault::kRedisLost:
      redis_.clear();
      redis_up_ = true;
      return;
    case Fault::kRedisDown:
      redis_up_ = true;
      return;
    case Fault::kSignalActive:
    case Fault::kSignalStandby:
      if (n.decider) n.decider->command(arbiter::Command::kAutomatic, now(n));
      return;
    case Fault::kSilent:  // the router says something again: only then another node is seen to read on
      for (std::uint8_t p = 0; p < kPeers; ++p)
        if (router_[p].up) write({RouterMessage::Kind::kRoute, p, router_[p].announced, false});
      return;
    case Fault::kLeave:
      n.leaving = false;
      if (!n.decider && n.dead == 0) start_arbiter(n);
      return;
    default:
      return;
  }
}

void World::crash(NodeWorld& n, Oracle& oracle) {
  stop_gate(n);
  n.decider.reset();
  n.guard.reset();
  lose_in_flight(n, oracle);
  n.dead = 1;
  end_session(n, -1);
  n.recv = {};
  n.hung = n.gate_hung = n.arbiter_hung = n.recv_hung = 0;
  n.stalls = {};
}

// The process that had handed them over is gone: a part of them lands all the same.
void World::lose_in_flight(NodeWorld& n, Oracle& oracle) {
  bool any = false;
  for (std::size_t p = 0; p < kSlots; ++p) {
    const int count = static_cast<int>(n.in_flight[p].size());
    n.ghosts[p] = std::move(n.in_flight[p]);
    n.in_flight[p].clear();
    n.ghosts[p].resize(static_cast<std::size_t>(oracle.choose(count + 1)));
    any = any || !n.ghosts[p].empty();
  }
  n.ghosts_in = any ? pick({1, 4, 9}, oracle) : -1;  // the last one: after others have taken over
}

void World::stop_gate(NodeWorld& n) {
  n.gate.reset();
  n.answers.clear();
}

// Everything that is counted in steps.
void World::tick_down(NodeWorld& n) {
  const auto ran_out = [](int& steps) { return steps > 0 && --steps == 0; };
  if (ran_out(n.dead)) {
    n.recv = {};
    n.recv.inc = ++incs_;
    start_gate(n);
    start_arbiter(n);
    n.session.dial_in = 1;
  }
  if (ran_out(n.gate_dead)) start_gate(n);
  if (ran_out(n.arbiter_dead)) start_arbiter(n);
  if (ran_out(n.recv_dead)) {
    n.recv = {};
    n.recv.inc = ++incs_;
    n.session.dial_in = 1;
  }
  for (int* hang : {&n.hung, &n.gate_hung, &n.arbiter_hung, &n.recv_hung})
    if (ran_out(*hang) && (hang == &n.hung || hang == &n.gate_hung)) n.land_in = -1;
  RouterSession& s = n.session;
  if (s.open && s.found_in > 0 && --s.found_in == 0) return end_session(n, s.dial_in);
  if (!s.open && s.dial_in > 0 && n.dead == 0 && n.recv_dead == 0 && --s.dial_in == 0) open_session(n);
}

}  // namespace bmpha::explore
