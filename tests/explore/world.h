// A small world around the real classes: up to three nodes, each with the arbiter's Decider and the gate's HeldRecords,
// one router with two peers in two partitions, Redis (the store's rules in memory), Kafka, and the sink's fence and
// generations behind it. Time goes in steps of one tick; whatever may come in another order or later is a choice that
// an Oracle makes. Copyable, so that every way on from a state can be tried.
//
// world.cc: steps. world_router.cc: the router. world_faults.cc: faults. world_node.cc: a node's step. world_kafka.cc:
// Kafka, the sink, and what must hold.
//
// Nodes learn of one another only what was written to Redis. A step of a node: its bmp-recv reads, its gate hands over,
// Kafka appends, answers come back, the gate's table goes to the arbiter, the arbiter ticks. Each of these may be late.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ha-arbiter/decider.h"
#include "ha-arbiter/join_guard.h"
#include "ha-arbiter/memory_store.h"
#include "kafka-gate/held_records.h"
#include "psql-sink/generations.h"
#include "tests/explore/scenario.h"

namespace bmpha::explore {

inline constexpr int kPeers = 2;
inline constexpr std::uint32_t kPartitions = 2;           // of a topic
inline constexpr std::uint32_t kSlots = 2 * kPartitions;  // of both topics of layout per-object
inline constexpr int kMaxChanges = 16;

// Decides among `ways` (0 is what usually happens). A deviation costs one of the world's budget.
class Oracle {
 public:
  virtual ~Oracle() = default;
  virtual int choose(int ways) = 0;
};

// How the fault goes on; chosen when it begins.
struct FaultState {
  Fault fault = Fault::kNone;
  bool begun = false;
  bool ended = false;
  int victim = 0;
  int steps = 0;  // that it still lasts
};

struct RouterMessage {
  enum class Kind : std::uint8_t { kBegin, kPeerUp, kPeerDown, kRoute, kSynced } kind = Kind::kBegin;
  std::uint8_t peer = 0;
  bool announced = false;
  bool in_dump = false;
  std::array<std::uint8_t, kPeers> versions{};  // by peer: number of the last change when it was written
  Nanos written{0};
  bool operator==(const RouterMessage&) const = default;
};

// The router's end of one BMP session. The table walk covers one peer a step; changes of a peer that it has not
// reached yet are not sent.
struct RouterSession {
  bool open = false;
  bool silent = false;  // nothing comes through
  int walk = 0;         // peers covered; kPeers + 1: `synced` is out
  int dial_in = -1;     // steps until the next session
  int found_in = -1;    // steps until keepalive finds a silent one
  std::vector<RouterMessage> wire;
};

struct Receiver {
  std::uint64_t inc = 0;
  std::uint64_t number = 0;  // of the session
  std::uint64_t seq = 0;
  bool up = false;
  bool in_dump = false;
  Nanos empty_at{0};  // the socket was last seen empty
  Nanos last_read{0};
  Nanos alive_at{0};  // its table last reached the gate
  // Records that the gate has not released yet, also of earlier sessions.
  struct Kept {
    Envelope envelope;
    bool fed = false;  // to the gate that runs now
  };
  std::vector<Kept> ring;
  std::uint64_t released = 0;  // of the present session
  BootTime released_read{};
};

struct NodeWorld {
  std::string id;
  Nanos boot{0};  // its clock's offset
  RouterSession session;
  Receiver recv;
  std::optional<gate::HeldRecords> gate;
  std::uint64_t gate_inc = 0;
  std::uint64_t gate_met = 0;  // the bmp-recv that the gate knows
  std::optional<arbiter::Decider> decider;
  std::optional<arbiter::JoinGuard> guard;  // until it has joined
  int looks = 0;
  arbiter::Persisted stored;
  std::array<std::vector<gate::Copy>, kSlots> in_flight;  // on the way to Kafka
  std::vector<gate::Ticket> answers;
  int kafka_bad = 0, kafka_good = 0;  // steps
  bool kafka_ok = true;
  int dead = 0;  // steps until its processes start again, -1 for ever; 0: alive
  int gate_dead = 0, arbiter_dead = 0, recv_dead = 0;
  int hung = 0, gate_hung = 0, arbiter_hung = 0, recv_hung = 0;  // steps
  // Steps for which a stage is held; kAppend has one for each partition, the second one at the end.
  std::array<int, kStages + kSlots - 1> stalls{};
  bool redis_cut = false, kafka_cut = false;
  // Copies in flight of a hung gate: so many of them land in so many steps; -1: not before it goes on.
  std::array<std::size_t, kSlots> lands{};
  int land_in = -1;
  // What a gate that died had handed over, and lands later.
  std::array<std::vector<gate::Copy>, kSlots> ghosts;
  int ghosts_in = -1;
  bool leaving = false;
  bool soon = false;
  std::uint64_t status_n = 0;
  // What must always hold
  std::uint64_t w_epoch = 0;
  BootTime w;
  // What it wrote to Redis last.
  struct Published {
    std::uint64_t epoch = 0;
    std::optional<Nanos> w;  // in the world's time
    bool settled = true;
  };
  std::optional<Published> published;
};

struct Row {
  bool announced = false;
  std::uint8_t version = 0;
  std::int32_t epoch = 0;
  bool operator==(const Row&) const = default;
};

struct PartitionWorld {
  std::int64_t next = 0;
  sink::Generations generations;
  std::map<int, Row> rows;  // by peer
};

struct RouterPeer {
  bool up = true;
  bool announced = true;
  std::uint8_t version = 0;
};

class World {
 public:
  explicit World(std::shared_ptr<const Scenario> scenario);

  // Every session that is there at the start has ended its dump, everything is quiet.
  void warm_up();
  void step(Oracle& oracle);
  // One step without choices; many of them let everything come to rest.
  void settle();
  // At rest: is the state right, is nothing lost, is there one owner?
  void finish();
  const std::string& violation() const { return violation_; }
  bool is_over() const;   // the faults are over, all changes are out
  bool is_still() const;  // nothing is on its way any more

  bool verbose = false;

  Nanos time() const { return t_; }
  int budget() const { return budget_; }

 private:
  friend struct StateBytes;
  struct Claim {
    std::string node;
    SessionId session;
    Nanos at{0};
    std::optional<Nanos> line;  // what was read before need not be sent again; none: not known
  };
  BootTime now(const NodeWorld& n) const { return BootTime(t_ + n.boot); }
  std::int64_t redis_ms() const;
  std::size_t through(NodeWorld& n, Stage stage, std::size_t lane, std::size_t items, Oracle& oracle);
  bool is_held(NodeWorld& n, Stage stage, Oracle& oracle) { return through(n, stage, 0, 1, oracle) == 0; }
  bool is_reversed(Oracle& oracle);
  bool are_faults_over() const;
  bool is_going_on(Fault f, const NodeWorld& n) const;
  void router_acts(Oracle& oracle);
  void apply(const Change& c);
  void write(const RouterMessage& m);
  void write(RouterSession& s, RouterMessage m);
  void walk(NodeWorld& n, Oracle& oracle);
  void open_session(NodeWorld& n);
  void end_session(NodeWorld& n, int dial_in);
  void fault_acts(Oracle& oracle);
  void begin_fault(FaultState& f, Oracle& oracle);
  void begin_process_fault(FaultState& f, NodeWorld& n, Oracle& oracle);
  void begin_link_fault(FaultState& f, NodeWorld& n, Oracle& oracle);
  void end_fault(FaultState& f);
  void node_step(NodeWorld& n, Oracle& oracle);
  void read(NodeWorld& n, Oracle& oracle);
  void put(NodeWorld& n, Envelope e);
  void alive(NodeWorld& n);
  void pump(NodeWorld& n);
  void lose_in_flight(NodeWorld& n, Oracle& oracle);
  void append(NodeWorld& n, std::size_t partition, std::size_t count);
  void append(const gate::Copy& copy);
  void note_seen(const gate::Copy& copy);
  void answer(NodeWorld& n);
  void status(NodeWorld& n, Oracle& oracle);
  bool is_told(const NodeWorld& n) const;
  void claim(NodeWorld& n, const arbiter::ClaimBatch& batch, Oracle& oracle);
  void decide(NodeWorld& n, Oracle& oracle);
  void exchange(NodeWorld& n, Oracle& oracle);
  void start_gate(NodeWorld& n);
  void start_arbiter(NodeWorld& n);
  void stop_gate(NodeWorld& n);
  void crash(NodeWorld& n, Oracle& oracle);
  void tick_down(NodeWorld& n);
  bool reaches_redis(const NodeWorld& n) const { return redis_up_ && !n.redis_cut; }
  void note_published(NodeWorld& n, const arbiter::NodeBlob& blob);
  std::optional<Nanos> replay_line(const NodeWorld& claimer, bool is_owned) const;
  void check_copy(const NodeWorld& n, const gate::Copy& copy);
  void check_replay(const NodeWorld& n, const gate::Copy& copy, const Claim& claim);
  void check_role(const NodeWorld& n);
  void check_hidden(const gate::Copy& copy, int peer);
  void check_end();
  void check_owner();
  void fail(const std::string& what) {
    if (violation_.empty()) violation_ = what;
  }
  template <std::size_t N>
  static int pick(const int (&ways)[N], Oracle& oracle) {
    return ways[oracle.choose(static_cast<int>(N))];
  }
  bool is_visible(int peer) const;
  // Where a peer's life and its routes are in order.
  std::size_t slot_of(int peer) const {
    return (scenario_->per_object ? kPartitions : 0) + static_cast<std::size_t>(peer) % kPartitions;
  }

  std::shared_ptr<const Scenario> scenario_;
  Nanos t_{0};
  std::vector<NodeWorld> nodes_;
  arbiter::MemoryCluster redis_;
  bool redis_up_ = true;
  std::array<RouterPeer, kPeers> router_;
  std::array<PartitionWorld, kSlots> kafka_;
  std::map<std::uint64_t, Claim> claims_;  // by epoch
  std::array<bool, kMaxChanges> seen_{};   // change is in Kafka, or was overtaken by a dump that is
  int next_change_ = 0;
  int step_ = 0;                         // since the window opened
  std::array<int, 2> joins_in_{-1, -1};  // steps until the node's first session
  bool gone_ = false;                    // the router is gone for ever
  std::vector<FaultState> faults_;
  int budget_ = 0;
  bool settling_ = false;
  bool watched_ = false;  // warmed up: what must always hold is checked
  std::uint64_t incs_ = 0;
  std::string violation_;
};

}  // namespace bmpha::explore
