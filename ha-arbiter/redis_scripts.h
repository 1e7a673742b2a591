// The scripts that Redis runs for the arbiter, and what their answers mean. Keys and scripts: BLOB_FORMAT.md.
#pragma once

#include <cstddef>

#include "ha-arbiter/redis_codec.h"
#include "ha-arbiter/store.h"

namespace bmpha::arbiter {

extern const char* const kTickScript;
extern const char* const kClaimScript;
extern const char* const kForgetScript;

Result<TickReply> read_tick(const RedisReply& reply);
Result<ClaimReply> read_claim(const RedisReply& reply, std::size_t items);

}  // namespace bmpha::arbiter
