// ZeroMQ behind a small wrapper; the only file pair that includes zmq.hpp. Its exceptions end here.
//
// A socket's fd is edge-triggered: after every wake, and after every send or receive, call again until nothing is
// left. EventLoop users register fd() and drain with try_recv in the callback; after sending on a socket that is also
// read, call the drain function once more (a send may have consumed the edge).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/byte_reader.h"
#include "common/result.h"

namespace bmpha {

// One received frame, owned. Movable; the bytes live as long as the object.
class Frame {
 public:
  Frame();
  ~Frame();
  Frame(Frame&&) noexcept;
  Frame& operator=(Frame&&) noexcept;
  // Not of a frame that was moved from; try_recv() fills such a one again.
  Bytes bytes() const;
  bool holds() const { return impl_ != nullptr; }
  bool more() const;  // further frames of the same message follow
  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

enum class SocketKind { kPub, kXpub, kSub, kRouter, kDealer };

// One context per process.
class ZmqContext {
 public:
  explicit ZmqContext(int io_threads = 1);
  ~ZmqContext();
  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

class ZmqSocket {
 public:
  struct Settings {
    int send_hwm = 1000;  // messages; 0 = no limit (the caller's credit limits)
    int recv_hwm = 1000;
    bool conflate = false;          // keep only the newest message (level-triggered tables)
    std::int64_t max_message = -1;  // bytes of a message that is read; who sends a larger one is cut off. -1: any
    bool router_mandatory = false;  // sending to an unknown peer fails instead of dropping silently
  };
  ZmqSocket(ZmqContext& context, SocketKind kind, const Settings& settings);
  ~ZmqSocket();
  ZmqSocket(ZmqSocket&&) noexcept;

  // Creates the directory part check itself: an ipc path whose directory is missing is an error that names it.
  Status bind(const std::string& endpoint);
  Status connect(const std::string& endpoint);
  Status subscribe(const std::string& prefix = {});  // SUB only

  int fd() const;
  // False: nothing is there, or the context is going down.
  bool try_recv(Frame& out);
  enum class Sent { kYes, kAgain, kUnreachable };
  // Copies the bytes.
  Sent try_send(Bytes frame, bool more = false);
  // Sends without a copy: owner keeps the bytes alive until ZeroMQ has let go of them (any thread).
  Sent try_send(Bytes frame, std::shared_ptr<const void> owner, bool more = false);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bmpha
