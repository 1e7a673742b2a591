// Checks of values that several tools take, for Options: what would be right, or empty.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bmpha {

struct HostPort {
  std::string host;  // without brackets
  std::uint16_t port = 0;
  bool is_bracketed = false;
};
// HOST:PORT with a port of 1 to 65535, an IPv6 address in brackets. The host is not looked at any further. None: the
// text is of another form.
std::optional<HostPort> split_host_port(std::string_view text);
// That form, and a host that is a name or an address.
std::string check_host_port(const std::string& text);

// A ZeroMQ endpoint between tools of a node: ipc:///PATH or tcp://ADDRESS:PORT.
std::string check_endpoint(const std::string& text);
// HOST:PORT[,HOST:PORT...]; an IPv6 address in brackets.
std::string check_kafka_brokers(const std::string& text);
// Kafka's own rule for names of topics.
std::string check_topic_name(const std::string& text);

}  // namespace bmpha
