#include "common/zmq_socket.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <system_error>
#include <zmq.hpp>

namespace bmpha {

struct Frame::Impl {
  zmq::message_t message;
};
Frame::Frame() : impl_(std::make_unique<Impl>()) {}
Frame::~Frame() = default;
Frame::Frame(Frame&&) noexcept = default;
Frame& Frame::operator=(Frame&&) noexcept = default;
Bytes Frame::bytes() const { return {impl_->message.data<std::uint8_t>(), impl_->message.size()}; }
bool Frame::more() const { return impl_->message.more(); }

namespace {
// What the system refuses (descriptors, threads) comes out as the error of the system that it is.
template <class Make>
auto made(const char* what, Make make) {
  try {
    return make();
  } catch (const zmq::error_t& e) {
    throw std::system_error(e.num(), std::generic_category(), what);
  }
}
}  // namespace

struct ZmqContext::Impl {
  zmq::context_t context;
  explicit Impl(int threads) : context(made("ZeroMQ context", [threads] { return zmq::context_t(threads); })) {}
};
ZmqContext::ZmqContext(int io_threads) : impl_(std::make_unique<Impl>(io_threads)) {}
ZmqContext::~ZmqContext() = default;

struct ZmqSocket::Impl {
  zmq::socket_t socket;

  // Only where a peer can vanish without a word: the kernel tells of the end of a local socket.
  void heartbeat_on_tcp(const std::string& endpoint) {
    if (!endpoint.starts_with("tcp://")) return;
    socket.set(zmq::sockopt::heartbeat_ivl, 1000);
    socket.set(zmq::sockopt::heartbeat_timeout, 10000);
  }
};

namespace {

zmq::socket_type type_of(SocketKind kind) {
  switch (kind) {
    case SocketKind::kPub:
      return zmq::socket_type::pub;
    case SocketKind::kXpub:
      return zmq::socket_type::xpub;
    case SocketKind::kSub:
      return zmq::socket_type::sub;
    case SocketKind::kRouter:
      return zmq::socket_type::router;
    case SocketKind::kDealer:
      return zmq::socket_type::dealer;
  }
  return zmq::socket_type::pub;
}

// bind() of a missing directory says only "No such file or directory": name the directory.
std::string missing_directory(const std::string& endpoint) {
  if (!endpoint.starts_with("ipc://")) return {};
  const std::string path = endpoint.substr(6);
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return {};
  struct stat info {};
  const std::string directory = path.substr(0, slash);
  return stat(directory.c_str(), &info) == 0 ? std::string() : directory;
}

}  // namespace

ZmqSocket::ZmqSocket(ZmqContext& context, SocketKind kind, const Settings& s)
    : impl_(std::make_unique<Impl>(
          Impl{made("ZeroMQ socket", [&] { return zmq::socket_t(context.impl().context, type_of(kind)); })})) {
  zmq::socket_t& z = impl_->socket;
  z.set(zmq::sockopt::linger, 0);
  z.set(zmq::sockopt::sndhwm, s.send_hwm);
  z.set(zmq::sockopt::rcvhwm, s.recv_hwm);
  z.set(zmq::sockopt::reconnect_ivl, 50);
  z.set(zmq::sockopt::reconnect_ivl_max, 500);
  if (s.max_message >= 0) z.set(zmq::sockopt::maxmsgsize, s.max_message);
  if (s.conflate) z.set(zmq::sockopt::conflate, true);
  if (s.router_mandatory) z.set(zmq::sockopt::router_mandatory, true);
}
ZmqSocket::~ZmqSocket() = default;
ZmqSocket::ZmqSocket(ZmqSocket&&) noexcept = default;

Status ZmqSocket::bind(const std::string& endpoint) {
  if (const std::string directory = missing_directory(endpoint); !directory.empty())
    return Status::error(fmt::format("cannot bind {}: directory {} does not exist", endpoint, directory));
  try {
    impl_->heartbeat_on_tcp(endpoint);
    impl_->socket.bind(endpoint);
  } catch (const zmq::error_t& e) {
    return Status::error(fmt::format("cannot bind {}: {}", endpoint, e.what()));
  }
  return Status::ok();
}

Status ZmqSocket::connect(const std::string& endpoint) {
  try {
    impl_->heartbeat_on_tcp(endpoint);
    impl_->socket.connect(endpoint);
  } catch (const zmq::error_t& e) {
    return Status::error(fmt::format("cannot connect to {}: {}", endpoint, e.what()));
  }
  return Status::ok();
}

Status ZmqSocket::subscribe(const std::string& prefix) {
  try {
    impl_->socket.set(zmq::sockopt::subscribe, prefix);
  } catch (const zmq::error_t& e) {
    return Status::error(fmt::format("cannot subscribe to \"{}\": {}", prefix, e.what()));
  }
  return Status::ok();
}

int ZmqSocket::fd() const { return impl_->socket.get(zmq::sockopt::fd); }

bool ZmqSocket::try_recv(Frame& out) {
  if (!out.holds()) out = Frame();  // it was moved from: as good as a new one
  try {
    return impl_->socket.recv(out.impl().message, zmq::recv_flags::dontwait).has_value();
  } catch (const zmq::error_t&) {
    return false;
  }
}

namespace {
ZmqSocket::Sent send_message(zmq::socket_t& socket, zmq::message_t message, bool more) {
  const zmq::send_flags flags = more ? zmq::send_flags::dontwait | zmq::send_flags::sndmore : zmq::send_flags::dontwait;
  try {
    return socket.send(message, flags).has_value() ? ZmqSocket::Sent::kYes : ZmqSocket::Sent::kAgain;
  } catch (const zmq::error_t&) {
    return ZmqSocket::Sent::kUnreachable;
  }
}
}  // namespace

ZmqSocket::Sent ZmqSocket::try_send(Bytes frame, bool more) {
  return send_message(impl_->socket, zmq::message_t(frame.data(), frame.size()), more);
}

ZmqSocket::Sent ZmqSocket::try_send(Bytes frame, std::shared_ptr<const void> owner, bool more) {
  auto hint = std::make_unique<std::shared_ptr<const void>>(std::move(owner));
  void* data = const_cast<std::uint8_t*>(frame.data());  // NOLINT: ZeroMQ never writes through it
  zmq::message_t message(
      data, frame.size(),
      [](void*, void* h) {
        std::unique_ptr<std::shared_ptr<const void>>(static_cast<std::shared_ptr<const void>*>(h));
      },
      hint.get());
  (void)hint.release();  // the message's free function owns it now
  return send_message(impl_->socket, std::move(message), more);
}

}  // namespace bmpha
