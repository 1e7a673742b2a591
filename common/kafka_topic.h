// What gate and sink ask of a Kafka topic: does it exist, with how many partitions, with which settings; and its
// creation. Calls block up to their timeout: make them before the loop runs or in a thread of their own. This file
// pair includes librdkafka.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/result.h"

namespace bmpha {

struct KafkaConnection {
  std::string brokers;               // host:port[,host:port...]
  std::vector<std::string> options;  // key=value, passed to librdkafka
};

// For Options: what would be right, or empty. Checks form, name and value of one key=value by asking librdkafka, and
// refuses keys whose value the guarantees fix.
std::string check_kafka_option(const std::string& key_value);
// librdkafka settings that bmp-ha fixes itself (`enable.idempotence`, `acks`, ...).
bool is_reserved_kafka_option(const std::string& key);

struct TopicInfo {
  bool exists = false;
  std::uint32_t partitions = 0;
  std::uint32_t replication = 0;              // smallest replica count of a partition
  bool config_known = false;                  // false: the broker does not answer questions about settings
  std::map<std::string, std::string> config;  // cleanup.policy, retention.ms, ...
};

// What stands in the way of running, and what is only unwise. Pure.
struct TopicVerdict {
  std::vector<std::string> refuse;  // each ends with its remedy
  std::vector<std::string> warn;
};
// What to do about a topic whose number of partitions was changed.
inline constexpr const char* kPartitionsRemedy =
    "delete it and create it anew: see \"The number of partitions\" in docs/operations.md";
TopicVerdict judge_topic(const TopicInfo& info, const std::string& topic, std::uint32_t partitions);

struct TopicSpec {
  std::string topic;
  std::uint32_t partitions = 16;
  std::uint32_t replication = 1;
  std::uint32_t min_insync = 1;
  Millis retention{24 * 3600 * 1000};
};

// One client handle for questions about topics. Used from one thread at a time.
class KafkaTopics {
 public:
  // Fails on options that librdkafka refuses; an unreachable broker is no failure here.
  static Result<std::unique_ptr<KafkaTopics>> open(const KafkaConnection& connection);
  ~KafkaTopics();
  KafkaTopics(const KafkaTopics&) = delete;
  KafkaTopics& operator=(const KafkaTopics&) = delete;

  // Failure: the broker could not be asked. A topic that does not exist is an answer; it is never created by asking.
  Result<TopicInfo> describe(const std::string& topic, bool with_config, Millis timeout);
  // True: created; false: it existed before.
  Result<bool> create(const TopicSpec& spec, Millis timeout);

 private:
  struct Impl;
  explicit KafkaTopics(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bmpha
