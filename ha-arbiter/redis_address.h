// Where Redis is: redis://[[user]:password@]host[:port][/db] or unix:///path[?db=N].
#pragma once

#include <cstdint>
#include <string>

#include "common/result.h"

namespace bmpha::arbiter {

struct RedisAddress {
  std::string host;  // empty: unix socket
  std::uint16_t port = 6379;
  std::string path;
  std::string user;
  std::string password;
  std::uint32_t db = 0;
};

// The message never repeats the URL: it may hold a password.
Result<RedisAddress> parse_redis_url(const std::string& url);
// For logs: without user and password.
std::string to_text(const RedisAddress& address);

}  // namespace bmpha::arbiter
