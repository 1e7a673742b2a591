#include "ha-arbiter/alarm_watch.h"

#include <fmt/format.h>

#include <algorithm>

namespace bmpha::arbiter {

const char* alarm_name(Alarm a) {
  switch (a) {
    case Alarm::kAllForcedStandby:
      return "all-forced-standby";
    case Alarm::kRedisClock:
      return "redis-clock";
    case Alarm::kRedundancyLost:
      return "redundancy-lost";
    case Alarm::kRedundancyDiffers:
      return "redundancy-differs";
    case Alarm::kOwnedByNone:
      return "owned-by-none";
    case Alarm::kOwnedByTwo:
      return "owned-by-two";
    case Alarm::kGrainDiffers:
      return "grain-differs";
    case Alarm::kStalled:
      return "stalled";
  }
  return "unknown";
}

const char* alarm_text(Alarm a) {
  switch (a) {
    case Alarm::kAllForcedStandby:
      return "every node is forced standby";
    case Alarm::kRedisClock:
      return "clock of redis differs from this node's";
    case Alarm::kRedundancyLost:
      return "redundancy lost";
    case Alarm::kRedundancyDiffers:
      return "nodes see different numbers of peers of a router";
    case Alarm::kOwnedByNone:
      return "no node forwards a router";
    case Alarm::kOwnedByTwo:
      return "several nodes forward a router";
    case Alarm::kGrainDiffers:
      return "nodes have different values of grain";
    case Alarm::kStalled:
      return "this node's session of a router is stalled";
  }
  return "alarm";
}

namespace {

// What is known of the whole cluster is known now: nothing is said of it while this node is cut off.
bool sees_cluster(const Decider& d) { return d.has_joined() && !d.is_solo() && !d.is_leaving(); }

// These are decisions of somebody, things that do not pass by themselves, or have had a patience of their own
// (stall-timeout): they need no more.
bool is_told_at_once(Alarm a) {
  return a == Alarm::kAllForcedStandby || a == Alarm::kRedisClock || a == Alarm::kGrainDiffers || a == Alarm::kStalled;
}

Nanos patience(Alarm a, Nanos after) {
  if (is_told_at_once(a)) return Nanos{0};
  return a == Alarm::kRedundancyDiffers ? std::max<Nanos>(after, kCensusPatience) : after;
}

}  // namespace

void AlarmWatch::look_at_cluster(const Decider& d, Found& found, BootTime now) {
  const bool all =
      d.mode() == Mode::kForcedStandby && std::all_of(d.nodes().begin(), d.nodes().end(), [&](const auto& n) {
        return !d.is_live(n.second, now) || !n.second.readable || n.second.blob.forced_standby;
      });
  if (all) found[{Alarm::kAllForcedStandby, {}}].detail = "the oldest session forwards all the same";
  std::vector<std::string> others;
  for (const auto& [id, v] : d.nodes())
    if (d.differs_in_grain(v, now)) others.push_back(id);
  if (!others.empty())
    found[{Alarm::kGrainDiffers, {}}].detail =
        fmt::format("grain is {} here and not on {}", d.collector() ? "collector" : "router", fmt::join(others, ", "));
}

void AlarmWatch::look_at_router(const Decider& d, const RouterState& st, Found& found, BootTime now) {
  std::size_t nodes = 1, sessions = st.hold == Hold::kUp || st.hold == Hold::kTorn ? 1 : 0;
  std::string has = sessions > 0 ? d.settings().node : "";
  std::vector<std::string> active;
  if (st.role == Role::kActive) active.push_back(d.settings().node);
  bool apart = false;  // a node forwards without Redis, as it should
  for (const auto& [id, v] : d.nodes()) {
    if (!d.is_live(v, now) || v.blob.leaving) continue;
    if (!v.readable) return;
    ++nodes;
    apart = apart || v.blob.solo;
    const auto r = v.routers.find(st.router);
    if (r == v.routers.end()) continue;
    if (r->second.entry.hold == Hold::kUp || r->second.entry.hold == Hold::kTorn) {
      ++sessions;
      has = id;
    }
    if (r->second.entry.role == Role::kActive) active.push_back(id);
  }
  if (st.stalled) found[{Alarm::kStalled, st.router}].detail = "another node's session of it reads on";
  if (nodes > 1 && sessions == 1)
    found[{Alarm::kRedundancyLost, st.router}].detail = fmt::format("only node {} has a session of it", has);
  if (sessions > 0 && active.empty() && !apart) found[{Alarm::kOwnedByNone, st.router}].detail = "no node forwards it";
  if (active.size() > 1 && !apart)
    found[{Alarm::kOwnedByTwo, st.router}].detail = fmt::format("nodes {} forward it", fmt::join(active, " and "));
}

void AlarmWatch::look_at_peers(const Decider& d, const Census& census, const RouterId& router, Found& found,
                               BootTime now) {
  std::map<std::string, std::uint32_t> counts;
  if (const auto own = census.own().find(router); own != census.own().end()) counts[d.settings().node] = own->second;
  for (const auto& [id, v] : d.nodes()) {
    if (!d.is_live(v, now) || !v.readable || v.blob.leaving) continue;
    const auto r = v.routers.find(router);
    if (r == v.routers.end() || r->second.entry.hold != Hold::kUp) continue;
    if (const auto n = census.peers(id, v.blob.inc, router, now)) counts[id] = *n;
  }
  const auto differs = [&](const auto& c) { return c.second != counts.begin()->second; };
  if (std::none_of(counts.begin(), counts.end(), differs)) return;
  std::vector<std::string> each;
  each.reserve(counts.size());
  for (const auto& [id, n] : counts) each.push_back(fmt::format("{} on node {}", n, id));
  found[{Alarm::kRedundancyDiffers, router}].detail = fmt::format("peers up: {}", fmt::join(each, ", "));
}

std::vector<AlarmWatch::Change> AlarmWatch::look(const Decider& d, const Census& census,
                                                 std::optional<Millis> clock_skew, Nanos after, BootTime now) {
  Found found;
  if (sees_cluster(d)) {
    look_at_cluster(d, found, now);
    for (const auto& [router, st] : d.routers()) {
      look_at_router(d, st, found, now);
      look_at_peers(d, census, router, found, now);
    }
    for (auto& [key, entry] : found)
      if (const auto st = d.routers().find(key.second); st != d.routers().end()) entry.name = st->second.name;
  }
  if (clock_skew)
    found[{Alarm::kRedisClock, {}}].detail =
        fmt::format("the clock of Redis and this node's differ by {} ms", clock_skew->count());

  std::vector<Change> changes;
  for (auto e = entries_.begin(); e != entries_.end();) {
    const auto& [key, entry] = *e;
    if (found.contains(key)) {
      ++e;
      continue;
    }
    if (entry.raised) changes.push_back({key.first, false, key.second, entry.name, entry.detail, now - *entry.raised});
    e = entries_.erase(e);
  }
  for (auto& [key, news] : found) {
    Entry& entry = entries_.try_emplace(key, Entry{now, std::nullopt, {}, {}}).first->second;
    entry.name = news.name;
    entry.detail = news.detail;
    if (entry.raised || (now - entry.since < patience(key.first, after))) continue;
    entry.raised = now;
    changes.push_back({key.first, true, key.second, entry.name, entry.detail, Nanos{0}});
  }
  return changes;
}

std::size_t AlarmWatch::raised(Alarm a) const {
  return static_cast<std::size_t>(std::count_if(entries_.begin(), entries_.end(), [a](const auto& e) {
    return e.first.first == a && e.second.raised.has_value();
  }));
}

}  // namespace bmpha::arbiter
