#include "tests/explore/state_bytes.h"

#include "ha-arbiter/node_blob.h"

namespace bmpha::explore {

// With libstdc++ on a 64-bit machine. When one of these fails, see what was added to the class and put it below.
static_assert(sizeof(arbiter::Decider) == 832);
static_assert(sizeof(arbiter::RouterState) == 528);
static_assert(sizeof(gate::HeldRecords) == 712);
static_assert(sizeof(GateRouter) == 224);  // peers_up is for people
static_assert(sizeof(arbiter::NodeBlob) == 168);
static_assert(sizeof(arbiter::RouterEntry) == 104);
static_assert(sizeof(sink::PeerState) == 56);
static_assert(sizeof(sink::RouterFence) == 104);

std::string StateBytes::of(const World& w) {
  StateBytes bytes;
  bytes.put(w);
  for (Ranked* r : {&bytes.epochs_, &bytes.sinces_, &bytes.offsets_}) r->end_round();
  bytes.writing_ = true;
  bytes.put(w);
  return std::move(bytes.out_);
}

void StateBytes::Ranked::end_round() {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

void StateBytes::rank(Ranked& ranked, std::uint64_t v) {
  if (!writing_) return ranked.values.push_back(v);
  raw(static_cast<std::uint16_t>(std::lower_bound(ranked.values.begin(), ranked.values.end(), v) -
                                 ranked.values.begin()));
}

void StateBytes::put(const Envelope& e) {
  all(e.kind, e.in_dump, e.opener, e.session, e.seq, e.key, e.read_time, e.drained_time, e.read_wall_us);
}

void StateBytes::put(const GateRouter& g) {
  all(g.session, g.up, g.in_dump, g.torn, g.read_paused, g.role, g.solo, g.unclean, g.claimed_session, g.blocked,
      g.unsent_tail, g.w, g.oldest_unacked, g.in_flight, g.last_read, g.trimmed_to, g.front_is_opener, g.brackets,
      g.emitted);
  epoch(g.epoch);
}

void StateBytes::put(const GateStatus& s) { all(s.gate_inc, s.recv_inc, s.recv_alive, s.sent, s.kafka_ok); }

void StateBytes::put(const arbiter::RouterEntry& e) {
  epoch(e.epoch);
  since(e.since);
  all(e.router, e.hold, e.cls, e.role, e.session, e.w_age, e.read_age, e.unclean, e.solo, e.wanted);
}

// Without the tick: whether a reader has seen the newest one stands with the reader.
void StateBytes::put(const arbiter::NodeBlob& b) {
  all(b.inc, b.gen, b.leaving, b.forced_active, b.forced_standby, b.solo, b.settled, b.seen, b.routers);
  if (b.collector) {
    since(b.collector->since);
    all(b.collector->cls, b.collector->recv_inc);
  }
}

void StateBytes::put(const arbiter::NodeView& v) {
  all(v.blob, v.readable, v.present, v.pub_ms, v.advanced, v.routers);
}

void StateBytes::put(const arbiter::RouterState& s) {
  epoch(s.epoch);
  since(s.since);
  since(s.max_since);
  all(s.hold, s.cls, s.stalled, s.session_seen, s.read_baseline, s.last_read, s.behind_since, s.fresh_gate, s.role,
      s.solo, s.solo_sent, s.unclean, s.session, s.claimed_up, s.start, s.settles, s.handled, s.w, s.w_sent,
      s.w_confirmed, s.released_at, s.cover, s.cover_now, s.emit, s.unheld_since, s.reset, s.old_row, s.claimed_at,
      s.replayed, s.gate_lost, s.gate_new, s.torn_since, s.errand.order, s.errand.wishes, s.errand.old, s.errand.begun,
      s.errand.wished_at, s.errand.deadline);
}

void StateBytes::put(const arbiter::Decider& d) {
  all(d.s_.inc, d.nodes_, d.own_, d.redis_ms_, d.redis_at_, d.last_ok_, d.ever_ok_, d.observed_, d.fresh_);
  put(d.routers_);
  raw(d.pending_.size());
  raw(d.lost_.size());
  for (const auto& [router, lost] : d.lost_) {
    epoch(lost.epoch);
    put(lost.w);
  }
  epoch(d.highest_epoch_);
  if (d.collector()) {
    since(d.collector_.since);
    all(d.collector_.cls, d.collector_.recv_inc, d.collector_checked_);
  }
  all(d.status_, d.gate_known_, d.gate_changed_, d.kafka_bad_since_, d.gate_waits_, d.rows_, d.started_, d.wall_ms_,
      d.awake_at_, d.woke_at_, d.last_tick_, d.lateness_, d.joined_, d.hung_, d.solo_, d.leaving_, d.mode_, d.initial_,
      d.gen_, d.unsettled_, d.seen_, d.tick_soon_);
}

void StateBytes::put(const arbiter::MemoryCluster& c) {
  raw(c.keys_.size());
  for (const auto& [id, key] : c.keys_) {
    // The text holds the tick; a key is told by when it was written, and by what stands in the nodes themselves.
    all(id, key.value.substr(0, key.value.find(' ')), key.expires_ms);
    std::size_t malformed = 0;
    const auto o = arbiter::read_observation({false, 0, {}, {{id, key.value}}, {}}, {}, malformed);
    if (const auto n = o.nodes.find(id); n != o.nodes.end()) put(n->second.blob);
  }
  for (const auto& [router, text] : c.owners_) put(arbiter::decode_owner(text));
}

void StateBytes::put(const arbiter::OwnEntry& o) {
  put(o.node);
  epoch(o.epoch);
}

void StateBytes::put(const arbiter::Persisted& p) {
  epoch(p.epoch);
  all(p.gen, p.unsettled);
}

void StateBytes::put(const gate::HeldRecords& h) {
  raw(h.held_.size());
  for (const auto& r : h.held_) all(r.envelope.session, r.envelope.seq, r.pending, r.acked, r.ever_acked);
  raw(h.dumps_.size());
  for (const auto& d : h.dumps_)
    all(d.session, d.first, d.closed, d.first_pos - h.front_, d.closed ? d.last_pos - h.front_ : 0, d.synced, d.cut,
        d.newest);
  raw(h.sessions_.size());
  for (const auto& s : h.sessions_) {
    all(s.id, s.ordinal, s.last_seq, s.acked_seq, s.alive_released, s.alive_released_read, s.last_read, s.up, s.ended,
        s.read_paused, s.synced, s.last_pos < h.front_ ? 0 : s.last_pos - h.front_ + 1,
        !s.last_data              ? 0
        : *s.last_data < h.front_ ? 1
                                  : *s.last_data - h.front_ + 2,
        s.last_data_read, s.gap_since, s.flow.release_seq, s.flow.closed);
    raw(s.waiting.size());
    for (const auto& w : s.waiting) put(w.envelope);
  }
  all(h.last_ordinal_, h.torn_session_, h.trimmed_to_, h.covered_to_, h.roles_sent_, h.lease_, h.role_, h.gen_,
      h.claimed_, h.settles_, h.claim_time_, h.released_at_, h.w_, h.emit_, h.emit_written_, h.emit_acked_,
      h.cursor_ - h.front_, h.acked_ - h.front_, h.claim_pos_ < h.front_ ? 0 : h.claim_pos_ - h.front_, h.copy_next_,
      h.run_id_, h.run_next_, h.run_unacked_, h.emitting_, h.emit_next_, h.emit_unacked_, h.in_flight_, h.came_any_,
      h.roles_known_, h.served_any_, h.solo_, h.unclean_, h.strays_, h.lapsed_, h.run_open_, h.run_done_,
      h.replay_wanted_);
  epoch(h.epoch_);
}

// Only an answer for the present attempt counts.
void StateBytes::put(const gate::HeldRecords* gate, const gate::Ticket& t) {
  const bool counts = gate != nullptr && t.attempt == gate->attempt_;
  put(counts);
  if (counts) all(t.position - gate->front_, t.of);
}

void StateBytes::put(const gate::Copy& c) {
  const KafkaHeader& h = c.header;
  epoch(h.epoch);
  all(c.partition, h.kind, h.solo, h.replay, h.in_dump, h.opener, h.detached, h.gen, h.node, h.session, h.seq,
      h.read_wall_us & 0xffff'ffff, h.settled);
}

void StateBytes::put(const Receiver& r) {
  all(r.inc, r.number, r.seq, r.up, r.in_dump, r.empty_at, r.last_read, r.alive_at, r.ring, r.released,
      r.released_read);
}

void StateBytes::put(const NodeWorld& n) {
  all(n.session, n.recv, n.gate, n.gate_inc, n.gate_met, n.decider, n.guard.has_value(), n.looks, n.stored, n.in_flight,
      n.ghosts, n.ghosts_in, n.kafka_bad, n.kafka_good, n.kafka_ok, n.dead, n.gate_dead, n.arbiter_dead, n.recv_dead,
      n.hung, n.gate_hung, n.arbiter_hung, n.recv_hung, n.stalls, n.redis_cut, n.kafka_cut, n.land_in, n.lands,
      n.leaving, n.soon);
  put(n.published.has_value());
  if (n.published) {
    epoch(n.published->epoch);
    all(n.published->w, n.published->settled);
  }
  epoch(n.w_epoch);
  put(n.w);
  const gate::HeldRecords* gate = n.gate ? &*n.gate : nullptr;
  for (const auto& copies : n.in_flight)
    for (const gate::Copy& c : copies) put(gate, c.ticket);
  for (const gate::Ticket& t : n.answers) put(gate, t);
}

void StateBytes::put(const PartitionWorld& p) {
  const sink::RouterFence* fence = nullptr;
  for (const auto& [hash, s] : p.generations.peers()) {
    all(hash, s.epoch, s.live_epoch, s.up, s.opener);
    offset(s.opener_offset);
    fence = p.generations.find_fence(s.router);
  }
  if (fence != nullptr) {
    epoch(fence->epoch);
    put(fence->settled);
    for (const auto& [session, at] : fence->runs) {
      put(session);
      offset(at);
    }
  }
  for (const auto& [peer, row] : p.rows) all(peer, row.announced, row.version, row.epoch);
}

void StateBytes::put(const World& w) {
  all(w.nodes_, w.redis_, w.redis_up_);
  for (const RouterPeer& p : w.router_) all(p.up, p.announced, p.version);
  put(w.kafka_);
  all(w.seen_, w.next_change_, w.joins_in_, w.gone_, w.budget_);
  for (const FaultState& f : w.faults_) all(f.begun, f.ended, f.victim, f.steps);
  if (!w.claims_.empty()) {
    const auto& [at, claim] = *w.claims_.rbegin();
    epoch(at);
    all(claim.node, claim.session, std::min<Nanos>(w.t_ - claim.at, Millis(300)), claim.line);
  }
  for (const NodeWorld& n : w.nodes_)  // has everybody seen the newest blob of everybody?
    for (const NodeWorld& other : w.nodes_)
      if (n.decider && other.decider && n.decider->nodes_.contains(other.id))
        put(other.decider->tick_no_ - n.decider->nodes_.at(other.id).blob.tick);
}

}  // namespace bmpha::explore
