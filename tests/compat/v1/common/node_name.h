// Names of nodes: the same rule and the same words in every tool. They stand in log lines, in the keys and
// lines that arbiters write to Redis, and in Kafka's record header.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "tests/compat/v1/common/kafka_header.h"

namespace bmpha_v1 {

inline bool is_node_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxNodeName && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-._%+:@~").find(c) != std::string_view::npos;
  });
}

// For Options: what would be right, or empty. Names of clusters keep the same rule.
inline std::string check_node_name(const std::string& text) {
  return is_node_name(text) ? std::string() : "expected 1 to 64 letters, digits or -._%+:@~";
}
// For cross checks of tools that cannot do without.
inline std::string check_node_name_given(const std::string& name) {
  return name.empty() ? "key \"node-name\": missing; expected a name that no other node of the cluster has"
                      : std::string();
}

}  // namespace bmpha_v1
