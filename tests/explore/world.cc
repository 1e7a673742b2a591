#include "tests/explore/world.h"

#include <algorithm>

#include "kafka-gate/partition.h"
#include "tests/explore/world_parts.h"

namespace bmpha::explore {
namespace {

constexpr std::array<const char*, kFaults> kFaultNames = {
    "none",         "crash",     "reboot",       "hang",          "hang-gate",  "hang-arbiter",
    "hang-recv",    "kill-gate", "kill-arbiter", "kill-recv",     "dead-link",  "silent",
    "reset",        "nobody",    "cut-redis",    "cut-kafka",     "redis-lost", "redis-down",
    "claim-answer", "restamp",   "force-active", "force-standby", "leave",      "lose-producer"};

}  // namespace

const char* fault_name(Fault f) { return kFaultNames[static_cast<std::size_t>(f)]; }

const char* start_name(Start s) {
  static constexpr std::array<const char*, 3> kNames = {"warm", "join", "cold"};
  return kNames[static_cast<std::size_t>(s)];
}

const char* stage_name(Stage s) {
  static constexpr std::array<const char*, kStages> kNames = {"read", "append", "answer", "status",
                                                              "tick", "walk",   "order"};
  return kNames[static_cast<std::size_t>(s)];
}

bool Scenario::is_orderly() const {
  const bool asked = std::all_of(faults.begin(), faults.end(), [](Fault f) {
    return f == Fault::kNone || f == Fault::kSignalRestamp || f == Fault::kSignalActive || f == Fault::kSignalStandby ||
           f == Fault::kLeave;
  });
  return asked && late <= 1 && delays == std::vector<int>{1} && !may_be_late(Stage::kTick) &&
         !may_be_late(Stage::kStatus);
}

RouterId router_id() {
  RouterId r;
  r.bytes[15] = 1;
  return r;
}

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

std::int64_t pack(const Payload& p) {
  return p.peer | (p.announced ? 1 << 8 : 0) | std::int64_t{p.versions[0]} << 16 | std::int64_t{p.versions[1]} << 24 |
         std::int64_t{p.read} << 32;
}
Payload unpack(std::int64_t v) {
  Payload p;
  p.peer = static_cast<std::uint8_t>(v & 0xff);
  p.announced = (v >> 8 & 1) != 0;
  p.versions = {static_cast<std::uint8_t>(v >> 16 & 0xff), static_cast<std::uint8_t>(v >> 24 & 0xff)};
  p.read = static_cast<std::uint16_t>(v >> 32 & 0xffff);
  return p;
}

World::World(std::shared_ptr<const Scenario> scenario)
    : scenario_(std::move(scenario)),
      redis_(std::chrono::duration_cast<Millis>(kTtl).count(), std::chrono::duration_cast<Millis>(kTtl).count()) {
  for (const Fault f : scenario_->faults)
    if (f != Fault::kNone) faults_.push_back({f, false, false, 0, 0});
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
  const Start start = scenario_->start;
  for (NodeWorld& n : nodes_)
    if (start == Start::kWarm || (start == Start::kJoin && &n != &nodes_[1])) open_session(n);
  for (int n = 0; n < 10; ++n) step(usual);
  // Repetitions move W and let what is before them be trimmed.
  for (int round = 0; round < 2 && start != Start::kCold; ++round) {
    for (std::uint8_t p = 0; p < kPeers; ++p) write({RouterMessage::Kind::kRoute, p, true, false});
    for (int n = 0; n < 6; ++n) step(usual);
  }
  settling_ = false;
  step_ = 0;
  budget_ = scenario_->late;
  if (start == Start::kCold) joins_in_ = {0, 0};
  if (start == Start::kJoin) joins_in_[1] = 0;
  watched_ = true;
  if (start != Start::kCold) check_end();
}

// --- what is late

bool World::are_faults_over() const {
  // What has not come when everything comes to rest never does.
  return std::all_of(faults_.begin(), faults_.end(),
                     [this](const FaultState& f) { return f.ended || (settling_ && !f.begun); });
}

bool World::is_going_on(Fault fault, const NodeWorld& n) const {
  return std::any_of(faults_.begin(), faults_.end(), [&](const FaultState& f) {
    return f.fault == fault && f.begun && !f.ended && &n == &nodes_[static_cast<std::size_t>(f.victim)];
  });
}

// How many of the items that this stage has come through now; the rest is held.
std::size_t World::through(NodeWorld& n, Stage stage, std::size_t lane, std::size_t items, Oracle& oracle) {
  int& stall = n.stalls[lane == 0 ? static_cast<std::size_t>(stage) : kStages + lane - 1];
  if (stall < 0 && are_faults_over()) stall = stall == kAfterOver ? 5 : 0;
  if (stall > 0) --stall;
  if (stall != 0) return 0;
  if (settling_ || budget_ == 0 || items == 0 || !scenario_->may_be_late(stage)) return items;
  std::vector<int> delays = scenario_->delays;
  if (are_faults_over()) std::erase_if(delays, [](int d) { return d < 0; });
  const int cuts = scenario_->partial ? static_cast<int>(items) : 1;
  const int ways = static_cast<int>(delays.size());
  const int made = oracle.choose(1 + ways * cuts);
  if (made == 0) return items;
  --budget_;
  stall = delays[static_cast<std::size_t>((made - 1) % ways)];
  return static_cast<std::size_t>((made - 1) / ways);
}

bool World::is_reversed(Oracle& oracle) {
  if (settling_ || nodes_.size() < 2) return false;
  if (scenario_->any_order) return step_ <= scenario_->window + 8 && oracle.choose(2) == 1;
  if (budget_ == 0 || !scenario_->may_be_late(Stage::kOrder) || oracle.choose(2) == 0) return false;
  --budget_;
  return true;
}

// --- steps

void World::step(Oracle& oracle) {
  t_ += kStep;
  for (NodeWorld& n : nodes_) tick_down(n);
  if (!settling_) {
    if (step_ == 0 && scenario_->start != Start::kWarm) joins_in_[1] = oracle.choose(3);
    fault_acts(oracle);
    router_acts(oracle);
  } else {
    fault_acts(oracle);
  }
  for (std::size_t i = 0; i < joins_in_.size(); ++i)
    if (joins_in_[i] >= 0 && joins_in_[i]-- == 0 && nodes_[i].dead == 0 && !gone_) open_session(nodes_[i]);
  for (NodeWorld& n : nodes_) walk(n, oracle);
  const bool reversed = is_reversed(oracle);
  for (std::size_t i = 0; i < nodes_.size(); ++i) node_step(nodes_[reversed ? nodes_.size() - 1 - i : i], oracle);
  // Ticks out of turn, when something changed that others should hear of.
  for (NodeWorld& n : nodes_)
    if (std::exchange(n.soon, false) && n.decider && n.dead == 0 && n.hung == 0 && n.arbiter_hung == 0)
      exchange(n, oracle);
  for (NodeWorld& n : nodes_)
    if (n.gate && n.dead == 0 && n.hung == 0 && n.gate_hung == 0) pump(n);
  ++step_;
  // Nothing begins to be late for ever.
  if (step_ > scenario_->window + 8) budget_ = 0;
}

bool World::is_over() const {
  const bool changed = settling_ || next_change_ == static_cast<int>(scenario_->changes.size());
  return are_faults_over() && changed && joins_in_[0] < 0 && joins_in_[1] < 0;
}

bool World::is_still() const {
  return std::all_of(nodes_.begin(), nodes_.end(), [](const NodeWorld& n) {
    const bool idle = std::all_of(n.in_flight.begin(), n.in_flight.end(), [](const auto& q) { return q.empty(); });
    const bool waits = n.session.dial_in > 0 || n.session.found_in > 0 || n.ghosts_in > 0 || n.land_in > 0;
    const bool back = n.dead <= 0 && n.gate_dead == 0 && n.arbiter_dead == 0 && n.recv_dead == 0;
    const bool awake = n.hung == 0 && n.gate_hung == 0 && n.arbiter_hung == 0 && n.recv_hung == 0;
    const bool in_time = std::all_of(n.stalls.begin(), n.stalls.end(), [](int s) { return s == 0; });
    return idle && !waits && back && awake && in_time && n.answers.empty();
  });
}

void World::settle() {
  Usual usual;
  settling_ = true;
  budget_ = 0;
  step(usual);
}

}  // namespace bmpha::explore
