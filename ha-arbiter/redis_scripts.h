// The scripts that Redis runs for the arbiter, and what their answers mean. Keys and scripts: BLOB_FORMAT.md.
#pragma once

#include <cstddef>

#include "common/text_rules.h"
#include "ha-arbiter/redis_codec.h"
#include "ha-arbiter/store.h"

namespace bmpha::arbiter {

extern const char* const kTickScript;
extern const char* const kClaimScript;
extern const char* const kForgetScript;
extern const char* const kCensusScript;

// What essential conditions of the scripts are for, and how they read without: of use to tests only.
inline constexpr TextRule kScriptRules[] = {
    {"A2-compare", "(redis.call('HGET', KEYS[1], ARGV[i]) or '') == ARGV[i + 1]", "true"},
    {"A2-same-script", "redis.call('SET', KEYS[2], text .. ' ' .. table.concat(blob), 'PX', ARGV[1])", ""},
    {"A2-late", "if made > 0 and math.abs(now - made)", "if false and math.abs(now - made)"},
};

Result<TickReply> read_tick(const RedisReply& reply);
Result<ClaimReply> read_claim(const RedisReply& reply, std::size_t items);
Result<Store::Pairs> read_census(const RedisReply& reply);

}  // namespace bmpha::arbiter
