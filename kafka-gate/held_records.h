// Everything that the gate holds of one router: one FIFO of records, one cursor, and the rules by which they are
// sent, replayed, acknowledged, trimmed and released (rules G1-G7 of the protocol).
//
// Use: feed it records, tables of sessions, roles, answers of Kafka and the time; ask it for the next copy to send,
// for what may be released at bmp-recv, and for its row in the status table.
//
// Implementation: pure and deterministic. No I/O, no clock, no randomness; copyable, so that a test can explore it.
// A record has a position that never changes; the FIFO is the range [front_, end). Three marks stand in it:
// acked_ (everything of this claim before it is acknowledged) <= cursor_ (next to send) <= end.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/kafka_header.h"
#include "common/link.h"
#include "common/record.h"
#include "common/role.h"
#include "kafka-gate/partition.h"

namespace bmpha::explore {
struct StateBytes;
}

namespace bmpha::gate {

// A record's Kafka value and whoever keeps its bytes alive. Opaque here.
struct Body {
  std::shared_ptr<const void> owner;
  Bytes value;
};

// What a copy handed to Kafka is.
enum class CopyOf : std::uint8_t { kHeld, kRun, kEmit };

// Names one copy when Kafka answers. `attempt` tells copies that still count from those of an earlier start.
struct Ticket {
  RouterId router;
  std::uint64_t attempt = 0;
  std::uint64_t position = 0;
  CopyOf of = CopyOf::kHeld;
  std::uint32_t bytes = 0;
};

// One Kafka record to produce.
struct Copy {
  Ticket ticket;
  std::uint32_t partition = 0;  // counted through all topics: a slot of partition.h
  bool is_copy = false;         // of a record of another topic: the value is empty, the body goes into a header
  Hash128 key;
  KafkaHeader header;
  Body body;  // empty for control records
};

// What happened, for the log.
struct Note {
  enum class Kind : std::uint8_t {
    kServing,   // a claim is being served; value = epoch
    kReleased,  // value = copies that were unanswered
    kLapsed,    // the producer was lost; value = copies that were unanswered
    kBlocked,   // a newer session waits for a claim of its own
    kGap,       // records of the session are missing; value = how many
    kTorn,      // G6 dropped an open dump; value = bytes
    kCut,       // the front of a dump is missing (this process began after it)
    kAborted,   // the oldest of many dumps that broke off was dropped; value = records
    kFreed,     // G6 freed acknowledged records; value = bytes
    kSkipped,   // Kafka refused a record for ever; value = its sequence
    kLate,      // a record of a session that is over
  };
  Kind kind;
  RouterId router;
  SessionId session;
  std::uint64_t value = 0;
};
const char* note_text(Note::Kind kind);

struct HeldCounters {
  std::uint64_t received = 0;         // records accepted from bmp-recv
  std::uint64_t duplicates = 0;       // received again after a HELLO
  std::uint64_t gaps = 0;             // sequence numbers that never came
  std::uint64_t late = 0;             // records of a session that is over, dropped
  std::uint64_t dropped_torn = 0;     // records dropped by G6 or because their dump was
  std::uint64_t dropped_aborted = 0;  // records dropped with dumps that broke off
  std::uint64_t produced = 0;         // copies handed to Kafka
  std::uint64_t replayed = 0;         // ... of them with the replay flag
  std::uint64_t acknowledged = 0;     // copies that Kafka acknowledged
  std::uint64_t late_answers = 0;     // answers for an earlier start, ignored
  std::uint64_t skipped = 0;          // copies that Kafka refused for ever
  std::uint64_t trimmed = 0;          // records covered by the owner, or too old, and dropped
  std::uint64_t aged = 0;             // ... of them for their age alone
  std::uint64_t freed = 0;            // acknowledged records freed by the byte limit
  std::uint64_t runs = 0;             // `run` records written (each to every partition)
};

class HeldRecords {
 public:
  struct Settings {
    std::string node;
    std::uint32_t partitions = 16;  // of each topic
    TopicPlan plan;                 // control records go to all topics
    Nanos retain = std::chrono::seconds(5);
    Nanos release_wait = Millis(1500);  // in-flight records are waited for this long at a release
    Nanos gap_wait = std::chrono::seconds(3);
    std::uint64_t max_in_flight = 16u << 20;  // bytes of one router handed to Kafka and unanswered
  };
  // Dumps that broke off, and brackets in the status, that are kept apart at most.
  static constexpr std::ptrdiff_t kMaxAborted = 8;
  static constexpr std::size_t kMaxBrackets = 256;
  // Memory of a held record beside its bytes.
  static constexpr std::uint64_t kOverhead = 256;

  // settings must outlive the object.
  HeldRecords(const RouterId& router, const Settings& settings) : router_(router), settings_(&settings) {}

  // --- from bmp-recv
  enum class Taken { kHeld, kWaiting, kDuplicate, kDropped, kMissing };
  // kMissing: records before this one have not come; it was not taken, and bmp-recv must replay.
  Taken record(const Envelope& envelope, Body body, BootTime now);
  // The session's row in ALIVE. Rows of one router come in the order of their numbers.
  void alive(const AliveSession& session);
  // After all rows: sessions of `recv_inc` that the table did not list are over.
  void alive_done(std::uint64_t recv_inc, const std::vector<SessionId>& listed);
  // bmp-recv is another process now: all earlier sessions are over.
  void receiver_changed();

  // --- from ha-arbiter; row: this router's, or none
  void roles(const Roles& head, const RoleRouter* row, BootTime now);

  // --- towards Kafka
  // The next copy to hand over, or none. The same until sent() says that it was handed over.
  std::optional<Copy> next(BootTime now);
  void sent(const Copy& copy);
  // delivered == false: Kafka refused this copy for ever; it is counted and never blocks.
  void answered(const Ticket& ticket, bool delivered);
  // G8: the producer was given up. A claim of which it leaves unanswered copies lapses: they may land late, behind what
  // another producer sends under the same epoch. Nothing more is sent before the next claim, except solo.
  void producer_lost();
  void tick(BootTime now);

  // --- memory (G6)
  std::uint64_t bytes() const { return bytes_; }
  // Frees acknowledged records of an active router from the front, about `want` bytes.
  void free_acknowledged(std::uint64_t want);
  // A standby's open dump can be dropped as a whole.
  bool can_tear() const;
  void tear();

  // --- towards bmp-recv
  struct SessionFlow {
    SessionId id;
    std::uint64_t received = 0;  // bytes since HELLO, envelopes included, duplicates too
    std::uint64_t granted = kInitialCredit;
    std::uint64_t release_seq = 0;
    bool closed = false;             // the session is over: no more credit
    std::uint64_t told_release = 0;  // values of the last CONTROL entry
    std::uint64_t told_granted = 0;
  };
  // Sessions whose flow may need a CONTROL entry; release_seq is up to date.
  template <class F>
  void each_flow(F&& f) {
    for (Session& s : sessions_) {
      update_release(s);
      f(s.flow);
    }
  }
  // A new connection and HELLO: bmp-recv counts from zero and is to be told everything again.
  void restart_flow();

  // --- towards ha-arbiter
  GateRouter status() const;
  const HeldCounters& counters() const { return counters_; }
  const RouterId& router() const { return router_; }
  const std::string& name() const { return name_; }
  Role role() const { return role_; }
  std::uint32_t in_flight() const { return in_flight_; }
  bool has_unsent() const;
  // Nothing is held, no session, no role: may be forgotten.
  bool is_empty() const;
  // A sequence gap stands open: bmp-recv should replay (HELLO again).
  bool take_replay_wanted() { return std::exchange(replay_wanted_, false); }
  std::vector<Note> take_notes() { return std::exchange(notes_, {}); }

 private:
  friend struct explore::StateBytes;  // tests compare whole states
  struct Held {
    Envelope envelope;
    Body body;
    std::uint64_t session = 0;    // ordinal
    std::uint32_t partition = 0;  // as in Copy
    std::uint32_t pending = 0;    // copies not yet acknowledged, once sent
    bool acked = false;           // all copies acknowledged under this claim
    bool ever_acked = false;      // ... or under an earlier one
  };
  // One session's dump (G1), from its first record to its `synced` or the session's end.
  struct Dump {
    std::uint64_t session = 0;  // ordinal
    SessionId id;
    BootTime first;                  // drained_time of its first record
    std::optional<BootTime> closed;  // read_time of `synced`, or of the session's last record
    std::uint64_t first_pos = 0;
    std::uint64_t last_pos = 0;  // valid when closed
    bool synced = false;         // closed by `synced`
    bool cut = false;            // its first record is not held
    BootTime newest;             // largest read_time in it
  };
  struct Waiting {
    Envelope envelope;
    Body body;
  };
  struct Session {
    SessionId id;
    std::uint64_t ordinal = 0;  // order in the FIFO; 0: still waits for an earlier session's end
    std::uint64_t last_seq = 0;
    std::uint64_t acked_seq = 0;
    std::optional<std::uint64_t> alive_released;  // released_seq of the last ALIVE
    BootTime alive_released_read;
    BootTime last_read;
    std::optional<std::uint32_t> peers_up;
    bool up = true;
    bool ended = false;
    bool read_paused = false;
    bool synced = false;
    std::uint64_t last_pos = 0;              // of its newest record
    std::optional<std::uint64_t> last_data;  // position of its newest record that goes to Kafka
    BootTime last_data_read;
    std::optional<BootTime> gap_since;
    std::deque<Waiting> waiting;
    SessionFlow flow;
  };

  static std::uint64_t cost(const Envelope& e) { return kEnvelopeSize + e.payload_size + kOverhead; }
  std::uint64_t end_pos() const { return front_ + held_.size(); }
  Held& at(std::uint64_t pos) { return held_[pos - front_]; }
  const Held& at(std::uint64_t pos) const { return held_[pos - front_]; }

  Session* find(const SessionId& id);
  const Session* find(const SessionId& id) const;
  Session* newest();
  const Session* newest() const;
  Taken append(Session& s, const Envelope& e, Body body, BootTime now);
  bool accept_gap(Session& s, const Envelope& e, BootTime now);
  void open(Session& s);
  void begin_cut(const Session& s, BootTime missing_to);
  void hold(Session& s, const Envelope& e, Body body);
  void note_dump(Session& s, const Envelope& e, std::uint64_t pos);
  void end_session(Session& s);
  void drop_aborted();
  void open_waiting();

  Dump* open_dump(std::uint64_t ordinal);
  const Dump* open_dump(std::uint64_t ordinal) const;
  Dump* dump_of(std::uint64_t ordinal);
  const Dump* dump_at(std::uint64_t pos) const;
  std::vector<Bracket> brackets() const;

  void trim(BootTime line);
  BootTime retained(BootTime cover) const;  // what was read from then on is kept
  void drop_front(std::size_t count);

  void start_claim(const Roles& head, const RoleRouter& row, BootTime now);
  std::uint64_t start_position(BootTime start) const;
  void resume();
  bool is_same_claim(const RoleRouter& row) const {
    return served_any_ && epoch_ == row.epoch && claimed_ == row.session;
  }
  void begin_release(BootTime now);
  void finish_release();
  bool may_send() const { return role_ == Role::kActive && (!lapsed_ || solo_); }
  void reset_sending(std::uint64_t from);
  void begin_run(const SessionId& session);
  std::uint32_t everywhere() const;
  std::uint32_t copies_of(const Held& h) const;
  bool is_allowed(std::uint64_t ordinal) const;
  std::uint64_t claimed_ordinal() const;
  void skip_marks();
  bool is_blocked() const;
  Copy control_copy(CopyOf of, RecordKind kind, const SessionId& session, std::uint32_t partition) const;
  Copy held_copy(const Held& h) const;
  std::optional<Copy> emit_copy();
  void answered_held(const Ticket& ticket);
  void advance_acked();
  void advance_w();
  bool is_torn() const;
  bool has_unsent_tail() const;
  void update_release(Session& s) const;
  void note(Note::Kind kind, const SessionId& session, std::uint64_t value = 0) {
    notes_.push_back({kind, router_, session, value});
  }

  RouterId router_;
  const Settings* settings_;
  std::string name_;

  // FIFO
  std::deque<Held> held_;
  std::uint64_t front_ = 1;
  std::uint64_t bytes_ = 0;
  std::deque<Dump> dumps_;
  std::deque<Session> sessions_;
  std::uint64_t last_ordinal_ = 0;
  std::uint64_t torn_session_ = 0;  // ordinal whose open dump was dropped and is still open
  BootTime trimmed_to_{};
  BootTime covered_to_{};

  // Role
  BootTime roles_sent_{};
  Nanos lease_{};
  Role role_ = Role::kStandby;
  std::uint64_t epoch_ = 0;
  std::uint64_t gen_ = 0;
  SessionId claimed_;  // of the claim being served, or of the last one
  std::vector<SettledGen> settles_;
  BootTime claim_time_{};
  BootTime released_at_{};
  std::optional<BootTime> w_;
  Emit emit_ = Emit::kNone;          // wanted under this epoch
  Emit emit_written_ = Emit::kNone;  // all copies handed over
  Emit emit_acked_ = Emit::kNone;

  // Sending
  std::uint64_t attempt_ = 1;
  std::uint64_t cursor_ = 1;
  std::uint64_t acked_ = 1;
  std::uint64_t claim_pos_ = 1;  // cursor at the claim
  std::uint32_t copy_next_ = 0;  // partition of the next copy of the control record at the cursor
  SessionId run_id_;             // session that the last `run` was written for
  std::uint32_t run_next_ = 0;
  std::uint32_t run_unacked_ = 0;
  Emit emitting_ = Emit::kNone;  // copies of this one are being handed over
  std::uint32_t emit_next_ = 0;
  std::uint32_t emit_unacked_ = 0;
  std::uint32_t in_flight_ = 0;
  std::uint64_t in_flight_bytes_ = 0;

  // Flags of the parts above.
  bool came_any_ = false;  // a session was ever seen
  bool roles_known_ = false;
  bool served_any_ = false;
  bool solo_ = false;
  bool unclean_ = false;
  bool strays_ = false;    // copies of this epoch were given up while they were unanswered
  bool lapsed_ = false;    // ... and their producer is gone
  bool run_open_ = false;  // copies of the run are still to be handed over
  bool run_done_ = false;  // all of its copies are acknowledged
  bool blocked_noted_ = false;
  bool replay_wanted_ = false;

  HeldCounters counters_;
  std::vector<Note> notes_;
};

}  // namespace bmpha::gate
