// Checks of values that several tools take, for Options: what would be right, or empty.
#pragma once

#include <string>

namespace bmpha {

// A ZeroMQ endpoint between tools of a node: ipc:///PATH or tcp://ADDRESS:PORT.
std::string check_endpoint(const std::string& text);
// HOST:PORT[,HOST:PORT...]; an IPv6 address in brackets.
std::string check_kafka_brokers(const std::string& text);
// Kafka's own rule for names of topics.
std::string check_topic_name(const std::string& text);

}  // namespace bmpha
