// The state that USR1 asks for, as JSON. The only file pair here that includes nlohmann-json.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "psql-sink/writer.h"

namespace bmpha::sink {

struct PartitionStatus {
  Partition partition;
  std::size_t writer = 0;
  std::int64_t next_offset = -1;  // in the database
  std::int64_t log_end = -1;
  std::size_t queued_records = 0, queued_bytes = 0;
  bool paused = false;
};

struct SinkStatus {
  std::string group;
  std::string waiting_for;  // at start: the server and what it answers; empty when it runs
  bool kafka_ok = true;
  std::uint64_t pauses = 0, rebalances = 0, stale_messages = 0;
  std::vector<PartitionStatus> partitions;
  std::vector<WriterStats> writers;
};

// All writers as one; connected when all are.
WriterStats sum_of(const std::vector<WriterStats>& writers);
std::string to_json(const SinkStatus& status);

}  // namespace bmpha::sink
