// Kafka, the sink behind it, and what must hold.
#include <fmt/format.h>

#include <algorithm>

#include "ha-arbiter/node_blob.h"
#include "kafka-gate/partition.h"
#include "tests/simulate/sim.h"

namespace bmpha::simulate {
namespace {

// A message may wait that long on its way to a gate, beyond what the session's delay says.
constexpr Nanos kReadDelay = Millis(450);

}  // namespace

bool Sim::is_visible(int router, int peer, int prefix) const {
  const Hash128 key = peer_key(router, peer);
  const Partition& p = kafka_[gate::partition_of(key, kPartitions)];
  const auto rows = p.rows.find(key);
  const sink::PeerState* state = p.generations.find_peer(key);
  if (rows == p.rows.end() || state == nullptr || !state->up) return false;
  const Row& row = rows->second[static_cast<std::size_t>(prefix)];
  return row.announced && row.epoch >= state->live_epoch;
}

void Sim::land(const gate::Copy& copy) {
  Partition& p = kafka_[copy.partition];
  const std::int64_t offset = p.next++;
  const KafkaHeader& h = copy.header;
  const auto* said = static_cast<const Said*>(copy.body.owner.get());
  ++verdict_.records;
  std::set<std::pair<int, int>> before;
  const int router = router_index(h.router);
  const bool may_hide = h.kind == RecordKind::kSynced || (h.kind == RecordKind::kPeer && h.in_dump);
  const auto each = [&](const auto& f) {
    for (int peer = 0; may_hide && peer < kPeers; ++peer)
      for (int x = 0; x < kPrefixes; ++x) f(peer, x, is_visible(router, peer, x));
  };
  each([&](int peer, int x, bool visible) {
    if (visible) before.emplace(peer, x);
  });
  std::vector<sink::PeerChange> changes;
  if (p.generations.admit(offset, h, changes) != sink::Verdict::kAccepted) {
    ++verdict_.fenced;
    return;
  }
  if (h.kind == RecordKind::kPeer) {
    if (h.opener)
      p.generations.open_peer(offset, h, copy.key);
    else
      p.generations.close_peer(h, copy.key);
  } else if (h.kind == RecordKind::kRoutes) {
    const sink::PeerState& state = p.generations.touch_peer(h.router, copy.key);
    p.rows[copy.key][static_cast<std::size_t>(said->prefix)] = {said->announced, said->version, state.epoch};
  }
  if (said != nullptr) count_history(h, said);
  // P4: a dump hides only what the router had not got when it told the peer.
  each([&](int peer, int x, bool visible) {
    if (visible || !before.contains({peer, x})) return;
    const Peer& truth = routers_[static_cast<std::size_t>(router)].peers[static_cast<std::size_t>(peer)];
    const int told = h.kind == RecordKind::kSynced ? said->snapshot[static_cast<std::size_t>(peer)] : said->version;
    const auto& history = truth.history[static_cast<std::size_t>(x)];
    const bool had = std::prev(history.upper_bound(told))->second;
    const int shown = p.rows[peer_key(router, peer)][static_cast<std::size_t>(x)].version;
    if (had && shown <= told)
      fail(fmt::format("{} of {} hides prefix {} of peer {} of router {}, which the router has", kind_name(h.kind),
                       h.node, x, peer, router));
  });
}

// Which versions are in the history now, or behind a dump that is.
void Sim::count_history(const KafkaHeader& h, const Said* said) {
  Router& r = routers_[static_cast<std::size_t>(said->router)];
  if (h.kind == RecordKind::kSynced) {
    for (std::size_t peer = 0; peer < kPeers; ++peer)
      for (const auto& [version, written] : r.peers[peer].written)
        if (version <= said->snapshot[peer]) r.peers[peer].counted.insert(version);
  } else if (h.kind == RecordKind::kRoutes || h.kind == RecordKind::kPeer) {
    Peer& p = r.peers[static_cast<std::size_t>(said->peer)];
    p.counted.insert(said->version);
    for (const int version : p.coalesced[{h.node[0] - 'a', said->prefix}])
      if (version < said->version) p.counted.insert(version);
  }
}

void Sim::note_published(Node& n, const arbiter::NodeBlob& blob, Nanos said_at) {
  for (const arbiter::RouterEntry& e : blob.routers) {
    auto& kept = n.published[e.router];
    kept[1] = kept[0];
    kept[0] = {e.epoch, std::nullopt, blob.settled};
    if (e.w_age) kept[0].w = said_at - *e.w_age;
  }
}

// What a claim may start from: W of the predecessor, of the claimer, and of everybody who may have sent alone; when
// Redis does not name an owner, of everybody.
Nanos Sim::lowest_published(const Node& claimer, const RouterId& router, bool is_owned) const {
  Nanos lowest = t_;
  std::uint64_t newest = 0;
  for (const Node& n : nodes_)
    if (const auto p = n.published.find(router); p != n.published.end()) newest = std::max(newest, p->second[0].epoch);
  for (const Node& n : nodes_) {
    const auto p = n.published.find(router);
    if (p == n.published.end()) continue;
    for (const Node::Published& each : p->second)
      if (each.w && (!is_owned || each.epoch == newest || &n == &claimer || !each.settled))
        lowest = std::min(lowest, *each.w);
  }
  // A W that was never written is known to its own node only.
  for (const auto& [id, st] : claimer.arbiter.decider->routers())
    if (id == router) {
      if (st.w) lowest = std::min(lowest, virtual_time(claimer, *st.w));
      if (st.cover) lowest = std::min(lowest, virtual_time(claimer, *st.cover));
    }
  return lowest;
}

void Sim::note_claim(Node& n, const arbiter::ClaimBatch::Item& item) {
  ++verdict_.claims;
  ClaimMade made;
  made.node = n.index;
  made.at = t_;
  made.floor = lowest_published(n, item.router, !item.expected.empty());
  if (!claims_[item.router].try_emplace(item.epoch, made).second) fail("two claims share an epoch");
}

// W never falls within an epoch; ages in Redis are whole milliseconds. What a node sends alone belongs to no epoch.
void Sim::check_w(Node& n) {
  for (const auto& [router, st] : n.arbiter.decider->routers()) {
    if (st.solo_sent) n.w.erase(router);
    if (!st.w || st.solo_sent) continue;
    auto& [epoch, w] = n.w[router];
    if (epoch == st.epoch && *st.w + Millis(2) < w) fail(fmt::format("W fell within an epoch at {}", n.id));
    epoch = st.epoch;
    w = *st.w;
  }
}

void Sim::check_end() {
  bool any_alive = false;
  for (const Node& n : nodes_) any_alive = any_alive || !n.is_dead;
  if (!any_alive) return;
  for (int r = 0; r < kRouters; ++r) {
    std::string active;
    for (const Node& n : nodes_) {
      if (!n.gate.alive) continue;
      const auto held = n.gate.gate->routers().find(router_id(r));
      if (held != n.gate.gate->routers().end() && held->second.role() == Role::kActive) active += n.id;
    }
    const auto own = redis_.owners().find(to_hex(router_id(r)));
    const std::string named = own != redis_.owners().end() ? arbiter::decode_owner(own->second).node : std::string();
    if (active.size() != 1 || named != active)
      fail(fmt::format("router {}: \"{}\" active, \"{}\" in Redis", r, active, named));
    for (int peer = 0; peer < kPeers; ++peer)
      for (int x = 0; x < kPrefixes; ++x) {
        const Peer& p = routers_[static_cast<std::size_t>(r)].peers[static_cast<std::size_t>(peer)];
        const Row& want = p.rows[static_cast<std::size_t>(x)];
        const bool has = is_visible(r, peer, x);
        const Hash128 key = peer_key(r, peer);
        const auto rows = kafka_[gate::partition_of(key, kPartitions)].rows.find(key);
        const int version = has ? rows->second[static_cast<std::size_t>(x)].version : want.version;
        if (has != (p.up && want.announced) || version != want.version)
          fail(fmt::format("state: router {} peer {} prefix {}: {} version {}, the router {} version {}", r, peer, x,
                           has ? "visible" : "hidden", version, want.announced ? "announces" : "withdraws",
                           want.version));
      }
  }
}

// A change that a node read and still has is in the history, or behind a dump that is. When sessions differ by more
// than the margin, what is missing was read within the excess before the start of a claim.
void Sim::check_lost() {
  const Nanos excess = s_.skew + kReadDelay - s_.margin;
  for (Router& r : routers_)
    for (Peer& p : r.peers)
      for (const auto& [version, written] : p.written) {
        ++verdict_.changes;
        if (p.counted.contains(version)) continue;
        const auto read = p.read.find(version);
        const bool held =
            read != p.read.end() && std::any_of(read->second.begin(), read->second.end(), [this](const auto& by) {
              return !nodes_[static_cast<std::size_t>(by.first)].ever_lost;
            });
        if (!held) continue;
        ++verdict_.lost;
        std::optional<Nanos> least;
        for (const auto& [epoch, claim] : claims_[r.id]) {
          const auto by = read->second.find(claim.node);
          if (by == read->second.end() || claim.start == Nanos{0} || by->second >= claim.start) continue;
          const Nanos before = claim.start - by->second;
          least = least ? std::min(*least, before) : before;
        }
        if (least) verdict_.beyond = std::max(verdict_.beyond, *least);
        if (excess <= kReadDelay && (!least || *least > Nanos{0}))
          fail(fmt::format("loss: router {} version {} written at {:.3f}", router_index(r.id), version,
                           static_cast<double>(written.count()) / 1e9));
        else if (!least || *least > excess)
          fail(fmt::format("loss beyond the bound: router {} version {} written at {:.3f}", router_index(r.id), version,
                           static_cast<double>(written.count()) / 1e9));
      }
}

}  // namespace bmpha::simulate
