// The decision: which of the routers that this node has it forwards, and under which claim (rules A4.1 to A4.9 of the
// protocol).
//
// Use: feed it the gate's table, readings of Redis, results of claims, commands and the time; call decide() after each
// input and at every tick. It answers with the ROLES table for the gate, the claims to attempt and what to log.
//
// Implementation: pure and deterministic. No I/O, no clock, no randomness; copyable, so that a test can explore it.
// One small state per router; each rule is a function of its own in decider_rules.cc. Inputs: decider.cc. What leaves
// (the node's blob, ROLES): decider_output.cc.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/log.h"
#include "common/role.h"
#include "ha-arbiter/cluster.h"
#include "ha-arbiter/timing.h"

namespace bmpha::explore {
struct StateBytes;
}

namespace bmpha::arbiter {

// What one role is for: every router by itself, or the collector with all its routers, as in the tools that this one
// descends from. The second holds while all live nodes are set so.
enum class Grain : std::uint8_t { kRouter, kCollector };

struct DeciderSettings {
  std::string node;
  Grain grain = Grain::kRouter;
  std::uint64_t inc = 0;  // of this process
  Nanos tick = Millis(500);
  Nanos redis_timeout = Millis(400);
  Nanos ttl = Millis(2000);
  Nanos margin = Millis(2000);
  bool by_age = false;        // a standby drops what is older than `hold`, whatever the owner has sent
  Nanos hold = Millis(2000);  // that age
  bool check_bounds = true;   // A.7 at each tick, with what was measured; without a clock there is nothing to measure
  Nanos lease = Millis(1500);
  Nanos stale_delay = Millis(10'000);
  Nanos down_delay = Millis(900'000);
  Nanos stall_timeout = Millis(30'000);
  Nanos gate_silent = Millis(1500);
  Nanos release_wait = Millis(1500);  // kafka-gate waits that long for records in flight
};

// What outlives the process (state_file.h).
struct Persisted {
  std::uint64_t epoch = 0;  // highest ever seen
  std::uint64_t gen = 0;    // 0: never ran here
  bool unsettled = false;   // records may have been sent under `gen` that no claim has settled yet
  bool operator==(const Persisted&) const = default;
};

enum class Command : std::uint8_t { kRestamp, kForceActive, kForceStandby, kAutomatic, kLeave };
// An operator's word on one router (decider_orders.cc). It is served until it is done or its time is over; what became
// of it is told in the state dump and in the log.
enum class Order : std::uint8_t {
  kNone,
  kGive,    // the session becomes the youngest: another node takes over
  kTake,    // this node becomes the owner: the others' sessions become younger than its own
  kResync,  // a new, complete dump reaches Kafka
  kReset,   // the session is closed, so that the router dials again
  kForget,  // the router is gone for good: `down` at once, and no entry any more
  kRaise,   // a new claim, above every epoch that the sink may have seen
};
const char* order_name(Order o);
enum class Mode : std::uint8_t { kAutomatic, kForcedActive, kForcedStandby };
const char* mode_name(Mode m);

struct Event {
  LogLevel level = LogLevel::kInfo;
  std::string what;
  RouterId router;  // zero: concerns the node
  std::string name;
  std::string why;
  std::uint64_t epoch = 0;  // 0: none
};

struct Decision {
  std::optional<Roles> roles;  // none: say nothing to the gate
  std::optional<ClaimBatch> claims;
  std::vector<std::pair<RouterId, std::string>> forget;  // owners to remove, with the expected value
  std::vector<Event> events;
  bool tick_soon = false;  // others should hear of this before the next regular tick
};

// Another node as this one sees it.
struct NodeView {
  struct Router {
    RouterEntry entry;
    std::optional<BootTime> w;          // on this host's clock
    std::optional<BootTime> last_read;  // likewise
  };
  NodeBlob blob;
  bool readable = false;  // its blob could be decoded
  bool present = false;   // its key exists
  std::int64_t pub_ms = 0;
  BootTime advanced;  // when its tick last rose, on this host's clock
  std::map<RouterId, Router> routers;
};

struct Errand {
  Order order = Order::kNone;
  bool wishes = false;  // the other nodes are asked for the router
  SessionId old;        // the session that is closed
  BootTime begun, wished_at, deadline;
};
struct ErrandEnd {
  Order order = Order::kNone;  // none: there was no errand yet
  bool ok = false;
  std::string how;
  BootTime at;
};

// One router here.
struct RouterState {
  RouterId router;
  std::string name;
  // Health (A4.1)
  Hold hold = Hold::kNone;
  std::uint8_t cls = 3;
  bool stalled = false;
  SessionId session_seen;  // the session that `since` belongs to
  std::uint64_t since = 0;
  std::uint64_t max_since = 0;  // largest seen anywhere
  BootTime read_baseline;       // last_read while the dump went on
  BootTime last_read;
  std::optional<BootTime> behind_since;  // another node reads on since then
  bool fresh_gate = false;               // kafka-gate restarted; what it holds has not been checked yet
  bool old_row = false;                  // ... and has not said anything of this router
  // The claim being served, or the last one
  Role role = Role::kStandby;
  bool solo = false;       // taken, or kept, without Redis; not yet re-asserted
  bool solo_sent = false;  // likewise, and stays until the gen is settled
  bool unclean = false;
  std::uint64_t epoch = 0;
  SessionId session;
  bool claimed_up = false;  // the session was up when it was claimed
  BootTime claimed_at;
  bool replayed = false;   // everything read before that is acknowledged under this claim
  bool gate_lost = false;  // kafka-gate restarted before: what it had still to replay is gone
  bool gate_new = false;   // kafka-gate restarted: what the one before handed over under this claim may still land
  BootTime start;          // zero: everything held
  std::vector<SettledGen> settles;
  std::map<std::string, std::uint64_t> handled;  // gens settled by this claim
  std::optional<BootTime> w;                     // delivered watermark under `epoch`
  std::optional<BootTime> w_sent;                // as in the blob on its way
  std::optional<BootTime> w_confirmed;           // as Redis has it
  BootTime released_at;
  // Trimming
  std::optional<BootTime> cover;  // last one given, or W at the release (F2)
  bool cover_now = false;         // may be given now
  bool unserved = false;          // grain = collector: the active collector has nothing of it
  // Nobody has it (A4.9)
  Emit emit = Emit::kNone;
  std::optional<BootTime> unheld_since;
  SessionId reset;                     // bmp-recv is asked to close this session
  std::optional<BootTime> torn_since;  // must own, and cannot continue
  // Orders
  Errand errand;
  ErrandEnd errand_end;  // of the last one
  // For people
  std::optional<BootTime> changed_at;
  std::string why;
};

class Decider {  // NOLINT: in the order of reading, not of size
 public:
  Decider(DeciderSettings settings, const Persisted& persisted, BootTime now, std::int64_t wall_ms);

  // --- inputs
  // The regular tick is due now.
  void begin_tick(BootTime now);
  // The store was asked who uses this node's name: nobody (none), or an earlier process that is gone and left this
  // blob. Before this call nothing is decided, except that Redis stays unreachable.
  void join(const NodeReading* left_behind, std::int64_t redis_ms, BootTime at, BootTime now);
  // True: something changed that deserves a decision at once.
  bool gate(const GateStatus& status, BootTime now);
  void observe(const Observation& reading, BootTime now);
  void claims_answered(const std::vector<bool>& won, std::int64_t redis_ms, BootTime now);
  void claims_failed(BootTime now);  // no answer: they may have been made or not
  void command(Command command, BootTime now);
  // `patience`: how long it is tried. Empty, or why it cannot be done.
  std::string order(Order order, const RouterId& router, Nanos patience, BootTime now);
  std::string cancel(const RouterId& router, BootTime now);
  // The next claims get epochs above this one.
  void raise_epoch(std::uint64_t above) { highest_epoch_ = std::max(highest_epoch_, above); }
  void set_delays(Nanos stale, Nanos down, Nanos stall) {
    s_.stale_delay = stale;
    s_.down_delay = down;
    s_.stall_timeout = stall;
  }

  // --- outputs
  Decision decide(BootTime now);
  // The blob to write now; each call counts a tick.
  NodeBlob blob(BootTime now);
  // Estimate of Redis' time, 0 when it was never read.
  std::int64_t redis_ms(BootTime now) const;
  // To be stored before anything else of a decision takes effect.
  Persisted persisted() const { return {highest_epoch_, gen_, unsettled_}; }
  // After Command::kLeave: others own what this node owned, or nobody else can.
  bool may_exit(BootTime now) const;
  // The last table: nothing is active.
  Roles farewell(BootTime now);

  // --- for people and tests
  const DeciderSettings& settings() const { return s_; }
  const std::map<RouterId, RouterState>& routers() const { return routers_; }
  const std::map<std::string, NodeView>& nodes() const { return nodes_; }
  const std::map<RouterId, OwnEntry>& owners() const { return own_; }
  const GateStatus& gate_status() const { return status_; }
  const GateRouter* row(const RouterId& router) const;
  // Where an errand stands; empty: there is none.
  std::string errand_step(const RouterState& st) const;
  bool is_live(const NodeView& v, BootTime now) const;
  // A live node has one role for all its routers and this one has not, or the other way round.
  bool differs_in_grain(const NodeView& v, BootTime now) const;
  bool has_joined() const { return joined_; }
  bool is_solo() const { return solo_; }
  bool is_leaving() const { return leaving_; }
  bool gate_is_silent(BootTime now) const;
  bool claims_pending() const { return !pending_.empty(); }
  // How this node ranks as one whole; none while each router ranks by itself.
  std::optional<CollectorEntry> collector() const {
    return s_.grain == Grain::kCollector ? std::optional(collector_) : std::nullopt;
  }
  // The node that is active for all routers; none where each router has an owner of its own.
  std::optional<std::string> first_collector(BootTime now) const;
  Mode mode() const { return mode_; }
  std::uint64_t gen() const { return gen_; }
  Nanos lateness() const { return lateness_; }
  // Why nothing may be trimmed now, as far as that is a matter of timing (A.7).
  std::optional<BrokenBound> broken_timing() const;

 private:
  friend struct explore::StateBytes;  // tests compare whole states
  struct Pending {
    RouterId router;
    std::string expected;
    std::uint64_t epoch = 0;
    BootTime start;
    std::optional<BootTime> w;
    SessionId session;
    std::uint64_t gate_inc = 0;  // of the kafka-gate that it was decided for
    bool up = false;
    Emit emit = Emit::kNone;
    std::vector<SettledGen> settles;
    std::map<std::string, std::uint64_t> handled;
    std::string why;
  };
  struct LostClaim {
    std::uint64_t epoch = 0;
    std::optional<BootTime> w;
  };
  // Where a claim made now would begin.
  struct StartPoint {
    BootTime at;              // zero: everything held
    bool everything = false;  // W is not known
    bool held = true;         // what is held reaches back to it
  };
  struct Rank {
    bool unforced = true;
    std::uint8_t cls = 3;
    bool torn = false;
    std::uint64_t since = 0;
    std::string id;
    auto operator<=>(const Rank&) const = default;  // NOLINT: clang-tidy 14 misreads it
  };

  // decider.cc
  void awake(BootTime now);
  void hang(const std::string& why, BootTime now);
  void read_node(const std::string& id, const NodeReading& reading, const Observation& o);
  void take_back(const NodeBlob& blob, BootTime pub_at);
  bool apply_gate_rows(const GateStatus& status, BootTime now);
  void won(const Pending& p, BootTime now);
  // What is beyond any clock is not counted on from: nobody could read what follows it.
  static void raise(std::uint64_t& highest, std::uint64_t seen);
  RouterState& state(const RouterId& router);
  std::uint64_t new_since(RouterState& st, BootTime now);
  void restamp(RouterState& st, BootTime now) { st.since = new_since(st, now); }

  // decider_orders.cc
  std::string obstacle(Order order, const RouterState& st, BootTime now) const;
  std::string obstacle_to_forget(const RouterState& st, BootTime now) const;
  bool has_heir(const RouterState& st, BootTime now) const;
  void begin(Order order, RouterState& st, Nanos patience, BootTime now);
  void end(RouterState& st, bool ok, const std::string& how, BootTime now);
  void serve_errand(RouterState& st, BootTime now);
  void serve_resync(RouterState& st, BootTime now);
  void wish(RouterState& st, BootTime now);
  void give_way(RouterState& st, BootTime now);
  bool is_dump_kept(const RouterState& st) const;
  SessionId session_to_close(const RouterState& st) const;
  std::optional<BootTime> first_of_dump(const RouterState& st) const;

  // decider_rules.cc
  bool is_quiet(BootTime now) const;
  void refresh(BootTime now);
  void note_session(RouterState& st, BootTime now);
  void note_watermark(RouterState& st);
  void note_replay(RouterState& st);
  void adopt_lost_claim(RouterState& st);
  void finish_release(RouterState& st, BootTime now);
  void classify(RouterState& st, BootTime now);
  bool is_node_sick(BootTime now) const;
  bool is_kafka_just_failing(BootTime now) const;
  bool is_torn(const RouterState& st, BootTime now) const;
  bool is_gate_behind(RouterState& st, BootTime now) const;
  bool is_in_dump(const RouterState& st, BootTime now) const;
  bool is_stalled(RouterState& st, BootTime now);
  Rank my_rank(const RouterState& st) const;
  static Rank rank_of(const NodeView& v, const NodeView::Router& r);
  bool should_own(const RouterState& st, BootTime now) const;
  bool is_session_lost(const RouterState& st, BootTime now) const;
  bool is_superseded(const RouterState& st) const;
  bool is_other_active(const RouterState& st, BootTime now) const;
  bool needs_own_gen(const RouterState& st) const;
  bool needs_reassert(const RouterState& st, BootTime now) const;
  bool is_unhandled(const RouterState& st, const NodeView& v, BootTime now) const;
  bool is_last_owner(const RouterState& st) const;
  StartPoint start_point(const RouterState& st, BootTime now) const;
  bool has_whole_dump(const RouterState& st) const;
  void decide_router(RouterState& st, bool fresh, BootTime now);
  void decide_unheld(RouterState& st, bool fresh, BootTime now, Decision& d);
  bool is_held_by_anyone(const RouterState& st, BootTime now) const;
  bool is_emitter(const RouterState& st, BootTime now) const;
  void serve_solo(RouterState& st, BootTime now);
  void go_solo(BootTime now);
  void release(RouterState& st, const std::string& why, BootTime now);
  void released(RouterState& st, bool unclean, BootTime now);
  void claim(RouterState& st, const std::string& why, BootTime now);
  void claim_held(RouterState& st, const std::string& why, BootTime now);
  bool has_lapsed(const RouterState& st) const;
  void add_claim(Pending p, RouterState& st, BootTime now);
  void settle_quietly(BootTime now);
  void echo_gens(BootTime now);
  void forget_unused();
  Nanos since_observed(BootTime now) const { return now - last_ok_; }

  // decider_collector.cc
  void restamp_collector(const std::string& why, BootTime now);
  void stamp_at_start(BootTime now);
  void yield_collector(const RouterState& st, BootTime now);
  void note_collector(BootTime now);
  void note_unserved(RouterState& st, BootTime now);
  bool is_better_elsewhere(const RouterState& st, BootTime now) const;
  void watch_grain(BootTime now);

  // decider_output.cc
  Roles roles(BootTime now);
  RoleRouter role_row(RouterState& st, BootTime now);
  std::optional<BootTime> standby_cover(RouterState& st, BootTime now);
  std::optional<BootTime> standby_line(RouterState& st, BootTime now);
  bool is_over(const RouterState& st, BootTime now) const;
  std::optional<BootTime> owner_cover(const RouterState& st, BootTime now) const;
  bool may_trim(BootTime now) const;
  RouterEntry entry(const RouterState& st, BootTime now) const;
  NodeBlob blob_head(BootTime now);
  bool is_shown(const RouterState& st) const;
  ClaimBatch claim_batch(BootTime now);
  bool is_pending(const RouterId& router) const {
    return std::any_of(pending_.begin(), pending_.end(), [&](const Pending& p) { return p.router == router; });
  }

  void note(LogLevel level, const std::string& what, const std::string& why) {
    events_.push_back({level, what, {}, {}, why, 0});
  }
  void note(LogLevel level, const std::string& what, const RouterState& st, const std::string& why) {
    events_.push_back({level, what, st.router, st.name, why, st.epoch});
  }

  DeciderSettings s_;
  std::map<RouterId, RouterState> routers_;
  // The cluster
  std::map<std::string, NodeView> nodes_;  // without this one
  std::map<RouterId, OwnEntry> own_;
  std::int64_t redis_ms_ = 0;
  BootTime redis_at_;
  BootTime last_ok_;
  bool ever_ok_ = false;   // Redis' time is known
  bool observed_ = false;  // the cluster was read
  bool fresh_ = false;     // a reading came that no decision has used yet
  std::vector<Pending> pending_;
  std::map<RouterId, LostClaim> lost_;
  // The gate
  GateStatus status_;
  bool gate_known_ = false;
  BootTime gate_changed_;
  std::optional<BootTime> kafka_bad_since_;
  bool gate_waits_ = false;  // a restarted gate has not met bmp-recv yet: its rows say nothing
  std::map<RouterId, GateRouter> rows_;
  // This node
  BootTime started_;
  std::int64_t wall_ms_ = 0;
  BootTime awake_at_;
  BootTime woke_at_;
  std::optional<BootTime> last_tick_;
  Nanos lateness_{0};
  Nanos exchange_{0};            // how long the last one with Redis took
  std::string_view broken_key_;  // of broken_timing() at the last tick
  bool joined_ = false;
  bool hung_ = false;  // until the next reading
  bool solo_ = false;
  bool leaving_ = false;
  Mode mode_ = Mode::kAutomatic;
  CollectorEntry collector_;
  bool collector_checked_ = false;  // no other collector's timestamp was above a new one at its start
  bool grain_differs_ = false;
  std::uint64_t tick_no_ = 0;
  std::uint64_t roles_no_ = 0;
  std::uint64_t highest_epoch_ = 0;
  Persisted initial_;
  std::uint64_t gen_ = 0;
  bool unsettled_ = false;
  std::map<std::string, std::uint64_t> seen_;
  std::vector<Event> events_;
  bool tick_soon_ = false;
};

}  // namespace bmpha::arbiter
