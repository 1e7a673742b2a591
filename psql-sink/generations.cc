#include "psql-sink/generations.h"

#include <algorithm>

#include "common/rules.h"

namespace bmpha::sink {
namespace {

Verdict judge(const RouterFence& fence, const KafkaHeader& h) {
  if (!rule_on("S2-fence")) return Verdict::kAccepted;
  if (!h.solo) return h.epoch < fence.epoch ? Verdict::kFencedEpoch : Verdict::kAccepted;
  if (!rule_on("S2-settled")) return Verdict::kAccepted;
  const auto settled = fence.settled.find(h.node);
  return settled != fence.settled.end() && h.gen <= settled->second ? Verdict::kFencedGen : Verdict::kAccepted;
}

PeerChange change(const PeerHash& hash, const PeerState& p, ChangeKind kind) {
  return {hash, kind, p.live_epoch, p.live_epoch, p.up};
}

PeerChange take_down(const PeerHash& hash, PeerState& p, ChangeKind kind) {
  const PeerChange c = change(hash, p, kind);
  p.up = false;
  p.down_epoch = p.epoch;
  return c;
}

}  // namespace

Verdict Generations::admit(std::int64_t offset, const KafkaHeader& header, std::vector<PeerChange>& changes) {
  Router& router = routers_[header.router];
  const Verdict verdict = judge(router.fence, header);
  if (verdict != Verdict::kAccepted) return verdict;
  switch (header.kind) {
    case RecordKind::kRun:
      run(offset, header, router.fence);
      break;
    case RecordKind::kSynced:
      synced(header, router, changes);
      break;
    case RecordKind::kDown:
      for (const PeerHash& hash : router.peers)
        if (PeerState& p = peers_[hash]; p.up && rule_on("S4-down"))
          changes.push_back(take_down(hash, p, ChangeKind::kRouterDown));
      break;
    case RecordKind::kStale:
      for (const PeerHash& hash : router.peers)
        if (const PeerState& p = peers_[hash]; p.up) changes.push_back(change(hash, p, ChangeKind::kStale));
      break;
    default:
      break;
  }
  return verdict;
}

void Generations::run(std::int64_t offset, const KafkaHeader& header, RouterFence& fence) {
  if (!header.solo || !rule_on("S2-solo")) {
    fence.epoch = std::max(fence.epoch, header.epoch);
    for (const SettledGen& s : header.settled) {
      if (fence.settled.size() >= kMaxSettledNodes && !fence.settled.contains(s.node)) continue;
      std::uint64_t& gen = fence.settled[s.node];
      gen = std::max(gen, s.gen);
    }
  }
  fence.runs[header.session] = offset;
  if (fence.runs.size() <= kMaxRuns) return;
  fence.runs.erase(std::min_element(fence.runs.begin(), fence.runs.end(),
                                    [](const auto& a, const auto& b) { return a.second < b.second; }));
}

void Generations::synced(const KafkaHeader& header, Router& router, std::vector<PeerChange>& changes) {
  const auto latest_run = router.fence.runs.find(header.session);
  for (const PeerHash& hash : router.peers) {
    PeerState& p = peers_[hash];
    if (p.opener == header.session || !rule_on("S4-own")) {
      PeerChange c = change(hash, p, ChangeKind::kSynced);
      if (rule_on("S4-synced")) p.live_epoch = p.epoch;
      c.new_live = p.live_epoch;
      changes.push_back(c);
      continue;
    }
    // F3: what another session opened behind this session's latest `run` is none of this dump's business.
    const bool opened_before = latest_run != router.fence.runs.end() && p.opener_offset < latest_run->second;
    if (p.up && (opened_before || !rule_on("S4-f3"))) changes.push_back(take_down(hash, p, ChangeKind::kNotDumped));
  }
}

PeerChange Generations::open_peer(std::int64_t offset, const KafkaHeader& header, const PeerHash& peer) {
  touch_peer(header.router, peer);
  PeerState& p = peers_[peer];
  const bool refresh = header.in_dump && p.up && rule_on("S4-refresh");
  PeerChange c = change(peer, p, refresh ? ChangeKind::kRefreshed : ChangeKind::kOpened);
  ++p.epoch;
  if (!refresh && rule_on("S4-hide")) p.live_epoch = p.epoch;
  p.up = true;
  p.opener = header.session;
  p.opener_offset = offset;
  c.new_live = p.live_epoch;
  return c;
}

PeerChange Generations::close_peer(const KafkaHeader& header, const PeerHash& peer) {
  touch_peer(header.router, peer);
  if (!rule_on("S4-peer-down")) return change(peer, peers_[peer], ChangeKind::kPeerDown);
  return take_down(peer, peers_[peer], ChangeKind::kPeerDown);
}

const PeerState& Generations::touch_peer(const RouterId& router, const PeerHash& peer) {
  const auto [at, is_new] = peers_.try_emplace(peer);
  if (is_new) {
    at->second.router = router;
    routers_[router].peers.insert(peer);
  }
  return at->second;
}

const PeerState* Generations::find_peer(const PeerHash& peer) const {
  const auto at = peers_.find(peer);
  return at == peers_.end() ? nullptr : &at->second;
}

const RouterFence* Generations::find_fence(const RouterId& router) const {
  const auto at = routers_.find(router);
  return at == routers_.end() ? nullptr : &at->second.fence;
}

void Generations::load_fence(const RouterId& router, RouterFence fence) { routers_[router].fence = std::move(fence); }

void Generations::load_peer(const PeerHash& peer, const PeerState& state) {
  peers_[peer] = state;
  routers_[state.router].peers.insert(peer);
}

void Generations::forget_offsets() {
  for (auto& [id, router] : routers_) router.fence.runs.clear();
  for (auto& [hash, peer] : peers_) peer.opener_offset = -1;
}

}  // namespace bmpha::sink
