// One role for the whole node (grain = collector): the collector that was started first is active for all routers, and
// a router's lost session moves nothing. Claims, epochs and start points stay those of single routers. What is read
// here of the others stands in their blobs (CollectorEntry).
#include <algorithm>

#include "ha-arbiter/decider.h"

namespace bmpha::arbiter {

// Always the youngest of all.
void Decider::restamp_collector(const std::string& why, BootTime now) {
  const std::int64_t clock = ever_ok_ ? redis_ms(now) : wall_ms_;
  std::uint64_t most = collector_.since;
  for (const auto& [id, v] : nodes_)
    if (v.blob.collector) raise(most, v.blob.collector->since);
  collector_.since = std::max(static_cast<std::uint64_t>(std::max<std::int64_t>(clock, 1)), most + 1);
  if (!why.empty() && collector()) note(LogLevel::kInfo, "new timestamp for this collector", why);
}

// When it took its timestamp it had not read the others yet, and the clock of Redis may have been set back.
void Decider::stamp_at_start(BootTime now) {
  if (collector_checked_) return;
  collector_checked_ = true;
  const bool youngest = std::none_of(nodes_.begin(), nodes_.end(), [this](const auto& n) {
    return n.second.blob.collector && n.second.blob.collector->since >= collector_.since;
  });
  if (!youngest) restamp_collector("another collector's is not older", now);
}

// Another node had to take over while this one hung: it does not take everything back. Without Redis it was not away,
// the others just could not see it: the order of all is what it was.
void Decider::yield_collector(const RouterState& st, BootTime now) {
  if (st.solo) return;
  const auto own = own_.find(st.router);
  if (own == own_.end() || own->second.node == s_.node) return;
  const auto v = nodes_.find(own->second.node);
  if (v == nodes_.end() || !v->second.blob.collector || v->second.blob.collector->since < collector_.since) return;
  restamp_collector("superseded", now);
}

// What is held of the router cannot be continued from here, and another node can: better all routers move than that
// this one dumps anew.
bool Decider::is_better_elsewhere(const RouterState& st, BootTime now) const {
  if (st.fresh_gate && st.gate_lost) return true;
  return st.hold == Hold::kTorn && std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& n) {
           const auto r = n.second.routers.find(st.router);
           return n.second.readable && is_live(n.second, now) && r != n.second.routers.end() &&
                  r->second.entry.hold == Hold::kUp;
         });
}

void Decider::note_collector(BootTime now) {
  // Its sessions begin anew, so the collector does.
  if (status_.recv_inc != 0 && status_.recv_inc != collector_.recv_inc) {
    if (collector_.recv_inc != 0) restamp_collector("bmp-recv restarted", now);
    collector_.recv_inc = status_.recv_inc;
  }
  const std::uint8_t before = collector_.cls;
  if (is_node_sick(now))
    collector_.cls = 3;
  else if (std::any_of(routers_.begin(), routers_.end(),
                       [&](const auto& r) { return is_better_elsewhere(r.second, now); }))
    collector_.cls = 2;
  else
    collector_.cls = 0;
  if (collector_.cls != before && collector()) tick_soon_ = true;
}

// Force and health come before age, as they do for a router.
std::optional<std::string> Decider::first_collector(BootTime now) const {
  if (!collector()) return std::nullopt;
  Rank best{mode_ != Mode::kForcedActive, collector_.cls, false, collector_.since, s_.node};
  for (const auto& [id, v] : nodes_) {
    if (!v.readable || !is_live(v, now)) continue;
    if (!v.blob.collector) return std::nullopt;
    best = std::min(best, Rank{!v.blob.forced_active, v.blob.collector->cls, false, v.blob.collector->since, id});
  }
  return best.id;
}

// Nobody forwards what only a standby has: what it says is held here until the active collector has the router, or
// another one is active.
void Decider::note_unserved(RouterState& st, BootTime now) {
  const auto first = first_collector(now);
  bool unserved = first && *first != s_.node && st.hold == Hold::kUp;
  if (unserved) {
    const NodeView& v = nodes_.at(*first);
    const auto r = v.routers.find(st.router);
    unserved = r == v.routers.end() || r->second.entry.hold == Hold::kNone;
  }
  if (unserved && !st.unserved)
    note(LogLevel::kWarn, "not forwarded", st, "the active collector, " + *first + ", has no session of this router");
  st.unserved = unserved;
}

bool Decider::differs_in_grain(const NodeView& v, BootTime now) const {
  return v.readable && is_live(v, now) && v.blob.collector.has_value() != collector().has_value();
}

void Decider::watch_grain(BootTime now) {
  const bool differs =
      std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& n) { return differs_in_grain(n.second, now); });
  if (differs && !grain_differs_)
    note(LogLevel::kError, "nodes differ in grain", "until all have the same, each router has an owner of its own");
  grain_differs_ = differs;
}

}  // namespace bmpha::arbiter
