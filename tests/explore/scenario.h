// What is explored: who has a session at the start, what the router does, which faults come, and what may be late.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bmpha::explore {

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
  kHangRecv,       // bmp-recv alone
  kKillGate,       // kafka-gate dies and comes back with nothing
  kKillArbiter,    // ha-arbiter dies and comes back
  kKillRecv,       // bmp-recv dies and comes back with nothing; the router dials again
  kDeadLink,       // the session goes silent until keepalive ends it; the router dials again later
  kSilent,         // the session goes silent for ever, and no keepalive notices
  kReset,          // the session ends at once; the router dials again
  kNobody,         // the router is gone on every node for a while, or for ever
  kCutRedis,       // one node does not reach Redis
  kCutKafka,       // one node does not reach Kafka
  kRedisLost,      // Redis is down and comes back empty
  kRedisDown,      // Redis is down and comes back as it was
  kClaimAnswer,    // claims are made, their answers are lost
  kSignalRestamp,  // 34
  kSignalActive,   // 35, then 37
  kSignalStandby,  // 36, then 37
  kLeave,          // TERM, and a new start
  kLoseProducer,   // kafka-gate has to replace its producer
};
inline constexpr int kFaults = 24;
const char* fault_name(Fault f);

enum class Start : std::uint8_t {
  kWarm,  // both nodes have synced sessions, the first owns
  kJoin,  // the second node's session begins within the window
  kCold,  // both sessions begin within the window, and nobody owns
};
const char* start_name(Start s);

// What can be late. A deviation holds one stage of one node for a number of steps.
enum class Stage : std::uint8_t {
  kRead,    // bmp-recv reads; W stands still meanwhile
  kAppend,  // records in flight to one partition reach Kafka
  kAnswer,  // Kafka's answers come back
  kStatus,  // the gate's table reaches the arbiter
  kTick,    // the arbiter ticks
  kWalk,    // the router goes on with its table
  kOrder,   // the nodes act in the other order, this once
};
inline constexpr int kStages = 7;
const char* stage_name(Stage s);

// How long, beside a number of steps.
inline constexpr int kUntilOver = -1;  // until the faults are over
inline constexpr int kAfterOver = -2;  // and a few steps more

struct Scenario {
  int nodes = 2;
  Start start = Start::kWarm;
  bool tight = true;          // margin = retain = 0: the most aggressive trimming
  bool by_collector = false;  // grain = collector
  bool by_age = false;        // trim = time
  bool per_object = false;    // layout = per-object: a topic of peers and one of routes
  std::vector<Fault> faults;
  std::vector<Change> changes;
  int window = 4;                 // steps in which changes and the faults may begin
  int late = 1;                   // deviations in all
  std::vector<int> delays = {1};  // how long one may last
  unsigned stages = (1u << kStages) - 1;
  bool partial = false;    // what is late may be through in part
  bool any_order = false;  // the order of the nodes is free in every step

  bool may_be_late(Stage s) const { return (stages >> static_cast<int>(s) & 1u) != 0; }
  bool has(Fault f) const {
    for (const Fault x : faults)
      if (x == f) return true;
    return false;
  }
  // A switch on request and nothing else: no record may be fenced, so that foreign consumers see an order.
  bool is_orderly() const;
};

}  // namespace bmpha::explore
