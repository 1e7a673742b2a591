// One thread with one database connection that owns some partitions: takes their records from bounded queues, one
// partition and one transaction at a time, flushing as soon as the last flush ended. The database being away means
// waiting with the records kept; nothing is dropped, and Kafka goes on being polled by the main thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/backoff.h"
#include "common/outage.h"
#include "psql-sink/fence_watch.h"
#include "psql-sink/ingest.h"
#include "psql-sink/latency.h"

namespace bmpha::sink {

struct WriterConfig {
  std::string database;
  std::string group;
  std::size_t batch_rows = 5000;
  std::size_t bulk_rows = 20000;  // when only one partition has records and many wait
  Millis linger{0};
  std::size_t attribute_cache = 500000;
  Millis sweep_interval{600000};
  std::size_t sweep_rows = 10000;
};

// Says things once however often they happen, over all writers.
class OnceLog {
 public:
  bool first(const std::string& what) {
    const std::lock_guard lock(mutex_);
    return said_.size() < 1000 && said_.insert(what).second;
  }

 private:
  std::mutex mutex_;
  std::set<std::string> said_;
};

struct WriterStats {
  BatchCounts counts;
  std::uint64_t batches = 0, history_rows = 0, fenced_batches = 0, database_failures = 0, gaps = 0, swept = 0;
  std::uint64_t attributes_known = 0;
  bool connected = false;
  bool fence_alarm = false;
  Latency commit_latency;  // socket read to commit, wall clocks of two hosts
  Latency batch_time;
};

// What the main thread has to do.
struct WriterEvent {
  enum class Kind : std::uint8_t {
    kSeek,       // records are wanted from `offset` on
    kCommitted,  // everything before `offset` is in the database
  };
  Kind kind = Kind::kSeek;
  Partition partition;
  std::uint64_t assignment = 0;
  std::int64_t offset = 0;
};

class Writer {
 public:
  using Watermarks = std::function<std::optional<OffsetRange>(const Partition&)>;

  // `notify` is called from the writer's thread when events wait. `outage` is the database's, shared by all who use it.
  Writer(WriterConfig config, Watermarks watermarks, std::function<void()> notify, OnceLog& once, Outage& outage);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Main thread.
  void assign(const Partition& partition, std::uint64_t assignment);
  // Waits, at most `patience`, for the batch that is being written; the rest is dropped and read again by whoever
  // gets the partition.
  void revoke(const Partition& partition, Millis patience);
  void push(const Partition& partition, KafkaMessage message);
  // Positions are not in the log: load and look again.
  void reload(const Partition& partition);
  struct Queued {
    std::size_t records = 0, bytes = 0;
  };
  Queued queued(const Partition& partition) const;
  std::vector<WriterEvent> take_events();
  WriterStats stats() const;
  std::size_t partitions() const;
  // Ends after the batch being written; cuts it off when it takes longer than `patience`.
  void stop(Millis patience);

 private:
  struct Slot {
    Partition partition;
    std::uint64_t assignment = 0;
    std::deque<KafkaMessage> queue;  // only the writer's thread takes out
    std::size_t bytes = 0;
    bool revoked = false;
    bool loaded = false;
    bool seeking = false;  // a seek is under way; what comes from elsewhere is thrown away
    BootTime not_before;   // after a failure of this partition
    // Writer's thread only.
    std::int64_t next_offset = -1;
    PartitionState state;
    Backoff backoff;
    std::uint32_t refusals = 0;
    std::int64_t careful_until = -1;  // single records up to here: one of them is refused
    std::string refused_why;
    FenceWatch fences;
  };
  using SlotPtr = std::shared_ptr<Slot>;
  struct Taken {
    std::vector<const KafkaMessage*> messages;
    std::size_t cap = 0;
  };

  void run();
  SlotPtr next_work(std::unique_lock<std::mutex>& lock);
  bool has_work(const Slot& slot, BootTime now) const;
  bool ensure_connected();
  void load(const SlotPtr& slot);
  bool position(const SlotPtr& slot, LoadedPartition& loaded);
  void flush(const SlotPtr& slot);
  Taken take(Slot& slot);
  void committed(const SlotPtr& slot, const Batch& batch, const FlushResult& result, std::size_t records,
                 BootTime began);
  void failed(const SlotPtr& slot, const FlushResult& result, std::size_t records);
  void lost_connection(const std::string& why);
  void retry_later(Slot& slot, const std::string& what, const std::string& why);
  void watch_fences(Slot& slot, const Batch& batch);
  void sweep();
  void post(const Slot& slot, WriterEvent::Kind kind, std::int64_t offset);
  void wait(Millis delay);

  const WriterConfig config_;
  const Watermarks watermarks_;
  const std::function<void()> notify_;
  OnceLog& once_;
  Outage& outage_;
  BootTime connected_at_{};
  Ingest ingest_;
  AttributeCache attributes_;
  Backoff reconnect_;
  BootTime next_sweep_;
  std::uint64_t dead_rows_ = 0;  // changes since the last sweep that may have left dead rows

  mutable std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::map<Partition, SlotPtr> slots_;
  const Slot* busy_ = nullptr;
  Partition last_;  // round robin
  bool stopping_ = false;
  bool running_ = true;
  std::vector<WriterEvent> events_;
  WriterStats stats_;
  std::thread thread_;  // last: everything above exists when it starts
};

}  // namespace bmpha::sink
