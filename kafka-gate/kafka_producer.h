// The gate's one Kafka producer: idempotent, acks=all, no timeout, explicit partitions, values not copied. The only
// file pair of the gate that includes librdkafka.
//
// Every copy that send() took is answered exactly once by poll(), unless the producer is replaced before; then
// nothing of it is answered any more and the caller sends again from its first unacknowledged record.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/kafka_topic.h"
#include "common/result.h"
#include "kafka-gate/held_records.h"

namespace bmpha::gate {

class KafkaProducer {
 public:
  struct Settings {
    KafkaConnection connection;
    std::vector<std::string> topics;       // by number, see partition.h
    std::uint32_t partitions = 16;         // of each
    std::uint64_t max_bytes = 256u << 20;  // handed over and unanswered
    std::uint32_t max_messages = 100'000;
  };
  enum class Sent { kYes, kFull, kTooLarge, kNoTopic };
  struct Answer {
    Ticket ticket;
    bool delivered = false;  // false: refused for ever
    std::string why;         // when refused
  };

  // Fails on options that librdkafka refuses. An unreachable broker is no failure.
  static Result<std::unique_ptr<KafkaProducer>> open(const Settings& settings);
  // Waits for nothing: what is unanswered is dropped.
  ~KafkaProducer();
  KafkaProducer(const KafkaProducer&) = delete;
  KafkaProducer& operator=(const KafkaProducer&) = delete;

  // Readable when answers or events wait.
  int fd() const;
  Sent send(const Copy& copy);
  // Hands at most `most` answers to f; more follow with the next wake. Returns how many.
  std::size_t poll(std::size_t most, const std::function<void(const Answer&)>& f);
  // This producer cannot go on (fatal error, or an answer that is no answer): call replace().
  bool is_lost() const;
  const std::string& lost_why() const;
  // Destroys the producer with everything unanswered, in the background, and starts a new one.
  Status replace();
  // The newest complaint of the client about its brokers; cleared by reading.
  std::string take_complaint();

  std::uint64_t outstanding() const;
  std::uint64_t outstanding_bytes() const;

 private:
  struct Impl;
  explicit KafkaProducer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bmpha::gate
