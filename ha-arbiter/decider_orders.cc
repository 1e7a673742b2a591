// Orders of an operator for one router. Inputs: decider.cc. Rules: decider_rules.cc.
//
// A router moves on request by the rule of rank alone: the node that wants it says so in its blob, every other node
// whose session is older gives it a new stamp, and the wish ends. So the order leaves nothing behind that could go
// wrong later, and a node that does not know the wish is not moved.
#include <fmt/format.h>

#include <algorithm>

#include "common/rules.h"
#include "ha-arbiter/decider.h"
#include "ha-arbiter/node_blob.h"

namespace bmpha::arbiter {
namespace {

constexpr Millis kWishFor{10'000};

}  // namespace

const char* order_name(Order o) {
  switch (o) {
    case Order::kNone:
      return "none";
    case Order::kGive:
      return "give";
    case Order::kTake:
      return "take";
    case Order::kResync:
      return "resync";
    case Order::kReset:
      return "reset-session";
    case Order::kForget:
      return "forget";
    case Order::kRaise:
      return "raise-epoch";
  }
  return "unknown";
}

// --- begin and end

std::string Decider::order(Order order, const RouterId& router, Nanos patience, BootTime now) {
  awake(now);
  const auto at = routers_.find(router);
  if (at == routers_.end()) return "this node knows no such router";
  if (!joined_ || solo_ || !observed_ || since_observed(now) >= s_.ttl) return "Redis is not reachable";
  if (leaving_) return "this node is leaving";
  RouterState& st = at->second;
  if (st.errand.order != Order::kNone)
    return fmt::format("busy with {} ({}) HINT: wait, or cancel it", order_name(st.errand.order), errand_step(st));
  if (std::string why = obstacle(order, st, now); !why.empty()) return why;
  begin(order, st, patience, now);
  return {};
}

std::string Decider::cancel(const RouterId& router, BootTime now) {
  awake(now);
  const auto at = routers_.find(router);
  if (at == routers_.end() || at->second.errand.order == Order::kNone) return "nothing is to be cancelled";
  end(at->second, false, "cancelled", now);
  return {};
}

bool Decider::has_heir(const RouterState& st, BootTime now) const {
  return std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& n) {
    const NodeView& v = n.second;
    const auto r = v.routers.find(st.router);
    return v.readable && is_live(v, now) && !v.blob.leaving && !v.blob.forced_standby && r != v.routers.end() &&
           r->second.entry.hold == Hold::kUp && r->second.entry.cls < 3;
  });
}

std::string Decider::obstacle(Order order, const RouterState& st, BootTime now) const {
  const GateRouter* g = row(st.router);
  const bool up = g != nullptr && g->up;
  const bool owns = st.role == Role::kActive;
  const bool moves = order == Order::kGive || order == Order::kTake || (order == Order::kResync && !owns);
  if (moves && s_.grain == Grain::kCollector) return "grain = collector: the routers move together only";
  switch (order) {
    case Order::kGive:
      if (!owns) return "this node does not own it";
      if (!has_heir(st, now)) return "no other node has a session of it that could take over";
      return {};
    case Order::kTake:
      if (owns) return "this node owns it already";
      if (!up || st.hold != Hold::kUp) return "this node has no session of it that can be continued from";
      if (st.cls > 1 || mode_ == Mode::kForcedStandby) return fmt::format("this node is in class {} for it", st.cls);
      return {};
    case Order::kResync:
      if (!up) return "this node has no session of it";
      if (is_node_sick(now)) return "this node is not healthy";
      if (owns && has_heir(st, now)) return "this node owns it: a resync begins at a node that does not";
      return {};
    case Order::kReset:
      return up ? "" : "this node has no session of it";
    case Order::kForget:
      return obstacle_to_forget(st, now);
    case Order::kRaise:
      return owns ? "" : "this node does not own it";
    case Order::kNone:
      break;
  }
  return "not an order";
}

std::string Decider::obstacle_to_forget(const RouterState& st, BootTime now) const {
  const auto own = own_.find(st.router);
  if (own == own_.end()) return "no node has ever owned it, or it is forgotten already";
  const auto has = [](const std::string& node) { return fmt::format("node {} has a session of it", node); };
  if (st.hold == Hold::kUp || st.hold == Hold::kTorn) return has(s_.node);
  for (const auto& [id, v] : nodes_) {
    if (!is_live(v, now)) continue;
    if (!v.readable) return fmt::format("node {} cannot be read", id);
    const auto r = v.routers.find(st.router);
    if (r == v.routers.end()) continue;
    if (r->second.entry.hold != Hold::kNone && r->second.entry.hold != Hold::kTail) return has(id);
    if (r->second.entry.role != Role::kStandby) return fmt::format("node {} owns it: order it there", id);
  }
  return {};
}

void Decider::begin(Order order, RouterState& st, Nanos patience, BootTime now) {
  st.errand = {};
  st.errand.order = order;
  st.errand.begun = now;
  st.errand.deadline = now + patience;
  tick_soon_ = true;
  note(LogLevel::kInfo, "order begun", st, order_name(order));
  if (order == Order::kResync || order == Order::kReset) st.errand.old = row(st.router)->session;
  if (order != Order::kGive) return;
  restamp(st, now);
}

void Decider::end(RouterState& st, bool ok, const std::string& how, BootTime now) {
  note(ok ? LogLevel::kInfo : LogLevel::kError, ok ? "order done" : "order failed", st,
       fmt::format("{}: {}", order_name(st.errand.order), how));
  st.errand_end = {st.errand.order, ok, how, now};
  st.errand = {};
  tick_soon_ = true;
}

// --- what goes on

std::string Decider::errand_step(const RouterState& st) const {
  const GateRouter* g = row(st.router);
  const bool closed = g == nullptr || !g->up || g->session != st.errand.old;
  switch (st.errand.order) {
    case Order::kNone:
      return {};
    case Order::kGive:
      return "waits for another node to take over";
    case Order::kTake:
      return "waits for the owner to give way";
    case Order::kReset:
      return closed ? "the session is closed" : "closes the session";
    case Order::kForget:
      return "declares it down";
    case Order::kRaise:
      return "claims anew";
    case Order::kResync:
      break;
  }
  if (!closed) return "closes the session";
  if (g == nullptr || !g->up) return "waits for the router to dial again";
  if (st.role == Role::kActive && st.session == g->session) return "sends the dump";
  return st.errand.wishes ? "waits for the owner to give way" : "reads the dump";
}

void Decider::serve_errand(RouterState& st, BootTime now) {
  const GateRouter* g = row(st.router);
  switch (st.errand.order) {
    case Order::kGive:
      if (st.role == Role::kStandby) return end(st, true, st.why, now);
      break;
    case Order::kTake:
      if (st.role == Role::kActive) return end(st, true, "this node owns it", now);
      wish(st, now);
      break;
    case Order::kReset:
      if (g == nullptr || !g->up || g->session != st.errand.old)
        return end(st, true, "the session is closed, the router must dial again", now);
      break;
    case Order::kForget:
      if (const std::string why = obstacle_to_forget(st, now); !why.empty()) return end(st, false, why, now);
      break;
    case Order::kResync:
      serve_resync(st, now);
      break;
    case Order::kNone:
    case Order::kRaise:
      break;
  }
  if (st.errand.order != Order::kNone && now >= st.errand.deadline)
    end(st, false, fmt::format("not done in time: {}", errand_step(st)), now);
}

// The others are asked only while this node could take over at once.
void Decider::wish(RouterState& st, BootTime now) {
  const bool can = st.hold == Hold::kUp && st.cls <= 1 && st.role == Role::kStandby;
  if (can && !st.errand.wishes) {
    st.errand.wished_at = now;
    tick_soon_ = true;
  }
  st.errand.wishes = can;
}

// The session's own dump is what reaches Kafka: it is kept whole, and the sending begins with its first record.
void Decider::serve_resync(RouterState& st, BootTime now) {
  const GateRouter* g = row(st.router);
  st.errand.wishes = st.errand.wishes && st.role == Role::kStandby;
  if (g == nullptr || !g->up || g->session == st.errand.old) return;
  if (g->torn) return end(st, false, "the dump did not fit below kafka-gate's bytes-limit", now);
  if (st.role == Role::kActive && st.session == g->session) {
    const auto b =
        std::find_if(g->brackets.begin(), g->brackets.end(), [&](const Bracket& x) { return x.session == g->session; });
    if (is_in_dump(st, now) || !st.replayed || g->role != Role::kActive || g->epoch != st.epoch) return;
    if (b != g->brackets.end() && g->oldest_unacked && *g->oldest_unacked <= b->synced.value_or(now)) return;
    return end(st, true, "the dump is in Kafka", now);
  }
  if (st.cls != 0) return;
  wish(st, now);
  if (st.errand.wishes && now - st.errand.wished_at >= kWishFor) end(st, false, "the owner did not give way", now);
}

bool Decider::is_dump_kept(const RouterState& st) const {
  const GateRouter* g = row(st.router);
  return st.errand.order == Order::kResync && g != nullptr && g->session != st.errand.old;
}

std::optional<BootTime> Decider::first_of_dump(const RouterState& st) const {
  if (!is_dump_kept(st)) return std::nullopt;
  for (const Bracket& b : row(st.router)->brackets)
    if (b.session == row(st.router)->session) return b.first;
  return std::nullopt;
}

SessionId Decider::session_to_close(const RouterState& st) const {
  if (!st.reset.is_none()) return st.reset;
  const GateRouter* g = row(st.router);
  const bool asked = st.errand.order == Order::kResync || st.errand.order == Order::kReset;
  return asked && g != nullptr && g->up && g->session == st.errand.old ? g->session : SessionId{};
}

// Another node, no worse than this one, wants the router: this node's session becomes younger than that one's, once. A
// node that wants the router itself does not give way: the older of the two sessions wins.
void Decider::give_way(RouterState& st, BootTime now) {
  if (st.errand.wishes || st.since == 0 || mode_ == Mode::kForcedActive || !rule_on("A4-gives-way")) return;
  for (const auto& [id, v] : nodes_) {
    if (!v.readable || !is_live(v, now) || v.blob.leaving) continue;
    const auto r = v.routers.find(st.router);
    if (r == v.routers.end() || !r->second.entry.wanted || r->second.entry.hold != Hold::kUp) continue;
    if (r->second.entry.cls > st.cls || st.since > r->second.entry.since) continue;
    restamp(st, now);
    tick_soon_ = true;
    note(LogLevel::kInfo, "gives way", st, fmt::format("node {} wants it", id));
  }
}

}  // namespace bmpha::arbiter
