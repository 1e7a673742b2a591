// The database side of ingest: loads a partition's state, and writes a Batch in one transaction together with the
// partition's offset. One object per connection and thread.
//
// After any outcome but kCommitted nothing in memory may be trusted: the caller loads the partition again and builds
// the batch anew from the records it still holds. So a lost connection, an unknown end of a COMMIT, a server that
// lost its last transactions and another sink that took the partition are all the same case.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <unordered_map>

#include "common/kafka_consumer.h"
#include "psql-sink/batch.h"
#include "psql-sink/copy_format.h"
#include "psql-sink/pg_connection.h"

namespace bmpha::sink {

enum class Outcome : std::uint8_t {
  kCommitted,
  kFenced,       // the stored offset is another one: load again
  kUnreachable,  // the connection broke: connect again
  kRefused,      // the server refused the data or an assumption failed
};
struct FlushResult {
  Outcome outcome = Outcome::kCommitted;
  std::string message;
  std::string sqlstate;
  std::uint64_t history_rows = 0;
  std::uint64_t inserted_or_updated = 0;
};

struct LoadedPartition {
  std::int64_t next_offset = -1;  // -1: nothing is stored yet
  PartitionState state;
};

class Ingest {
 public:
  Ingest(std::string conninfo, std::string group);

  // Connects and prepares the session.
  Status open();
  void close() { pg_.close(); }
  bool usable() const { return pg_.usable(); }
  PgConnection& connection() { return pg_; }

  // ingest_state.cc
  Result<LoadedPartition> load(const Partition& partition);
  // Stores where a partition begins that has no offset yet.
  Status begin_partition(const Partition& partition, std::int64_t offset);
  // The log no longer has the stored position (SCHEMA.md): records the gap, moves the offset, marks the
  // partition's peers incomplete. `replaced`: the log is another one, offsets of the old one order nothing.
  Status jump(const Partition& partition, std::int64_t from, std::int64_t to, bool replaced);

  FlushResult flush(const Partition& partition, Batch& batch, PartitionState& state);

  // Deletes rows that are dead for good, at most `limit`, of partitions that this sink holds; under their offset rows'
  // locks. Of peers that are down only those which went down before the given time. Returns how many, or -1 when it
  // failed.
  std::int64_t sweep(const std::vector<std::pair<Partition, std::int64_t>>& partitions, std::int64_t down_before_us,
                     std::size_t limit);

  // Called inside the transaction just before COMMIT; tests make it fail there.
  std::function<bool()> before_commit;

 private:
  // Each returns false after filling `result_`.
  // ingest_ids.cc
  bool resolve_ids(const Partition& partition, Batch& batch, PartitionState& state);
  bool resolve_routers(const Batch& batch, PartitionState& state);
  bool resolve_peers(const Partition& partition, const Batch& batch, PartitionState& state);
  bool resolve_peers(const Partition& partition, const Batch& batch, PartitionState& state, bool owned);
  bool resolve_nodes(const Batch& batch);
  // ingest.cc
  bool ensure_days(const Batch& batch);
  bool store_attributes(const Batch& batch);
  bool write(const Partition& partition, Batch& batch, PartitionState& state);
  bool apply_routes(const Batch& batch);
  bool sweep_leftovers(const Batch& batch);
  // ingest_tables.cc
  bool update_peers(const Partition& partition, const Batch& batch);
  bool update_routers(const Batch& batch, const PartitionState& state);
  bool update_fences(const Partition& partition, const Batch& batch, const PartitionState& state);
  bool copy_events(const Batch& batch);
  bool copy_stats(const Batch& batch);
  bool copy_rejected(const Partition& partition, const Batch& batch);

  bool check(const PgResult& r, const char* what);

  PgConnection pg_;
  std::string group_;
  std::unordered_map<std::string, std::int16_t> nodes_;
  std::set<std::int64_t> days_;         // of which the history partitions exist
  std::vector<std::int32_t> peer_ids_;  // of the batch being written
  std::vector<std::int16_t> node_ids_;
  CopyBuffer copy_;
  FlushResult result_;
};

}  // namespace bmpha::sink
