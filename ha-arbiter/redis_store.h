// The store in Redis: asynchronous, with a deadline of our own for every request, so that a slow or silent server never
// holds up the loop. Scripts and keys: BLOB_FORMAT.md.
//
// Whatever is not a proper answer in time is a failure: a connection that breaks, a timeout, any error reply
// (READONLY, MISCONF, OOM, LOADING, NOAUTH, NOPERM, CLUSTERDOWN, MOVED...). After a failure the connection is closed.
// One that was lost or silent is made anew at once; when that fails too, and after an error reply, the next request
// connects again, after a pause that grows.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/event_loop.h"
#include "ha-arbiter/redis_address.h"
#include "ha-arbiter/redis_link.h"
#include "ha-arbiter/store.h"

namespace bmpha::arbiter {

struct RedisSettings {
  RedisAddress address;
  TlsSettings tls;
  std::string sentinel_user, sentinel_password;  // the Sentinels' own; address has the server's
  Resolver::Lookup lookup;                       // empty: what the system knows
  std::string cluster_name = "default";
  std::uint64_t cluster_id = 0;
  std::string node;
  Millis timeout{400};
  Millis ttl{2000};
};

struct RedisKeys {
  std::string own, nodes, node, node_prefix, census;
};
RedisKeys redis_keys(const std::string& cluster_name, std::uint64_t cluster_id, const std::string& node);

class RedisStore : public Store {
 public:
  // loop must outlive the object.
  RedisStore(EventLoop& loop, RedisSettings settings);
  ~RedisStore() override;

  void tick(const TickRequest& request, TickDone done) override;
  void claim(const ClaimRequest& request, ClaimDone done) override;
  void forget(const std::vector<std::pair<std::string, std::string>>& routers, Done done) override;
  void leave(Done done) override;
  void census(const std::string& text, CensusDone done) override;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace bmpha::arbiter
