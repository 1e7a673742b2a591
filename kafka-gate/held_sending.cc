// Claims, the cursor, acknowledgements, the watermark and the status row. The FIFO itself: held_records.cc.
#include <algorithm>

#include "common/rules.h"
#include "kafka-gate/held_records.h"

namespace bmpha::gate {

// --- roles

void HeldRecords::roles(const Roles& head, const RoleRouter* row, BootTime now) {
  roles_known_ = true;
  roles_sent_ = head.sent;
  lease_ = head.lease;
  if (row == nullptr || row->role != Role::kActive) {
    if (role_ == Role::kActive) begin_release(now);
    std::optional<BootTime> cover;
    if (row != nullptr) cover = row->cover;
    if (!rule_on("G3-cover")) cover = now;  // trimming by time, as if the owner had sent all by now
    if (role_ == Role::kStandby && cover) {
      covered_to_ = std::max(covered_to_, *cover);
      if (!head.by_age) return trim(retained(*cover));
      const std::uint64_t before = counters_.trimmed;
      trim(*cover);
      counters_.aged += counters_.trimmed - before;
    }
    return;
  }
  const bool same = is_same_claim(*row);
  if (same && role_ == Role::kActive) {
    const bool goes_solo = head.solo && (!solo_ || gen_ != head.gen);
    solo_ = head.solo;
    gen_ = head.gen;
    if (goes_solo && rule_on("G4-solo")) {
      settles_.clear();
      begin_run(claimed_);
    }
  } else if (same && !head.solo && !solo_) {
    resume();  // the roles changed their mind; nobody else had this epoch
  } else {
    start_claim(head, *row, now);
  }
  emit_ = row->emit;
  if (row->cover && (!head.solo || !rule_on("A6-trim"))) trim(retained(*row->cover));
}

BootTime HeldRecords::retained(BootTime cover) const {
  return rule_on("G3-retain") ? cover - settings_->retain : cover;
}

void HeldRecords::start_claim(const Roles& head, const RoleRouter& row, BootTime now) {
  const bool is_new = row.epoch != epoch_;
  if (is_new) emit_acked_ = Emit::kNone;
  role_ = Role::kActive;
  served_any_ = true;
  solo_ = head.solo;
  unclean_ = false;
  epoch_ = row.epoch;
  gen_ = head.gen;
  claimed_ = row.session;
  settles_ = head.solo ? std::vector<SettledGen>{} : row.settles;
  claim_time_ = now;
  torn_session_ = 0;
  blocked_noted_ = false;

  // F2: W begins where the sending begins, after the step back to a dump's first record.
  const BootTime stepped = rule_on("G4-bracket") ? step_back(brackets(), row.start) : row.start;
  ++attempt_;
  reset_sending(start_position(row.start));
  if (is_new) strays_ = lapsed_ = false;  // fenced
  claim_pos_ = cursor_;
  for (std::uint64_t pos = front_; pos < cursor_; ++pos)
    if (Session* s = find(at(pos).envelope.session)) s->acked_seq = std::max(s->acked_seq, at(pos).envelope.seq);
  const bool from_opener = !held_.empty() && held_.front().envelope.seq == 1;
  w_.reset();
  covered_to_ = std::max(covered_to_, stepped - Nanos{1});  // what was read before is in Kafka
  if (trimmed_to_ <= stepped || from_opener) w_ = rule_on("G2-start") ? stepped : row.start;

  const bool sendable = cursor_ < end_pos() && is_allowed(at(cursor_).session);
  begin_run(sendable ? at(cursor_).envelope.session : claimed_);
  note(Note::Kind::kServing, claimed_, epoch_);
}

// G4: the first record that was not read before the start; inside a dump, the dump's first record.
std::uint64_t HeldRecords::start_position(BootTime start) const {
  if (rule_on("G4-bracket"))
    for (const Dump& d : dumps_)
      if (d.first <= start && (!d.closed || start <= *d.closed)) return std::max(d.first_pos, front_);
  std::uint64_t pos = front_;
  while (pos < end_pos() && at(pos).envelope.read_time < start) ++pos;
  return pos;
}

void HeldRecords::resume() {
  const bool was_standby = role_ == Role::kStandby;
  role_ = Role::kActive;
  unclean_ = false;
  if (!was_standby) return;  // what is in flight still counts
  reset_sending(std::max(acked_, front_));
  if (!run_done_) begin_run(run_id_);
  note(Note::Kind::kServing, claimed_, epoch_);
}

void HeldRecords::begin_release(BootTime now) {
  role_ = Role::kReleasing;
  released_at_ = now;
  if (in_flight_ == 0 || !rule_on("A4-ordered-release")) finish_release();
}

// What is unanswered stays held and unsent; an answer that comes now says nothing, since the fence may drop it.
void HeldRecords::finish_release() {
  unclean_ = in_flight_ > 0 || lapsed_;
  note(Note::Kind::kReleased, claimed_, in_flight_);
  role_ = Role::kStandby;
  ++attempt_;
  reset_sending(acked_);
}

void HeldRecords::tick(BootTime now) {
  if (role_ == Role::kReleasing && now - released_at_ >= settings_->release_wait) finish_release();
}

// What is unanswered may still land, at any time: requests wait in a broker that is slow, or in a connection. No order
// binds them to what another producer sends; only the next epoch's fence does. Alone there is none: W stands still, and
// the claim that settles the gen begins there.
void HeldRecords::producer_lost() {
  if (role_ == Role::kReleasing) finish_release();
  const std::uint32_t unanswered = in_flight_;
  if (unanswered == 0 && !strays_) return;
  lapsed_ = rule_on("G8-claim");
  if (role_ != Role::kActive) return;
  ++attempt_;
  if (!rule_on("G8-back")) return;
  const bool again = !run_done_;
  reset_sending(acked_);
  if (again) begin_run(run_id_);
  if (lapsed_) note(Note::Kind::kLapsed, claimed_, unanswered);
}

void HeldRecords::reset_sending(std::uint64_t from) {
  for (std::uint64_t pos = std::max(from, front_); pos < end_pos(); ++pos) {
    at(pos).pending = 0;
    at(pos).acked = false;
  }
  strays_ = strays_ || in_flight_ > 0;
  cursor_ = acked_ = from;
  copy_next_ = 0;
  run_open_ = false;
  run_next_ = run_unacked_ = 0;
  emitting_ = Emit::kNone;
  emit_next_ = emit_unacked_ = 0;
  emit_written_ = emit_acked_;
  in_flight_ = 0;
  in_flight_bytes_ = 0;
}

// --- sending

// Control records concern the whole router: one copy to each partition of each topic.
std::uint32_t HeldRecords::everywhere() const {
  return rule_on("G4-broadcast") ? settings_->partitions * settings_->plan.count : 1;
}

// Every topic of routes tells by itself which of them are alive: records about a peer's life have a copy in each.
std::uint32_t HeldRecords::copies_of(const Held& h) const {
  if (is_control(h.envelope.kind)) return everywhere();
  const std::size_t copies = settings_->plan.copies_of(h.envelope.kind).size();
  return rule_on("A1-copies") ? 1 + static_cast<std::uint32_t>(copies) : 1;
}

// G4: `run` goes to every partition before anything else of the claim, and before each session's part.
void HeldRecords::begin_run(const SessionId& session) {
  run_id_ = session;
  run_done_ = !rule_on("G4-run");
  if (run_done_) return;
  if (run_open_) run_unacked_ -= everywhere() - run_next_;  // copies of the one before that never went out
  run_open_ = true;
  run_next_ = 0;
  run_unacked_ += everywhere();
  ++counters_.runs;
}

std::uint64_t HeldRecords::claimed_ordinal() const {
  const Session* s = find(claimed_);
  if (s == nullptr) return 0;
  return s->ordinal != 0 ? s->ordinal : last_ordinal_;  // still waiting: all that was opened is older
}

// A claim covers its session and what is left of older ones; a newer session waits for its own claim.
bool HeldRecords::is_allowed(std::uint64_t ordinal) const {
  return ordinal <= claimed_ordinal() || !rule_on("G4-session");
}

bool HeldRecords::is_blocked() const {
  return role_ == Role::kActive && cursor_ < end_pos() && !is_allowed(at(cursor_).session);
}

// Session marks never reach Kafka; the cursor passes them.
void HeldRecords::skip_marks() {
  const std::uint64_t before = cursor_;
  while (cursor_ < end_pos() && is_session_mark(at(cursor_).envelope.kind) && is_allowed(at(cursor_).session))
    ++cursor_;
  if (cursor_ != before) advance_acked();
}

std::optional<Copy> HeldRecords::next(BootTime now) {
  if (!may_send()) return std::nullopt;
  if (now - roles_sent_ > lease_ && rule_on("G5-lease")) return std::nullopt;
  if (in_flight_bytes_ >= settings_->max_in_flight) return std::nullopt;
  if (run_open_) return control_copy(CopyOf::kRun, RecordKind::kRun, run_id_, run_next_);
  skip_marks();
  if (cursor_ < end_pos() && is_allowed(at(cursor_).session)) {
    const Held& h = at(cursor_);
    if (copy_next_ == 0 && h.envelope.session != run_id_) {
      begin_run(h.envelope.session);
      if (run_open_) return control_copy(CopyOf::kRun, RecordKind::kRun, run_id_, run_next_);
    }
    return held_copy(h);
  }
  if (cursor_ < end_pos() && !blocked_noted_) {
    blocked_noted_ = true;
    note(Note::Kind::kBlocked, at(cursor_).envelope.session);
  }
  return emit_copy();
}

// A.4.9: behind everything else that this claim sends; once per epoch and kind.
std::optional<Copy> HeldRecords::emit_copy() {
  if (emitting_ == Emit::kNone) {
    if (emit_ <= emit_written_) return std::nullopt;
    emitting_ = emit_;
    emit_next_ = 0;
    emit_unacked_ += everywhere();
  }
  const RecordKind kind = emitting_ == Emit::kStale ? RecordKind::kStale : RecordKind::kDown;
  return control_copy(CopyOf::kEmit, kind, claimed_, emit_next_);
}

Copy HeldRecords::control_copy(CopyOf of, RecordKind kind, const SessionId& session, std::uint32_t partition) const {
  Copy c;
  c.ticket = {router_, attempt_, 0, of, 0};
  c.partition = partition;
  c.key = router_;
  c.header.kind = kind;
  c.header.solo = solo_;
  c.header.epoch = epoch_;
  c.header.gen = gen_;
  c.header.node = settings_->node;
  c.header.router = router_;
  c.header.session = session;
  if (kind == RecordKind::kRun) c.header.settled = settles_;
  return c;
}

Copy HeldRecords::held_copy(const Held& h) const {
  const Envelope& e = h.envelope;
  const TopicPlan& plan = settings_->plan;
  std::uint32_t slot = h.partition;
  if (is_control(e.kind))
    slot = copy_next_;
  else if (copy_next_ > 0)
    slot = plan.copies_of(e.kind)[copy_next_ - 1] * settings_->partitions + h.partition % settings_->partitions;
  Copy c = control_copy(CopyOf::kHeld, e.kind, e.session, slot);
  c.is_copy = copy_next_ > 0 && !is_control(e.kind);
  c.header.detached = !is_control(e.kind) && plan.is_detached(slot / settings_->partitions);
  c.ticket.position = cursor_;
  c.ticket.bytes = e.payload_size;
  c.key = e.key;
  c.header.replay = e.read_time < claim_time_ && rule_on("G4-replay");
  c.header.in_dump = e.in_dump;
  c.header.opener = e.opener;
  c.header.seq = e.seq;
  c.header.read_wall_us = e.read_wall_us;
  c.body = h.body;
  return c;
}

void HeldRecords::sent(const Copy& copy) {
  ++counters_.produced;
  if (copy.header.replay) ++counters_.replayed;
  ++in_flight_;
  in_flight_bytes_ += copy.ticket.bytes;
  if (copy.ticket.of == CopyOf::kRun) {
    if (++run_next_ == everywhere()) run_open_ = false;
    return;
  }
  if (copy.ticket.of == CopyOf::kEmit) {
    if (++emit_next_ < everywhere()) return;
    emit_written_ = std::exchange(emitting_, Emit::kNone);
    return;
  }
  Held& h = at(cursor_);
  const std::uint32_t copies = copies_of(h);
  if (copy_next_ == 0) h.pending = copies;
  if (++copy_next_ < copies) return;
  copy_next_ = 0;
  ++cursor_;
}

// --- acknowledgements

void HeldRecords::answered(const Ticket& ticket, bool delivered) {
  if (ticket.attempt != attempt_ && rule_on("G2-attempt")) {
    ++counters_.late_answers;
    return;
  }
  ++(delivered ? counters_.acknowledged : counters_.skipped);
  --in_flight_;
  in_flight_bytes_ -= ticket.bytes;
  if (!delivered)
    note(Note::Kind::kSkipped, claimed_,
         ticket.of == CopyOf::kHeld && ticket.position >= front_ ? at(ticket.position).envelope.seq : 0);
  switch (ticket.of) {
    case CopyOf::kRun:
      --run_unacked_;
      if (run_unacked_ == 0) run_done_ = true;
      break;
    case CopyOf::kEmit:
      if (--emit_unacked_ == 0) emit_acked_ = emit_written_;
      break;
    case CopyOf::kHeld:
      answered_held(ticket);
      break;
  }
  advance_acked();
  if (role_ == Role::kReleasing && in_flight_ == 0) finish_release();
}

void HeldRecords::answered_held(const Ticket& ticket) {
  if (ticket.position < front_ || ticket.position >= end_pos()) return;
  Held& h = at(ticket.position);
  if (h.pending > 0) --h.pending;
  const bool all_sent = ticket.position < cursor_;
  if (h.pending == 0 && all_sent) h.acked = h.ever_acked = true;
}

// The acknowledged prefix of this claim. It does not begin before the `run` stands in every partition.
void HeldRecords::advance_acked() {
  if (run_unacked_ > 0 && rule_on("G2-run")) return;
  while (acked_ < cursor_) {
    const Held& h = at(acked_);
    if (!is_session_mark(h.envelope.kind) && !h.acked && rule_on("G2-acked")) break;
    if (Session* s = find(h.envelope.session)) s->acked_seq = std::max(s->acked_seq, h.envelope.seq);
    ++acked_;
  }
  advance_w();
}

// G2: drained_time of the newest record of the acknowledged prefix; it stands still while a dump is being sent. The end
// of a session is no record of the router's: its link may have been dead for long, with a socket that looked empty.
void HeldRecords::advance_w() {
  std::uint64_t newest = acked_;
  while (newest > front_ && at(newest - 1).envelope.kind == RecordKind::kSessionEnd && rule_on("G2-end")) --newest;
  if (newest <= claim_pos_ || newest <= front_ || lapsed_) return;
  if (rule_on("G2-freeze"))
    for (auto d = dumps_.rbegin(); d != dumps_.rend(); ++d) {
      if (d->first_pos >= acked_) continue;
      if (!d->synced || d->last_pos >= acked_) return;
      break;
    }
  const BootTime seen =
      rule_on("G2-drained") ? at(newest - 1).envelope.drained_time : at(newest - 1).envelope.read_time;
  w_ = w_ ? std::max(*w_, seen) : seen;
}

// --- status

bool HeldRecords::has_unsent() const {
  return may_send() && (run_open_ || emit_ > emit_written_ || (cursor_ < end_pos() && !is_blocked()));
}

bool HeldRecords::is_empty() const {
  if (role_ != Role::kStandby || !held_.empty()) return false;
  return std::all_of(sessions_.begin(), sessions_.end(), [](const Session& s) { return s.ended && s.waiting.empty(); });
}

bool HeldRecords::is_torn() const {
  if (!roles_known_ || role_ == Role::kActive) return false;
  if (torn_session_ != 0) return true;
  const Session* s = newest();
  const Dump* d = s != nullptr ? open_dump(s->ordinal) : nullptr;
  return d != nullptr && d->cut;
}

bool HeldRecords::has_unsent_tail() const {
  return std::any_of(sessions_.begin(), sessions_.end(), [this](const Session& s) {
    if (!s.ended || !s.last_data || *s.last_data < front_) return false;
    if (role_ == Role::kStandby) return !at(*s.last_data).ever_acked && s.last_data_read > covered_to_;
    return *s.last_data >= acked_;
  });
}

GateRouter HeldRecords::status() const {
  GateRouter g;
  g.router = router_;
  g.name = name_;
  if (const Session* s = newest()) {
    g.session = s->id;
    g.up = s->up && !s->ended;
    // Before a session's first record its dump has yet to come.
    g.in_dump = torn_session_ == s->ordinal || open_dump(s->ordinal) != nullptr || s->last_seq == 0;
    g.read_paused = s->read_paused;
    g.last_read = s->last_read;
    if (g.up) g.peers_up = s->peers_up;
    g.front_is_opener = held_.empty() ? s->ended : held_.front().envelope.seq == 1;
  } else {
    g.front_is_opener = !came_any_;
  }
  g.torn = is_torn();
  g.role = lapsed_ && role_ == Role::kActive && !solo_ ? Role::kStandby : role_;  // as ha-arbiter has to know it
  g.solo = solo_ && role_ == Role::kActive;
  g.unclean = unclean_;
  g.epoch = epoch_;
  if (g.role != Role::kStandby) g.claimed_session = claimed_;
  g.blocked = is_blocked();
  g.unsent_tail = has_unsent_tail();
  g.w = w_;
  if (role_ != Role::kStandby && acked_ < end_pos() && is_allowed(at(acked_).session))
    g.oldest_unacked = at(acked_).envelope.read_time;
  g.in_flight = in_flight_;
  g.bytes = bytes_;
  g.records = held_.size();
  g.trimmed_to = trimmed_to_;
  g.brackets = brackets();
  g.emitted = static_cast<std::uint8_t>(emit_acked_);
  return g;
}

}  // namespace bmpha::gate
