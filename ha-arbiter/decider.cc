// Inputs of the decision. The rules: decider_rules.cc. What leaves: decider_output.cc.
#include "ha-arbiter/decider.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/rules.h"
#include "ha-arbiter/node_blob.h"

namespace bmpha::arbiter {
namespace {

constexpr Nanos kForgetNode = std::chrono::hours(1);

std::int64_t to_ms(Nanos d) { return std::chrono::duration_cast<Millis>(d).count(); }

}  // namespace

const char* mode_name(Mode m) {
  switch (m) {
    case Mode::kAutomatic:
      return "auto";
    case Mode::kForcedActive:
      return "forced-active";
    case Mode::kForcedStandby:
      return "forced-standby";
  }
  return "unknown";
}

Decider::Decider(DeciderSettings settings, const Persisted& persisted, BootTime now, std::int64_t wall_ms)
    : s_(std::move(settings)), last_ok_(now), started_(now), wall_ms_(wall_ms), awake_at_(now), initial_(persisted) {
  highest_epoch_ = persisted.epoch;
  unsettled_ = persisted.unsettled;
  // A gen never falls, not even when the file was lost.
  gen_ = persisted.gen != 0 ? persisted.gen + 1 : static_cast<std::uint64_t>(std::max<std::int64_t>(wall_ms, 1));
  if (!rule_on("A2-gen")) gen_ = 1;
}

void Decider::raise(std::uint64_t& highest, std::uint64_t seen) {
  if (seen <= kMaxBelieved) highest = std::max(highest, seen);
}

RouterState& Decider::state(const RouterId& router) {
  RouterState& st = routers_[router];
  st.router = router;
  return st;
}

const GateRouter* Decider::row(const RouterId& router) const {
  const auto r = rows_.find(router);
  return r != rows_.end() ? &r->second : nullptr;
}

std::int64_t Decider::redis_ms(BootTime now) const {
  if (!ever_ok_) return 0;
  return redis_ms_ + to_ms(now - redis_at_);
}

// `since`: Redis' time, but always above every other of this router, so that a new session is the youngest.
std::uint64_t Decider::new_since(RouterState& st, BootTime now) {
  const std::int64_t clock = ever_ok_ ? redis_ms(now) : wall_ms_ + to_ms(now - started_);
  const std::uint64_t above = rule_on("A2-youngest") ? st.max_since + 1 : 0;
  st.max_since = std::max(static_cast<std::uint64_t>(std::max<std::int64_t>(clock, 1)), above);
  return st.max_since;
}

// --- hangs

// Called at every input: nobody may believe what it knew before a long sleep.
void Decider::awake(BootTime now) {
  if (now - awake_at_ > s_.ttl) hang(fmt::format("this process did not run for {} ms", to_ms(now - awake_at_)), now);
  awake_at_ = std::max(awake_at_, now);
}

// A new gen makes the owner settle what this node's processes may still send late (A4.7).
void Decider::hang(const std::string& why, BootTime now) {
  if (rule_on("A7-hang")) {
    ++gen_;
    unsettled_ = true;
  }
  note(LogLevel::kWarn, "resumed after a hang", why);
  if (now - awake_at_ <= s_.ttl) return;
  hung_ = true;
  for (auto& [id, st] : routers_) st.torn_since.reset();  // others may be just waking up, too
  woke_at_ = now;                                         // what the gate sent meanwhile was not read either
  last_ok_ = now;  // Redis was not asked in the meantime: that is no silence of Redis
  last_tick_ = now;
  lateness_ = Nanos{0};
}

void Decider::begin_tick(BootTime now) {
  awake(now);
  lateness_ = last_tick_ ? std::max(Nanos{0}, now - *last_tick_ - s_.tick) : Nanos{0};
  last_tick_ = now;
  const auto broken = broken_timing();
  const std::string_view key = broken ? broken->key : "";
  if (key == "tick")
    note(LogLevel::kWarn, "tick late, nothing is trimmed", broken->why);
  else if (broken && key != broken_key_)
    note(LogLevel::kError, "timing broken, nothing is trimmed", fmt::format("key {}: {}", key, broken->why));
  broken_key_ = key;
}

// The settings were checked at the start; here they meet what is measured, and what kafka-gate says of its own.
std::optional<BrokenBound> Decider::broken_timing() const {
  if (!s_.check_bounds || !rule_on("A7-timing")) return std::nullopt;
  if (lateness_ > s_.ttl / 2) return BrokenBound{"tick", fmt::format("{} ms late", to_ms(lateness_))};
  if (exchange_ > s_.redis_timeout)
    return BrokenBound{"redis-timeout", fmt::format("redis answered after {} ms", to_ms(exchange_))};
  Timing t{s_.tick, s_.redis_timeout, s_.ttl, s_.lease, s_.margin, gate_known_ ? Nanos(status_.retain) : Nanos::max()};
  if (auto broken = broken_bound(t)) return broken;
  t.tick += lateness_;
  t.redis_timeout = exchange_;
  return broken_bound(t);
}

// --- start

void Decider::join(const NodeReading* left_behind, std::int64_t redis_ms, BootTime at, BootTime now) {
  joined_ = true;
  ever_ok_ = true;
  redis_ms_ = redis_ms;
  redis_at_ = last_ok_ = at;
  restamp_collector("", now);
  if (left_behind == nullptr || !left_behind->blob || left_behind->blob->leaving) {
    note(LogLevel::kInfo, "joined cluster", "");
    return;
  }
  const std::int64_t age = std::clamp<std::int64_t>(redis_ms - left_behind->pub_ms, 0, to_ms(s_.ttl));
  if (!solo_ && rule_on("A2-take-back")) take_back(*left_behind->blob, at - Millis(age));
  awake(now);
}

// A restart that was quick enough to move nothing: age, role and epoch come back from the blob (A.2). Whether the
// sessions are still the same shows with the gate's first table (A4.8).
void Decider::take_back(const NodeBlob& blob, BootTime pub_at) {
  gen_ = std::max(initial_.gen, blob.gen);
  unsettled_ = unsettled_ || !blob.settled || blob.solo;
  tick_no_ = blob.tick;
  seen_ = blob.seen;
  if (blob.collector) collector_ = *blob.collector;
  collector_checked_ = blob.collector.has_value();
  if (blob.forced_active) mode_ = Mode::kForcedActive;
  if (blob.forced_standby) mode_ = Mode::kForcedStandby;
  for (const RouterEntry& e : blob.routers) {
    RouterState& st = state(e.router);
    st.hold = e.hold;
    st.cls = e.cls;
    st.session_seen = e.session;
    st.since = e.since;
    st.max_since = std::max(st.max_since, e.since);
    st.epoch = e.epoch;
    st.session = e.session;
    st.claimed_up = e.hold == Hold::kUp;
    st.solo_sent = e.solo;
    st.unclean = e.unclean;
    if (e.w_age) st.w = pub_at - *e.w_age;
    st.cover = st.w;
    highest_epoch_ = std::max(highest_epoch_, e.epoch);
    // An owner without a session waits for nothing: what it emitted or released is seen in the own-hash.
    if (e.role == Role::kStandby) continue;
    st.role = e.role;
    st.released_at = st.claimed_at = pub_at;
    st.handled = blob.seen;
    st.handled[s_.node] = blob.gen;
    st.why = "restart";
  }
  note(LogLevel::kInfo, "joined cluster", "state taken back from this node's key");
}

// --- the gate

bool Decider::gate_is_silent(BootTime now) const {
  if (!gate_known_) return now - started_ >= s_.gate_silent;
  return now - status_.sent >= s_.gate_silent;
}

bool Decider::gate(const GateStatus& status, BootTime now) {
  awake(now);
  bool urgent = !gate_known_;
  if (gate_known_ && status.gate_inc != status_.gate_inc) {
    gate_changed_ = now;
    gate_waits_ = true;
    urgent = true;
    // The new process has what bmp-recv replays to it: the same claim begins again with everything held. A new claim
    // follows, so that what the old process handed over cannot land behind it.
    for (auto& [id, st] : routers_) {
      st.fresh_gate = st.old_row = true;
      if (st.role == Role::kActive && rule_on("A3-reclaim")) st.gate_new = true;
      st.start = BootTime{};
    }
    note(LogLevel::kWarn, "kafka-gate restarted", "");
  } else if (const Nanos silence = status.sent - std::max(status_.sent, woke_at_);
             gate_known_ && silence > s_.gate_silent) {
    hang(fmt::format("kafka-gate was silent for {} ms", to_ms(silence)), now);
    urgent = true;
  }
  urgent = urgent || status.kafka_ok != status_.kafka_ok || status.recv_alive != status_.recv_alive;
  gate_known_ = true;
  if (status.kafka_ok)
    kafka_bad_since_.reset();
  else if (!kafka_bad_since_)
    kafka_bad_since_ = now;
  if (status.recv_alive || now - gate_changed_ >= s_.gate_silent) gate_waits_ = false;
  if (!gate_waits_) urgent = apply_gate_rows(status, now) || urgent;
  status_ = status;
  status_.routers.clear();
  return urgent;
}

bool Decider::apply_gate_rows(const GateStatus& status, BootTime now) {
  bool urgent = status.routers.size() != rows_.size();
  std::map<RouterId, GateRouter> rows;
  for (const GateRouter& g : status.routers) {
    const GateRouter* old = row(g.router);
    // A restarted gate may know a router before its first record has come again.
    const bool is_old = old != nullptr && g.session.is_none() && now - gate_changed_ < s_.gate_silent;
    state(g.router).old_row = is_old;
    if (is_old) {
      rows[g.router] = *old;
      continue;
    }
    if (old == nullptr || old->session != g.session || old->up != g.up || old->torn != g.torn || old->role != g.role ||
        old->epoch != g.epoch || old->blocked != g.blocked || old->in_dump != g.in_dump ||
        old->unsent_tail != g.unsent_tail)
      urgent = true;
    highest_epoch_ = std::max(highest_epoch_, g.epoch);
    rows[g.router] = g;
  }
  if (now - gate_changed_ < s_.gate_silent)
    for (const auto& [id, g] : rows_)
      if (rows.emplace(id, g).second) state(id).old_row = true;
  rows_ = std::move(rows);
  return urgent;
}

// --- Redis

void Decider::observe(const Observation& o, BootTime now) {
  awake(now);
  if (o.at < last_ok_ && ever_ok_) return;  // asked before a hang
  if (solo_) note(LogLevel::kInfo, "back from solo", "Redis is reachable");
  solo_ = false;
  hung_ = false;
  ever_ok_ = observed_ = true;
  fresh_ = true;
  redis_ms_ = o.redis_ms;
  redis_at_ = last_ok_ = o.at;
  exchange_ = now - o.at;
  own_ = o.own;
  for (const auto& [router, e] : own_) raise(highest_epoch_, e.epoch);
  for (auto& [id, v] : nodes_) v.present = false;
  for (const auto& [id, reading] : o.nodes)
    if (id != s_.node) read_node(id, reading, o);
  std::erase_if(nodes_, [&](const auto& n) { return !n.second.present && o.at - n.second.advanced > kForgetNode; });
  for (auto& [router, st] : routers_) st.w_confirmed = st.w_sent;
  stamp_at_start(now);
}

void Decider::read_node(const std::string& id, const NodeReading& reading, const Observation& o) {
  const bool known = nodes_.contains(id);
  NodeView& v = nodes_[id];
  v.present = true;
  const bool risen = !reading.blob ? reading.pub_ms != v.pub_ms
                                   : !v.readable || reading.blob->inc != v.blob.inc || reading.blob->tick > v.blob.tick;
  if (known && !risen) return;
  const std::int64_t age = o.redis_ms - reading.pub_ms;
  const bool in_range = (age >= 0 && age <= to_ms(s_.ttl)) || !rule_on("A2-age");
  v.pub_ms = reading.pub_ms;
  v.advanced = in_range ? o.at - Millis(age) : o.at;
  v.readable = reading.blob.has_value();
  if (!reading.blob) {
    if (!known) note(LogLevel::kError, "key of another node is not readable", id);
    v.blob = NodeBlob{};
    v.blob.id = id;
    v.routers.clear();
    return;
  }
  v.blob = *reading.blob;
  std::map<RouterId, NodeView::Router> routers;
  for (const RouterEntry& e : v.blob.routers) {
    NodeView::Router& r = routers[e.router];
    r.entry = e;
    const auto old = v.routers.find(e.router);
    // Ages become instants of this host; what is outside 0..TTL may be a stepped clock, and says nothing new.
    if (in_range && e.w_age) r.w = o.at - (*e.w_age + Millis(age));
    if (!in_range && old != v.routers.end() && old->second.entry.epoch == e.epoch) r.w = old->second.w;
    if (in_range && e.read_age) r.last_read = o.at - (*e.read_age + Millis(age));
    raise(highest_epoch_, e.epoch);
    RouterState& st = state(e.router);
    raise(st.max_since, e.since);
  }
  v.routers = std::move(routers);
}

bool Decider::is_live(const NodeView& v, BootTime now) const {
  if (v.readable && v.blob.leaving && !v.present) return false;  // it said so, and has removed its key
  if (!rule_on("A2-observer")) return v.present;                 // as Redis' own expiry has it
  return now - v.advanced < s_.ttl;
}

// --- claims

void Decider::claims_answered(const std::vector<bool>& answers, std::int64_t redis_ms, BootTime now) {
  awake(now);
  std::vector<Pending> pending = std::move(pending_);
  pending_.clear();
  for (std::size_t n = 0; n < pending.size() && n < answers.size(); ++n) {
    if (answers[n])
      won(pending[n], now);
    else
      note(LogLevel::kInfo, "claim lost", state(pending[n].router), "another node was first");
  }
  if (redis_ms > 0 && redis_ms < redis_ms_) note(LogLevel::kWarn, "clock of Redis went back", "");
}

void Decider::won(const Pending& p, BootTime now) {
  RouterState& st = state(p.router);
  st.role = Role::kActive;
  st.solo = st.solo_sent = false;
  st.unclean = false;
  st.epoch = p.epoch;
  st.session = p.session;
  st.claimed_up = p.up;
  st.claimed_at = now;
  st.replayed = st.gate_lost = false;
  st.start = p.start;
  st.settles = p.settles;
  st.handled = p.handled;
  st.w = st.w_sent = st.w_confirmed = p.w;
  st.emit = p.emit;
  if (p.gate_inc == status_.gate_inc) st.fresh_gate = st.gate_new = false;
  st.reset = {};
  st.torn_since.reset();
  st.changed_at = now;
  st.why = p.why;
  if (st.errand.order == Order::kRaise) end(st, true, fmt::format("epoch {}", p.epoch), now);
  own_[p.router] = {encode_owner(s_.node, p.epoch), s_.node, p.epoch};
  note(LogLevel::kInfo, "active", st, p.why);
}

void Decider::claims_failed(BootTime now) {
  awake(now);
  for (const Pending& p : pending_) {
    lost_[p.router] = {p.epoch, p.w};
    note(LogLevel::kWarn, "claim without an answer", state(p.router), "Redis did not answer in time");
  }
  pending_.clear();
}

// --- commands

void Decider::command(Command command, BootTime now) {
  awake(now);
  tick_soon_ = true;
  switch (command) {
    case Command::kRestamp:
      for (auto& [id, st] : routers_)
        if (st.since != 0) restamp(st, now);
      restamp_collector("", now);
      note(LogLevel::kInfo, "new timestamp for every session", "signal");
      break;
    case Command::kForceActive:
      mode_ = Mode::kForcedActive;
      note(LogLevel::kInfo, "forced active", "signal");
      break;
    case Command::kForceStandby:
      mode_ = Mode::kForcedStandby;
      note(LogLevel::kInfo, "forced standby", "signal");
      break;
    case Command::kAutomatic:
      mode_ = Mode::kAutomatic;
      note(LogLevel::kInfo, "automatic", "signal");
      break;
    case Command::kLeave:
      leaving_ = true;
      note(LogLevel::kInfo, "leaving cluster", "signal");
      break;
  }
}

}  // namespace bmpha::arbiter
