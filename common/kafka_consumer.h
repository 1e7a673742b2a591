// Reads from Kafka, with positions that come from elsewhere: as a member of a consumer group (open), where a new
// partition is paused until its position is given and the group's stored offsets are written as a hint for lag tools
// and never read; or alone (open_alone), leaving no trace. This file pair includes librdkafka. All calls from one
// thread, but for watermarks().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/byte_reader.h"
#include "common/clock.h"
#include "common/kafka_topic.h"
#include "common/result.h"

namespace bmpha {

struct Partition {
  std::string topic;
  std::int32_t number = 0;
  auto operator<=>(const Partition&) const = default;  // NOLINT(modernize-use-nullptr): misread by clang-tidy 14
};

// A record with its bytes; they live as long as `owner`.
struct KafkaMessage {
  std::int64_t offset = 0;
  std::int64_t time_us = 0;
  bool has_header = false;
  Bytes header;
  std::string_view value;
  std::string_view copied;      // the value of another topic's record of which this one is a copy (kKafkaCopiedName)
  std::int64_t hole_from = -1;  // >= 0: the log has nothing from here up to this record
  std::shared_ptr<void> owner;
  std::size_t bytes() const { return value.size() + copied.size() + header.size() + 256; }
};

struct OffsetRange {
  std::int64_t low = 0, high = 0;
};

// For Options: what would be right, or empty.
std::string check_consumer_option(const std::string& key_value);

class KafkaConsumer {
 public:
  struct Callbacks {
    std::function<void(const std::vector<Partition>&)> assigned;  // paused, without position
    std::function<void(const std::vector<Partition>&)> revoked;   // no longer ours when it returns
    std::function<void(const Partition&, KafkaMessage)> message;
    std::function<void(const std::string&)> trouble;  // what librdkafka says of brokers
    std::function<void()> working;                    // a broker answered again
  };

  KafkaConsumer();
  ~KafkaConsumer();
  KafkaConsumer(const KafkaConsumer&) = delete;
  KafkaConsumer& operator=(const KafkaConsumer&) = delete;

  // Subscribes. Fails on settings that librdkafka refuses; an unreachable broker is no failure.
  Status open(const KafkaConnection& connection, const std::string& group, const std::vector<std::string>& topics,
              Callbacks callbacks);
  // Without a group: reads nothing before read_from().
  Status open_alone(const KafkaConnection& connection, Callbacks callbacks);
  // Reads these partitions, each from its offset. Only after open_alone().
  Status read_from(const std::vector<std::pair<Partition, std::int64_t>>& positions);
  // Readable when there is something to poll for.
  int event_fd() const;
  // Serves callbacks and up to `most` records. True: there may be more.
  bool poll(std::size_t most);
  void seek(const Partition& partition, std::int64_t offset);
  void pause(const Partition& partition);
  void resume(const Partition& partition);
  void store_offset(const Partition& partition, std::int64_t next_offset);
  // Asks the broker, blocking; from any thread. None: no answer.
  std::optional<OffsetRange> watermarks(const Partition& partition, Millis timeout) const;
  // End of the partition as last heard of, -1 unknown.
  std::int64_t known_end(const Partition& partition) const;
  // Leaves the group.
  void close();

 private:
  Status start(const KafkaConnection& connection, const std::string& group, Callbacks callbacks);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bmpha
