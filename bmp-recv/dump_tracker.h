// When has the dump of a session ended? (docs/protocol.md A.5 G1: the bracket that `synced` closes.)
//
// Every peer opened in the session must have ended its dump, per view and family: by End-of-RIB, or by silence of that
// table for `quiet`. A family that the peer's OPENs agree on but that has not been seen yet may still come, as long as
// the session's dump goes on: it counts as ended when nothing of any dump has come for `quiet`. Everything ends at
// `cap`. Routers without any EoR, without peers, and with families that they do not monitor all come to an end so.
//
// Memory: a peer's messages may name any of 2^24 families, so a peer has at most kMaxTables tables, and unicast ones
// beyond. What is not tracked is not waited for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "bmp-recv/bgp_open.h"
#include "bmp-recv/bmp_message.h"
#include "bmp-recv/identity.h"
#include "common/clock.h"

namespace bmpha::recv {

class DumpTracker {
 public:
  struct Settings {
    Millis quiet{30000};
    Millis cap{600000};
  };
  // Between a router's tables (views of one family, families of one peer) there is a moment in which every table that
  // was begun has ended: the end must last this long, or `quiet` if that is shorter.
  static constexpr Millis kSettle{1000};
  // Of one peer; far more than a router monitors (five views of a few families).
  static constexpr std::size_t kMaxTables = 32;

  explicit DumpTracker(const Settings& settings) : settings_(settings) {}

  void on_begin(BootTime now);
  void on_peer_open(const Hash128& peer, const std::vector<Family>& expected, BootTime now);
  void on_peer_gone(const Hash128& peer);
  void on_routes(const Hash128& peer, View view, Family family, BootTime now);
  void on_end_of_rib(const Hash128& peer, View view, Family family, BootTime now);

  // The session is not being read up to date (reading is paused, or bytes wait in the socket): its silence says
  // nothing.
  void on_stall(BootTime now) { stalled_ = now; }
  // For so long it was not read at all: that does not count for `cap`.
  void on_pause(Nanos length) { begin_ += length; }

  // True once, when the dump has ended, whichever of the two says so. Nothing is tracked afterwards.
  bool poll(BootTime now);
  // By `cap` alone: for a session that is not read up to date, which must come to an end as well.
  bool poll_cap(BootTime now);
  bool ended() const { return ended_; }
  // Of all peers.
  std::size_t tables() const;

 private:
  struct Table {
    View view{};
    Family family;
    bool end_of_rib = false;
    BootTime last;
  };
  struct Peer {
    std::vector<Table> tables;
    std::vector<Family> expected;
  };
  // Null: not tracked. Other tables of the peer may move.
  Table* table_of(const Hash128& peer, View view, Family family);
  bool end();
  bool all_ended(BootTime now) const;
  bool peer_ended(const Peer& p, BootTime now) const;

  Settings settings_;
  bool ended_ = false;
  BootTime begin_;
  BootTime last_dump_;    // newest sign of any dump going on
  BootTime stalled_;      // until then the session was not read up to date
  BootTime ended_since_;  // zero: not all have ended
  std::map<Hash128, Peer> peers_;
  // The table of the last call: dumps come in long rows of one table.
  Table* recent_ = nullptr;
  Hash128 recent_peer_;
};

}  // namespace bmpha::recv
