// All routers of the gate together: who gets credit, what happens at the byte limit (G6), whose copies go next.
// Pure like HeldRecords: inputs and the time come in, instructions go out; the wiring does the I/O.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/link.h"
#include "common/role.h"
#include "kafka-gate/held_records.h"

namespace bmpha::gate {

class Gate {
 public:
  struct Settings {
    HeldRecords::Settings held;
    std::uint64_t gate_inc = 0;
    std::uint64_t bytes_limit = 2ull << 30;
    std::uint64_t window = 8u << 20;  // credit that a session has while there is room
    Nanos recv_silent = Millis(1500);
  };
  // What a copy met at the producer.
  enum class Handed {
    kYes,
    kFull,     // try again later
    kRefused,  // can never be sent (too large): counted and skipped
  };

  explicit Gate(Settings settings) : settings_(std::move(settings)) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  void record(const Envelope& envelope, Body body, BootTime now);
  void alive(const Alive& table, BootTime now);
  void roles(const Roles& table, BootTime now);
  void answered(const Ticket& ticket, bool delivered);
  void producer_lost();
  // At least every 100 ms: ends releases, holds the byte limit, forgets routers that are gone.
  void tick(BootTime now);

  // Hands over at most `budget` copies, routers taking turns. False: the producer was full.
  bool pump(BootTime now, std::size_t budget, const std::function<Handed(const Copy&)>& hand_over);
  // Copies are waiting that pump() has not yet handed over.
  bool has_ready() const { return !ready_.empty(); }

  // CONTROL entries that differ from what was told before.
  std::vector<ControlEntry> take_control();
  // A HELLO over a new connection is to be sent: until ALIVE confirms this process, when bmp-recv has fallen silent,
  // and when records are missing. True at most once a second; bmp-recv then replays all that it keeps.
  bool wants_hello(BootTime now);

  GateStatus status(BootTime now, bool kafka_ok);
  // A session, a role or a torn dump changed since the last call: publish at once.
  bool take_urgent() { return std::exchange(urgent_, false); }
  std::vector<Note> take_notes();

  // No router is active or releasing here.
  bool is_idle() const;
  bool recv_alive(BootTime now) const { return confirmed_ && now - alive_at_ < settings_.recv_silent; }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t bytes_limit() const { return settings_.bytes_limit; }
  std::uint64_t dropped_old_receiver() const { return old_receiver_; }
  const std::map<RouterId, HeldRecords>& routers() const { return routers_; }

 private:
  // What makes a status message urgent when it changes.
  struct Seen {
    SessionId session;
    bool up = false, torn = false, blocked = false, in_dump = false;
    Role role = Role::kStandby;
    std::uint64_t epoch = 0;
    bool operator==(const Seen&) const = default;
  };

  HeldRecords& at(const RouterId& router, BootTime now);
  // Runs f on a router and keeps the books: bytes, readiness, changes.
  template <class F>
  void touch(HeldRecords& r, F&& f);
  void receiver_is(std::uint64_t recv_inc);
  std::uint64_t share() const;
  std::uint64_t window() const;
  std::uint64_t soft_limit() const { return settings_.bytes_limit - settings_.bytes_limit / 4; }
  std::uint64_t excess() const;
  void count_reserved();
  void hold_limit();
  void free_acknowledged(std::uint64_t want);
  void tear_dumps();
  std::uint64_t room_for(const HeldRecords& r, std::uint64_t outstanding) const;
  void forget_gone(BootTime now);

  Settings settings_;
  std::map<RouterId, HeldRecords> routers_;
  std::unordered_map<RouterId, Seen, HashOf> seen_;
  std::unordered_map<RouterId, BootTime, HashOf> empty_since_;
  std::deque<RouterId> ready_;
  std::set<RouterId> ready_set_;
  std::set<RouterId> flow_dirty_;
  std::set<RouterId> status_dirty_;
  std::map<RouterId, SessionId> resets_;
  std::optional<Roles> roles_;  // head of the last table, without rows
  std::uint64_t bytes_ = 0;
  std::uint64_t reserved_ = 0;  // granted and not yet received, all open sessions
  std::uint64_t recv_inc_ = 0;
  std::set<std::uint64_t> old_recv_;
  std::uint64_t old_receiver_ = 0;
  bool confirmed_ = false;
  bool replay_wanted_ = false;
  BootTime alive_at_{};
  BootTime hello_at_{};
  BootTime forget_at_{};
  std::uint64_t status_n_ = 0;
  bool urgent_ = false;
};

}  // namespace bmpha::gate
