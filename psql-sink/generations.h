// Fence and generations of one Kafka partition: which records count, and which rows of which peer are alive. A pure
// state machine, fed in offset order: no clock, no I/O, the same answers for the same records wherever batches end.
//
// Rules (docs/protocol.md A.6):
//   S2  a `run` raises the router's mark; a record below the mark is dropped unless it is solo, and a solo record is
//       dropped iff a `run` settled its gen.
//   S4  every opener gives its peer a new generation (epoch). Inside a session's dump, and of a peer that is up, it is
//       a refresh and hides nothing; any other opener hides what stood before (live_epoch := epoch). `synced` ends the
//       refreshes of its own session, and takes down the router's peers that this session did not open, unless
//       another session opened them behind the session's latest `run` (F3).
//   A row is alive iff its peer is up, its epoch >= the peer's live_epoch, and it is not withdrawn.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/kafka_header.h"

namespace bmpha::sink {

using PeerHash = Hash128;

// What a router's control records have established in this partition.
struct RouterFence {
  std::uint64_t epoch = 0;                       // the mark
  std::map<std::string, std::uint64_t> settled;  // node -> highest settled gen
  std::map<SessionId, std::int64_t> runs;        // session -> offset of its latest `run`, solo ones too
  bool operator==(const RouterFence&) const = default;
};

struct PeerState {
  RouterId router;
  std::int32_t epoch = 0;       // this sink's generation, one more with every opener
  std::int32_t live_epoch = 0;  // rows of older generations are dead
  std::int32_t down_epoch = 0;  // generation in which it last went down
  bool up = false;
  SessionId opener;                 // session of the last opener
  std::int64_t opener_offset = -1;  // offset of the last opener, -1: none in this log
  bool operator==(const PeerState&) const = default;
};

enum class Verdict : std::uint8_t {
  kAccepted,
  kFencedEpoch,  // its claim was superseded
  kFencedGen,    // a solo record of an episode that was settled
};

enum class ChangeKind : std::uint8_t {
  kOpened,      // opener that hides older rows
  kRefreshed,   // opener that leaves older rows visible until `synced`
  kPeerDown,    // BMP Peer Down
  kNotDumped,   // a finished dump did not contain it (F3)
  kRouterDown,  // the cluster gave the router up
  kSynced,      // its dump ended; rows below the new live_epoch died
  kStale,       // no node has the router at present; nothing is hidden
};

struct PeerChange {
  PeerHash peer;
  ChangeKind kind = ChangeKind::kOpened;
  std::int32_t old_live = 0;
  std::int32_t new_live = 0;
  bool was_up = false;
};

class Generations {
 public:
  // Decides whether the record at `offset` counts, and applies it if it is a control record; the changes it makes to
  // peers are appended. REQUIRES: offsets rise from call to call.
  Verdict admit(std::int64_t offset, const KafkaHeader& header, std::vector<PeerChange>& changes);

  // Rows of accepted `peer` records: actions up and first, and down.
  PeerChange open_peer(std::int64_t offset, const KafkaHeader& header, const PeerHash& peer);
  PeerChange close_peer(const KafkaHeader& header, const PeerHash& peer);

  // Generation of a row of this peer that is read now. A peer without opener is created, down.
  const PeerState& touch_peer(const RouterId& router, const PeerHash& peer);
  const PeerState* find_peer(const PeerHash& peer) const;
  const RouterFence* find_fence(const RouterId& router) const;

  // What a restart takes back from the database.
  void load_fence(const RouterId& router, RouterFence fence);
  void load_peer(const PeerHash& peer, const PeerState& state);
  // The log was replaced by another one: offsets of the old one order nothing any more.
  void forget_offsets();

  const std::map<PeerHash, PeerState>& peers() const { return peers_; }
  bool operator==(const Generations&) const = default;

 private:
  struct Router {
    RouterFence fence;
    std::set<PeerHash> peers;
    bool operator==(const Router&) const = default;
  };

  void run(std::int64_t offset, const KafkaHeader& header, RouterFence& fence);
  void synced(const KafkaHeader& header, Router& router, std::vector<PeerChange>& changes);

  std::map<RouterId, Router> routers_;
  std::map<PeerHash, PeerState> peers_;
};

// Sessions of which a router's latest `run` is remembered, newest kept. A session's records never come without a
// `run` of that session before them, so an old entry is only ever missed by a log without its `run`.
inline constexpr std::size_t kMaxRuns = 64;
// Nodes of which settled gens are remembered per router; more than a cluster ever has.
inline constexpr std::size_t kMaxSettledNodes = 1024;

}  // namespace bmpha::sink
