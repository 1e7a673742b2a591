// What leaves the decision: the node's blob, claims, the ROLES table. Inputs: decider.cc. Rules: decider_rules.cc.
#include <algorithm>

#include "common/rules.h"
#include "ha-arbiter/decider.h"
#include "ha-arbiter/node_blob.h"

namespace bmpha::arbiter {
namespace {

std::optional<Millis> age_of(const std::optional<BootTime>& t, BootTime now) {
  if (!t) return std::nullopt;
  // Rounded up: a watermark must never look newer than it is.
  return std::chrono::ceil<Millis>(std::max(Nanos{0}, now - *t));
}

}  // namespace

// --- the blob

NodeBlob Decider::blob_head(BootTime now) {
  NodeBlob b;
  b.id = s_.node;
  b.inc = s_.inc;
  b.tick = ++tick_no_;
  b.gen = gen_;
  b.leaving = leaving_;
  b.forced_active = mode_ == Mode::kForcedActive;
  b.forced_standby = mode_ == Mode::kForcedStandby;
  b.solo = solo_ || std::any_of(routers_.begin(), routers_.end(), [this](const auto& r) {
             return r.second.role != Role::kStandby && r.second.solo && needs_own_gen(r.second);
           });
  b.settled = !unsettled_;
  b.seen = seen_;
  b.collector = collector();
  awake(now);
  return b;
}

bool Decider::needs_own_gen(const RouterState& st) const {
  const auto own = st.handled.find(s_.node);
  return own == st.handled.end() || own->second < gen_;
}

// A router stands in the blob while this node has something of it, while others must see that it does not serve a claim
// which Redis still shows, and while what it sent alone is not settled: their re-assert begins at its W.
bool Decider::is_shown(const RouterState& st) const {
  if (st.hold != Hold::kNone || st.role != Role::kStandby) return true;
  if (st.solo_sent && rule_on("A6-shown")) return true;
  const auto own = own_.find(st.router);
  return own != own_.end() && own->second.node == s_.node;
}

RouterEntry Decider::entry(const RouterState& st, BootTime now) const {
  RouterEntry e;
  e.router = st.router;
  e.hold = st.hold;
  e.cls = st.cls;
  e.since = st.since;
  e.role = st.role;
  e.epoch = st.epoch;
  e.session = st.session_seen;
  e.unclean = st.unclean;
  e.solo = st.solo_sent;
  e.wanted = st.errand.wishes;
  e.w_age = age_of(st.w, now);
  const GateRouter* g = row(st.router);
  if (g != nullptr && g->last_read > st.read_baseline) e.read_age = age_of(g->last_read, now);
  return e;
}

NodeBlob Decider::blob(BootTime now) {
  NodeBlob b = blob_head(now);
  if (gate_known_) refresh(now);
  b.collector = collector();
  for (auto& [id, st] : routers_) {
    if (!is_shown(st)) continue;
    b.routers.push_back(entry(st, now));
    st.w_sent = st.w;
  }
  return b;
}

// Claim and blob are one step (F1): the blob shows role 1, the new epoch and W = where the sending begins.
ClaimBatch Decider::claim_batch(BootTime now) {
  ClaimBatch c;
  c.base = blob_head(now);
  for (const Pending& p : pending_) {
    const RouterState& st = state(p.router);
    ClaimBatch::Item item;
    item.router = p.router;
    item.expected = p.expected;
    item.epoch = p.epoch;
    item.lost = item.won = entry(st, now);
    if (rule_on("A2-one-step")) {
      item.won.role = Role::kActive;
      item.won.epoch = p.epoch;
      item.won.unclean = item.won.solo = item.won.wanted = false;
      item.won.w_age = age_of(p.w, now);
    }
    c.items.push_back(std::move(item));
  }
  for (auto& [id, st] : routers_) {
    if (is_pending(id) || !is_shown(st)) continue;
    c.base.routers.push_back(entry(st, now));
    st.w_sent = st.w;
  }
  return c;
}

// --- ROLES

bool Decider::may_trim(BootTime now) const {
  if ((solo_ || since_observed(now) >= s_.ttl) && rule_on("A6-trim")) return false;
  return ever_ok_ && !broken_timing();
}

// A standby's line: W of the current owner under the current claim, and only if that owner has settled what this
// node may have sent.
std::optional<BootTime> Decider::standby_cover(RouterState& st, BootTime now) {
  if (!may_trim(now) || is_dump_kept(st)) return std::nullopt;
  const auto own = own_.find(st.router);
  if (own == own_.end() || own->second.node == s_.node) return std::nullopt;
  const auto n = nodes_.find(own->second.node);
  if (n == nodes_.end() || !n->second.readable || !is_live(n->second, now)) return std::nullopt;
  const NodeView& v = n->second;
  const auto r = v.routers.find(st.router);
  if (r == v.routers.end()) return std::nullopt;
  const RouterEntry& e = r->second.entry;
  const bool owns = e.role == Role::kActive && e.epoch == own->second.epoch && !v.blob.solo;
  if ((!owns && rule_on("G3-owner")) || !r->second.w) return std::nullopt;
  const auto echo = v.blob.seen.find(s_.node);
  if (rule_on("A7-echo") && (echo == v.blob.seen.end() || echo->second != gen_)) return std::nullopt;
  st.cover = r->second.w;
  return st.cover;
}

// By age: while another node is there to own the router. What it has sent is not asked.
std::optional<BootTime> Decider::standby_line(RouterState& st, BootTime now) {
  const auto cover = standby_cover(st, now);
  if (!s_.by_age || !may_trim(now) || is_dump_kept(st)) return cover;
  const auto own = own_.find(st.router);
  const auto n = own != own_.end() ? nodes_.find(own->second.node) : nodes_.end();
  if (n == nodes_.end() || !n->second.readable || !is_live(n->second, now)) return std::nullopt;
  return now - s_.hold;
}

// Nobody owns it, has a session of it or anything undelivered: it was declared down. What is still held serves nobody.
bool Decider::is_over(const RouterState& st, BootTime now) const {
  if (!observed_ || own_.contains(st.router) || is_pending(st.router) || !may_trim(now)) return false;
  if (!rule_on("A9-over")) return false;
  return !is_held_by_anyone(st, now) && !is_other_active(st, now);
}

// The owner's own line: never beyond the W that others may start from.
std::optional<BootTime> Decider::owner_cover(const RouterState& st, BootTime now) const {
  if (!may_trim(now) || is_superseded(st) || !st.w || !st.w_confirmed) return std::nullopt;
  if ((st.solo || needs_reassert(st, now)) && rule_on("A6-trim")) return std::nullopt;
  return rule_on("G3-published") ? std::min(*st.w, *st.w_confirmed) : *st.w;
}

RoleRouter Decider::role_row(RouterState& st, BootTime now) {
  RoleRouter r;
  r.router = st.router;
  r.epoch = st.epoch;
  r.reset_session = session_to_close(st);
  if (st.role != Role::kActive) {
    if (st.role != Role::kStandby) return r;
    r.cover = standby_line(st, now);
    if (is_over(st, now)) r.cover = status_.sent - s_.margin;
    return r;
  }
  r.role = Role::kActive;
  r.session = st.session;
  r.settles = st.settles;
  r.start = st.start;
  r.emit = st.emit;
  r.cover = owner_cover(st, now);
  return r;
}

Roles Decider::roles(BootTime now) {
  Roles m;
  m.arbiter_inc = s_.inc;
  m.tick = ++roles_no_;
  m.sent = now;
  m.lease = std::chrono::duration_cast<Millis>(s_.lease);
  m.solo = solo_;
  m.by_age = s_.by_age;
  m.gen = gen_;
  m.node = s_.node;
  for (auto& [id, st] : routers_)
    if (rows_.contains(id) || st.role != Role::kStandby) m.routers.push_back(role_row(st, now));
  return m;
}

Roles Decider::farewell(BootTime now) {
  for (auto& [id, st] : routers_) {
    if (st.role == Role::kActive) st.role = Role::kReleasing;
    st.reset = {};
  }
  solo_ = false;
  return roles(now);
}

}  // namespace bmpha::arbiter
