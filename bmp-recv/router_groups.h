// Groups of routers, from the configuration: what a router's messages are labelled with on the bus. Pure.
//
// An entry is NAME=PREFIX or NAME=/REGEX/. The name of a router decides first: the first expression that is found in
// it; then its address: the longest prefix that holds it. Without either it is in the group "default".
#pragma once

#include <regex>
#include <string>
#include <vector>

#include "bmp-recv/tcp.h"

namespace bmpha::recv {

// For Options: what would be right, or empty.
std::string check_router_group(const std::string& entry);

class RouterGroups {
 public:
  // Entries that check_router_group() refuses are left out.
  explicit RouterGroups(const std::vector<std::string>& entries);
  const std::string& group_of(const std::string& router_name, const IpAddress& address) const;

 private:
  struct ByName {
    std::string group;
    std::regex pattern;
  };
  struct ByPrefix {
    std::string group;
    IpPrefix prefix;
  };
  std::string default_ = "default";
  std::vector<ByName> by_name_;
  std::vector<ByPrefix> by_prefix_;  // the longest first
};

}  // namespace bmpha::recv
