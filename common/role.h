// The two level-triggered tables between kafka-gate and ha-arbiter (docs/protocol.md A.3). Each message is the
// whole table, sent again and again; a missed one costs nothing. Both sit on one host, so instants are CLOCK_BOOTTIME
// values and not ages; ages are used only where a value leaves the host (the node key in Redis).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/byte_reader.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/kafka_header.h"
#include "common/result.h"

namespace bmpha {

// Version 2 adds GateStatus::retain and Roles::by_age. A table that has the values of version 1 in them is written as
// version 1, so that the other process may be of an older build.
inline constexpr std::uint8_t kRoleTableVersion = 2;
inline constexpr Millis kDefaultRetain{5000};

enum class Role : std::uint8_t { kStandby = 0, kActive = 1, kReleasing = 2 };
const char* role_name(Role r);

// One session's dump as the gate holds it: from the session's first record to its `synced`. Only brackets of which
// records are still held are listed, oldest first. A start point inside a bracket goes back to its first record.
struct Bracket {
  SessionId session;
  BootTime first;                  // drained_time of the session's first record
  std::optional<BootTime> synced;  // read_time of its `synced`; none while the dump goes on
  bool operator==(const Bracket&) const = default;
};

// A.5 G4: the start point `start`, moved back to the first record of the bracket that it falls into, if any.
// The gate and the arbiter both use this function, so that the W of a claim is where the gate really starts.
BootTime step_back(const std::vector<Bracket>& brackets, BootTime start);

struct GateRouter {
  RouterId router;
  std::string name;      // display name
  SessionId session;     // newest session seen in the FIFO
  bool up = false;       // its TCP connection is open
  bool in_dump = false;  // its bracket is open
  bool torn = false;     // what is held cannot be continued from (G6 dropped an open bracket)
  bool read_paused = false;
  // What the gate does now; kReleasing until the last in-flight record is answered. kStandby with the epoch of a claim
  // that is in force: the gate has given that claim up with its producer (G8), and waits for the next.
  Role role = Role::kStandby;
  bool solo = false;
  bool unclean = false;       // released with unacknowledged records
  std::uint64_t epoch = 0;    // of the claim being served, or of the last one
  SessionId claimed_session;  // session for which the gate sends; none while standby
  bool blocked = false;       // stands at the first record of another session than claimed_session
  bool unsent_tail = false;   // holds records of an ended session that were never acknowledged or covered
  std::optional<BootTime> w;  // delivered watermark; kept after a release
  std::optional<BootTime> oldest_unacked;
  std::uint32_t in_flight = 0;
  std::uint64_t bytes = 0;
  std::uint64_t records = 0;
  BootTime last_read;
  // Every record read after `trimmed_to` is still held. Zero: nothing was ever trimmed or lost.
  BootTime trimmed_to;
  bool front_is_opener = false;  // the first held record is a session's first, or nothing is held and none came yet
  std::vector<Bracket> brackets;
  std::uint8_t emitted = 0;               // highest Emit written under this epoch
  std::optional<std::uint32_t> peers_up;  // as AliveSession::peers_up, of `session`
};

struct GateStatus {
  std::uint64_t gate_inc = 0;
  std::uint64_t recv_inc = 0;  // 0: never seen
  bool recv_alive = false;     // an ALIVE came within 1.5 s
  std::uint64_t n = 0;         // counts messages
  BootTime sent;
  bool kafka_ok = true;            // false after kKafkaBad of failing, true again after kKafkaGood of success
  Millis retain = kDefaultRetain;  // what it keeps behind a cover
  std::vector<GateRouter> routers;
};

enum class Emit : std::uint8_t { kNone = 0, kStale = 1, kDown = 2 };

struct RoleRouter {
  RouterId router;
  Role role = Role::kStandby;  // kStandby tells an active gate to release (kReleasing is never commanded)
  std::uint64_t epoch = 0;
  SessionId session;                // the only session that this role covers
  std::vector<SettledGen> settles;  // for the `run` of this epoch
  std::optional<BootTime>
      cover;       // trim line before retain: min of the owner's W and what safety asks; none: trim nothing
  BootTime start;  // start point of the claim, before step_back
  Emit emit = Emit::kNone;
  SessionId reset_session;  // ask bmp-recv to close this session; none otherwise
};

struct Roles {
  std::uint64_t arbiter_inc = 0;
  std::uint64_t tick = 0;
  BootTime sent;
  Millis lease{1500};   // no produce() when the last ROLES is older
  bool solo = false;    // every active role is solo
  bool by_age = false;  // a standby's covers are ages: what was read before is dropped, nothing is kept behind them
  std::uint64_t gen = 0;
  std::string node;
  std::vector<RoleRouter> routers;  // a held router without an entry is standby without cover
};

std::string encode_gate_status(const GateStatus& m);
Result<GateStatus> decode_gate_status(Bytes frame);
std::string encode_roles(const Roles& m);
Result<Roles> decode_roles(Bytes frame);

}  // namespace bmpha
