#include "bmp-recv/dump_tracker.h"

#include <algorithm>

namespace bmpha::recv {

void DumpTracker::on_begin(BootTime now) { begin_ = last_dump_ = now; }

void DumpTracker::on_peer_open(const Hash128& peer, const std::vector<Family>& expected, BootTime now) {
  if (ended_) return;
  recent_ = nullptr;
  Peer& p = peers_[peer];
  p.tables.clear();
  p.expected = expected;
  last_dump_ = now;
}

void DumpTracker::on_peer_gone(const Hash128& peer) {
  recent_ = nullptr;
  peers_.erase(peer);
}

void DumpTracker::on_routes(const Hash128& peer, View view, Family family, BootTime now) {
  if (ended_) return;
  const std::pair<View, Family> key{view, family};
  if (recent_ == nullptr || recent_peer_ != peer || recent_key_ != key) {
    const auto at = peers_.find(peer);
    if (at == peers_.end()) return;
    recent_ = &at->second.tables[key];
    recent_peer_ = peer;
    recent_key_ = key;
  }
  if (recent_->end_of_rib) return;  // a change after the dump
  recent_->last = last_dump_ = now;
}

void DumpTracker::on_end_of_rib(const Hash128& peer, View view, Family family, BootTime now) {
  if (ended_) return;
  const auto at = peers_.find(peer);
  if (at == peers_.end()) return;
  at->second.tables[{view, family}] = {true, now};
  last_dump_ = now;
}

bool DumpTracker::peer_ended(const Peer& p, BootTime now) const {
  for (const auto& [key, table] : p.tables)
    if (!table.end_of_rib && now - std::max(table.last, stalled_) < settings_.quiet) return false;
  const bool all_quiet = now - std::max(last_dump_, stalled_) >= settings_.quiet;
  if (p.tables.empty()) return all_quiet;
  return all_quiet || std::all_of(p.expected.begin(), p.expected.end(), [&p](const Family& f) {
           return std::any_of(p.tables.begin(), p.tables.end(), [&f](const auto& t) { return t.first.second == f; });
         });
}

bool DumpTracker::all_ended(BootTime now) const {
  if (peers_.empty()) return now - std::max(last_dump_, stalled_) >= settings_.quiet;
  return std::all_of(peers_.begin(), peers_.end(), [&](const auto& p) { return peer_ended(p.second, now); });
}

bool DumpTracker::poll(BootTime now) {
  if (ended_) return false;
  if (now - begin_ < settings_.cap) {
    if (!all_ended(now)) {
      ended_since_ = BootTime{};
      return false;
    }
    if (ended_since_ == BootTime{}) ended_since_ = now;
    if (now - std::max({ended_since_, last_dump_, stalled_}) < std::min(kSettle, settings_.quiet)) return false;
  }
  ended_ = true;
  recent_ = nullptr;
  peers_.clear();
  return true;
}

}  // namespace bmpha::recv
