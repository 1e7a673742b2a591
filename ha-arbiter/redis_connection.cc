#include "ha-arbiter/redis_connection.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace bmpha::arbiter {
namespace {

constexpr std::size_t kReadSize = 65536;
// At one go: a server that never stops must not keep the loop from its deadlines.
constexpr std::size_t kReadAtOnce = 4u << 20;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

template <class T>
void put(Address& to, const T& from) {
  static_assert(sizeof(T) <= sizeof to.storage);
  std::memcpy(&to.storage, &from, sizeof from);
  to.size = sizeof from;
}

bool make_address(const RedisTarget& target, Address& out) {
  if (target.address.starts_with('/')) {
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    if (target.address.size() >= sizeof local.sun_path) return false;
    std::memcpy(local.sun_path, target.address.c_str(), target.address.size() + 1);
    put(out, local);
    return true;
  }
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(target.port);
  if (inet_pton(AF_INET, target.address.c_str(), &v4.sin_addr) == 1) {
    put(out, v4);
    return true;
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(target.port);
  if (inet_pton(AF_INET6, target.address.c_str(), &v6.sin6_addr) != 1) return false;
  put(out, v6);
  return true;
}

}  // namespace

std::shared_ptr<RedisConnection> RedisConnection::make(EventLoop& loop, std::shared_ptr<TlsContext> tls) {
  return std::shared_ptr<RedisConnection>(new RedisConnection(loop, std::move(tls)));
}

RedisConnection::RedisConnection(EventLoop& loop, std::shared_ptr<TlsContext> tls)
    : loop_(loop), tls_(std::move(tls)) {}

RedisConnection::~RedisConnection() { close(); }

const char* RedisConnection::doing() const {
  switch (state_) {
    case State::kConnecting:
      return "connecting";
    case State::kHandshake:
      return "TLS handshake";
    default:
      return "waiting for an answer";
  }
}

Status RedisConnection::open(const RedisTarget& target, Millis deadline, OnUp on_up, OnDown on_down) {
  Address to;
  if (!make_address(target, to)) return Status::error(fmt::format("{} is no usable address", target.address));
  fd_ = socket(to.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return Status::error(fmt::format("cannot make a socket: {}", std::strerror(errno)));
  const int on = 1;
  if (to.storage.ss_family != AF_UNIX) setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&to.storage), to.size) != 0 && errno != EINPROGRESS) {
    const int saved = errno;
    ::close(std::exchange(fd_, -1));
    return Status::error(fmt::format("cannot connect: {}", std::strerror(saved)));
  }
  target_ = target;
  deadline_ = deadline;
  on_up_ = std::move(on_up);
  on_down_ = std::move(on_down);
  state_ = State::kConnecting;
  wants_write_ = true;
  arm_deadline();
  watch();
  return Status::ok();
}

void RedisConnection::close() {
  state_ = State::kClosed;
  if (timer_ != 0) loop_.cancel(std::exchange(timer_, 0));
  session_.reset();
  if (fd_ >= 0) {
    loop_.unwatch(fd_);
    ::close(std::exchange(fd_, -1));
  }
  on_up_ = nullptr;
  on_down_ = nullptr;
  // A callback that is running may stand in this queue's place: it was taken out before it was called.
  waiting_.clear();
}

void RedisConnection::send(const std::vector<std::string>& command, OnReply on_reply) {
  if (state_ != State::kUp) return;
  out_ += encode_command(command);
  waiting_.push_back(std::move(on_reply));
  watch();
}

void RedisConnection::down(std::string reason) {  // NOLINT: a copy on purpose
  const OnDown tell = std::move(on_down_);
  close();
  if (tell) tell(reason);
}

void RedisConnection::arm_deadline() {
  if (timer_ != 0) loop_.cancel(timer_);
  timer_ = loop_.after(deadline_, [weak = weak_from_this()] {
    const std::shared_ptr<RedisConnection> self = weak.lock();
    if (!self) return;
    self->timer_ = 0;
    self->down(fmt::format("{}: not within {} ms", self->doing(), self->deadline_.count()));
  });
}

void RedisConnection::watch() {
  const bool write = wants_write_ || (state_ == State::kUp && !write_waits_ && out_done_ < out_.size());
  const std::uint32_t events = EPOLLIN | (write ? EPOLLOUT : 0U);
  if (events == watched_) return;
  watched_ = events;
  loop_.watch(fd_, events, [weak = weak_from_this()](std::uint32_t bits) {
    if (const std::shared_ptr<RedisConnection> self = weak.lock()) self->on_event(bits);
  });
}

// Whatever the event was: what can be done is done. Level-triggered, so that nothing is missed.
void RedisConnection::on_event(std::uint32_t bits) {
  if (state_ == State::kConnecting && (!(bits & (EPOLLOUT | EPOLLERR | EPOLLHUP)) || !connected())) return;
  if (state_ == State::kHandshake && !shake()) return;
  if (state_ == State::kUp) {
    wants_write_ = write_waits_ = false;
    if (!read_all() || !write_all()) return;
  }
  if (state_ != State::kClosed) watch();
}

bool RedisConnection::connected() {
  int code = 0;
  socklen_t size = sizeof code;
  if (getsockopt(fd_, SOL_SOCKET, SO_ERROR, &code, &size) != 0) code = errno;
  if (code != 0) {
    down(fmt::format("cannot connect: {}", std::strerror(code)));
    return false;
  }
  wants_write_ = false;
  if (!tls_) {
    up();
    return state_ == State::kUp;
  }
  (void)tls_->refresh();  // a certificate that is being replaced: the old one serves until the new one is whole
  session_ = std::make_unique<TlsSession>(*tls_, fd_, target_.host);
  state_ = State::kHandshake;
  arm_deadline();
  return true;
}

bool RedisConnection::shake() {
  switch (session_->handshake()) {
    case TlsSession::Step::kDone:
      wants_write_ = false;
      up();
      return state_ == State::kUp;
    case TlsSession::Step::kWantRead:
      wants_write_ = false;
      break;
    case TlsSession::Step::kWantWrite:
      wants_write_ = true;
      break;
    case TlsSession::Step::kClosed:
      down("TLS: closed by the server within the handshake");
      return false;
    case TlsSession::Step::kFailed:
      down(session_->error());
      return false;
  }
  watch();
  return false;
}

void RedisConnection::up() {
  state_ = State::kUp;
  if (timer_ != 0) loop_.cancel(std::exchange(timer_, 0));
  if (const OnUp tell = std::move(on_up_)) tell();
}

RedisConnection::Moved RedisConnection::read_some() {
  char buffer[kReadSize];
  for (std::size_t taken = 0; taken < kReadAtOnce;) {
    if (session_) {
      std::size_t got = 0;
      switch (session_->read(buffer, sizeof buffer, got)) {
        case TlsSession::Step::kDone:
          reader_.feed(buffer, got);
          taken += got;
          continue;
        case TlsSession::Step::kWantRead:
          return Moved::kBlocked;
        case TlsSession::Step::kWantWrite:
          wants_write_ = true;
          return Moved::kBlocked;
        case TlsSession::Step::kClosed:
          return Moved::kClosed;
        case TlsSession::Step::kFailed:
          error_ = session_->error();
          return Moved::kFailed;
      }
    }
    const ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
    if (n > 0) {
      reader_.feed(buffer, static_cast<std::size_t>(n));
      taken += static_cast<std::size_t>(n);
      continue;
    }
    if (n == 0) return Moved::kClosed;
    if (errno == EAGAIN) return Moved::kBlocked;
    if (errno == EINTR) continue;
    error_ = std::strerror(errno);
    return Moved::kFailed;
  }
  return Moved::kMore;
}

// What TLS has taken off the socket already makes no event.
void RedisConnection::again() {
  loop_.after(Nanos{0}, [weak = weak_from_this()] {
    if (const std::shared_ptr<RedisConnection> self = weak.lock()) self->on_event(0);
  });
}

// What came before the end is still an answer: Redis says why before it closes.
bool RedisConnection::read_all() {
  const Moved moved = read_some();
  if (!take_replies()) return false;
  switch (moved) {
    case Moved::kBlocked:
      return true;
    case Moved::kMore:
      if (session_) again();
      return true;
    case Moved::kClosed:
      down((answered_ ? "connection lost: closed" : "closed before the first answer") + first_answer_hint());
      return false;
    case Moved::kFailed:
      break;
  }
  down(fmt::format("connection lost: {}{}", error_, first_answer_hint()));
  return false;
}

// Servers that speak TLS answer clear text with an alert, or not at all.
std::string RedisConnection::first_answer_hint() const {
  return answered_ || tls_ ? "" : " HINT: rediss:// where the server speaks TLS";
}

bool RedisConnection::take_replies() {
  for (;;) {
    Result<std::optional<RedisReply>> next = reader_.next();
    if (!next) {
      down(next.error() + first_answer_hint());
      return false;
    }
    if (!next.value()) return true;
    answered_ = true;
    if (waiting_.empty()) {  // an error without a question: too many clients, or not for strangers
      down(next.value()->is_error() ? next.value()->text : "an answer that nobody asked for");
      return false;
    }
    const OnReply tell = std::move(waiting_.front());
    waiting_.pop_front();
    tell(*next.value());
    if (state_ != State::kUp) return false;
  }
}

bool RedisConnection::write_all() {
  while (out_done_ < out_.size()) {
    const char* from = out_.data() + out_done_;
    const std::size_t size = out_.size() - out_done_;
    if (session_) {
      std::size_t put = 0;
      const TlsSession::Step step = session_->write(from, size, put);
      if (step == TlsSession::Step::kDone) {
        out_done_ += put;
        continue;
      }
      wants_write_ = wants_write_ || step == TlsSession::Step::kWantWrite;
      write_waits_ = step == TlsSession::Step::kWantRead;
      if (step == TlsSession::Step::kWantRead || step == TlsSession::Step::kWantWrite) return true;
      down(fmt::format("connection lost: {}", step == TlsSession::Step::kClosed ? "closed" : session_->error()));
      return false;
    }
    const ssize_t n = ::send(fd_, from, size, MSG_NOSIGNAL);
    if (n >= 0) {
      out_done_ += static_cast<std::size_t>(n);
      continue;
    }
    if (errno == EAGAIN) return true;
    if (errno == EINTR) continue;
    down(fmt::format("connection lost: {}", std::strerror(errno)));
    return false;
  }
  out_.clear();
  out_done_ = 0;
  return true;
}

}  // namespace bmpha::arbiter
