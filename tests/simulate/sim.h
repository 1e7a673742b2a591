// A cluster in virtual time around the real classes: three nodes, each with the arbiter's Decider and the whole Gate,
// two routers, Redis (the store's rules in memory), Kafka, and the sink's fence and generations behind it. Every
// message between processes takes a random time, the settings are those of docs/protocol.md A.7, and a seed decides
// everything: one seed is one run, and the same run again.
//
// sim.cc: events, Redis, Kafka. sim_router.cc: the routers. sim_node.cc: the processes of a node. sim_faults.cc:
// faults. sim_check.cc: what must hold.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "ha-arbiter/decider.h"
#include "ha-arbiter/join_guard.h"
#include "ha-arbiter/memory_store.h"
#include "kafka-gate/gate.h"
#include "kafka-gate/kafka_health.h"
#include "psql-sink/generations.h"

namespace bmpha::simulate {

inline constexpr int kNodes = 3;
inline constexpr int kRouters = 2;
inline constexpr int kPeers = 3;
inline constexpr int kPrefixes = 8;
inline constexpr std::uint32_t kPartitions = 3;

enum class Fault : std::uint8_t {
  kNone,
  kCrash,
  kReboot,
  kHang,
  kHangGate,
  kHangArbiter,
  kHangRecv,
  kKillGate,
  kKillArbiter,
  kKillRecv,
  kDeadLink,
  kReset,
  kCutRedis,
  kCutKafka,
  kRedisLost,
  kRedisDown,
  kRedisClock,
  kClaimAnswer,
  kRestamp,
  kForceActive,
  kForceStandby,
  kLeave,
  kLoseProducer,
};
inline constexpr int kFaults = 23;
const char* fault_name(Fault f);

struct Settings {
  std::uint64_t seed = 1;
  int faults = 1;             // at random times
  std::vector<Fault> which;   // empty: any
  Nanos skew = Millis(1900);  // largest difference between two sessions of a router
  Nanos margin = Millis(2000);
  bool trace = false;
};

// One thing that a router says on its sessions. Shared by all of them, unless it is coalesced.
struct Said {
  enum class Kind : std::uint8_t { kBegin, kPeerUp, kPeerDown, kRoute, kSynced } kind = Kind::kBegin;
  int router = 0, peer = 0, prefix = 0;
  int version = 0;  // of the peer: every change is one more
  bool announced = false;
  bool in_dump = false;
  std::array<int, kPeers> snapshot{};  // of a `synced`: the versions that its dump told
  Nanos written{0};
};

struct Row {
  bool announced = false;
  int version = 0;
  std::int32_t epoch = 0;
};

struct Peer {
  bool up = true;
  int version = 0;
  std::array<Row, kPrefixes> rows;
  // What each version of each prefix was, to know what a dump had to tell.
  std::array<std::map<int, bool>, kPrefixes> history;
  std::map<int, Nanos> written;              // by version
  std::map<int, std::map<int, Nanos>> read;  // version -> node -> when
  std::set<int> counted;                     // versions in an accepted record, or excused by an accepted dump
  // By node and prefix: versions that its session never carried, because a newer one took their place.
  std::map<std::pair<int, int>, std::vector<int>> coalesced;
};
struct Router {
  RouterId id;
  std::array<Peer, kPeers> peers;
};

// What a process does while it is stopped waits until it goes on; what it did before it died never happens.
struct Process {
  bool alive = false;
  std::uint64_t life = 0;
  Nanos stopped_until{0};
};

struct Session {
  bool open = false;
  bool silent = false;
  std::uint64_t number = 0;  // counts openings: events of an older one are void
  int walked = 0;            // peers
  std::array<int, kPeers> snapshot{};
  Nanos last_arrival{0};
  std::deque<Said> wire;    // written, not yet arrived
  std::deque<Said> socket;  // arrived, not yet read
};

struct Kept {
  Envelope envelope;
  std::shared_ptr<const Said> said;
};
// bmp-recv's side of one router.
struct RecvRouter {
  std::uint64_t number = 0, seq = 0, released = 0;
  bool up = false, in_dump = false;
  BootTime last_read, empty_at, released_read;
  std::deque<Kept> ring;
};
struct Recv : Process {
  std::uint64_t inc = 0;
  std::uint64_t gate_inc = 0;  // of the HELLO in force
  std::array<RecvRouter, kRouters> routers;
};

struct GateProcess : Process {
  std::unique_ptr<gate::Gate> gate;
  std::optional<gate::KafkaHealth> health;
  std::uint64_t inc = 0;
  bool kafka_ok = true;
  std::uint64_t producer = 0;  // which one
  std::uint64_t outstanding = 0;
};

struct ArbiterProcess : Process {
  std::unique_ptr<arbiter::Decider> decider;
  std::optional<arbiter::JoinGuard> guard;
  bool store_busy = false, soon_armed = false, tick_wanted = false, finishing = false;
  Nanos leaving_at{0}, tick_sent{0};
  std::int64_t heard_ms = 0;
  BootTime heard_at;
  std::vector<std::pair<std::string, std::string>> forget;
};

struct Node {
  int index = 0;
  std::string id;
  Nanos boot{0};
  Recv recv;
  GateProcess gate;
  ArbiterProcess arbiter;
  arbiter::Persisted stored;
  bool is_dead = false;  // for good
  std::array<Session, kRouters> sessions;
  Nanos redis_cut_until{0}, kafka_cut_until{0}, answers_lost_until{0};
  bool ever_lost = false;                                    // something of what it held died with a process
  std::map<RouterId, std::pair<std::uint64_t, BootTime>> w;  // last seen: epoch and W
  // When the last message of each link arrives: what is sent first arrives first.
  Nanos to_gate{0}, to_recv{0}, to_arbiter{0}, to_roles{0};
  // What it wrote to Redis last, and before that: epoch, W in virtual time, and whether its gen is settled.
  struct Published {
    std::uint64_t epoch = 0;
    std::optional<Nanos> w;
    bool settled = true;
  };
  std::map<RouterId, std::array<Published, 2>> published;
};

// Copies on the way to one partition, in order. A producer's requests land in order or not at all.
struct Lane {
  Nanos last{0};
  Nanos blocked_until{0};
  bool broken = false;  // of a producer that is gone: nothing more lands
};

struct ClaimMade {
  int node = 0;
  Nanos start{0};  // in virtual time; zero: everything held, or not known yet
  Nanos floor{0};  // lowest W that counted
  Nanos at{0};
};

struct Verdict {
  std::string violation;  // first one; empty: none
  int changes = 0, lost = 0, claims = 0, records = 0, fenced = 0;
  Nanos replayed{0};    // longest way back of a claim
  Nanos beyond{0};      // lost changes: how far before the start they had been read, at most
  bool healed = false;  // known double fault: wrong, and right again with the next dump
  std::string story;    // faults and times
};

class Sim {
 public:
  explicit Sim(const Settings& settings);
  Verdict run();

 private:
  using Action = std::function<void()>;
  struct Event {
    Nanos at;
    std::uint64_t order;
    std::shared_ptr<Action> action;
    bool operator<(const Event& o) const { return std::tie(at, order) > std::tie(o.at, o.order); }
  };

  // --- sim.cc
  void at(Nanos when, Action action);
  void in(Nanos delay, Action action) { at(t_ + delay, std::move(action)); }
  // Runs in the process if it still lives then; waits while it is stopped.
  void in_process(Process& p, Nanos delay, Action action);
  void run_in(Process& p, std::uint64_t life, const Action& action);
  void every(Process& p, Nanos period, const std::function<void()>& action);
  Nanos between(Nanos low, Nanos high);
  // On a link, at the earliest when what was sent before is there.
  Nanos link(Nanos& last) {
    last = std::max(last, t_ + message());
    return last - t_;
  }
  Nanos message() { return chance(50) ? between(Millis(20), Millis(200)) : between(Nanos{0}, Millis(3)); }
  bool chance(int one_in) { return random_() % static_cast<std::uint64_t>(one_in) == 0; }
  int below(int n) { return static_cast<int>(random_() % static_cast<std::uint64_t>(n)); }
  void run_until(Nanos end);
  BootTime clock(const Node& n) const { return BootTime(t_ + n.boot); }
  Nanos virtual_time(const Node& n, BootTime t) const { return Nanos(to_ns(t)) - n.boot; }
  std::int64_t redis_ms() const;
  bool reaches_redis(const Node& n) const { return t_ >= redis_down_until_ && t_ >= n.redis_cut_until; }
  template <class... T>
  void tell(fmt::format_string<T...> text, T&&... args) {
    if (s_.trace)
      fmt::print("{:9.3f} {}\n", static_cast<double>(t_.count()) / 1e9, fmt::format(text, std::forward<T>(args)...));
  }

  // --- sim_router.cc
  void churn();
  void change(Router& r);
  void write(Router& r, const Said& said);
  void write_to(Node& n, int router, const Said& said);
  void dial(Node& n, int router);
  void walk(Node& n, int router, std::uint64_t session);
  void arrive(Node& n, int router, std::uint64_t session);
  void end_session(Node& n, int router, std::optional<Nanos> dial_in);
  void read(Node& n, int router);
  void put(Node& n, int router, const Said& said, RecordKind kind, BootTime drained);

  // --- sim_node.cc
  void start_recv(Node& n);
  void start_gate(Node& n);
  void start_arbiter(Node& n);
  void send_record(Node& n, const Kept& kept);
  void send_alive(Node& n);
  void hello(Node& n, std::uint64_t gate_inc);
  void gate_turn(Node& n);
  void gate_status(Node& n);
  void hand_over(Node& n, const gate::Copy& copy);
  void try_to_land(Node& n, std::uint64_t producer, std::uint64_t life, const gate::Copy& copy);
  void replace_producer(Node& n);
  void control(Node& n, const std::vector<ControlEntry>& entries);
  void look(Node& n);
  void send_tick(Node& n);
  void ticked(Node& n, const std::optional<arbiter::TickReply>& reply, BootTime at);
  void tick_soon(Node& n);
  void decide(Node& n);
  void send_claims(Node& n, const arbiter::ClaimBatch& batch);
  void claimed(Node& n, const std::optional<arbiter::ClaimReply>& reply);
  void idle(Node& n);
  void finish(Node& n);
  // A question to Redis: done with its answer, or with none after the timeout.
  template <class Reply>
  void ask(Node& n, std::function<Reply()> question, std::function<void(std::optional<Reply>)> done);
  std::int64_t made_ms(const Node& n) const;

  // --- sim_faults.cc
  void plan_faults();
  void begin(Fault f);
  void crash(Node& n);
  void stop(Process& p, Nanos how_long);
  bool is_known_double() const;
  static bool parts_from_redis(Fault f) {
    return f == Fault::kRedisLost || f == Fault::kRedisDown || f == Fault::kCutRedis;
  }
  bool has_been_apart() const {
    return std::any_of(begun_.begin(), begun_.end(), [](const auto& b) { return parts_from_redis(b.fault); });
  }

  // --- sim_check.cc
  void land(const gate::Copy& copy);
  void count_history(const KafkaHeader& h, const Said* said);
  void note_published(Node& n, const arbiter::NodeBlob& blob, Nanos said_at);
  void note_claim(Node& n, const arbiter::ClaimBatch::Item& item);
  Nanos lowest_published(const Node& claimer, const RouterId& router, bool is_owned) const;
  void check_w(Node& n);
  void check_end();
  void check_lost();
  void fail(const std::string& what) {
    if (!verdict_.violation.empty()) return;
    verdict_.violation = what;
    tell("VIOLATION {}", what);
  }
  bool is_visible(int router, int peer, int prefix) const;
  int router_index(const RouterId& id) const { return id.bytes[15] - 1; }

  Settings s_;
  std::mt19937_64 random_;
  Nanos t_{0};
  std::uint64_t order_ = 0;
  std::priority_queue<Event> events_;
  std::array<Node, kNodes> nodes_;
  std::array<Router, kRouters> routers_;
  std::array<gate::HeldRecords::Settings, kNodes> held_;
  arbiter::MemoryCluster redis_;
  Nanos redis_down_until_{0};
  std::int64_t redis_step_ms_ = 0;
  bool coalesces_ = false;
  Nanos quiet_from_{0};
  struct Begun {
    Fault fault = Fault::kNone;
    int node = 0;
    Nanos at{0}, until{0};
  };
  std::vector<Begun> begun_;
  std::uint64_t incs_ = 100;
  // Kafka and the sink
  struct Partition {
    std::int64_t next = 0;
    sink::Generations generations;
    std::map<Hash128, std::array<Row, kPrefixes>> rows;
  };
  std::array<Partition, kPartitions> kafka_;
  std::map<std::pair<int, std::uint64_t>, std::array<Lane, kPartitions>> lanes_;
  std::map<RouterId, std::map<std::uint64_t, ClaimMade>> claims_;
  Verdict verdict_;
};

RouterId router_id(int router);
Hash128 peer_key(int router, int peer);

}  // namespace bmpha::simulate
