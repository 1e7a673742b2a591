#include "kafka-gate/partition.h"

#include <algorithm>

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

Topics plan_topics(const TopicNames& names) {
  constexpr auto kRaw = TopicSelector::kBmpRaw;
  Topics t;
  const auto number_of = [&t](const std::string& name) {
    const auto at = std::find(t.names.begin(), t.names.end(), name);
    if (at == t.names.end()) t.names.push_back(name);
    return static_cast<std::uint32_t>(std::find(t.names.begin(), t.names.end(), name) - t.names.begin());
  };
  const auto each = [](const auto& f) {
    for (std::size_t n = 0; n < kTopicSelectors; ++n)
      if (const auto s = static_cast<TopicSelector>(n); s != TopicSelector::kOther && s != kRaw) f(s);
  };
  const auto of = [&t](TopicSelector s) -> std::uint32_t& { return t.plan.of[static_cast<std::size_t>(s)]; };
  each([&](TopicSelector s) { of(s) = number_of(names.name_of(s)); });
  const auto parsed = static_cast<std::uint32_t>(t.names.size());
  const std::string raw = names.name_of(kRaw);
  of(kRaw) = raw.empty() ? parsed : number_of(raw);
  t.plan.count = static_cast<std::uint32_t>(t.names.size());
  if (parsed == 1) return t;
  t.plan.detached.assign(parsed, true);
  t.plan.detached[of(TopicSelector::kUnicastPrefix)] = false;
  const auto add = [](std::vector<std::uint32_t>& to, std::uint32_t topic, std::uint32_t own) {
    if (topic != own && std::find(to.begin(), to.end(), topic) == to.end()) to.push_back(topic);
  };
  each([&](TopicSelector s) {
    if (!is_route_topic(s)) return;
    add(t.plan.peer_copies, of(s), of(TopicSelector::kPeer));
    add(t.plan.eor_copies, of(s), of(TopicSelector::kEor));
  });
  return t;
}

}  // namespace bmpha::gate
