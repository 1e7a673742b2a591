// The store's rules in memory: what the scripts do in Redis, with the time passed in. Serves a standalone node, and the
// tests, where several nodes share one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ha-arbiter/store.h"

namespace bmpha::explore {
struct StateBytes;
}

namespace bmpha::arbiter {

class MemoryCluster {
 public:
  MemoryCluster(std::int64_t ttl_ms, std::int64_t late_ms) : ttl_ms_(ttl_ms), late_ms_(late_ms) {}

  TickReply tick(const std::string& id, const TickRequest& request, std::int64_t now_ms);
  ClaimReply claim(const std::string& id, const ClaimRequest& request, std::int64_t now_ms);
  void forget(const std::vector<std::pair<std::string, std::string>>& routers);
  void leave(const std::string& id) { keys_.erase(id); }
  // Everything is lost, as when Redis comes back empty.
  void clear();
  const std::map<std::string, std::string>& owners() const { return owners_; }

 private:
  friend struct explore::StateBytes;  // tests compare whole states
  struct Key {
    std::string value;
    std::int64_t expires_ms;
  };
  bool is_late(std::int64_t made_ms, std::int64_t now_ms) const;
  void write(const std::string& id, const std::string& blob, std::int64_t now_ms);
  void expire(std::int64_t now_ms);

  std::int64_t ttl_ms_, late_ms_;
  std::map<std::string, Key> keys_;
  std::map<std::string, std::int64_t> nodes_;
  std::map<std::string, std::string> owners_;
};

class MemoryStore : public Store {
 public:
  // now_ms: UTC milliseconds.
  MemoryStore(std::string id, std::int64_t ttl_ms, std::function<std::int64_t()> now_ms)
      : id_(std::move(id)), cluster_(ttl_ms, ttl_ms), now_ms_(std::move(now_ms)) {}

  void tick(const TickRequest& request, TickDone done) override { done(cluster_.tick(id_, request, now_ms_())); }
  void claim(const ClaimRequest& request, ClaimDone done) override { done(cluster_.claim(id_, request, now_ms_())); }
  void forget(const std::vector<std::pair<std::string, std::string>>& routers, Done done) override {
    cluster_.forget(routers);
    done(Status::ok());
  }
  void leave(Done done) override {
    cluster_.leave(id_);
    done(Status::ok());
  }
  // A single node has nobody to compare with.
  void census(const std::string& text, CensusDone done) override { done(Pairs{{id_, text}}); }

 private:
  std::string id_;
  MemoryCluster cluster_;
  std::function<std::int64_t()> now_ms_;
};

}  // namespace bmpha::arbiter
