// Settings of bmp-tap.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bmp-recv/tap/row_printer.h"
#include "common/clock.h"
#include "common/kafka_topic.h"
#include "common/options.h"
#include "common/topic_names.h"

namespace bmpha::recv {

struct TapConfig {
  // Exactly one of these is where records come from.
  std::string input;  // a file, "-" for standard input
  std::string subscribe;
  KafkaConnection kafka;
  TopicNames names;  // `topic` empty: by what is to be done
  std::string from = "end";
  bool stop_at_end = false;
  // What becomes of them.
  bool json = false;
  std::string relay;
  Millis hold{0};
  std::uint64_t count = 0;
  RowFilter filter;
  std::vector<std::string> prefixes;
  // For what a file does not say.
  std::string collector_id = "default";
  std::string router_ip = "0.0.0.0";
  std::string compat = "none";

  // To follow, the one with unicast routes first.
  std::vector<std::string> topics() const;
};

// Registers all options; config must outlive them.
void add_options(Options& options, TapConfig& config);

}  // namespace bmpha::recv
