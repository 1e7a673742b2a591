// Wiring: Kafka in the main thread, writers behind it. Hands records to the writer of their partition in offset order
// without holes, pauses partitions whose queue is full, and tells Kafka how far the database is.
#pragma once

#include <future>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/backoff.h"
#include "common/event_loop.h"
#include "common/metrics.h"
#include "common/outage.h"
#include "psql-sink/maintenance.h"
#include "psql-sink/status.h"
#include "psql-sink/writer.h"

namespace bmpha::sink {

struct SinkConfig {
  KafkaConnection kafka;
  std::vector<std::string> topics;
  std::string ordering_topic;  // of them, where the lives of peers are in order with their routes; empty: not known
  std::string former_topic;    // the same of the other layout, whose peers are taken along; empty: none
  std::uint32_t partitions = 16;
  std::size_t writers = 2;
  WriterConfig writer;
  MaintenanceConfig maintenance;
  std::uint64_t queue_bytes = 256ULL * 1024 * 1024;
  std::uint64_t queue_records = 500000;
  std::string metrics_listen;
  std::string dump_file;
};

class Sink {
 public:
  // What `metrics` shows is renewed once a second; it must outlive the object.
  Sink(SinkConfig config, MetricsServer& metrics);
  ~Sink();
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  // Runs until a signal ends it (`on_hangup` is called for HUP); returns the exit code.
  int run(const std::function<void(Sink&)>& on_hangup);
  void set_retention(std::uint64_t days) { maintenance_->set_retention(days); }

 private:
  struct Slot {
    std::size_t writer = 0;
    std::uint64_t assignment = 0;
    std::int64_t expected = -1;   // offset of the next record, -1 before the first position
    std::int64_t committed = -1;  // what the database has
    bool paused = true;
    // A jump in offsets: only when the broker gives the same answer again and again it is a hole in the log.
    std::int64_t jumped_to = -1;
    std::uint32_t jumps = 0;
    BootTime ask_again;
    BootTime progress;         // last record taken, or seek
    std::uint32_t behind = 0;  // records before the expected one since then
  };

  void on_assigned(const std::vector<Partition>& partitions);
  void on_revoked(const std::vector<Partition>& partitions);
  void on_message(const Partition& partition, KafkaMessage message);
  bool is_hole(const Partition& partition, Slot& slot, std::int64_t offset);
  void on_trouble(const std::string& what);
  void on_working();
  void probe_kafka();
  void poll();
  void serve_writers();
  void balance(const Partition& partition, Slot& slot);
  void nudge(const Partition& partition, Slot& slot);
  void seek(const Partition& partition, Slot& slot);
  SinkStatus status() const;
  void dump();
  void publish_metrics();
  int shut_down();

  const SinkConfig config_;
  MetricsServer& metrics_;
  EventLoop loop_;
  KafkaConsumer consumer_;
  OnceLog once_;
  Outage database_outage_;
  Outage kafka_outage_;
  std::future<bool> probe_;
  Backoff probe_pause_{Millis{250}, Millis{2000}};
  BootTime probe_at_{};
  int wake_fd_ = -1;
  std::vector<std::unique_ptr<Writer>> writers_;
  std::unique_ptr<Maintenance> maintenance_;
  std::map<Partition, Slot> slots_;
  std::uint64_t assignments_ = 0;
  std::uint64_t pauses_ = 0, rebalances_ = 0, stale_messages_ = 0;
  bool poll_again_ = false;
  bool stopping_ = false;
  int exit_code_ = 0;
};

}  // namespace bmpha::sink
