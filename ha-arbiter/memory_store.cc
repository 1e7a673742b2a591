#include "ha-arbiter/memory_store.h"

#include <fmt/format.h>

#include "common/rules.h"

namespace bmpha::arbiter {
namespace {
constexpr std::int64_t kKnownFor = std::int64_t{24} * 3600 * 1000;
}

bool MemoryCluster::is_late(std::int64_t made_ms, std::int64_t now_ms) const {
  return made_ms != 0 && (now_ms - made_ms > late_ms_ || made_ms - now_ms > late_ms_);
}

void MemoryCluster::write(const std::string& id, const std::string& blob, std::int64_t now_ms) {
  keys_[id] = {fmt::format("{} {}", now_ms, blob), now_ms + ttl_ms_};
  nodes_[id] = now_ms;
}

void MemoryCluster::expire(std::int64_t now_ms) {
  std::erase_if(keys_, [now_ms](const auto& k) { return k.second.expires_ms <= now_ms; });
  std::erase_if(nodes_, [now_ms](const auto& n) { return n.second <= now_ms - kKnownFor; });
}

TickReply MemoryCluster::tick(const std::string& id, const TickRequest& request, std::int64_t now_ms) {
  expire(now_ms);
  TickReply reply;
  reply.redis_ms = now_ms;
  if (is_late(request.made_ms, now_ms)) {
    reply.late = true;
    return reply;
  }
  if (const auto own = keys_.find(id); own != keys_.end()) reply.before = own->second.value;
  if (!request.blob.empty()) write(id, request.blob, now_ms);
  for (const auto& [node, stamp] : nodes_) {
    const auto key = keys_.find(node);
    reply.nodes.emplace_back(node, key != keys_.end() ? key->second.value : std::string());
  }
  reply.owners.assign(owners_.begin(), owners_.end());
  return reply;
}

ClaimReply MemoryCluster::claim(const std::string& id, const ClaimRequest& request, std::int64_t now_ms) {
  expire(now_ms);
  ClaimReply reply;
  reply.redis_ms = now_ms;
  if (is_late(request.made_ms, now_ms)) {
    reply.late = true;
    return reply;
  }
  std::string blob = request.head;
  for (const ClaimRequest::Item& item : request.items) {
    const auto owner = owners_.find(item.router);
    const bool won =
        (owner != owners_.end() ? owner->second : std::string()) == item.expected || !rule_on("A2-compare");
    if (won) owners_[item.router] = item.value;
    blob += won ? item.won : item.lost;
    reply.won.push_back(won);
  }
  write(id, blob + request.tail, now_ms);
  return reply;
}

void MemoryCluster::forget(const std::vector<std::pair<std::string, std::string>>& routers) {
  for (const auto& [router, expected] : routers)
    if (const auto owner = owners_.find(router); owner != owners_.end() && owner->second == expected)
      owners_.erase(owner);
}

void MemoryCluster::clear() {
  keys_.clear();
  nodes_.clear();
  owners_.clear();
}

}  // namespace bmpha::arbiter
