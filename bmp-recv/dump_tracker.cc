#include "bmp-recv/dump_tracker.h"

#include <algorithm>

#include "common/rules.h"

namespace bmpha::recv {
namespace {

bool is_unicast(const Family& f) { return f == kIpv4Unicast || f == kIpv6Unicast; }

}  // namespace

void DumpTracker::on_begin(BootTime now) { begin_ = last_dump_ = now; }

void DumpTracker::on_peer_open(const Hash128& peer, const std::vector<Family>& expected, BootTime now) {
  if (ended_) return;
  recent_ = nullptr;
  Peer& p = peers_[peer];
  p.tables.clear();
  p.expected.assign(expected.data(), expected.data() + std::min(expected.size(), kMaxTables));
  last_dump_ = now;
}

void DumpTracker::on_peer_gone(const Hash128& peer) {
  recent_ = nullptr;
  peers_.erase(peer);
}

DumpTracker::Table* DumpTracker::table_of(const Hash128& peer, View view, Family family) {
  if (recent_ != nullptr && recent_peer_ == peer && recent_->view == view && recent_->family == family) return recent_;
  recent_ = nullptr;
  const auto at = peers_.find(peer);
  if (at == peers_.end()) return nullptr;
  std::vector<Table>& tables = at->second.tables;
  const auto same = [&](const Table& t) { return t.view == view && t.family == family; };
  auto table = std::find_if(tables.begin(), tables.end(), same);
  if (table == tables.end()) {
    if (tables.size() >= kMaxTables && !is_unicast(family)) return nullptr;
    table = tables.insert(tables.end(), {view, family, false, BootTime{}});
  }
  recent_ = &*table;
  recent_peer_ = peer;
  return recent_;
}

void DumpTracker::on_routes(const Hash128& peer, View view, Family family, BootTime now) {
  if (ended_) return;
  Table* table = table_of(peer, view, family);
  if (table == nullptr || table->end_of_rib) return;  // not tracked, or a change after the dump
  table->last = last_dump_ = now;
}

void DumpTracker::on_end_of_rib(const Hash128& peer, View view, Family family, BootTime now) {
  if (ended_) return;
  Table* table = table_of(peer, view, family);
  if (table == nullptr) return;
  table->end_of_rib = true;
  table->last = last_dump_ = now;
}

std::size_t DumpTracker::tables() const {
  std::size_t n = 0;
  for (const auto& p : peers_) n += p.second.tables.size();
  return n;
}

bool DumpTracker::peer_ended(const Peer& p, BootTime now) const {
  for (const Table& table : p.tables)
    if (!table.end_of_rib && (now - std::max(table.last, stalled_) < settings_.quiet || !rule_on("G1-quiet")))
      return false;
  const bool all_quiet = now - std::max(last_dump_, stalled_) >= settings_.quiet;
  if (p.tables.empty()) return all_quiet;
  return all_quiet || std::all_of(p.expected.begin(), p.expected.end(), [&p](const Family& f) {
           return std::any_of(p.tables.begin(), p.tables.end(), [&f](const Table& t) { return t.family == f; });
         });
}

bool DumpTracker::all_ended(BootTime now) const {
  if (!rule_on("G1-ended")) return true;
  if (peers_.empty()) return now - std::max(last_dump_, stalled_) >= settings_.quiet;
  return std::all_of(peers_.begin(), peers_.end(), [&](const auto& p) { return peer_ended(p.second, now); });
}

bool DumpTracker::poll(BootTime now) {
  if (ended_) return false;
  if (poll_cap(now)) return true;
  if (!all_ended(now)) {
    ended_since_ = BootTime{};
    return false;
  }
  if (ended_since_ == BootTime{}) ended_since_ = now;
  if (now - std::max({ended_since_, last_dump_, stalled_}) < std::min(kSettle, settings_.quiet)) return false;
  return end();
}

bool DumpTracker::poll_cap(BootTime now) {
  if (ended_ || now - begin_ < settings_.cap || !rule_on("G1-cap")) return false;
  return end();
}

bool DumpTracker::end() {
  ended_ = true;
  recent_ = nullptr;
  peers_.clear();
  return true;
}

}  // namespace bmpha::recv
