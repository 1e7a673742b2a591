// The gate's wiring: sockets, producer, timers and signals around the pure Gate. One thread, one loop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/kafka_topic.h"
#include "common/result.h"
#include "common/role.h"
#include "common/topic_names.h"

namespace bmpha::gate {

struct Config {
  std::string node;
  std::string recv_socket = "ipc:///run/bmp-ha/link.sock";
  std::string roles_socket = "ipc:///run/bmp-ha/roles.sock";
  std::string status_socket = "ipc:///run/bmp-ha/status.sock";
  KafkaConnection kafka{"127.0.0.1:9092", {}};
  TopicNames topics;
  std::uint64_t partitions = 16;
  std::uint64_t bytes_limit = 2ull << 30;
  Millis retain = kDefaultRetain;
  Millis kafka_bad{5000};
  Millis kafka_good{10000};
  std::string metrics_listen;
  std::string dump_file;
  // --create-topics
  bool create_topics = false;
  std::uint64_t replication = 1;
  std::uint64_t min_insync = 1;
  Millis retention{24 * 3600 * 1000};
};

// Signals that run_gate() reads; block them first thing in main.
const std::vector<int>& gate_signals();
// Runs until TERM or INT, or until the topic forbids it. Returns the exit code.
int run_gate(const Config& config);
// Creates the topics or says that they are there; exit code.
int create_topics(const Config& config);

}  // namespace bmpha::gate
