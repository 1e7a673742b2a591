#include "ha-arbiter/redis_scripts.h"

#include <cstdlib>
#include <utility>

namespace bmpha::arbiter {

// Stores the blob, reads everybody's, the owners and Redis' own time, atomically. A blob that comes late is not
// stored: its ages would look younger than they are. Ids are data, never patterns.
const char* const kTickScript = R"lua(
-- KEYS: owners, known ids, own node key. ARGV: id, blob or '', ttl_ms, prefix of node keys, made_ms or 0, late_ms
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local text = string.format('%.0f', now)
local made = tonumber(ARGV[5])
if made > 0 and math.abs(now - made) > tonumber(ARGV[6]) then return {1, text} end
local before = redis.call('GET', KEYS[3]) or ''
if ARGV[2] ~= '' then
  redis.call('SET', KEYS[3], text .. ' ' .. ARGV[2], 'PX', ARGV[3])
  redis.call('ZADD', KEYS[2], text, ARGV[1])
end
-- Also by who only looks: a server that does not take writes is none to believe.
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - 86400000))
local nodes = {}
-- Those that were heard last: names that nobody uses any more must not push out living nodes.
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], -1024, -1)) do
  nodes[#nodes + 1] = id
  nodes[#nodes + 1] = redis.call('GET', ARGV[4] .. id) or ''
end
return {0, text, before, nodes, redis.call('HGETALL', KEYS[1])}
)lua";

// Takes routers whose owner is still the value that was read, and shows it in the blob in the same step, so that nobody
// can read the new owner beside the old role.
const char* const kClaimScript = R"lua(
-- KEYS: owners, own node key. ARGV: ttl_ms, made_ms or 0, late_ms, head, tail, then per router: id, expected value or
-- '', new value, line if won, line if lost
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local text = string.format('%.0f', now)
local made = tonumber(ARGV[2])
if made > 0 and math.abs(now - made) > tonumber(ARGV[3]) then return {1, text} end
local won = {}
local blob = {ARGV[4]}
for i = 6, #ARGV, 5 do
  if (redis.call('HGET', KEYS[1], ARGV[i]) or '') == ARGV[i + 1] then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
    won[#won + 1] = 1
    blob[#blob + 1] = ARGV[i + 3]
  else
    won[#won + 1] = 0
    blob[#blob + 1] = ARGV[i + 4]
  end
end
blob[#blob + 1] = ARGV[5]
redis.call('SET', KEYS[2], text .. ' ' .. table.concat(blob), 'PX', ARGV[1])
return {0, text, won}
)lua";

// KEYS: owners. ARGV: router and expected value, in turns.
const char* const kForgetScript = R"lua(
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
return 1
)lua";

// Only nodes that are known: what others left is removed, and what is too long to be one is not read.
const char* const kCensusScript = R"lua(
-- KEYS: census, known ids. ARGV: id, text, longest text
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local known = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], -1024, -1)) do known[id] = true end
local all = redis.call('HGETALL', KEYS[1])
local out = {}
for i = 1, #all, 2 do
  if not known[all[i]] then
    redis.call('HDEL', KEYS[1], all[i])
  elseif #all[i + 1] <= tonumber(ARGV[3]) then
    out[#out + 1] = all[i]
    out[#out + 1] = all[i + 1]
  end
end
return out
)lua";

namespace {

bool to_ms(const RedisReply& r, std::int64_t& out) {
  if (!r.is_text()) return false;
  if (r.text.empty() || r.text.size() > 18 || r.text.find_first_not_of("0123456789") != std::string::npos) return false;
  out = std::strtoll(r.text.c_str(), nullptr, 10);
  return true;
}

bool to_pairs(const RedisReply& r, std::vector<std::pair<std::string, std::string>>& out) {
  if (!r.is_list() || r.list.size() % 2 != 0) return false;
  for (std::size_t n = 0; n < r.list.size(); n += 2) {
    if (!r.list[n].is_text() || !r.list[n + 1].is_text()) return false;
    out.emplace_back(r.list[n].text, r.list[n + 1].text);
  }
  return true;
}

// The first two elements of both scripts' answers, and how many there are. False: not of that form.
bool to_head(const RedisReply& r, std::size_t elements, bool& late, std::int64_t& redis_ms) {
  if (!r.is_list() || r.list.size() < 2 || r.list[0].type != RedisReply::Type::kNumber || !to_ms(r.list[1], redis_ms))
    return false;
  late = r.list[0].number != 0;
  return late || r.list.size() == elements;
}

}  // namespace

Result<TickReply> read_tick(const RedisReply& r) {
  using R = Result<TickReply>;
  TickReply reply;
  if (!to_head(r, 5, reply.late, reply.redis_ms)) return R::failure("answer of the tick script has another form");
  if (reply.late) return reply;
  if (!r.list[2].is_text() || !to_pairs(r.list[3], reply.nodes) || !to_pairs(r.list[4], reply.owners))
    return R::failure("answer of the tick script has another form");
  reply.before = r.list[2].text;
  return reply;
}

Result<ClaimReply> read_claim(const RedisReply& r, std::size_t items) {
  using R = Result<ClaimReply>;
  ClaimReply reply;
  if (!to_head(r, 3, reply.late, reply.redis_ms)) return R::failure("answer of the claim script has another form");
  if (reply.late) return reply;
  if (!r.list[2].is_list() || r.list[2].list.size() != items)
    return R::failure("answer of the claim script has another form");
  for (const RedisReply& won : r.list[2].list) reply.won.push_back(won.number == 1);
  return reply;
}

Result<Store::Pairs> read_census(const RedisReply& r) {
  Store::Pairs pairs;
  if (!to_pairs(r, pairs)) return Result<Store::Pairs>::failure("answer of the census script has another form");
  return pairs;
}

}  // namespace bmpha::arbiter
