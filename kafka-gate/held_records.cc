// The FIFO itself: records and sessions in, dumps as brackets, trimming. Claims and sending: held_sending.cc.
#include "kafka-gate/held_records.h"

#include <algorithm>

#include "common/rules.h"

namespace bmpha::gate {

const char* note_text(Note::Kind kind) {
  switch (kind) {
    case Note::Kind::kServing:
      return "serving claim";
    case Note::Kind::kReleased:
      return "released";
    case Note::Kind::kLapsed:
      return "claim lapsed with its producer";
    case Note::Kind::kBlocked:
      return "new session waits for its claim";
    case Note::Kind::kGap:
      return "records missing";
    case Note::Kind::kTorn:
      return "open dump dropped, byte limit reached";
    case Note::Kind::kCut:
      return "front of dump missing";
    case Note::Kind::kAborted:
      return "old dumps that broke off dropped";
    case Note::Kind::kFreed:
      return "acknowledged records freed, byte limit reached";
    case Note::Kind::kSkipped:
      return "record refused by broker, skipped";
    case Note::Kind::kLate:
      return "record of a session that is over dropped";
  }
  return "unknown";
}

// --- sessions

HeldRecords::Session* HeldRecords::find(const SessionId& id) {
  for (Session& s : sessions_)
    if (s.id == id) return &s;
  return nullptr;
}
const HeldRecords::Session* HeldRecords::find(const SessionId& id) const {
  for (const Session& s : sessions_)
    if (s.id == id) return &s;
  return nullptr;
}

// The session that was opened last in the FIFO.
HeldRecords::Session* HeldRecords::newest() {
  Session* best = nullptr;
  for (Session& s : sessions_)
    if (s.ordinal != 0 && (best == nullptr || s.ordinal > best->ordinal)) best = &s;
  return best;
}
const HeldRecords::Session* HeldRecords::newest() const {
  const Session* best = nullptr;
  for (const Session& s : sessions_)
    if (s.ordinal != 0 && (best == nullptr || s.ordinal > best->ordinal)) best = &s;
  return best;
}

void HeldRecords::open(Session& s) {
  s.ordinal = ++last_ordinal_;
  came_any_ = true;
  torn_session_ = 0;
  blocked_noted_ = false;
  if (s.alive_released.value_or(0) > 0) {
    begin_cut(s, s.alive_released_read);
    s.last_seq = *s.alive_released;
  }
}

// The records of s up to missing_to are not here: what is held is no base for a start before that.
void HeldRecords::begin_cut(const Session& s, BootTime missing_to) {
  trimmed_to_ = std::max(trimmed_to_, missing_to);
  if (Dump* d = open_dump(s.ordinal)) d->cut = true;
  // A claim that was served before this became known (a restart of this process): W is not known.
  if (role_ == Role::kActive && acked_ == claim_pos_ && w_ && *w_ < trimmed_to_) w_.reset();
}

HeldRecords::Taken HeldRecords::record(const Envelope& e, Body body, BootTime now) {
  Session* s = find(e.session);
  if (s == nullptr) {
    const Session* current = newest();
    const bool waits = current != nullptr && !current->ended;
    s = &sessions_.emplace_back();
    s->id = e.session;
    s->flow.id = e.session;
    if (!waits) open(*s);
  }
  s->flow.received += kEnvelopeSize + e.payload_size;
  s->last_read = std::max(s->last_read, e.read_time);
  if (s->ordinal != 0) return append(*s, e, std::move(body), now);
  if (!s->waiting.empty() && e.seq <= s->waiting.back().envelope.seq) {
    ++counters_.duplicates;
    return Taken::kDuplicate;
  }
  bytes_ += cost(e);
  s->waiting.push_back({e, std::move(body)});
  return Taken::kWaiting;
}

HeldRecords::Taken HeldRecords::append(Session& s, const Envelope& e, Body body, BootTime now) {
  if (e.seq <= s.last_seq) {
    ++counters_.duplicates;
    s.flow.told_release = 0;  // bmp-recv still has it: say again what is released
    return Taken::kDuplicate;
  }
  if (s.ended && newest() != &s) {
    ++counters_.late;
    s.last_seq = e.seq;
    note(Note::Kind::kLate, s.id, e.seq);
    return Taken::kDropped;
  }
  if (e.seq != s.last_seq + 1 && !accept_gap(s, e, now)) return Taken::kMissing;
  s.gap_since.reset();
  s.last_seq = e.seq;
  ++counters_.received;
  if (torn_session_ == s.ordinal) {  // its dump was dropped: of no use before the next `synced`
    ++counters_.dropped_torn;
    trimmed_to_ = std::max(trimmed_to_, e.read_time);
    if (e.kind == RecordKind::kSynced) {
      torn_session_ = 0;
      s.synced = true;
    }
    if (e.kind == RecordKind::kSessionEnd) end_session(s);
    return Taken::kDropped;
  }
  hold(s, e, std::move(body));
  if (e.kind == RecordKind::kSessionEnd) end_session(s);
  return Taken::kHeld;
}

// Records before e are missing. True: go on with e, they cannot come any more.
bool HeldRecords::accept_gap(Session& s, const Envelope& e, BootTime now) {
  if (s.last_seq == 0 && !s.alive_released) {  // this process is younger than the session
    begin_cut(s, e.read_time);
    return true;
  }
  if (e.seq <= s.alive_released.value_or(0) + 1) {
    begin_cut(s, s.alive_released_read);
    return true;
  }
  replay_wanted_ = true;
  if (!s.gap_since) s.gap_since = now;
  if (now - *s.gap_since < settings_->gap_wait) return false;
  counters_.gaps += e.seq - s.last_seq - 1;
  note(Note::Kind::kGap, s.id, e.seq - s.last_seq - 1);
  begin_cut(s, e.read_time);
  return true;
}

void HeldRecords::hold(Session& s, const Envelope& e, Body body) {
  const std::uint64_t pos = end_pos();
  Held h;
  h.envelope = e;
  h.body = std::move(body);
  h.session = s.ordinal;
  h.partition = settings_->plan.topic_of(e.topic) * settings_->partitions + partition_of(e.key, settings_->partitions);
  held_.push_back(std::move(h));
  bytes_ += cost(e);
  s.last_pos = pos;
  if (!is_session_mark(e.kind)) {
    s.last_data = pos;
    s.last_data_read = e.read_time;
  }
  note_dump(s, e, pos);
}

// G1: one bracket per session; it opens at the first record and closes at `synced`.
void HeldRecords::note_dump(Session& s, const Envelope& e, std::uint64_t pos) {
  const bool by_peer = e.opener && !e.in_dump && !rule_on("G1-session");
  Dump* d = by_peer ? nullptr : dump_of(s.ordinal);
  if (by_peer || (d == nullptr && !s.synced && (e.seq == 1 || e.in_dump))) {
    d = &dumps_.emplace_back();
    d->session = s.ordinal;
    d->id = s.id;
    // A session that waited for its predecessor's end was read before that; a start in between is in the old one's
    // tail.
    d->first = pos > front_ ? std::max(e.drained_time, at(pos - 1).envelope.read_time) : e.drained_time;
    d->first_pos = pos;
    d->cut = e.seq != 1;
    if (d->cut) note(Note::Kind::kCut, s.id, e.seq);
  }
  if (d == nullptr || d->closed) return;
  d->newest = std::max(d->newest, e.read_time);
  if (e.kind != RecordKind::kSynced) return;
  d->closed = e.read_time;
  d->last_pos = pos;
  d->synced = true;
  s.synced = true;
  if (d->cut) trimmed_to_ = std::max(trimmed_to_, d->newest);
}

void HeldRecords::end_session(Session& s) {
  if (s.ended) return;
  s.ended = s.flow.closed = true;
  s.up = false;
  if (!rule_on("G7-lost") && role_ == Role::kActive) emit_ = Emit::kDown;
  if (torn_session_ == s.ordinal) torn_session_ = 0;
  if (Dump* d = open_dump(s.ordinal)) {  // the dump will not go on; without `synced` it holds W where it is
    d->closed = d->newest;
    d->last_pos = end_pos() - 1;
    if (d->last_pos < front_) std::erase_if(dumps_, [&s](const Dump& x) { return x.session == s.ordinal; });
  }
  drop_aborted();
  open_waiting();
}

// Dumps that never end hold W where it is, and each claim sends them again. Of a router whose sessions keep breaking in
// their dumps only the last few are kept: a start before them is no longer held, so the next whole dump is the start.
void HeldRecords::drop_aborted() {
  const auto is_aborted = [](const Dump& d) { return d.closed && !d.synced; };
  const std::uint64_t limit = role_ == Role::kStandby ? end_pos() : acked_;
  while (std::count_if(dumps_.begin(), dumps_.end(), is_aborted) > kMaxAborted) {
    const auto oldest = std::find_if(dumps_.begin(), dumps_.end(), is_aborted);
    if (oldest->last_pos >= limit) return;
    const std::uint64_t count = oldest->last_pos - front_ + 1;
    counters_.dropped_aborted += count;
    note(Note::Kind::kAborted, oldest->id, count);
    drop_front(static_cast<std::size_t>(count));
  }
}

// Sessions that came before their predecessor had ended follow in order.
void HeldRecords::open_waiting() {
  for (;;) {
    const Session* current = newest();
    if (current != nullptr && !current->ended) return;
    const auto next = std::find_if(sessions_.begin(), sessions_.end(), [](const Session& s) { return s.ordinal == 0; });
    if (next == sessions_.end()) return;
    Session& s = *next;
    open(s);
    std::deque<Waiting> waiting = std::move(s.waiting);
    s.waiting.clear();
    for (Waiting& w : waiting) {
      bytes_ -= cost(w.envelope);
      append(s, w.envelope, std::move(w.body), w.envelope.read_time);
    }
  }
}

void HeldRecords::alive(const AliveSession& row) {
  if (!row.name.empty()) name_ = row.name;
  Session* s = find(row.session);
  if (s == nullptr) {
    came_any_ = true;
    if (!row.up && row.last_seq <= row.released_seq) {  // over, and all of it released by an earlier process
      trimmed_to_ = std::max(trimmed_to_, row.released_read_time);
      return;
    }
    const Session* current = newest();
    const bool waits = current != nullptr && !current->ended;
    s = &sessions_.emplace_back();
    s->id = row.session;
    s->flow.id = row.session;
    s->alive_released = row.released_seq;
    s->alive_released_read = row.released_read_time;
    if (!waits) open(*s);
  }
  s->alive_released = row.released_seq;
  s->alive_released_read = row.released_read_time;
  s->read_paused = row.read_paused;
  s->peers_up = row.peers_up;
  s->last_read = std::max(s->last_read, row.last_read);
  if (s->ordinal == 0 || s->ended) return;
  s->up = row.up;
  if (row.released_seq > s->last_seq) {  // released towards another process: it will not come
    begin_cut(*s, row.released_read_time);
    s->last_seq = row.released_seq;
  }
  if (!row.up && row.last_seq <= s->last_seq) end_session(*s);
}

void HeldRecords::alive_done(std::uint64_t recv_inc, const std::vector<SessionId>& listed) {
  const auto is_listed = [&](const Session& s) {
    return std::find(listed.begin(), listed.end(), s.id) != listed.end();
  };
  for (std::size_t n = 0; n < sessions_.size(); ++n) {
    Session& s = sessions_[n];
    if (s.id.recv_inc == recv_inc && s.ordinal != 0 && !s.ended && !is_listed(s)) end_session(s);
  }
  const std::uint64_t keep = newest() != nullptr ? newest()->ordinal : 0;
  std::erase_if(sessions_, [&](const Session& s) {
    return s.ordinal != 0 && s.ordinal != keep && s.ended && !is_listed(s) && s.last_pos < front_;
  });
}

void HeldRecords::receiver_changed() {
  for (std::size_t n = 0; n < sessions_.size(); ++n) {
    if (sessions_[n].ordinal == 0) continue;  // opened by the end of its predecessor
    end_session(sessions_[n]);
  }
  for (std::size_t n = 0; n < sessions_.size(); ++n) end_session(sessions_[n]);
}

void HeldRecords::restart_flow() {
  for (Session& s : sessions_) {
    s.flow.received = 0;
    s.flow.granted = kInitialCredit;
    s.flow.told_release = s.flow.told_granted = 0;
  }
}

void HeldRecords::update_release(Session& s) const {
  // Held by a standby counts as safe: the owner's progress covers it. Before the first roles nobody knows what this
  // gate is.
  const bool by_holding = roles_known_ && (role_ == Role::kStandby || !rule_on("A3-release"));
  s.flow.release_seq = std::max({s.flow.release_seq, s.acked_seq, by_holding ? s.last_seq : 0});
}

// --- dumps

HeldRecords::Dump* HeldRecords::dump_of(std::uint64_t ordinal) {
  for (Dump& d : dumps_)
    if (d.session == ordinal) return &d;
  return nullptr;
}
HeldRecords::Dump* HeldRecords::open_dump(std::uint64_t ordinal) {
  Dump* d = dump_of(ordinal);
  return d != nullptr && !d->closed ? d : nullptr;
}
const HeldRecords::Dump* HeldRecords::open_dump(std::uint64_t ordinal) const {
  for (const Dump& d : dumps_)
    if (d.session == ordinal && !d.closed) return &d;
  return nullptr;
}

const HeldRecords::Dump* HeldRecords::dump_at(std::uint64_t pos) const {
  for (const Dump& d : dumps_)
    if (d.first_pos <= pos && (!d.closed || pos <= d.last_pos)) return &d;
  return nullptr;
}

// Dumps that broke off one after another are one bracket, and so are the oldest of very many: a start that falls in
// between then steps back further than it must, never less.
std::vector<Bracket> HeldRecords::brackets() const {
  std::vector<Bracket> out;
  const std::size_t old = dumps_.size() - std::min(dumps_.size(), kMaxBrackets);
  bool was_aborted = false;
  for (std::size_t n = 0; n < dumps_.size(); ++n) {
    const Dump& d = dumps_[n];
    const bool aborted = d.closed && !d.synced;
    if (!out.empty() && ((aborted && was_aborted) || n <= old)) {
      out.back().session = d.id;
      out.back().synced = d.closed;
    } else {
      out.push_back({d.id, d.first, d.closed});
    }
    was_aborted = aborted;
  }
  return out;
}

// --- trimming

// G3: drops what was read before the line; a dump whole or not at all. An active router keeps what is not
// acknowledged.
void HeldRecords::trim(BootTime line) {
  const std::uint64_t limit = role_ == Role::kActive && rule_on("G3-acked") ? acked_ : end_pos();
  const std::uint64_t before = front_;
  while (!held_.empty()) {
    const Dump* d = rule_on("G3-bracket") ? dump_at(front_) : nullptr;
    if (d != nullptr) {
      if (!d->closed || d->last_pos >= limit || d->newest >= line) break;
      drop_front(static_cast<std::size_t>(d->last_pos - front_ + 1));
    } else {
      if (front_ >= limit || held_.front().envelope.read_time >= line) break;
      drop_front(1);
    }
  }
  counters_.trimmed += front_ - before;
}

void HeldRecords::drop_front(std::size_t count) {
  for (std::size_t n = 0; n < count && !held_.empty(); ++n) {
    const Envelope& e = held_.front().envelope;
    trimmed_to_ = std::max(trimmed_to_, e.read_time);
    bytes_ -= cost(e);
    held_.pop_front();
    ++front_;
  }
  for (Dump& d : dumps_)
    if (d.first_pos < front_) {
      d.cut = true;
      // A start inside a dump without its front is no start: not before what follows the dump.
      if (d.synced && d.last_pos >= front_) trimmed_to_ = std::max(trimmed_to_, d.newest);
    }
  std::erase_if(dumps_, [this](const Dump& d) { return d.closed && d.last_pos < front_; });
  acked_ = std::max(acked_, front_);
  if (cursor_ < front_) {
    cursor_ = front_;
    copy_next_ = 0;
  }
}

// --- byte limit

void HeldRecords::free_acknowledged(std::uint64_t want) {
  if (role_ != Role::kActive) return;
  const std::uint64_t bytes_before = bytes_;
  const std::uint64_t before = front_;
  while (front_ < acked_ && bytes_before - bytes_ < want) drop_front(1);
  counters_.freed += front_ - before;
  if (front_ != before) note(Note::Kind::kFreed, claimed_, bytes_before - bytes_);
}

bool HeldRecords::can_tear() const {
  const Session* s = newest();
  return role_ == Role::kStandby && roles_known_ && s != nullptr && !held_.empty() && open_dump(s->ordinal) != nullptr;
}

// What stands before the open dump is no use either: a start there would run into the hole.
void HeldRecords::tear() {
  if (!can_tear()) return;
  const Session* s = newest();
  note(Note::Kind::kTorn, s->id, bytes_);
  counters_.dropped_torn += held_.size();
  torn_session_ = s->ordinal;
  drop_front(held_.size());
  dumps_.clear();
}

}  // namespace bmpha::gate
