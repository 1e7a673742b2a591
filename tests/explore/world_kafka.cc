// Kafka, the sink behind it, and what must hold.
#include <fmt/format.h>

#include <algorithm>

#include "ha-arbiter/node_blob.h"
#include "tests/explore/world_parts.h"

namespace bmpha::explore {

void World::append(NodeWorld& n, std::size_t partition, std::size_t count) {
  auto& copies = n.in_flight[partition];
  for (std::size_t i = 0; i < count; ++i) {
    append(copies[i]);
    if (n.gate) n.answers.push_back(copies[i].ticket);
  }
  copies.erase(copies.begin(), copies.begin() + static_cast<std::ptrdiff_t>(count));
}

void World::append(const gate::Copy& copy) {
  PartitionWorld& p = kafka_[copy.partition];
  const std::int64_t offset = p.next++;
  const KafkaHeader& h = copy.header;
  const int shown = static_cast<int>(copy.partition % kPartitions);  // the partition's peer
  const bool orders = copy.partition == slot_of(shown);
  const bool was_visible = is_visible(shown);
  std::vector<sink::PeerChange> changes;
  const bool accepted = p.generations.admit(offset, h, changes) == sink::Verdict::kAccepted;
  if (verbose)
    fmt::print("    kafka[{}] {} {} {} epoch={} gen={}{}{}{} session={}/{} v={:x}{}\n", copy.partition, h.node,
               kind_name(h.kind), h.seq, h.epoch, h.gen, h.solo ? " solo" : "", h.replay ? " replay" : "",
               h.in_dump ? " dump" : "", h.session.recv_inc, h.session.number, h.read_wall_us,
               accepted ? "" : " FENCED");
  if (!accepted) {
    if (watched_ && scenario_->is_orderly()) fail("a switch on request left records behind it that are fenced");
    return;
  }
  if (h.detached) return;
  const Payload payload = unpack(h.read_wall_us);
  const int peer = payload.peer;
  if (h.kind == RecordKind::kPeer) {
    if (h.opener)
      p.generations.open_peer(offset, h, peer_key(peer));
    else
      p.generations.close_peer(h, peer_key(peer));
  } else if (h.kind == RecordKind::kRoutes) {
    const sink::PeerState& state = p.generations.touch_peer(h.router, peer_key(peer));
    p.rows[peer] = {payload.announced, payload.versions[static_cast<std::size_t>(peer)], state.epoch};
  }
  note_seen(copy);
  if (watched_ && orders && was_visible && !is_visible(shown)) check_hidden(copy, shown);
}

// Which changes are in the history now, or behind a dump that is.
void World::note_seen(const gate::Copy& copy) {
  const KafkaHeader& h = copy.header;
  const Payload payload = unpack(h.read_wall_us);
  const bool of_peer = h.kind == RecordKind::kPeer || h.kind == RecordKind::kRoutes;
  for (std::size_t i = 0; i < scenario_->changes.size(); ++i) {
    const int changed = scenario_->changes[i].peer;
    const std::size_t version = payload.versions[static_cast<std::size_t>(changed)];
    if (of_peer && changed == payload.peer && (version == i + 1 || (h.in_dump && version > i))) seen_[i] = true;
    if (h.kind == RecordKind::kSynced && slot_of(changed) == copy.partition && version > i) seen_[i] = true;
  }
}

// --- what must always hold

bool World::is_visible(int peer) const {
  const PartitionWorld& p = kafka_[slot_of(peer)];
  const auto row = p.rows.find(peer);
  const sink::PeerState* state = p.generations.find_peer(peer_key(peer));
  return row != p.rows.end() && state != nullptr && state->up && row->second.announced &&
         row->second.epoch >= state->live_epoch;
}

// P4: only the router's own word hides a row: a withdraw, a Peer Down, a new Peer Up; or `down`. A row that is newer
// than the dump that hides it is announced again by the same run.
void World::check_hidden(const gate::Copy& copy, int peer) {
  const KafkaHeader& h = copy.header;
  if (h.kind == RecordKind::kRoutes || h.kind == RecordKind::kDown) return;
  if (h.kind == RecordKind::kPeer && !(h.opener && h.in_dump)) return;
  const auto& row = kafka_[copy.partition].rows.find(peer)->second;
  const Payload payload = unpack(h.read_wall_us);
  if (h.kind == RecordKind::kSynced && row.version > payload.versions[static_cast<std::size_t>(peer)]) return;
  // The dump says the truth: the router had not got it when it wrote.
  const bool had = [&] {
    bool announced = true;
    for (int i = 0; i < payload.versions[static_cast<std::size_t>(peer)]; ++i) {
      const Change& c = scenario_->changes[static_cast<std::size_t>(i)];
      if (c.peer == peer) announced = c.what == What::kAnnounce || c.what == What::kPeerUp;
    }
    return announced;
  }();
  if (h.kind == RecordKind::kSynced && !had) return;
  fail(fmt::format("{} of {} hides a row of peer {} that the router has", kind_name(h.kind), h.node, peer));
}

// Who hands over what to Kafka. The fence would drop the rest, but consumers that know no fence would not.
void World::check_copy(const NodeWorld& n, const gate::Copy& copy) {
  const KafkaHeader& h = copy.header;
  if (h.solo || !watched_) return;
  for (auto c = claims_.rbegin(); c != claims_.rend() && c->first > h.epoch; ++c)
    if (c->second.node != n.id && t_ - c->second.at > 2 * kStep)
      return fail(fmt::format("{} goes on under epoch {} although {} has claimed", n.id, h.epoch, c->second.node));
  const auto claim = claims_.find(h.epoch);
  if (claim != claims_.end() && h.kind != RecordKind::kRun && claim->second.session < h.session)
    fail(fmt::format("{} sends a session under a claim that was made for an earlier one", n.id));
  if (claim != claims_.end() && h.replay) check_replay(n, copy, claim->second);
}

void World::note_published(NodeWorld& n, const arbiter::NodeBlob& blob) {
  for (const arbiter::RouterEntry& e : blob.routers) {
    n.published = {e.epoch, std::nullopt, blob.settled};
    if (e.w_age) n.published->w = t_ - *e.w_age;
  }
}

// The lowest W that a claim may rest on: of the newest claim, of the claimer, of everybody who may have sent alone, and
// of everybody when Redis names no owner. None: it was not published, and everything held must be sent.
std::optional<Nanos> World::replay_line(const NodeWorld& claimer, bool is_owned) const {
  std::uint64_t newest = 0;
  for (const NodeWorld& n : nodes_)
    if (n.published) newest = std::max(newest, n.published->epoch);
  Nanos line = t_;
  for (const NodeWorld& n : nodes_) {
    if (!n.published || (is_owned && n.published->epoch != newest && n.published->settled && &n != &claimer)) continue;
    if (!n.published->w) return std::nullopt;
    line = std::min(line, *n.published->w);
    // A key that is gone is known as it was read last.
    const auto seen = claimer.decider->nodes().find(n.id);
    if (seen == claimer.decider->nodes().end()) continue;
    const auto of = seen->second.routers.find(router_id());
    if (of == seen->second.routers.end() || !of->second.w) return std::nullopt;
    line = std::min(line, Nanos(to_ns(*of->second.w)) - claimer.boot);
  }
  // A W that was never written is known to its own node only.
  const auto st = claimer.decider->routers().find(router_id());
  if (st->second.gate_new) return std::nullopt;  // its new gate has what the old one had not released
  for (const auto& w : {st->second.w, st->second.cover})
    if (w) line = std::min(line, Nanos(to_ns(*w)) - claimer.boot);
  return newest == 0 ? std::nullopt : std::optional(line);
}

// Sent again is what was read since the lowest W that counts, less the margin; and a dump into which that falls.
void World::check_replay(const NodeWorld& n, const gate::Copy& copy, const Claim& claim) {
  if (!claim.line || scenario_->by_age || is_control(copy.header.kind)) return;
  const Nanos margin = scenario_->tight ? Nanos{0} : kStep;
  const Nanos line = *claim.line - margin - Millis(2);  // ages in Redis are whole milliseconds
  const Nanos read = unpack(copy.header.read_wall_us).read * kStep;
  if (read >= line) return;
  const std::vector<Bracket> dumps = n.gate->status().brackets;
  const bool is_of_dump = std::any_of(dumps.begin(), dumps.end(), [&](const Bracket& d) {
    return d.first <= BootTime(read + n.boot) && (!d.synced || *d.synced >= BootTime(line + n.boot));
  });
  if (!is_of_dump)
    fail(fmt::format("{} sends again what was read {} ms before the lowest W that counts", n.id,
                     std::chrono::duration_cast<Millis>(*claim.line - margin - read).count()));
}

// A4.8: a role ends with its session.
void World::check_role(const NodeWorld& n) {
  const auto st = n.decider->routers().find(router_id());
  const GateRouter* g = n.decider->row(router_id());
  if (!watched_ || n.decider->is_solo() || st == n.decider->routers().end() || g == nullptr) return;
  const arbiter::RouterState& s = st->second;
  if (s.role != Role::kActive || !s.claimed_up || g->session.is_none() || s.old_row || n.decider->claims_pending())
    return;
  if (g->session != s.session || !g->up) fail(fmt::format("{} keeps a role whose session is over", n.id));
}

// --- what must hold in the end

void World::check_end() {
  check_owner();
  if (std::all_of(nodes_.begin(), nodes_.end(), [](const NodeWorld& n) { return n.dead != 0; })) return;
  for (int peer = 0; peer < kPeers; ++peer) {
    const RouterPeer& r = router_[static_cast<std::size_t>(peer)];
    const bool wanted = r.up && r.announced && !gone_;
    if (is_visible(peer) != wanted) {
      fail(fmt::format("state: the router {} a route of peer {}, the database {}", wanted ? "has" : "has not", peer,
                       wanted ? "has not" : "has"));
      continue;
    }
    const auto row = kafka_[slot_of(peer)].rows.find(peer);
    if (wanted && row->second.version != r.version)
      fail(fmt::format("state: peer {} has version {}, the database {}", peer, r.version, row->second.version));
  }
  for (int i = 0; i < next_change_ && !gone_; ++i)
    if (!seen_[static_cast<std::size_t>(i)]) fail(fmt::format("loss: change {} is in no accepted record", i + 1));
}

// One owner, and Redis names it; none of a router that was declared down.
void World::check_owner() {
  std::string active;
  std::string named;
  bool any_alive = false;
  for (const NodeWorld& n : nodes_) {
    any_alive = any_alive || n.dead == 0;
    if (n.gate && n.gate->role() == Role::kActive) active += n.id;
  }
  if (!any_alive) return;
  if (gone_ && std::any_of(nodes_.begin(), nodes_.end(),
                           [](const NodeWorld& n) { return n.gate && n.gate->status().records > 0; }))
    fail("records of a router that was declared down are held for ever");
  const auto own = redis_.owners().find(to_hex(router_id()));
  if (own != redis_.owners().end()) named = arbiter::decode_owner(own->second).node;
  if (active.size() != (gone_ ? 0 : 1) || named != active)
    fail(fmt::format("owners: \"{}\" active, \"{}\" in Redis", active, named));
}

void World::finish() { check_end(); }

}  // namespace bmpha::explore
