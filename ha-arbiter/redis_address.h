// Where Redis is:
//   redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]                      one server
//   rediss://...                                                    the same with TLS
//   unix:///PATH[?db=N]
//   sentinel://[[USER]:PASSWORD@]HOST[:PORT][,HOST[:PORT]...]/MASTER[/DB]    the master that Sentinels name
//   rediss+sentinel://...                                           the same, with TLS to Sentinels and master
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/result.h"

namespace bmpha::arbiter {

struct HostPort {
  std::string host;
  std::uint16_t port = 0;
  bool operator==(const HostPort&) const = default;
};
std::string to_text(const HostPort& where);  // an IPv6 address in brackets

struct RedisAddress {
  bool tls = false;
  std::string host;  // empty: unix socket, or Sentinels
  std::uint16_t port = 6379;
  std::string path;
  std::vector<HostPort> sentinels;
  std::string master;  // its name among the Sentinels
  std::string user;
  std::string password;
  std::uint32_t db = 0;

  bool by_sentinel() const { return !sentinels.empty(); }
};

// The message never repeats the URL: it may hold a password.
Result<RedisAddress> parse_redis_url(const std::string& url);
// For logs: without user and password.
std::string to_text(const RedisAddress& address);

}  // namespace bmpha::arbiter
