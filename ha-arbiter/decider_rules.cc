// The rules A4.1 to A4.9, one function each. Inputs: decider.cc. What leaves: decider_output.cc.
#include <fmt/format.h>

#include <algorithm>

#include "common/rules.h"
#include "ha-arbiter/decider.h"
#include "ha-arbiter/node_blob.h"

namespace bmpha::arbiter {

// Nothing is decided, and the gate is told nothing, before it is known what is served now.
bool Decider::is_quiet(BootTime now) const {
  if (hung_ && !solo_) return true;
  if (!joined_ && !solo_) return true;
  return !gate_known_ && now - started_ < s_.gate_silent;
}

Decision Decider::decide(BootTime now) {
  awake(now);
  Decision d;
  if (since_observed(now) >= s_.ttl && !solo_ && !leaving_ && rule_on("A6-solo")) go_solo(now);
  refresh(now);
  if (!is_quiet(now)) {
    const bool fresh = std::exchange(fresh_, false) && pending_.empty();
    settle_quietly(now);
    for (auto& [id, st] : routers_) {
      give_way(st, now);
      serve_errand(st, now);
      decide_router(st, fresh, now);
      if (!solo_ && ever_ok_) decide_unheld(st, fresh, now, d);
    }
    if (fresh && !pending_.empty()) d.claims = claim_batch(now);
    echo_gens(now);
    watch_grain(now);
    forget_unused();
    d.roles = roles(now);
  }
  d.events = std::exchange(events_, {});
  d.tick_soon = std::exchange(tick_soon_, false);
  return d;
}

// --- what is known of every router

void Decider::refresh(BootTime now) {
  for (const auto& [id, g] : rows_) state(id);
  for (const auto& [id, own] : own_) state(id);
  for (auto& [id, st] : routers_) {
    if (const GateRouter* g = row(id); g != nullptr && !g->name.empty()) st.name = g->name;
    note_session(st, now);
    note_watermark(st);
    note_replay(st);
    adopt_lost_claim(st);
    finish_release(st, now);
    classify(st, now);
  }
  note_collector(now);
}

void Decider::note_session(RouterState& st, BootTime now) {
  const GateRouter* g = row(st.router);
  if (g == nullptr) return;
  if (st.reset == g->session && !g->up) st.reset = {};
  if (g->session.is_none() || g->session == st.session_seen) return;
  // A new session is always the youngest (A.2).
  st.session_seen = g->session;
  restamp(st, now);
  st.read_baseline = st.last_read = g->last_read;
  st.behind_since.reset();
  st.reset = {};
  st.torn_since.reset();
  tick_soon_ = true;
}

// W never falls within an epoch: what Kafka has acknowledged stays acknowledged, whatever restarts here.
void Decider::note_watermark(RouterState& st) {
  const GateRouter* g = row(st.router);
  if (g == nullptr || g->epoch < st.epoch) return;
  if (g->epoch == 0 && !(st.solo && st.role == Role::kActive)) return;  // never owned, and not alone either
  if (st.role == Role::kStandby && st.epoch == 0 && !solo_) {           // what an earlier process of this node claimed
    st.epoch = g->epoch;
    st.w.reset();
  }
  if (g->epoch != st.epoch || !g->w || to_ns(*g->w) <= 0) return;
  if (st.fresh_gate && !st.replayed) return;  // its records may begin behind a hole
  if (st.gate_new) return;                    // what it sends may be overtaken until there is a new claim
  st.w = st.w ? std::max(*st.w, *g->w) : *g->w;
}

// A claim replays records that bmp-recv no longer keeps: they were held by a standby, or acknowledged under an earlier
// claim. Until they are acknowledged again, a restart of kafka-gate loses them for this claim.
void Decider::note_replay(RouterState& st) {
  const GateRouter* g = row(st.router);
  if (g == nullptr || st.role != Role::kActive || st.fresh_gate) return;
  if (g->role != Role::kActive || g->epoch != st.epoch || status_.sent <= st.claimed_at) return;
  if (!g->oldest_unacked || *g->oldest_unacked > st.claimed_at) st.replayed = true;
}

// Redis says that this node owns the router under a claim that never got an answer. Nothing was sent under it: it
// counts as released where it began, so that others need not wait.
void Decider::adopt_lost_claim(RouterState& st) {
  const auto own = own_.find(st.router);
  if (own == own_.end() || own->second.node != s_.node || own->second.epoch == st.epoch) return;
  if (st.role != Role::kStandby || !pending_.empty() || !rule_on("A3-unanswered")) return;
  const GateRouter* g = row(st.router);
  const auto lost = lost_.find(st.router);
  st.epoch = own->second.epoch;
  st.w.reset();
  if (lost != lost_.end() && lost->second.epoch == st.epoch)
    st.w = lost->second.w;
  else if (g != nullptr && g->epoch == st.epoch && g->w && to_ns(*g->w) > 0)
    st.w = g->w;
  lost_.erase(st.router);
  tick_soon_ = true;
}

// Role 0 begins when the gate has ended what was in flight, or cannot tell any more (A4.4).
void Decider::finish_release(RouterState& st, BootTime now) {
  if (st.role != Role::kReleasing) return;
  const GateRouter* g = row(st.router);
  const bool told = status_.sent > st.released_at && !gate_waits_;
  if (gate_is_silent(now) || now - st.released_at >= s_.release_wait + s_.tick || !rule_on("A4-ordered-release"))
    return released(st, g != nullptr && g->role != Role::kStandby, now);
  if (told && (g == nullptr || g->role == Role::kStandby)) released(st, g != nullptr && g->unclean, now);
}

void Decider::released(RouterState& st, bool unclean, BootTime now) {
  st.role = Role::kStandby;
  st.solo = false;
  st.unclean = unclean;
  st.emit = Emit::kNone;
  if (st.w && rule_on("A4-final-w")) st.cover = st.w;  // F2
  st.changed_at = now;
  tick_soon_ = true;
  note(LogLevel::kInfo, "standby", st, unclean ? "records in flight were not answered" : st.why);
}

// --- A4.1: class

void Decider::classify(RouterState& st, BootTime now) {
  const GateRouter* g = row(st.router);
  if (g == nullptr) {
    if (gate_known_ && !gate_waits_) st.hold = Hold::kNone;
    st.cls = 3;
    return;
  }
  const bool torn = is_torn(st, now);
  if (g->up)
    st.hold = torn ? Hold::kTorn : Hold::kUp;
  else
    st.hold = g->unsent_tail ? Hold::kTail : Hold::kNone;
  const bool in_dump = is_in_dump(st, now);
  if (in_dump) st.read_baseline = g->last_read;
  const bool was_stalled = st.stalled;
  st.stalled = is_stalled(st, now);
  if (st.stalled && !was_stalled) {
    note(LogLevel::kError, "session stalled", st, "another node's session of this router delivers");
    restamp(st, now);  // when it wakes it is the youngest: no switch back
  }
  const std::uint8_t before = st.cls;
  if (is_node_sick(now) || is_gate_behind(st, now))
    st.cls = 3;
  else if (st.hold != Hold::kUp || st.stalled)
    st.cls = 2;
  else
    st.cls = in_dump ? 1 : 0;
  if (st.cls != before) tick_soon_ = true;
}

bool Decider::is_node_sick(BootTime now) const {
  if (!rule_on("A1-sick")) return false;
  if (gate_is_silent(now) || leaving_ || mode_ == Mode::kForcedStandby) return true;
  return !status_.kafka_ok || (!status_.recv_alive && !gate_waits_);
}

// When the broker is gone for all nodes, each finds out at a time of its own: nobody gives way before it could have
// heard that the others fail as well.
bool Decider::is_kafka_just_failing(BootTime now) const {
  return rule_on("A4-together") && kafka_bad_since_ && now - *kafka_bad_since_ < s_.ttl && !gate_is_silent(now) &&
         !leaving_ && mode_ != Mode::kForcedStandby && status_.recv_alive;
}

// The dump counts as done `margin` after its end: by then the other node has read the same.
bool Decider::is_in_dump(const RouterState& st, BootTime now) const {
  const GateRouter* g = row(st.router);
  if (g->in_dump) return true;
  return std::any_of(g->brackets.begin(), g->brackets.end(), [&](const Bracket& b) {
    return b.session == g->session && (!b.synced || (now < *b.synced + s_.margin && rule_on("G1-margin")));
  });
}

bool Decider::is_torn(const RouterState& st, BootTime now) const {
  const GateRouter* g = row(st.router);
  if (g->torn) return true;
  return st.role == Role::kStandby && !start_point(st, now).held;
}

// A restarted gate lost what it had released. A standby's is no successor before the owner's W has passed that; an
// owner's cannot go on with a claim that had still to replay it.
bool Decider::is_gate_behind(RouterState& st, BootTime now) const {
  if (!st.fresh_gate) return false;
  const GateRouter* g = row(st.router);
  if (st.old_row) return st.role == Role::kStandby;
  const auto own = own_.find(st.router);
  bool covered = g->trimmed_to == BootTime{} || g->front_is_opener;
  if (!covered && st.role != Role::kStandby) {
    st.gate_lost = !st.replayed && rule_on("A3-replayed");
    if (st.gate_lost) return true;
    covered = true;
  }
  if (!covered) covered = own == own_.end() || own->second.node == s_.node;
  if (!covered)
    if (const auto v = nodes_.find(own->second.node); v != nodes_.end())
      if (const auto r = v->second.routers.find(st.router); r != v->second.routers.end())
        covered =
            r->second.entry.epoch == own->second.epoch && r->second.w && g->trimmed_to <= *r->second.w - status_.retain;
  if (s_.by_age && g->trimmed_to <= now - s_.hold) covered = true;
  if (covered) st.fresh_gate = false;
  return !covered;
}

// Silent for stall_timeout while another node's session of the router has read on all the time.
bool Decider::is_stalled(RouterState& st, BootTime now) {
  const GateRouter* g = row(st.router);
  if (g->last_read != st.last_read || !g->up || g->read_paused || is_in_dump(st, now)) st.behind_since.reset();
  st.last_read = g->last_read;
  if (!g->up || g->read_paused) return false;
  const bool behind = std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& n) {
    const auto r = n.second.routers.find(st.router);
    return is_live(n.second, now) && r != n.second.routers.end() && r->second.entry.hold == Hold::kUp &&
           r->second.last_read && *r->second.last_read > g->last_read + s_.margin;
  });
  if (!behind)
    st.behind_since.reset();
  else if (!st.behind_since)
    st.behind_since = now;
  return st.behind_since && now - *st.behind_since >= s_.stall_timeout && rule_on("A4-stalled");
}

// --- A4.2: rank

namespace {

std::uint8_t class_rank(std::uint8_t cls) { return rule_on("A2-class") ? cls : 0; }

}  // namespace

Decider::Rank Decider::my_rank(const RouterState& st) const {
  return {!(mode_ == Mode::kForcedActive && st.hold == Hold::kUp), class_rank(st.cls), st.hold == Hold::kTorn, st.since,
          s_.node};
}

// Force needs a session that can be continued: it never puts a torn one before a whole one.
Decider::Rank Decider::rank_of(const NodeView& v, const NodeView::Router& r) {
  return {!(v.blob.forced_active && r.entry.hold == Hold::kUp), class_rank(r.entry.cls), r.entry.hold == Hold::kTorn,
          r.entry.since, v.blob.id};
}

bool Decider::should_own(const RouterState& st, BootTime now) const {
  if (st.hold == Hold::kNone) return false;
  if (const auto first = first_collector(now)) return *first == s_.node;
  const Rank mine = my_rank(st);
  return std::all_of(nodes_.begin(), nodes_.end(), [&](const auto& n) {
    const NodeView& v = n.second;
    if (!v.readable || !is_live(v, now)) return true;
    const auto r = v.routers.find(st.router);
    if (r == v.routers.end() || r->second.entry.hold == Hold::kNone) return true;
    return mine < rank_of(v, r->second);
  });
}

// --- A4.3: claim

bool Decider::is_other_active(const RouterState& st, BootTime now) const {
  if (!rule_on("A3-ordered")) return false;
  const auto own = own_.find(st.router);
  for (const auto& [id, v] : nodes_) {
    if (!is_live(v, now)) continue;
    const auto r = v.routers.find(st.router);
    if (r != v.routers.end() && r->second.entry.role != Role::kStandby) return true;
    if (own == own_.end() || own->second.node != id) continue;
    // Its blob is older than its claim: it is active.
    if (r == v.routers.end() || r->second.entry.epoch < own->second.epoch) return true;
  }
  return false;
}

bool Decider::is_last_owner(const RouterState& st) const {
  if (st.epoch == 0) return false;
  const auto own = own_.find(st.router);
  if (own != own_.end()) return own->second.node == s_.node && own->second.epoch == st.epoch;
  return std::none_of(nodes_.begin(), nodes_.end(), [&](const auto& n) {
    const auto r = n.second.routers.find(st.router);
    return r != n.second.routers.end() && r->second.entry.epoch > st.epoch;
  });
}

// min(own cover, predecessor's published W) - margin. Not known: everything held.
Decider::StartPoint Decider::start_point(const RouterState& st, BootTime now) const {
  std::optional<BootTime> line;
  bool everything = false;
  const auto lower_to = [&](const std::optional<BootTime>& w) {
    if (!w)
      everything = true;
    else
      line = line ? std::min(*line, *w) : *w;
  };
  const GateRouter* g = row(st.router);
  const BootTime trimmed_to = g != nullptr ? g->trimmed_to : BootTime{};
  const bool mine = st.role == Role::kActive || is_last_owner(st);
  const std::optional<BootTime>& known = mine ? st.w : st.cover;
  const auto own = own_.find(st.router);
  const bool follows = own != own_.end() && own->second.node != s_.node && rule_on("A3-predecessor");
  // Without a cover and with something trimmed (this process is younger than the gate) only the predecessor counts.
  const bool counts = (known || mine || trimmed_to == BootTime{}) && rule_on("A3-own-cover");
  const bool is_reading = counts && follows && !mine && !unsettled_ && known;  // of the predecessor's W
  if (counts && !is_reading) lower_to(known);
  if (follows) {
    std::optional<BootTime> w;
    if (const auto v = nodes_.find(own->second.node); v != nodes_.end())
      if (const auto r = v->second.routers.find(st.router);
          r != v->second.routers.end() && r->second.entry.epoch == own->second.epoch)
        w = r->second.w;
    lower_to(w);
    // Of a quiet router one reading may be long before the next, and all before the last one is in Kafka. Two claims in
    // a row must not go back further than is retained.
    const Nanos most = s_.tick + s_.redis_timeout;
    if (is_reading) lower_to(w && *known + most < *w && rule_on("A3-reading") ? *w - most : *known);
  }
  for (const auto& [id, v] : nodes_) {
    const auto r = v.routers.find(st.router);
    if (r == v.routers.end()) continue;
    const RouterEntry& e = r->second.entry;
    if (own == own_.end() && e.epoch > st.epoch) lower_to(r->second.w);
    if (is_unhandled(st, v, now) && (r->second.w || e.solo) && rule_on("A7-lowest")) lower_to(r->second.w);
  }

  StartPoint p;
  p.everything = everything || !line;
  if (!p.everything) p.at = *line - (rule_on("A3-margin") ? s_.margin : Nanos{0});
  const bool opener = g == nullptr || g->front_is_opener;
  // Everything held is enough when it reaches back to what was known to be delivered.
  const BootTime reach = p.everything ? known.value_or(st.cover.value_or(BootTime{})) : p.at;
  p.held = trimmed_to <= reach || opener || !rule_on("A3-held");
  // What was dropped by its age is not asked for: a take-over sends what is held.
  if (!p.held && s_.by_age) return {BootTime{}, true, true};
  return p;
}

// A start at the session's first record needs nothing before it: its dump repairs what is missing.
bool Decider::has_whole_dump(const RouterState& st) const {
  const GateRouter* g = row(st.router);
  return g != nullptr && !g->torn && std::any_of(g->brackets.begin(), g->brackets.end(), [&](const Bracket& b) {
           return b.session == g->session && b.first >= g->trimmed_to;
         });
}

void Decider::claim(RouterState& st, const std::string& why, BootTime now) {
  const GateRouter* g = row(st.router);
  if (g == nullptr) return;
  StartPoint start = start_point(st, now);
  if (!start.held || g->torn) {
    if (st.role == Role::kActive) return release(st, "start of the re-assert is no longer held", now);
    // Nobody else can continue, or this node would not be first: the router must dump anew. A node that is just waking
    // up, or has just started, is given the time to say that it can.
    if (g->up && !has_whole_dump(st)) {
      if (!st.torn_since) st.torn_since = now;
      if (now - *st.torn_since < s_.ttl && rule_on("A3-torn-wait")) return;
      if (st.reset != g->session)
        note(LogLevel::kError, "session reset", st, "what is held cannot be continued from, and no other node can");
      st.reset = g->session;
      return;
    }
    start = {BootTime{}, true, true};
  }
  if (const auto first = first_of_dump(st)) start.at = std::min(start.at, *first);
  Pending p;
  p.start = start.at;
  if (!start.everything) p.w = rule_on("A2-stepped-w") ? step_back(g->brackets, start.at) : start.at;
  p.session = g->session;
  p.up = g->up;
  p.why = why;
  add_claim(std::move(p), st, now);
}

// G8: kafka-gate has given up a claim that is still in force, with the producer that served it.
bool Decider::has_lapsed(const RouterState& st) const {
  const GateRouter* g = row(st.router);
  return g != nullptr && st.role == Role::kActive && g->role == Role::kStandby && g->epoch == st.epoch &&
         rule_on("A3-lapsed");
}

// A record that a dead kafka-gate, or a lost producer, was handed may land after its successor has sent it, and newer
// ones, again: under the same epoch no fence would drop it. All that was not acknowledged is still kept, here or by
// bmp-recv, so all of that is sent once more, and W stays where it was.
void Decider::claim_held(RouterState& st, const std::string& why, BootTime now) {
  const GateRouter* g = row(st.router);
  Pending p;
  p.w = st.w;
  p.session = g->session;
  p.up = g->up;
  p.why = why;
  add_claim(std::move(p), st, now);
}

void Decider::add_claim(Pending p, RouterState& st, BootTime now) {
  const auto own = own_.find(st.router);
  p.router = st.router;
  p.gate_inc = status_.gate_inc;
  p.expected = own != own_.end() ? own->second.raw : std::string();
  // Above every epoch known, however the clock of Redis moves.
  if (pending_.empty())
    highest_epoch_ = std::max(static_cast<std::uint64_t>(std::max<std::int64_t>(redis_ms_, 0)),
                              rule_on("A2-epochs") ? highest_epoch_ + 1 : 0);
  p.epoch = highest_epoch_;
  p.handled[s_.node] = gen_;
  p.settles.push_back({s_.node, gen_});
  for (const auto& [id, v] : nodes_) {
    if (!v.readable || !is_live(v, now)) continue;
    p.handled[id] = v.blob.gen;
    if (rule_on("A7-settles")) p.settles.push_back({id, v.blob.gen});
  }
  pending_.push_back(std::move(p));
}

namespace {

// With one role for the whole node only the active one sends a tail: another one's keeps no router alive.
bool is_of_use(const Decider& d, Hold hold, const std::string& node, BootTime now) {
  if (hold != Hold::kTail || !rule_on("A9-tail")) return hold != Hold::kNone;
  return d.first_collector(now).value_or(node) == node;
}

}  // namespace

// --- A4.4 to A4.8, in order

void Decider::decide_router(RouterState& st, bool fresh, BootTime now) {
  if (solo_) return serve_solo(st, now);
  if (st.emit != Emit::kNone && !is_of_use(*this, st.hold, s_.node, now)) {  // A4.9 serves it
    if (st.role == Role::kActive && is_superseded(st)) release(st, "superseded", now);
    if (st.role == Role::kActive && has_lapsed(st)) release(st, "kafka producer lost", now);
    return;
  }
  if (st.role == Role::kActive && is_session_lost(st, now)) release(st, "session lost", now);
  if (st.role == Role::kActive && st.gate_lost) release(st, "kafka-gate restarted within a replay", now);
  if (st.role == Role::kActive && is_superseded(st)) {
    if (rule_on("A5-restamp")) restamp(st, now);
    yield_collector(st, now);
    return release(st, "superseded", now);
  }
  const bool want = should_own(st, now);
  note_unserved(st, now);
  if (!want) {
    st.reset = {};
    st.torn_since.reset();
  }
  if (st.role == Role::kActive && !want && !is_kafka_just_failing(now))
    return release(st, st.hold == Hold::kNone ? "nothing left to send" : "another node is first", now);
  if (st.role == Role::kReleasing || !want || !fresh || leaving_) return;

  std::string why;
  const GateRouter* g = row(st.router);
  if (st.role == Role::kStandby)
    why = own_.contains(st.router) ? "first in rank" : "never owned";
  else if (g != nullptr && g->session != st.session && !g->session.is_none() && rule_on("A8-own-claim"))
    why = "new session";
  else if (needs_reassert(st, now))
    why = "re-assert";
  else if ((st.gate_new || has_lapsed(st)) && !st.old_row && g != nullptr && g->session == st.session && !g->torn)
    return is_other_active(st, now) ? void()
                                    : claim_held(st, st.gate_new ? "kafka-gate restarted" : "kafka producer lost", now);
  else if (st.errand.order == Order::kRaise)
    why = "epoch raised";
  else
    return;
  if (!is_other_active(st, now)) claim(st, why, now);
}

// A4.4: production ends now; the role is given up when the gate has ended too.
void Decider::release(RouterState& st, const std::string& why, BootTime now) {
  st.role = Role::kReleasing;
  st.released_at = now;
  st.why = why;
  st.changed_at = now;
  tick_soon_ = true;
  note(LogLevel::kInfo, "releasing", st, why);
  finish_release(st, now);
}

// A4.5: before the re-assert, also when the owner is absent (F4).
bool Decider::is_superseded(const RouterState& st) const {
  if (!observed_ || !rule_on("A5-superseded")) return false;  // the owners were not read yet
  const auto own = own_.find(st.router);
  return own == own_.end() || own->second.node != s_.node || own->second.epoch != st.epoch;
}

// A4.6
void Decider::go_solo(BootTime now) {
  if (is_quiet(now) && joined_ && !hung_) return;
  hung_ = false;  // Redis had its time to answer since
  solo_ = true;
  for (auto& [id, st] : routers_) st.torn_since.reset();
  fresh_ = false;
  if (rule_on("A6-gen")) ++gen_;
  unsettled_ = true;
  note(LogLevel::kWarn, "solo", "Redis is not reachable: active for every router");
}

void Decider::serve_solo(RouterState& st, BootTime now) {
  const GateRouter* g = row(st.router);
  if (g == nullptr || leaving_) return;
  if (st.hold == Hold::kNone && st.role != Role::kActive) return;
  const bool same = st.role == Role::kActive && (st.session == g->session || g->session.is_none());
  st.solo = st.solo_sent = true;
  st.emit = Emit::kNone;
  if (same) return;
  const StartPoint start = start_point(st, now);
  st.start = start.held ? start.at : BootTime{};
  st.w.reset();
  if (start.held && !start.everything) st.w = step_back(g->brackets, start.at);
  st.role = Role::kActive;
  st.session = g->session;
  st.claimed_up = g->up;
  st.claimed_at = now;
  st.replayed = st.gate_lost = st.gate_new = false;
  st.settles.clear();
  st.handled.clear();
  st.changed_at = now;
  st.why = "solo";
  note(LogLevel::kInfo, "active", st, "solo");
}

// A4.7: a gen that the claim in force has not settled.
bool Decider::is_unhandled(const RouterState& st, const NodeView& v, BootTime now) const {
  if (!v.readable || v.blob.settled || !is_live(v, now)) return false;
  const auto h = st.handled.find(v.blob.id);
  return h == st.handled.end() || h->second < v.blob.gen;
}

bool Decider::needs_reassert(const RouterState& st, BootTime now) const {
  if (!rule_on("A7-reassert")) return false;
  if (needs_own_gen(st)) return true;
  return std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& n) { return is_unhandled(st, n.second, now); });
}

// Gens under which nothing was sent without Redis need no new claim.
void Decider::settle_quietly(BootTime now) {
  for (auto& [router, st] : routers_) {
    if (st.role != Role::kActive) continue;
    for (const auto& [id, v] : nodes_)
      if (v.readable && v.blob.settled && is_live(v, now)) st.handled[id] = std::max(st.handled[id], v.blob.gen);
  }
}

void Decider::echo_gens(BootTime now) {
  bool mine_settled = true;
  for (const auto& [id, v] : nodes_) {
    if (!v.readable || !is_live(v, now)) continue;
    const NodeView& view = v;
    const bool handled = std::none_of(routers_.begin(), routers_.end(), [&](const auto& r) {
      return r.second.role == Role::kActive && is_unhandled(r.second, view, now);
    });
    if (handled || !rule_on("A7-echo")) seen_[id] = v.blob.gen;
    const auto echo = v.blob.seen.find(s_.node);
    if (echo == v.blob.seen.end() || echo->second < gen_) mine_settled = false;
  }
  if (observed_) std::erase_if(seen_, [this](const auto& s) { return !nodes_.contains(s.first); });
  for (const auto& [router, st] : routers_) {
    const auto h = st.handled.find(s_.node);
    if (st.role != Role::kStandby && (h == st.handled.end() || h->second < gen_)) mine_settled = false;
    // Redis has lost its owner: no claim has used this node's W since it went alone.
    if (st.solo_sent && !own_.contains(router)) mine_settled = false;
  }
  if (!mine_settled || solo_ || !observed_ || !unsettled_) return;
  unsettled_ = false;
  for (auto& [router, st] : routers_) st.solo_sent = false;
}

// A4.8: the claim was for one session only.
bool Decider::is_session_lost(const RouterState& st, BootTime now) const {
  if (!st.claimed_up || !rule_on("A8-loss")) return false;
  const GateRouter* g = row(st.router);
  if (g == nullptr || g->session.is_none()) return now - gate_changed_ >= s_.gate_silent && gate_known_ && !gate_waits_;
  return g->session != st.session || !g->up;
}

// --- A4.9: nobody has the router

bool Decider::is_held_by_anyone(const RouterState& st, BootTime now) const {
  const bool mine = is_of_use(*this, st.hold, s_.node, now);
  if (mine || !rule_on("A9-anyone")) return mine;
  return std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& n) {
    const NodeView& v = n.second;
    if (!is_live(v, now)) return false;
    if (!v.readable) return true;
    const auto r = v.routers.find(st.router);
    return r != v.routers.end() && is_of_use(*this, r->second.entry.hold, n.first, now);
  });
}

bool Decider::is_emitter(const RouterState& st, BootTime now) const {
  if (const auto first = first_collector(now)) return *first == s_.node;
  const std::string& last = own_.at(st.router).node;
  if (last == s_.node || !rule_on("A9-emitter")) return true;
  std::string smallest = s_.node;
  for (const auto& [id, v] : nodes_) {
    if (!is_live(v, now)) continue;
    if (id == last) return false;
    smallest = std::min(smallest, id);
  }
  return smallest == s_.node;
}

void Decider::decide_unheld(RouterState& st, bool fresh, BootTime now, Decision& d) {
  const auto own = own_.find(st.router);
  if (own == own_.end() || leaving_ || is_held_by_anyone(st, now)) {
    st.unheld_since.reset();
    if (st.emit == Emit::kNone) return;
    st.emit = Emit::kNone;  // it is back
    if (st.role == Role::kActive && st.hold == Hold::kNone) release(st, "another node has the router", now);
    return;
  }
  if (!st.unheld_since) st.unheld_since = now;
  const Nanos unheld = rule_on("A9-delay") ? now - *st.unheld_since : Nanos::max();
  const bool gone = st.errand.order == Order::kForget;
  if (st.role == Role::kActive && st.emit != Emit::kNone) {
    if ((unheld >= s_.down_delay || gone) && st.emit == Emit::kStale) {
      st.emit = Emit::kDown;
      note(LogLevel::kWarn, "router down", st, gone ? "forgotten on request" : "no node has had a session of it");
    }
    const GateRouter* g = row(st.router);
    const bool done = g != nullptr && g->epoch == st.epoch && g->emitted >= static_cast<std::uint8_t>(Emit::kDown);
    if (!done) return;
    d.forget.emplace_back(st.router, own->second.raw);
    own_.erase(own);
    if (gone) end(st, true, "declared down and forgotten", now);
    return release(st, "router is down", now);
  }
  if (st.role != Role::kStandby || (unheld < s_.stale_delay && !gone) || !fresh || !rule_on("A9-stale")) return;
  if ((!is_emitter(st, now) && !gone) || is_other_active(st, now)) return;
  note(LogLevel::kWarn, "router stale", st, gone ? "to be forgotten" : "no node has a session of it");
  // Nothing that is held is unsent: only what is emitted goes out. The claim is for the ended session, so that the gate
  // does not stand before the records that it still keeps of it.
  Pending p;
  p.start = now;
  if (const GateRouter* g = row(st.router)) p.session = g->session;
  p.w = st.w;
  p.emit = Emit::kStale;
  p.why = "no node has the router";
  add_claim(std::move(p), st, now);
}

// --- the rest

void Decider::forget_unused() {
  std::erase_if(routers_, [this](const auto& r) {
    const RouterState& st = r.second;
    return st.role == Role::kStandby && st.hold == Hold::kNone && !rows_.contains(r.first) && !own_.contains(r.first) &&
           !is_pending(r.first) && std::none_of(nodes_.begin(), nodes_.end(), [&](const auto& n) {
             return n.second.routers.contains(r.first);
           });
  });
}

bool Decider::may_exit(BootTime now) const {
  const auto heir = first_collector(now);  // of a router that it does not have nobody else will be the owner
  return std::all_of(routers_.begin(), routers_.end(), [&](const auto& r) {
    const RouterState& st = r.second;
    const auto own = own_.find(st.router);
    const bool taken = own == own_.end() || own->second.node != s_.node;
    const bool wanted = std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& n) {
      const auto v = n.second.routers.find(st.router);
      return n.second.readable && is_live(n.second, now) && heir.value_or(n.first) == n.first &&
             !n.second.blob.leaving && v != n.second.routers.end() && v->second.entry.hold == Hold::kUp;
    });
    return (taken && st.role == Role::kStandby) || !wanted;
  });
}

}  // namespace bmpha::arbiter
