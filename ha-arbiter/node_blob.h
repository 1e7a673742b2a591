// Text of a node's key and of an owner in Redis. Form and version rules: BLOB_FORMAT.md. Readable with redis-cli.
//
// Decoding is strict: these texts come from a server that others can write to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/result.h"
#include "ha-arbiter/cluster.h"
#include "ha-arbiter/store.h"

namespace bmpha::arbiter {

inline constexpr std::uint64_t kBlobVersion = 2;
inline constexpr std::size_t kMaxNodes = 256;
inline constexpr std::size_t kMaxRouters = 200'000;
inline constexpr std::size_t kMaxBlob = 64u << 20;
// Largest epoch, gen or stamp that can be read.
inline constexpr std::uint64_t kMaxCounter = std::uint64_t{1} << 62;
// Largest one that this node's own are put above: those must be readable for the others, too.
inline constexpr std::uint64_t kMaxBelieved = kMaxCounter / 2;

// The whole blob is head, one line for each router, tail.
std::uint64_t version_of(const NodeBlob& b);
std::string encode_head(const NodeBlob& b, std::uint64_t version);
std::string encode_router(const RouterEntry& e);
std::string encode_tail(std::size_t routers);
std::string encode_blob(const NodeBlob& b);
Result<NodeBlob> decode_blob(std::string_view text);

// A key's value: the Redis time at which it was written, a space, the blob.
struct KeyValueText {
  std::int64_t pub_ms = 0;
  std::string_view blob;
};
Result<KeyValueText> split_key(std::string_view value);

std::string encode_owner(const std::string& node, std::uint64_t epoch);
OwnEntry decode_owner(std::string_view value);

// made_ms: Redis time at which the claims were made, 0: not known.
ClaimRequest encode_claims(const ClaimBatch& batch, const std::string& node, std::int64_t made_ms);

// What could not be read is left out and counted in `malformed`.
Observation read_observation(const TickReply& reply, BootTime at, std::size_t& malformed);

}  // namespace bmpha::arbiter
