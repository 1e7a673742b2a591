// Asks Sentinels which server is the master: one after another, each with a deadline, the one that answered last first.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/event_loop.h"
#include "common/result.h"
#include "ha-arbiter/redis_address.h"
#include "ha-arbiter/redis_connection.h"
#include "ha-arbiter/resolver.h"

namespace bmpha::arbiter {

struct SentinelSettings {
  std::vector<HostPort> sentinels;
  std::string master;
  std::string user, password;  // of the Sentinels themselves; empty: they ask for none
  Millis timeout{400};         // for each of them, all steps together
};

class Sentinel {
 public:
  using Done = std::function<void(const Result<HostPort>&)>;

  // loop and resolver must outlive the object. tls: none for connections in clear.
  Sentinel(EventLoop& loop, Resolver& resolver, SentinelSettings settings, std::shared_ptr<TlsContext> tls);
  ~Sentinel();
  Sentinel(const Sentinel&) = delete;
  Sentinel& operator=(const Sentinel&) = delete;

  // Calls done once, from the loop, unless find() is called again before: only the last call is answered.
  void find(Done done);
  // What was answered last proved wrong: the next find() begins with another Sentinel.
  void blame();

 private:
  void ask();
  void resolved(const Result<Resolver::Addresses>& addresses);
  void query();
  void answered(const RedisReply& reply);
  void next(const std::string& reason);
  void finish(const Result<HostPort>& result);
  void stop();
  const HostPort& current() const { return settings_.sentinels[at_]; }

  EventLoop& loop_;
  Resolver& resolver_;
  SentinelSettings settings_;
  std::shared_ptr<TlsContext> tls_;
  std::shared_ptr<RedisConnection> connection_;
  std::shared_ptr<int> alive_;  // of the step under way: what comes later finds it gone
  EventLoop::TimerId timer_ = 0;
  std::size_t at_ = 0;
  std::size_t asked_ = 0;
  std::vector<std::size_t> failures_;  // of each: takes turns among its addresses
  std::string reasons_;
  Done done_;
};

}  // namespace bmpha::arbiter
