#include "tests/explore/world.h"

#include <fmt/format.h>

#include <algorithm>

#include "ha-arbiter/node_blob.h"
#include "kafka-gate/partition.h"

namespace bmpha::explore {
namespace {

using arbiter::Decider;
using gate::HeldRecords;
using Kind = RouterMessage::Kind;

constexpr Nanos kStep = Millis(100);  // one tick
constexpr Nanos kTtl = Millis(200);
constexpr Nanos kLease = Millis(150);
constexpr std::int64_t kRedisStart = 1'700'000'000'000;
constexpr int kKeepalive = 5;  // steps
constexpr int kKafkaBad = 2;
constexpr int kKafkaGood = 2;

RouterId router_id() {
  RouterId r;
  r.bytes[15] = 1;
  return r;
}

// A peer's key that lies in the partition of its number.
Hash128 peer_key(int peer) {
  static const std::array<Hash128, kPeers> keys = [] {
    std::array<Hash128, kPeers> out;
    for (std::uint8_t p = 0; p < kPeers; ++p) {
      Hash128 k;
      k.bytes[0] = static_cast<std::uint8_t>(p + 1);
      while (gate::partition_of(k, kPartitions) != p % kPartitions) ++k.bytes[15];
      out[p] = k;
    }
    return out;
  }();
  return keys[static_cast<std::size_t>(peer)];
}

const HeldRecords::Settings& held_settings(std::size_t node, bool tight) {
  static const auto all = [] {
    std::array<HeldRecords::Settings, 6> out;
    for (std::size_t n = 0; n < 6; ++n) {
      out[n].node = std::string(1, static_cast<char>('A' + n / 2));
      out[n].partitions = kPartitions;
      out[n].retain = n % 2 == 1 ? Nanos{0} : Nanos{Millis(350)};
      out[n].release_wait = kLease;
      out[n].gap_wait = 3 * kStep;
    }
    return out;
  }();
  return all[2 * node + (tight ? 1 : 0)];
}

// What a record says travels in its receipt time.
struct Payload {
  std::uint8_t peer = 0;
  bool announced = false;
  std::array<std::uint8_t, kPeers> versions{};  // of both peers; a route's own is versions[peer]
};
std::int64_t pack(const Payload& p) {
  return p.peer | (p.announced ? 1 << 8 : 0) | std::int64_t{p.versions[0]} << 16 | std::int64_t{p.versions[1]} << 24;
}
Payload unpack(std::int64_t v) {
  Payload p;
  p.peer = static_cast<std::uint8_t>(v & 0xff);
  p.announced = (v >> 8 & 1) != 0;
  p.versions = {static_cast<std::uint8_t>(v >> 16 & 0xff), static_cast<std::uint8_t>(v >> 24 & 0xff)};
  return p;
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

class Usual : public Oracle {
 public:
  int choose(int) override { return 0; }
};

}  // namespace

const char* fault_name(Fault f) {
  static constexpr const char* kNames[kFaults] = {
      "none",         "crash",     "reboot",       "hang",          "hang-gate", "hang-arbiter", "kill-gate",
      "kill-arbiter", "dead-link", "reset",        "cut-redis",     "cut-kafka", "redis-lost",   "redis-down",
      "claim-answer", "restamp",   "force-active", "force-standby", "leave"};
  return kNames[static_cast<int>(f)];
}

World::World(std::shared_ptr<const Scenario> scenario)
    : scenario_(std::move(scenario)),
      redis_(std::chrono::duration_cast<Millis>(kTtl).count(), std::chrono::duration_cast<Millis>(kTtl).count()),
      budget_(0) {
  nodes_.resize(static_cast<std::size_t>(scenario_->nodes));
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    NodeWorld& n = nodes_[i];
    n.id = std::string(1, static_cast<char>('A' + i));
    n.boot = std::chrono::hours(1 + 100 * static_cast<std::int64_t>(i));
    n.recv.inc = ++incs_;
    start_gate(n);
    start_arbiter(n);
  }
}

std::int64_t World::redis_ms() const { return kRedisStart + std::chrono::duration_cast<Millis>(t_).count(); }

void World::warm_up() {
  Usual usual;
  settling_ = true;
  for (int n = 0; n < 4; ++n) step(usual);
  for (NodeWorld& n : nodes_)
    if (!scenario_->join || &n != &nodes_[1]) open_session(n);
  for (int n = 0; n < 10; ++n) step(usual);
  // Repetitions move W and let what is before them be trimmed.
  for (int round = 0; round < 2; ++round) {
    for (std::uint8_t p = 0; p < kPeers; ++p) write({Kind::kRoute, p, true, false});
    for (int n = 0; n < 6; ++n) step(usual);
  }
  settling_ = false;
  step_ = 0;
  budget_ = scenario_->late;
  joins_in_ = scenario_->join ? 1 : -1;
  watched_ = true;
  check_end();
}

bool World::late(Oracle& oracle) {
  if (settling_ || budget_ == 0) return false;
  if (oracle.choose(2) == 0) return false;
  --budget_;
  return true;
}

void World::step(Oracle& oracle) {
  t_ += kStep;
  for (NodeWorld& n : nodes_) tick_down(n);
  if (!settling_) {
    fault_acts(oracle);
    router_acts(oracle);
    if (joins_in_ >= 0 && joins_in_-- == 0) open_session(nodes_[1]);
  } else if (fault_.begun && !fault_.ended) {
    fault_acts(oracle);
  }
  for (NodeWorld& n : nodes_) walk(n.session);
  const bool reversed = late(oracle);
  for (std::size_t i = 0; i < nodes_.size(); ++i) node_step(nodes_[reversed ? nodes_.size() - 1 - i : i], oracle);
  // Ticks out of turn, when something changed that others should hear of.
  for (NodeWorld& n : nodes_)
    if (std::exchange(n.soon, false) && n.decider && n.dead == 0 && n.hung == 0 && n.arbiter_hung == 0)
      exchange(n, oracle);
  for (NodeWorld& n : nodes_)
    if (n.gate && n.dead == 0 && n.hung == 0 && n.gate_hung == 0) pump(n);
  ++step_;
  // Nothing that is late may be so for ever.
  if (step_ > scenario_->window + 8) budget_ = 0;
}

bool World::is_over() const {
  const bool quiet = scenario_->fault == Fault::kNone || fault_.ended;
  return quiet && next_change_ == static_cast<int>(scenario_->changes.size()) && joins_in_ < 0;
}

void World::settle() {
  Usual usual;
  settling_ = true;
  budget_ = 0;
  step(usual);
}

// --- the router

void World::router_acts(Oracle& oracle) {
  const auto count = static_cast<int>(scenario_->changes.size());
  while (next_change_ < count) {
    if (step_ < scenario_->window && oracle.choose(2) == 1) return;
    apply(scenario_->changes[static_cast<std::size_t>(next_change_++)]);
    if (step_ >= scenario_->window) continue;
  }
}

void World::apply(const Change& c) {
  RouterPeer& p = router_[static_cast<std::size_t>(c.peer)];
  const auto peer = static_cast<std::uint8_t>(c.peer);
  p.version = static_cast<std::uint8_t>(next_change_);
  switch (c.what) {
    case What::kAnnounce:
    case What::kWithdraw:
      p.announced = c.what == What::kAnnounce;
      return write({Kind::kRoute, peer, p.announced, false});
    case What::kPeerDown:
      p.up = p.announced = false;
      return write({Kind::kPeerDown, peer, false, false});
    case What::kPeerUp:
      p.up = p.announced = true;
      write({Kind::kPeerUp, peer, false, false});
      return write({Kind::kRoute, peer, true, false});
  }
}

// To every session whose table walk has passed the peer.
void World::write(const RouterMessage& m) {
  for (NodeWorld& n : nodes_)
    if (n.session.open && n.session.walk > m.peer) write(n.session, m);
}

void World::write(RouterSession& s, RouterMessage m) {
  m.written = t_;
  for (std::size_t p = 0; p < kPeers; ++p) m.versions[p] = router_[p].version;
  s.wire.push_back(m);
}

void World::walk(RouterSession& s) {
  if (!s.open || s.walk > kPeers) return;
  const auto peer = static_cast<std::uint8_t>(s.walk++);
  if (peer == kPeers) return write(s, {Kind::kSynced, 0, false, true});
  if (!router_[peer].up) return;
  write(s, {Kind::kPeerUp, peer, false, true});
  if (router_[peer].announced) write(s, {Kind::kRoute, peer, true, true});
}

void World::open_session(NodeWorld& n) {
  n.session = {};
  n.session.open = true;
  write(n.session, {Kind::kBegin, 0, false, true});
}

// The connection is gone on both sides; what was not read is lost.
void World::end_session(NodeWorld& n, int dial_in) {
  n.session = {};
  n.session.dial_in = dial_in;
  Receiver& r = n.recv;
  if (!r.up) return;
  r.up = false;
  if (n.dead != 0) return;
  Envelope e;
  e.kind = RecordKind::kSessionEnd;
  e.in_dump = r.in_dump;
  put(n, e);
}

// --- faults

void World::fault_acts(Oracle& oracle) {
  if (scenario_->fault == Fault::kNone || fault_.ended) return;
  if (!fault_.begun) {
    if (step_ < scenario_->window && oracle.choose(2) == 0) return;
    begin_fault(oracle);
    return;
  }
  if (fault_.steps > 0 && --fault_.steps == 0) end_fault();
}

void World::begin_fault(Oracle& oracle) {
  fault_.begun = true;
  const Fault f = scenario_->fault;
  const bool node_fault = f != Fault::kRedisLost && f != Fault::kRedisDown;
  fault_.victim = node_fault ? oracle.choose(static_cast<int>(nodes_.size())) : 0;
  NodeWorld& n = nodes_[static_cast<std::size_t>(fault_.victim)];
  const auto pick = [&](std::initializer_list<int> ways) {
    return *(ways.begin() + oracle.choose(static_cast<int>(ways.size())));
  };
  switch (f) {
    case Fault::kNone:
      return;
    case Fault::kCrash:
      crash(n, oracle);
      n.dead = -1;
      fault_.ended = true;
      return;
    case Fault::kReboot:
      crash(n, oracle);
      n.dead = fault_.steps = pick({2, 5});
      return;
    case Fault::kHang:
    case Fault::kHangGate:
      n.land_in = pick({-1, 1, 3});
      n.lands = n.in_flight.size();
      fault_.steps = pick({2, 3, 6});
      (f == Fault::kHang ? n.hung : n.gate_hung) = fault_.steps;
      return;
    case Fault::kHangArbiter:
      n.arbiter_hung = fault_.steps = pick({2, 3, 6});
      return;
    case Fault::kKillGate:
      stop_gate(n);
      n.lands = static_cast<std::size_t>(oracle.choose(static_cast<int>(n.in_flight.size()) + 1));
      n.land_in = pick({1, 3});
      n.gate_dead = fault_.steps = pick({1, 4});
      return;
    case Fault::kKillArbiter:
      n.decider.reset();
      n.arbiter_dead = fault_.steps = pick({1, 4});
      return;
    case Fault::kDeadLink:
      n.session.silent = true;
      n.session.found_in = kKeepalive;
      n.session.dial_in = pick({1, 4});
      fault_.steps = kKeepalive + 5;
      return;
    case Fault::kReset:
      end_session(n, pick({1, 2, 5}));
      fault_.steps = 6;
      return;
    case Fault::kCutRedis:
      n.redis_cut = true;
      fault_.steps = pick({1, 3, 6});
      return;
    case Fault::kCutKafka:
      n.kafka_cut = true;
      fault_.steps = pick({1, 4, 8});
      return;
    case Fault::kRedisLost:
    case Fault::kRedisDown:
      redis_up_ = false;
      fault_.steps = pick({1, 3, 6});
      return;
    case Fault::kClaimAnswer:
      fault_.steps = 4;
      return;
    case Fault::kSignalRestamp:
      if (n.decider) n.decider->command(arbiter::Command::kRestamp, now(n));
      fault_.ended = true;
      return;
    case Fault::kSignalActive:
    case Fault::kSignalStandby:
      if (n.decider)
        n.decider->command(f == Fault::kSignalActive ? arbiter::Command::kForceActive : arbiter::Command::kForceStandby,
                           now(n));
      fault_.steps = pick({2, 6});
      return;
    case Fault::kLeave:
      if (n.decider) n.decider->command(arbiter::Command::kLeave, now(n));
      n.leaving = true;
      fault_.steps = pick({4, 8});
      return;
  }
}

void World::end_fault() {
  fault_.ended = true;
  NodeWorld& n = nodes_[static_cast<std::size_t>(fault_.victim)];
  switch (scenario_->fault) {
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
    case Fault::kLeave:
      n.leaving = false;
      if (!n.decider) start_arbiter(n);
      return;
    default:
      return;
  }
}

void World::crash(NodeWorld& n, Oracle& oracle) {
  stop_gate(n);
  n.decider.reset();
  n.guard.reset();
  n.lands = static_cast<std::size_t>(oracle.choose(static_cast<int>(n.in_flight.size()) + 1));
  n.land_in = n.lands == 0 ? -1 : oracle.choose(2) == 0 ? 1 : 4;
  n.dead = 1;
  end_session(n, -1);
  n.recv = {};
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
    n.in_flight.clear();
    start_gate(n);
    start_arbiter(n);
    n.session.dial_in = 1;
  }
  if (ran_out(n.gate_dead)) {
    n.in_flight.clear();
    start_gate(n);
  }
  if (ran_out(n.arbiter_dead)) start_arbiter(n);
  for (int* hang : {&n.hung, &n.gate_hung, &n.arbiter_hung})
    if (ran_out(*hang) && hang != &n.arbiter_hung) n.land_in = -1;
  RouterSession& s = n.session;
  if (s.open && s.found_in > 0 && --s.found_in == 0) return end_session(n, s.dial_in);
  if (!s.open && s.dial_in > 0 && n.dead == 0 && --s.dial_in == 0) open_session(n);
}

void World::start_gate(NodeWorld& n) {
  n.gate.emplace(router_id(), held_settings(static_cast<std::size_t>(n.id[0] - 'A'), scenario_->tight));
  n.gate_inc = ++incs_;
  n.kafka_bad = n.kafka_good = 0;
  n.kafka_ok = true;
  n.land_in = -1;
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
  s.lease = kLease;
  s.stale_delay = s.down_delay = s.stall_timeout = std::chrono::hours(10);
  s.gate_silent = kLease;
  s.release_wait = kLease;
  n.decider.emplace(s, n.stored, now(n), redis_ms());
  n.guard.emplace(s.inc, std::chrono::duration_cast<Millis>(kStep) - Millis(10),
                  std::chrono::duration_cast<Millis>(kTtl));
  n.looks = 0;
  n.leaving = false;
  n.w_epoch = 0;
}

// --- a node

void World::node_step(NodeWorld& n, Oracle& oracle) {
  if (n.land_in > 0 && --n.land_in == 0) {
    append(n, std::min(n.lands, n.in_flight.size()));
    n.land_in = -1;
  }
  if (n.dead != 0 || n.hung > 0) return;
  read(n, oracle);
  const bool gate_runs = n.gate && n.gate_hung == 0;
  if (gate_runs) {
    for (Receiver::Kept& k : n.recv.ring)
      if (!std::exchange(k.fed, true)) n.gate->record(k.envelope, {}, now(n));
    alive(n);
    n.gate->tick(now(n));
    pump(n);
    if (!n.in_flight.empty() && !n.kafka_cut && !late(oracle)) append(n, n.in_flight.size());
    if (!n.answers.empty() && !late(oracle)) answer(n);
  }
  if (!n.decider || n.arbiter_hung > 0) return;
  if (gate_runs) status(n);
  if (late(oracle)) return;
  n.decider->begin_tick(now(n));
  decide(n, oracle);
  exchange(n, oracle);
}

// In a tight world both sessions read in step; else a read may be late by a step, and W stands still meanwhile.
void World::read(NodeWorld& n, Oracle& oracle) {
  RouterSession& s = n.session;
  Receiver& r = n.recv;
  if (!s.open || s.silent) return;
  if (!s.wire.empty() && !scenario_->tight && late(oracle)) return;
  const Nanos before = s.wire.empty() ? t_ : s.wire.front().written < t_ ? r.empty_at : t_ - Nanos{1};
  for (const RouterMessage& m : s.wire) {
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
    e.read_wall_us = pack({m.peer, m.announced, m.versions});
    e.drained_time = BootTime(before + n.boot);
    put(n, e);
    if (m.kind == Kind::kSynced) r.in_dump = false;
  }
  if (!s.wire.empty()) r.last_read = t_;
  s.wire.clear();
  r.empty_at = t_;
}

void World::put(NodeWorld& n, Envelope e) {
  Receiver& r = n.recv;
  e.topic = TopicSelector::kUnicastPrefix;
  e.session = {r.inc, r.number};
  e.seq = ++r.seq;
  e.router = router_id();
  if (e.kind == RecordKind::kSessionEnd) e.key = router_id();
  e.read_time = now(n);
  if (e.drained_time == BootTime{}) e.drained_time = BootTime(t_ - Nanos{1} + n.boot);
  r.ring.push_back({e, false});
}

void World::alive(NodeWorld& n) {
  Receiver& r = n.recv;
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
    row.name = "r";
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
  while (!r.ring.empty()) {
    const Envelope& e = r.ring.front().envelope;
    const auto up_to = released.find(e.session);
    if (!r.ring.front().fed || up_to == released.end() || e.seq > up_to->second) break;
    if (e.session.number == r.number) {
      r.released = e.seq;
      r.released_read = e.read_time;
    }
    r.ring.pop_front();
  }
}

void World::pump(NodeWorld& n) {
  while (const auto copy = n.gate->next(now(n))) {
    n.gate->sent(*copy);
    n.in_flight.push_back(*copy);
  }
}

void World::append(NodeWorld& n, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    append(n.in_flight.front());
    if (n.gate) n.answers.push_back(n.in_flight.front().ticket);
    n.in_flight.pop_front();
  }
}

// Kafka and the sink behind it.
void World::append(const gate::Copy& copy) {
  PartitionWorld& p = kafka_[copy.partition];
  const std::int64_t offset = p.next++;
  const KafkaHeader& h = copy.header;
  std::vector<sink::PeerChange> changes;
  const bool accepted = p.generations.admit(offset, h, changes) == sink::Verdict::kAccepted;
  if (verbose)
    fmt::print("    kafka[{}] {} {} {} epoch={} gen={}{}{}{} session={}/{} v={:x}{}\n", copy.partition, h.node,
               kind_name(h.kind), h.seq, h.epoch, h.gen, h.solo ? " solo" : "", h.replay ? " replay" : "",
               h.in_dump ? " dump" : "", h.session.recv_inc, h.session.number, h.read_wall_us,
               accepted ? "" : " FENCED");
  if (!accepted) return;
  const Payload payload = unpack(h.read_wall_us);
  const int peer = payload.peer;
  if (h.kind == RecordKind::kPeer) {
    if (h.opener)
      p.generations.open_peer(offset, h, peer_key(peer));
    else
      p.generations.close_peer(h, peer_key(peer));
  } else if (h.kind == RecordKind::kRoutes) {
    const sink::PeerState& state = p.generations.touch_peer(h.router, peer_key(peer));
    p.rows[peer] = {payload.announced, payload.versions[static_cast<std::size_t>(peer)], state.epoch};
  }
  // Which changes are in the history now, or behind a dump that is.
  const bool of_peer = h.kind == RecordKind::kPeer || h.kind == RecordKind::kRoutes;
  for (std::size_t i = 0; i < scenario_->changes.size(); ++i) {
    const int changed = scenario_->changes[i].peer;
    const std::size_t version = payload.versions[static_cast<std::size_t>(changed)];
    if (of_peer && changed == peer && (version == i + 1 || (h.in_dump && version > i))) seen_[i] = true;
    if (h.kind == RecordKind::kSynced && static_cast<std::uint32_t>(changed) == copy.partition && version > i)
      seen_[i] = true;
  }
  check_visible();
}

void World::answer(NodeWorld& n) {
  for (const gate::Ticket& ticket : n.answers) n.gate->answered(ticket, true);
  n.answers.clear();
}

void World::status(NodeWorld& n) {
  n.kafka_bad = n.kafka_cut && !n.in_flight.empty() ? n.kafka_bad + 1 : 0;
  n.kafka_good = n.kafka_cut ? 0 : n.kafka_good + 1;
  if (n.kafka_bad >= kKafkaBad) n.kafka_ok = false;
  if (n.kafka_good >= kKafkaGood) n.kafka_ok = true;
  GateStatus s;
  s.gate_inc = n.gate_inc;
  s.recv_inc = n.recv.inc;
  s.recv_alive = true;
  s.n = ++n.status_n;
  s.sent = now(n);
  s.kafka_ok = n.kafka_ok;
  s.retain = scenario_->tight ? Millis{0} : Millis{350};
  if (n.recv.number > 0) s.routers.push_back(n.gate->status());
  (void)n.decider->gate(s, now(n));
}

void World::decide(NodeWorld& n, Oracle& oracle) {
  arbiter::Decision d = n.decider->decide(now(n));
  n.stored = n.decider->persisted();
  if (verbose)
    for (const arbiter::Event& e : d.events) fmt::print("    {}: {} epoch={} {}\n", n.id, e.what, e.epoch, e.why);
  if (d.roles && n.gate && n.gate_hung == 0) {
    const auto row = std::find_if(d.roles->routers.begin(), d.roles->routers.end(),
                                  [](const RoleRouter& r) { return r.router == router_id(); });
    n.gate->roles(*d.roles, row != d.roles->routers.end() ? &*row : nullptr, now(n));
    if (row != d.roles->routers.end() && !row->reset_session.is_none() &&
        row->reset_session == SessionId{n.recv.inc, n.recv.number} && n.recv.up)
      end_session(n, 1);
  }
  n.soon = n.soon || d.tick_soon;
  if (!d.claims) return;
  if (!reaches_redis(n)) {
    n.decider->claims_failed(now(n));
    return decide(n, oracle);
  }
  const arbiter::ClaimReply reply = redis_.claim(n.id, arbiter::encode_claims(*d.claims, n.id, 0), redis_ms());
  for (std::size_t c = 0; c < reply.won.size(); ++c) {
    if (!reply.won[c]) continue;
    if (!claims_.try_emplace(d.claims->items[c].epoch, n.id).second) fail("two claims share an epoch");
  }
  const bool lost = scenario_->fault == Fault::kClaimAnswer && fault_.begun && !fault_.ended &&
                    &n == &nodes_[static_cast<std::size_t>(fault_.victim)];
  if (lost)
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
    const arbiter::TickReply reply = redis_.tick(n.id, {encode_blob(d.blob(now(n))), 0}, redis_ms());
    std::size_t malformed = 0;
    d.observe(arbiter::read_observation(reply, now(n), malformed), now(n));
    if (malformed != 0) fail("a value in Redis is malformed");
  }
  decide(n, oracle);
  // W never falls within an epoch; ages in Redis are whole milliseconds.
  if (const auto st = d.routers().find(router_id()); st != d.routers().end() && st->second.w) {
    if (n.w_epoch == st->second.epoch && *st->second.w + Millis(2) < n.w) fail("W fell within an epoch at " + n.id);
    n.w_epoch = st->second.epoch;
    n.w = *st->second.w;
  }
  if (n.leaving && (d.may_exit(now(n)) || fault_.steps <= 1)) {
    const Roles last = d.farewell(now(n));
    if (n.gate && n.gate_hung == 0) n.gate->roles(last, nullptr, now(n));
    if (reaches_redis(n)) redis_.leave(n.id);
    n.stored = d.persisted();
    n.decider.reset();
    n.leaving = false;
  }
}

// --- properties

bool World::is_visible(int peer) const {
  const PartitionWorld& p = kafka_[static_cast<std::size_t>(peer) % kPartitions];
  const auto row = p.rows.find(peer);
  const sink::PeerState* state = p.generations.find_peer(peer_key(peer));
  return row != p.rows.end() && state != nullptr && state->up && row->second.announced &&
         row->second.epoch >= state->live_epoch;
}

// What the router has all the time is visible all the time.
void World::check_visible() {
  if (!watched_) return;
  for (int peer = 0; peer < kPeers; ++peer) {
    const bool steady = std::none_of(scenario_->changes.begin(), scenario_->changes.end(),
                                     [&](const Change& c) { return c.peer == peer && c.what != What::kAnnounce; });
    if (steady && !is_visible(peer))
      fail(fmt::format("peer {} is hidden although the router has it all the time", peer));
  }
}

void World::check_end() {
  for (int peer = 0; peer < kPeers; ++peer) {
    const RouterPeer& r = router_[static_cast<std::size_t>(peer)];
    const bool wanted = r.up && r.announced;
    if (is_visible(peer) != wanted) {
      fail(fmt::format("state: the router {} a route of peer {}, the database {}", wanted ? "has" : "has not", peer,
                       wanted ? "has not" : "has"));
      continue;
    }
    const auto row = kafka_[static_cast<std::size_t>(peer) % kPartitions].rows.find(peer);
    if (wanted && row->second.version != r.version)
      fail(fmt::format("state: peer {} has version {}, the database {}", peer, r.version, row->second.version));
  }
  for (int i = 0; i < next_change_; ++i)
    if (!seen_[static_cast<std::size_t>(i)]) fail(fmt::format("loss: change {} is in no accepted record", i + 1));
  std::string active, named;
  for (const NodeWorld& n : nodes_)
    if (n.gate && n.gate->role() == Role::kActive) active += n.id;
  const auto own = redis_.owners().find(to_hex(router_id()));
  if (own != redis_.owners().end()) named = arbiter::decode_owner(own->second).node;
  if (active.size() != 1 || named != active) fail(fmt::format("owners: \"{}\" active, \"{}\" in Redis", active, named));
}

void World::finish() { check_end(); }

}  // namespace bmpha::explore
