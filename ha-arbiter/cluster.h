// What the arbiters of a cluster tell one another through Redis, as values. Text forms: node_blob.h.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "common/role.h"

namespace bmpha::arbiter {

// What a node has of a router. Only a node that has something may own.
enum class Hold : std::uint8_t {
  kNone = 0,
  kTail = 1,  // no session, but records that were never delivered
  kTorn = 2,  // a session, but what is held cannot be continued from
  kUp = 3,    // a session
};
const char* hold_name(Hold h);

// One router in a node's key.
struct RouterEntry {
  RouterId router;
  Hold hold = Hold::kNone;
  std::uint8_t cls = 3;     // 0 best (rule A4.1)
  std::uint64_t since = 0;  // the session's age; unique per router
  Role role = Role::kStandby;
  std::uint64_t epoch = 0;  // of the claim being served, or of the last one
  SessionId session;
  std::optional<Millis> w_age;     // of the delivered watermark of that epoch
  std::optional<Millis> read_age;  // since the session last read something after its dump
  bool unclean = false;            // released with unacknowledged records
  bool solo = false;               // records were sent without Redis under the current gen
  bool wanted = false;             // an operator wants this node to be the owner
  bool operator==(const RouterEntry&) const = default;
};

// A node as one whole, where nodes rank as such (`grain = collector`).
struct CollectorEntry {
  std::uint64_t since = 0;  // start of this collector, or its last new timestamp
  std::uint8_t cls = 3;  // 0 well, 2 what it holds of a router cannot be continued from, 3 not healthy or not willing
  std::uint64_t recv_inc = 0;  // of the bmp-recv that `since` belongs to; 0: none was seen yet
  bool operator==(const CollectorEntry&) const = default;
};

// A node's key, without the Redis time before it.
struct NodeBlob {
  std::string id;
  std::uint64_t inc = 0;   // incarnation of the arbiter
  std::uint64_t tick = 0;  // rises with every write
  std::uint64_t gen = 0;
  bool leaving = false;
  bool forced_active = false;
  bool forced_standby = false;
  bool solo = false;     // has routers that were taken without Redis and are not yet re-asserted
  bool settled = false;  // nothing that was sent under this gen, or an earlier one, needs to be settled
  std::map<std::string, std::uint64_t> seen;  // gens of other nodes that this one has handled
  std::optional<CollectorEntry> collector;    // this node ranks as one whole
  std::vector<RouterEntry> routers;
  bool operator==(const NodeBlob&) const = default;
};

// Claims of one decision, made in one step.
struct ClaimBatch {
  struct Item {
    RouterId router;
    std::string expected;  // value in the own-hash as last read; empty: absent
    std::uint64_t epoch = 0;
    RouterEntry won, lost;  // how the blob shows the router
  };
  NodeBlob base;  // without the claimed routers
  std::vector<Item> items;
};

// A router's value in the own-hash. `raw` is what a claim must compare with.
struct OwnEntry {
  std::string raw;
  std::string node;  // empty: the value is not one of ours
  std::uint64_t epoch = 0;
};

struct NodeReading {
  std::int64_t pub_ms = 0;
  std::optional<NodeBlob> blob;  // none: not readable by this version
};

// One reading of Redis, taken atomically.
struct Observation {
  BootTime at;  // when the question was sent
  std::int64_t redis_ms = 0;
  std::map<std::string, NodeReading> nodes;
  std::map<RouterId, OwnEntry> own;
};

}  // namespace bmpha::arbiter
