// Redis' protocol: commands to bytes, bytes to replies. The only file pair that includes hiredis, of which it takes
// this part alone; connections are ours (redis_connection.h), so that TLS works with any version of the library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"

namespace bmpha::arbiter {

struct RedisReply {
  enum class Type { kText, kNumber, kNil, kList, kError };
  Type type = Type::kNil;
  std::string text;  // of an error: its message
  std::int64_t number = 0;
  std::vector<RedisReply> list;

  bool is_text() const { return type == Type::kText; }
  bool is_list() const { return type == Type::kList; }
  bool is_error() const { return type == Type::kError; }
};

std::string encode_command(const std::vector<std::string>& arguments);

// For logs: a server that does not know a command answers with its arguments, which may be a password.
std::string without_arguments(const std::string& error);

// Takes the stream's bytes as they come.
class RedisReader {
 public:
  RedisReader();
  ~RedisReader();
  RedisReader(const RedisReader&) = delete;
  RedisReader& operator=(const RedisReader&) = delete;

  void feed(const char* bytes, std::size_t size);
  // The next complete reply, none when more bytes are needed; an error when this is not Redis' protocol.
  Result<std::optional<RedisReply>> next();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bmpha::arbiter
