// A small world around the real classes: up to three nodes, each with the arbiter's Decider and the gate's HeldRecords,
// one router with two peers in two partitions, Redis (the store's rules in memory), Kafka, and the sink's fence and
// generations behind it. Time goes in steps of one tick; whatever may come in another order or later is a choice that
// an Oracle makes. Copyable, so that every way on from a state can be tried.
//
// Nodes learn of one another only what was written to Redis. A step of a node: its bmp-recv reads, its gate hands over,
// Kafka appends, answers come back, the gate's table goes to the arbiter, the arbiter ticks. Each of these may be late.
#pragma once

#include <array>
#include <deque>
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

namespace bmpha::explore {

inline constexpr int kPeers = 2;
inline constexpr std::uint32_t kPartitions = 2;
inline constexpr int kMaxChanges = 16;

// Decides among `ways` (0 is what usually happens). A deviation costs one of the world's budget.
class Oracle {
 public:
  virtual ~Oracle() = default;
  virtual int choose(int ways) = 0;
};

enum class What : std::uint8_t { kAnnounce, kWithdraw, kPeerDown, kPeerUp };
struct Change {
  int peer = 0;
  What what = What::kAnnounce;
};

enum class Fault : std::uint8_t {
  kNone,
  kCrash,          // all processes of a node, for good
  kReboot,         // the same, and they come back
  kHang,           // all processes stop for a while
  kHangGate,       // kafka-gate alone
  kHangArbiter,    // ha-arbiter alone
  kKillGate,       // kafka-gate dies and comes back with nothing
  kKillArbiter,    // ha-arbiter dies and comes back
  kDeadLink,       // the session goes silent until keepalive ends it; the router dials again later
  kReset,          // the session ends at once; the router dials again
  kCutRedis,       // one node does not reach Redis
  kCutKafka,       // one node does not reach Kafka
  kRedisLost,      // Redis is down and comes back empty
  kRedisDown,      // Redis is down and comes back as it was
  kClaimAnswer,    // claims are made, their answers are lost
  kSignalRestamp,  // 34
  kSignalActive,   // 35, then 37
  kSignalStandby,  // 36, then 37
  kLeave,          // TERM, and a new start
};
inline constexpr int kFaults = 19;
const char* fault_name(Fault f);

struct Scenario {
  int nodes = 2;
  bool join = false;  // the second node's session begins within the window; else both are in step
  bool tight = true;  // margin = retain = 0 and both sessions read in step: the most aggressive trimming
  Fault fault = Fault::kNone;
  std::vector<Change> changes;
  int window = 4;  // steps in which changes and the fault may begin
  int late = 1;    // deviations in all
};

// How the fault goes on; chosen when it begins.
struct FaultState {
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
  std::deque<RouterMessage> wire;
};

struct Receiver {
  std::uint64_t inc = 0;
  std::uint64_t number = 0;  // of the session
  std::uint64_t seq = 0;
  bool up = false;
  bool in_dump = false;
  Nanos empty_at{0};  // the socket was last seen empty
  Nanos last_read{0};
  // Records that the gate has not released yet, also of earlier sessions.
  struct Kept {
    Envelope envelope;
    bool fed = false;  // to the gate that runs now
  };
  std::deque<Kept> ring;
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
  std::optional<arbiter::Decider> decider;
  std::optional<arbiter::JoinGuard> guard;  // until it has joined
  int looks = 0;
  arbiter::Persisted stored;
  std::deque<gate::Copy> in_flight;  // on the way to Kafka
  std::deque<gate::Ticket> answers;
  int kafka_bad = 0, kafka_good = 0;  // steps
  bool kafka_ok = true;
  int dead = 0;  // steps until its processes start again, -1 for ever; 0: alive
  int gate_dead = 0, arbiter_dead = 0;
  int hung = 0, gate_hung = 0, arbiter_hung = 0;  // steps
  bool redis_cut = false, kafka_cut = false;
  int land_in = -1;       // copies in flight of a dead or hung gate: steps until they land, -1: not before it goes on
  std::size_t lands = 0;  // so many of them
  bool leaving = false;
  bool soon = false;
  std::uint64_t status_n = 0;
  // What must always hold
  std::uint64_t w_epoch = 0;
  BootTime w;
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

  // Both dumps done, everything quiet; in a joining scenario the second node has no session yet.
  void warm_up();
  void step(Oracle& oracle);
  // One step without choices; many of them let everything come to rest.
  void settle();
  // At rest: is the state right, is nothing lost, is there one owner?
  void finish();
  const std::string& violation() const { return violation_; }
  bool is_over() const;  // the fault is over, all changes are out

  bool verbose = false;

  Nanos time() const { return t_; }
  int budget() const { return budget_; }

 private:
  friend struct StateBytes;
  BootTime now(const NodeWorld& n) const { return BootTime(t_ + n.boot); }
  std::int64_t redis_ms() const;
  bool late(Oracle& oracle);
  void router_acts(Oracle& oracle);
  void apply(const Change& c);
  void write(const RouterMessage& m);
  void write(RouterSession& s, RouterMessage m);
  void walk(RouterSession& s);
  void open_session(NodeWorld& n);
  void end_session(NodeWorld& n, int dial_in);
  void fault_acts(Oracle& oracle);
  void begin_fault(Oracle& oracle);
  void end_fault();
  void node_step(NodeWorld& n, Oracle& oracle);
  void read(NodeWorld& n, Oracle& oracle);
  void put(NodeWorld& n, Envelope e);
  void alive(NodeWorld& n);
  void pump(NodeWorld& n);
  void append(NodeWorld& n, std::size_t count);
  void append(const gate::Copy& copy);
  void answer(NodeWorld& n);
  void status(NodeWorld& n);
  void decide(NodeWorld& n, Oracle& oracle);
  void exchange(NodeWorld& n, Oracle& oracle);
  void start_gate(NodeWorld& n);
  void start_arbiter(NodeWorld& n);
  void stop_gate(NodeWorld& n);
  void crash(NodeWorld& n, Oracle& oracle);
  void tick_down(NodeWorld& n);
  bool reaches_redis(const NodeWorld& n) const { return redis_up_ && !n.redis_cut; }
  void check_visible();
  void check_end();
  void fail(const std::string& what) {
    if (violation_.empty()) violation_ = what;
  }
  bool is_visible(int peer) const;

  std::shared_ptr<const Scenario> scenario_;
  Nanos t_{0};
  std::vector<NodeWorld> nodes_;
  arbiter::MemoryCluster redis_;
  bool redis_up_ = true;
  std::array<RouterPeer, kPeers> router_;
  std::array<PartitionWorld, kPartitions> kafka_;
  std::map<std::uint64_t, std::string> claims_;
  std::array<bool, kMaxChanges> seen_{};  // change is in Kafka, or was overtaken by a dump that is
  int next_change_ = 0;
  int step_ = 0;  // since the window opened
  int joins_in_ = -1;
  FaultState fault_;
  int budget_ = 0;
  bool settling_ = false;
  bool watched_ = false;  // warmed up: what must always hold is checked
  std::uint64_t incs_ = 0;
  std::string violation_;
};

}  // namespace bmpha::explore
