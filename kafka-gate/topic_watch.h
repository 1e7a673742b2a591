// Asks the brokers about the gate's topics again and again: is anyone there, do the topics still have their partitions,
// are their settings sound. Questions block, so they are asked in a thread of their own; answers are read in the loop.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/kafka_topic.h"

namespace bmpha::gate {

class TopicWatch {
 public:
  struct Settings {
    KafkaConnection connection;
    std::vector<std::string> topics;
    std::uint32_t partitions = 16;  // that each must have
    Millis interval{2000};          // between two questions
    Millis timeout{2000};           // of one question
    Millis config_interval{60000};  // between two questions about the topic's settings
  };
  struct Answer {
    bool reached = false;
    std::string why;       // when not reached
    TopicVerdict verdict;  // when reached; on all topics
  };

  explicit TopicWatch(Settings settings);
  ~TopicWatch();  // waits for a question that is on its way
  TopicWatch(const TopicWatch&) = delete;
  TopicWatch& operator=(const TopicWatch&) = delete;

  Status start();
  // Readable when an answer waits.
  int fd() const { return event_fd_; }
  std::optional<Answer> take();

 private:
  void run();
  Answer ask(bool with_config);

  Settings settings_;
  std::unique_ptr<KafkaTopics> topics_;
  int event_fd_ = -1;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::optional<Answer> answer_;
  std::thread thread_;
};

}  // namespace bmpha::gate
