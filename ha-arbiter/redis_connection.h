// One connection to a Redis or a Sentinel: connect, TLS, commands and their answers in order. Asynchronous: nothing
// here waits, and no callback comes from within a call of these functions.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/event_loop.h"
#include "ha-arbiter/redis_codec.h"
#include "ha-arbiter/tls.h"

namespace bmpha::arbiter {

struct RedisTarget {
  std::string address;  // numeric, or a path beginning with a slash
  std::uint16_t port = 0;
  std::string host;  // what was asked for: certificates are for this
};

class RedisConnection : public std::enable_shared_from_this<RedisConnection> {
 public:
  using OnUp = std::function<void()>;
  using OnDown = std::function<void(const std::string& reason)>;  // once; nothing comes after it
  using OnReply = std::function<void(const RedisReply&)>;

  // loop must outlive the object. tls: none for a connection in clear.
  static std::shared_ptr<RedisConnection> make(EventLoop& loop, std::shared_ptr<TlsContext> tls);
  ~RedisConnection();
  RedisConnection(const RedisConnection&) = delete;
  RedisConnection& operator=(const RedisConnection&) = delete;

  // Each of connecting and handshake may take `deadline`. A status that is not ok: failed at once, nobody is called.
  Status open(const RedisTarget& target, Millis deadline, OnUp on_up, OnDown on_down);
  // Once it is up.
  void send(const std::vector<std::string>& command, OnReply on_reply);
  // Nobody is called any more.
  void close();
  // What it is doing, for messages.
  const char* doing() const;

 private:
  enum class State { kClosed, kConnecting, kHandshake, kUp };
  // Where a step of reading or writing ended.
  enum class Moved { kBlocked, kMore, kClosed, kFailed };

  RedisConnection(EventLoop& loop, std::shared_ptr<TlsContext> tls);
  void on_event(std::uint32_t bits);
  bool connected();
  bool shake();
  void up();
  bool read_all();
  bool write_all();
  Moved read_some();
  bool take_replies();
  std::string first_answer_hint() const;
  void down(std::string reason);  // by value: it may live in what is closed
  void arm_deadline();
  void watch();
  void again();

  EventLoop& loop_;
  std::shared_ptr<TlsContext> tls_;
  std::unique_ptr<TlsSession> session_;
  State state_ = State::kClosed;
  RedisTarget target_;
  Millis deadline_{0};
  EventLoop::TimerId timer_ = 0;
  int fd_ = -1;
  std::uint32_t watched_ = 0;
  bool wants_write_ = false;  // connecting, or TLS needs to write before it goes on
  bool write_waits_ = false;  // TLS must read before it can write
  bool answered_ = false;     // has ever answered
  std::string out_;
  std::size_t out_done_ = 0;
  RedisReader reader_;
  std::deque<OnReply> waiting_;
  OnUp on_up_;
  OnDown on_down_;
  std::string error_;
};

}  // namespace bmpha::arbiter
