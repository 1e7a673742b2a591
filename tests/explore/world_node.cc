// A node's step: bmp-recv reads, kafka-gate hands over and is answered, ha-arbiter decides.
#include <fmt/format.h>

#include <algorithm>

#include "ha-arbiter/node_blob.h"
#include "tests/explore/world_parts.h"

namespace bmpha::explore {
namespace {

using arbiter::Decider;
using gate::HeldRecords;
using Kind = RouterMessage::Kind;

constexpr int kKafkaBad = 2;  // steps
constexpr int kKafkaGood = 2;

// A topic of peers, where the collector's object and others would be as well, and one of routes.
gate::TopicPlan two_topics() {
  gate::TopicPlan plan;
  plan.count = 2;
  plan.of[static_cast<std::size_t>(TopicSelector::kUnicastPrefix)] = 1;
  plan.peer_copies = {1};
  plan.detached = {true, false};
  return plan;
}

const HeldRecords::Settings& held_settings(std::size_t node, bool tight, bool per_object) {
  static const auto all = [] {
    std::array<HeldRecords::Settings, 12> out;
    for (std::size_t n = 0; n < 12; ++n) {
      out[n].node = fmt::format("{}", "ABC"[n / 2 % 3]);
      out[n].partitions = kPartitions;
      if (n >= 6) out[n].plan = two_topics();
      out[n].retain = n % 2 == 1 ? Nanos{0} : Nanos{Millis(350)};
      out[n].release_wait = kLease;
      out[n].gap_wait = 3 * kStep;
    }
    return out;
  }();
  return all[2 * node + (tight ? 1 : 0) + (per_object ? 6 : 0)];
}

RecordKind record_kind(Kind k) {
  switch (k) {
    case Kind::kBegin:
      return RecordKind::kSessionBegin;
    case Kind::kPeerUp:
    case Kind::kPeerDown:
      return RecordKind::kPeer;
    case Kind::kRoute:
      return RecordKind::kRoutes;
    case Kind::kSynced:
      return RecordKind::kSynced;
  }
  return RecordKind::kRoutes;
}

}  // namespace

void World::start_gate(NodeWorld& n) {
  n.gate.emplace(router_id(),
                 held_settings(static_cast<std::size_t>(n.id[0] - 'A'), scenario_->tight, scenario_->per_object));
  n.gate_inc = ++incs_;
  n.gate_met = 0;
  n.kafka_bad = n.kafka_good = 0;
  n.kafka_ok = true;
  n.land_in = -1;
  for (auto& copies : n.in_flight) copies.clear();
  for (Receiver::Kept& k : n.recv.ring) k.fed = false;
}

void World::start_arbiter(NodeWorld& n) {
  arbiter::DeciderSettings s;
  s.node = n.id;
  s.inc = ++incs_;
  s.tick = kStep;
  s.redis_timeout = Millis(40);
  s.ttl = kTtl;
  s.margin = scenario_->tight ? Nanos{0} : kStep;
  s.check_bounds = false;  // time goes by in steps here
  if (scenario_->by_collector) s.grain = arbiter::Grain::kCollector;
  // What the settings of that mode are checked for (docs/protocol.md A.8).
  s.by_age = scenario_->by_age;
  s.hold = std::max(kKeepalive * kStep, kKafkaBad * kStep + kTtl + kLease + kStep + s.redis_timeout) + s.margin + kStep;
  s.lease = kLease;
  s.stale_delay = s.down_delay = s.stall_timeout = std::chrono::hours(10);
  if (scenario_->has(Fault::kNobody)) {
    s.stale_delay = 2 * kStep;
    s.down_delay = 6 * kStep;
  }
  if (scenario_->has(Fault::kSilent)) s.stall_timeout = 4 * kStep;
  s.gate_silent = kLease;
  s.release_wait = kLease;
  n.decider.emplace(s, n.stored, now(n), redis_ms());
  n.guard.emplace(s.inc, std::chrono::duration_cast<Millis>(kStep) - Millis(10),
                  std::chrono::duration_cast<Millis>(kTtl));
  n.looks = 0;
  n.leaving = false;
}

void World::node_step(NodeWorld& n, Oracle& oracle) {
  if (n.ghosts_in > 0 && --n.ghosts_in == 0)
    for (auto& copies : n.ghosts) {
      for (const gate::Copy& c : copies) append(c);
      copies.clear();
    }
  if (n.land_in > 0 && --n.land_in == 0) {
    for (std::size_t p = 0; p < kSlots; ++p) append(n, p, std::min(n.lands[p], n.in_flight[p].size()));
    n.land_in = -1;
  }
  if (n.dead != 0 || n.hung > 0) return;
  const bool recv_runs = n.recv_dead == 0 && n.recv_hung == 0;
  if (recv_runs) read(n, oracle);
  const bool gate_runs = n.gate && n.gate_hung == 0;
  if (gate_runs) {
    if (recv_runs) alive(n);
    n.gate->tick(now(n));
    pump(n);
    for (std::size_t p = 0; p < kSlots; ++p)
      if (!n.kafka_cut) append(n, p, through(n, Stage::kAppend, p, n.in_flight[p].size(), oracle));
    if (!n.answers.empty() && !is_held(n, Stage::kAnswer, oracle)) answer(n);
  }
  if (!n.decider || n.arbiter_hung > 0) return;
  if (gate_runs) status(n, oracle);
  if (is_held(n, Stage::kTick, oracle)) return;
  n.decider->begin_tick(now(n));
  decide(n, oracle);
  exchange(n, oracle);
}

// --- bmp-recv

// Of a session that is not read up to date W stands still: drained_time says when the socket was last seen empty.
void World::read(NodeWorld& n, Oracle& oracle) {
  RouterSession& s = n.session;
  Receiver& r = n.recv;
  if (!s.open || s.silent) return;
  const std::size_t count = through(n, Stage::kRead, 0, s.wire.size(), oracle);
  if (count == 0 && !s.wire.empty()) return;
  const Nanos before = s.wire.empty() ? t_ : s.wire.front().written < t_ ? r.empty_at : t_ - Nanos{1};
  for (std::size_t i = 0; i < count; ++i) {
    const RouterMessage& m = s.wire[i];
    if (m.kind == Kind::kBegin) {
      ++r.number;
      r.seq = r.released = 0;
      r.released_read = {};
      r.up = r.in_dump = true;
    }
    Envelope e;
    e.kind = record_kind(m.kind);
    e.in_dump = r.in_dump;
    e.opener = m.kind == Kind::kPeerUp;
    e.key = m.kind == Kind::kRoute || e.kind == RecordKind::kPeer ? peer_key(m.peer) : router_id();
    e.read_wall_us = pack({m.peer, m.announced, m.versions, static_cast<std::uint16_t>(t_ / kStep)});
    e.drained_time = BootTime(before + n.boot);
    put(n, e);
    if (m.kind == Kind::kSynced) r.in_dump = false;
    r.last_read = t_;
  }
  s.wire.erase(s.wire.begin(), s.wire.begin() + static_cast<std::ptrdiff_t>(count));
  if (s.wire.empty()) r.empty_at = t_;
}

void World::put(NodeWorld& n, Envelope e) {
  Receiver& r = n.recv;
  e.topic = e.kind == RecordKind::kPeer ? TopicSelector::kPeer : TopicSelector::kUnicastPrefix;
  e.session = {r.inc, r.number};
  e.seq = ++r.seq;
  e.router = router_id();
  if (e.kind == RecordKind::kSessionEnd) e.key = router_id();
  e.read_time = now(n);
  if (e.drained_time == BootTime{}) e.drained_time = BootTime(t_ - Nanos{1} + n.boot);
  r.ring.push_back({e, false});
}

// Its records and its table reach the gate; what the gate has released is forgotten.
void World::alive(NodeWorld& n) {
  Receiver& r = n.recv;
  if (n.gate_met != 0 && n.gate_met != r.inc) n.gate->receiver_changed();
  n.gate_met = r.inc;
  r.alive_at = t_;
  for (Receiver::Kept& k : r.ring)
    if (!std::exchange(k.fed, true)) n.gate->record(k.envelope, {}, now(n));
  std::vector<SessionId> listed;
  if (r.number > 0) {
    AliveSession row;
    row.router = router_id();
    row.session = {r.inc, r.number};
    row.up = r.up;
    row.last_read = BootTime(r.last_read + n.boot);
    row.released_seq = r.released;
    row.released_read_time = r.released_read;
    row.last_seq = r.seq;
    row.name = std::string{"r"};
    n.gate->alive(row);
    listed.push_back(row.session);
  }
  for (const Receiver::Kept& k : r.ring)
    if (std::find(listed.begin(), listed.end(), k.envelope.session) == listed.end())
      listed.push_back(k.envelope.session);
  n.gate->alive_done(r.inc, listed);
  // What a standby holds, or Kafka has acknowledged, need not be kept any more.
  std::map<SessionId, std::uint64_t> released;
  n.gate->each_flow([&](const HeldRecords::SessionFlow& f) { released[f.id] = f.release_seq; });
  auto kept = r.ring.begin();
  for (; kept != r.ring.end(); ++kept) {
    const Envelope& e = kept->envelope;
    const auto up_to = released.find(e.session);
    if (!kept->fed || up_to == released.end() || e.seq > up_to->second) break;
    if (e.session.number == r.number) {
      r.released = e.seq;
      r.released_read = e.read_time;
    }
  }
  r.ring.erase(r.ring.begin(), kept);
}

// --- kafka-gate

void World::pump(NodeWorld& n) {
  while (const auto copy = n.gate->next(now(n))) {
    check_copy(n, *copy);
    n.gate->sent(*copy);
    n.in_flight[copy->partition].push_back(*copy);
  }
}

void World::answer(NodeWorld& n) {
  for (const gate::Ticket& ticket : n.answers) n.gate->answered(ticket, true);
  n.answers.clear();
}

// Is the gate's table what its arbiter knows already?
bool World::is_told(const NodeWorld& n) const {
  const GateRouter* old = n.decider->row(router_id());
  if (n.recv.number == 0) return true;
  if (old == nullptr) return false;
  const GateRouter g = n.gate->status();
  const auto facts = [](const GateRouter& r) {
    return std::tie(r.session, r.up, r.in_dump, r.torn, r.role, r.solo, r.unclean, r.epoch, r.blocked, r.unsent_tail,
                    r.w, r.oldest_unacked, r.last_read, r.brackets, r.emitted);
  };
  return facts(*old) == facts(g);
}

void World::status(NodeWorld& n, Oracle& oracle) {
  const bool waiting = std::any_of(n.in_flight.begin(), n.in_flight.end(), [](const auto& q) { return !q.empty(); });
  n.kafka_bad = n.kafka_cut && waiting ? n.kafka_bad + 1 : 0;
  n.kafka_good = n.kafka_cut ? 0 : n.kafka_good + 1;
  if (n.kafka_bad >= kKafkaBad) n.kafka_ok = false;
  if (n.kafka_good >= kKafkaGood) n.kafka_ok = true;
  // The producer is replaced when what is under way is of no use any more (G8).
  if (!n.kafka_ok && waiting && n.gate->role() == Role::kStandby) {
    lose_in_flight(n, oracle);
    n.gate->producer_lost();
  }
  if (through(n, Stage::kStatus, 0, is_told(n) ? 0 : 1, oracle) == 0 &&
      n.stalls[static_cast<std::size_t>(Stage::kStatus)] != 0)
    return;
  GateStatus s;
  s.gate_inc = n.gate_inc;
  s.recv_inc = n.gate_met;
  s.recv_alive = n.gate_met != 0 && n.gate_met == n.recv.inc && t_ - n.recv.alive_at < kLease;
  s.n = ++n.status_n;
  s.sent = now(n);
  s.kafka_ok = n.kafka_ok;
  s.retain = scenario_->tight ? Millis{0} : Millis{350};
  const GateRouter g = n.gate->status();
  if (!g.session.is_none() || g.role != Role::kStandby || n.recv.number > 0) s.routers.push_back(g);
  (void)n.decider->gate(s, now(n));
}

// --- ha-arbiter

void World::decide(NodeWorld& n, Oracle& oracle) {
  arbiter::Decision d = n.decider->decide(now(n));
  n.stored = n.decider->persisted();
  if (verbose)
    for (const arbiter::Event& e : d.events) fmt::print("    {}: {} epoch={} {}\n", n.id, e.what, e.epoch, e.why);
  check_role(n);
  if (d.roles && n.gate && n.gate_hung == 0) {
    const auto row = std::find_if(d.roles->routers.begin(), d.roles->routers.end(),
                                  [](const RoleRouter& r) { return r.router == router_id(); });
    n.gate->roles(*d.roles, row != d.roles->routers.end() ? &*row : nullptr, now(n));
    if (row != d.roles->routers.end() && !row->reset_session.is_none() &&
        row->reset_session == SessionId{n.recv.inc, n.recv.number} && n.recv.up)
      end_session(n, 1);
  }
  n.soon = n.soon || d.tick_soon;
  if (!d.forget.empty() && reaches_redis(n)) {
    std::vector<std::pair<std::string, std::string>> routers;
    for (const auto& [router, expected] : d.forget) routers.emplace_back(to_hex(router), expected);
    redis_.forget(routers);
  }
  if (d.claims) claim(n, *d.claims, oracle);
}

void World::claim(NodeWorld& n, const arbiter::ClaimBatch& batch, Oracle& oracle) {
  if (!reaches_redis(n)) {
    n.decider->claims_failed(now(n));
    return decide(n, oracle);
  }
  const bool is_owned = redis_.owners().contains(to_hex(router_id()));
  const arbiter::ClaimReply reply = redis_.claim(n.id, arbiter::encode_claims(batch, n.id, 0), redis_ms());
  for (std::size_t c = 0; c < reply.won.size(); ++c) {
    if (!reply.won[c]) continue;
    const auto& item = batch.items[c];
    const Claim made{n.id, item.won.session, t_, replay_line(n, is_owned)};
    if (!claims_.try_emplace(item.epoch, made).second) fail("two claims share an epoch");
    arbiter::NodeBlob shown = batch.base;
    shown.routers = {item.won};
    note_published(n, shown);
  }
  if (is_going_on(Fault::kClaimAnswer, n))
    n.decider->claims_failed(now(n));
  else
    n.decider->claims_answered(reply.won, reply.redis_ms, now(n));
  decide(n, oracle);
}

void World::exchange(NodeWorld& n, Oracle& oracle) {
  Decider& d = *n.decider;
  if (reaches_redis(n)) {
    if (n.guard) {
      ++n.looks;
      const arbiter::TickReply look = redis_.tick(n.id, {}, redis_ms());
      if (n.guard->look(look.before, look.redis_ms, now(n)) != arbiter::JoinGuard::Verdict::kJoin) return;
      const auto& left = n.guard->left_behind();
      d.join(left ? &*left : nullptr, look.redis_ms, now(n), now(n));
      n.guard.reset();
    }
    const arbiter::NodeBlob blob = d.blob(now(n));
    const arbiter::TickReply reply = redis_.tick(n.id, {encode_blob(blob), 0}, redis_ms());
    note_published(n, blob);
    std::size_t malformed = 0;
    d.observe(arbiter::read_observation(reply, now(n), malformed), now(n));
    if (malformed != 0) fail("a value in Redis is malformed");
  }
  decide(n, oracle);
  // W never falls within an epoch, restarts included; ages in Redis are whole milliseconds. What a node sends alone
  // belongs to no epoch.
  const auto st = d.routers().find(router_id());
  if (st != d.routers().end() && st->second.solo_sent) n.w_epoch = 0;
  if (st != d.routers().end() && st->second.w && !st->second.solo_sent) {
    if (n.w_epoch == st->second.epoch && *st->second.w + Millis(2) < n.w)
      fail(fmt::format("W fell within an epoch at {}", n.id));
    n.w_epoch = st->second.epoch;
    n.w = *st->second.w;
  }
  const bool waited_enough = std::any_of(faults_.begin(), faults_.end(), [](const FaultState& f) {
    return f.fault == Fault::kLeave && f.begun && f.steps <= 1;
  });
  if (n.leaving && (d.may_exit(now(n)) || waited_enough)) {
    const Roles last = d.farewell(now(n));
    if (n.gate && n.gate_hung == 0) n.gate->roles(last, nullptr, now(n));
    if (reaches_redis(n)) redis_.leave(n.id);
    n.stored = d.persisted();
    n.decider.reset();
    n.leaving = false;
  }
}

}  // namespace bmpha::explore
