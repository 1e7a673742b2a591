// The way to the Redis server that counts: find it (Sentinels, names), connect, TLS, log in, choose the database, and
// check that it is the master. One attempt at a time; each of its steps has a deadline, the whole has none, so that a
// request that gives up early does not undo a slow but successful attempt.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/event_loop.h"
#include "ha-arbiter/redis_address.h"
#include "ha-arbiter/redis_connection.h"
#include "ha-arbiter/resolver.h"
#include "ha-arbiter/sentinel.h"
#include "ha-arbiter/tls.h"

namespace bmpha::arbiter {

struct RedisLinkSettings {
  RedisAddress address;
  TlsSettings tls;
  std::string sentinel_user, sentinel_password;
  Millis timeout{400};         // of each step
  Millis sentinel_poll{1000};  // between two questions whether the master is still the same
  Resolver::Lookup lookup = Resolver::look_up;
};

class RedisLink {
 public:
  // No callback comes from within a call of these functions. loop must outlive the object.
  RedisLink(EventLoop& loop, RedisLinkSettings settings, std::function<void()> on_up,
            std::function<void(const std::string& reason)> on_down);
  ~RedisLink();
  RedisLink(const RedisLink&) = delete;
  RedisLink& operator=(const RedisLink&) = delete;

  bool is_up() const { return phase_ == Phase::kUp; }
  bool is_down() const { return phase_ == Phase::kDown; }
  // Sentinels name another server than the one that this link leads to.
  bool has_moved() const { return moved_; }
  // What an attempt is doing, for messages.
  std::string doing() const;

  void open();  // when it is down
  // The server did not do what it should; with Sentinels, another one is asked next.
  void close();
  void send(const std::vector<std::string>& command, RedisConnection::OnReply on_reply);

 private:
  enum class Phase { kDown, kFinding, kResolving, kOpening, kSetup, kUp };
  void begin();
  void found(const Result<HostPort>& master);
  void resolve(const HostPort& where);
  void resolved(const Result<Resolver::Addresses>& addresses);
  void connect(const std::string& address);
  void set_up();
  void setup_command(const std::vector<std::string>& command);
  void setup_answered(const RedisReply& reply, bool is_role);
  void up();
  void poll();
  void compare(const HostPort& master);
  void fail(const std::string& reason);
  void reset();

  EventLoop& loop_;
  RedisLinkSettings settings_;
  std::function<void()> on_up_;
  std::function<void(const std::string&)> on_down_;
  std::shared_ptr<TlsContext> tls_;
  std::string tls_error_;
  Resolver resolver_;
  std::unique_ptr<Sentinel> sentinel_;
  Phase phase_ = Phase::kDown;
  std::shared_ptr<RedisConnection> connection_;
  std::shared_ptr<int> alive_;  // of the attempt: what comes later finds it gone
  EventLoop::TimerId timer_ = 0;
  HostPort where_;
  std::string address_;       // of it, the one that was connected to
  std::size_t attempts_ = 0;  // takes turns among a name's addresses
  std::size_t setups_ = 0;    // answers of the set-up that are still to come
  bool moved_ = false;
};

}  // namespace bmpha::arbiter
