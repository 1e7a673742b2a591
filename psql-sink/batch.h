// From Kafka records of one partition to one database transaction. Pure: bytes in, a Batch out; the same records give
// the same rows wherever batches end.
//
// BatchBuilder walks records in offset order through fence and generations and collects what the transaction writes.
// Batch::stamp() then brings routes into key order and works out, per key, which events are history and which row is
// the last.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "psql-sink/attribute_set.h"
#include "psql-sink/generations.h"
#include "psql-sink/text_rows.h"

namespace bmpha::sink {

// One Kafka record, borrowed.
struct InputRecord {
  std::int64_t offset = 0;
  std::int64_t kafka_time_us = 0;  // 0: unknown
  bool has_header = false;         // the `bmpha` header is there
  Bytes header;
  std::string_view value;       // of a copy, that of the record that it is a copy of
  std::int64_t hole_from = -1;  // >= 0: the log has no records from here up to this one
};

// The RIB a route belongs to, as the column `view`.
enum class View : std::int16_t { kInPre = 0, kInPost = 1, kOutPre = 2, kOutPost = 3, kLocRib = 4 };

// What the partition knows of a peer beside its state: the database's id, and whether its routes are a Loc-RIB's.
struct PeerEntry {
  std::int32_t peer_id = 0;  // 0: not known here yet
  bool loc_rib = false;
};

// Everything in memory of one partition; loaded from the database together with its offset.
struct PartitionState {
  Generations generations;
  std::unordered_map<PeerHash, PeerEntry, HashOf> peers;
  std::unordered_map<RouterId, std::int32_t, HashOf> routers;  // ids known to be in the database
};

// Attribute sets that the database is known to hold, least recently used dropped first.
class AttributeCache {
 public:
  explicit AttributeCache(std::size_t limit) : limit_(limit) {}
  // True: known (and now the most recent). False: remembered from now on; the caller sees that it gets stored.
  bool know(const Hash128& id);
  void forget(const Hash128& id);
  void clear();
  std::size_t size() const { return index_.size(); }

 private:
  std::size_t limit_;
  std::list<Hash128> order_;  // most recent first
  std::unordered_map<Hash128, std::list<Hash128>::iterator, HashOf> index_;
};

struct RouteEvent {
  IpPrefix prefix;
  std::int16_t view = 0;
  bool withdrawn = false;
  bool replay = false;
  std::uint32_t peer = 0;  // index into Batch::peers
  std::uint32_t node = 0;  // index into Batch::nodes
  std::uint32_t path_id = 0;
  bool has_attributes = false;
  bool has_origin_as = false;
  std::uint32_t origin_as = 0;
  Hash128 attributes;
  std::int64_t ts_us = 0;
  std::int64_t rx_us = 0;
  std::int32_t epoch = 0;
  std::int32_t live_epoch = 0;  // at this event; after stamp(): at the key's first event

  // Set by stamp().
  bool first = false;          // the key's first event: compared with the row in the table
  bool last = false;           // the key's last event: becomes the row
  bool log = false;            // history; of first events the database decides
  std::int32_t row_epoch = 0;  // of the row: later repetitions that were folded into this event moved it on
  bool risen = false;          // last events: came alive at first_ts_us, behind the key's first event
  std::int64_t first_ts_us = 0;
};

struct PeerUpdate {
  PeerState state;
  std::optional<std::int64_t> up_at, down_at, synced_at, stale_at;
  bool clear_stale = false;
  bool complete = false;  // a full dump has ended
  std::optional<bool> loc_rib;
};

// Descriptive columns of a `peer` row, cleaned. Applied in order: each kind of row fills columns of its own.
struct PeerInfo {
  std::uint32_t peer = 0;
  PeerRow::Action action = PeerRow::Action::kUp;
  std::vector<std::string> columns;  // kPeerColumns of them
};
inline constexpr std::size_t kPeerColumns = 31;

// peer_event.kind
enum class EventKind : std::int16_t {
  kUp = 1,
  kDown = 2,
  kEor = 3,
  kFirst = 4,
  kSynced = 5,
  kNotDumped = 6,
  kRouterDown = 7,
  kStale = 8,
};

struct PeerEvent {
  std::uint32_t peer = 0;
  std::int32_t epoch = 0;
  std::int64_t ts_us = 0, rx_us = 0;
  EventKind kind = EventKind::kUp;
  std::string info;  // JSON
};

struct StatReport {
  std::uint32_t peer = 0;
  std::uint32_t node = 0;
  std::int64_t ts_us = 0, rx_us = 0;
  std::array<std::int64_t, StatRow::kCounters> counters{};
};

struct RouterInfo {
  std::string name, ip, description, init_data, bgp_id;
  std::int64_t at_us = 0;
};

struct CollectorInfo {
  Hash128 collector;
  std::string admin_id, routers, action;
  std::uint32_t router_count = 0;
  std::int64_t at_us = 0;
};

// Generations that a `synced` ended: rows of [old_live, new_live) that are still there were not announced again.
struct Leftover {
  std::uint32_t peer = 0;
  std::int32_t old_live = 0, new_live = 0;
};

struct Rejected {
  std::int64_t offset = 0;
  std::string reason;
  std::string raw;
};

struct Hole {
  std::int64_t from = 0, to = 0;
};

struct BatchCounts {
  std::uint64_t records = 0, rows = 0, fenced = 0, foreign = 0, rejected = 0, replayed = 0, attribute_rows = 0;
  std::uint64_t unsupported = 0;  // objects and families that this version does not store
  std::uint64_t attribute_hits = 0, attribute_misses = 0;
};

struct BatchPeer {
  PeerHash hash;
  RouterId router;
  bool detached = false;  // another topic orders its life: only its id is of use here
};

struct Batch {
  std::int64_t old_offset = 0, new_offset = 0;
  std::vector<BatchPeer> peers;
  std::vector<std::string> nodes;
  std::vector<RouteEvent> routes;
  std::vector<AttributeSet> attributes;
  std::map<std::uint32_t, PeerUpdate> peer_updates;
  std::vector<PeerInfo> peer_infos;
  std::vector<PeerEvent> events;
  std::vector<StatReport> stats;
  std::map<RouterId, RouterInfo> routers;
  std::map<RouterId, std::int64_t> routers_down;  // given up, since
  std::map<RouterId, std::int64_t> routers_stale;
  std::map<Hash128, CollectorInfo> collectors;
  std::map<RouterId, RouterFence> fences;
  std::vector<Leftover> leftovers;
  std::int64_t leftovers_at_us = 0;
  std::string leftovers_node;
  bool leftovers_replay = false;
  std::vector<Rejected> rejected;
  std::vector<Hole> holes;
  BatchCounts counts;

  // For the alarm about a router of which nothing passes the fence, and for latency; not written.
  std::map<RouterId, std::string> fenced_routers;  // router -> node of the last fenced record
  std::set<RouterId> accepted_routers;
  std::vector<std::int64_t> read_times_us;  // of records that are not replayed

  bool empty() const { return new_offset == old_offset; }
  void stamp();
};

// Raw bytes kept of a record or row that is set aside, and how many a batch keeps; more are only counted.
inline constexpr std::size_t kMaxRejectedBytes = 65536;
inline constexpr std::size_t kMaxRejectedPerBatch = 1000;

class BatchBuilder {
 public:
  // `now_us` replaces receipt times that cannot be.
  BatchBuilder(PartitionState& state, AttributeCache& attributes, std::int64_t next_offset, std::int64_t now_us);

  // REQUIRES: offsets rise. True: the batch must be written before the next record is added.
  [[nodiscard]] bool add(const InputRecord& record);
  // For a record that the database refuses: it is stored as rejected and has no other effect.
  void set_aside(const InputRecord& record, std::string_view reason);
  // Stamps and hands over; the builder is done.
  Batch finish();

  std::size_t rows() const { return batch_.routes.size() + batch_.stats.size() + batch_.events.size(); }
  // Types of records that were skipped for good reason, to be named once per run.
  const std::set<std::string>& skipped() const { return skipped_; }

 private:
  struct Context {
    const InputRecord* record = nullptr;
    KafkaHeader header;
    std::int64_t rx_us = 0;
    std::uint32_t node = 0;
  };

  void accepted(const Context& c);
  void rows_of(const Context& c, const TextMessage& message);
  const char* row_of(const Context& c, const TextMessage& message, std::string_view row);
  const char* unicast(const Context& c, const TextMessage& message, std::string_view row);
  const char* find_route_peer(const Context& c, const UnicastRow& row);
  const char* remember_attributes(const UnicastRow& row);
  const char* peer(const Context& c, std::string_view row);
  const char* stat(const Context& c, std::string_view row);
  const char* eor(const Context& c, std::string_view row);
  const char* router(const Context& c, std::string_view row);
  const char* collector(const Context& c, std::string_view row);

  void apply(const Context& c, const PeerChange& change);
  void event(const Context& c, std::uint32_t peer, EventKind kind, std::int64_t ts_us, std::string info);
  // Null when hashes and header fit together, else why not.
  const char* check_owner(const Context& c, const RouterId& router, const PeerHash& peer) const;
  std::uint32_t peer_index(const PeerHash& peer, const RouterId& router, bool detached = false);
  std::uint32_t node_index(const std::string& node);
  PeerUpdate& update_of(std::uint32_t peer);
  void reject(std::int64_t offset, std::string_view reason, std::string_view raw);
  std::int64_t receipt_time(const KafkaHeader& header, const InputRecord& record) const;

  PartitionState& state_;
  AttributeCache& attributes_;
  std::int64_t now_us_;
  Batch batch_;
  RowReader reader_;
  Columns columns_;
  std::unordered_map<PeerHash, std::uint32_t, HashOf> peer_index_;
  // The peer of the last route row of this record: all rows of a record are one peer's.
  struct RoutePeer {
    PeerHash hash;
    const PeerState* state = nullptr;
    std::uint32_t index = 0;
    bool loc_rib = false;
  } route_peer_;
  std::optional<Hash128> last_attributes_;
  std::set<std::string> skipped_;
};

}  // namespace bmpha::sink
