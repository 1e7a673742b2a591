#include "kafka-gate/partition.h"

namespace bmpha::gate {
namespace {

constexpr std::uint32_t kSeed = 0x9747b28c;
constexpr std::uint32_t kMix = 0x5bd1e995;

std::uint32_t byte_at(std::string_view s, std::size_t n) { return static_cast<std::uint8_t>(s[n]); }

}  // namespace

std::uint32_t murmur2(std::string_view key) {
  std::uint32_t h = kSeed ^ static_cast<std::uint32_t>(key.size());
  std::size_t at = 0;
  for (; at + 4 <= key.size(); at += 4) {
    std::uint32_t k =
        byte_at(key, at) | byte_at(key, at + 1) << 8 | byte_at(key, at + 2) << 16 | byte_at(key, at + 3) << 24;
    k *= kMix;
    k ^= k >> 24;
    k *= kMix;
    h *= kMix;
    h ^= k;
  }
  const std::size_t tail = key.size() - at;
  if (tail >= 3) h ^= byte_at(key, at + 2) << 16;
  if (tail >= 2) h ^= byte_at(key, at + 1) << 8;
  if (tail >= 1) {
    h ^= byte_at(key, at);
    h *= kMix;
  }
  h ^= h >> 13;
  h *= kMix;
  h ^= h >> 15;
  return h;
}

std::uint32_t partition_of(const Hash128& key, std::uint32_t partitions) {
  return (murmur2(to_hex(key)) & 0x7fffffff) % partitions;
}

std::uint32_t slot_of(TopicSelector selector, const Hash128& key, std::uint32_t partitions) {
  return topic_of(selector) * partitions + partition_of(key, partitions);
}

}  // namespace bmpha::gate
