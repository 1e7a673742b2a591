#include "bmp-recv/relay.h"

#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "common/value_checks.h"

namespace bmpha::recv {
namespace {

constexpr Millis kCloseWait{5000};

struct FreeAddresses {
  void operator()(addrinfo* a) const { freeaddrinfo(a); }
};

}  // namespace

Result<Relay> Relay::connect(const std::string& host_port) {
  using R = Result<Relay>;
  const std::optional<HostPort> to = split_host_port(host_port);
  if (!to) return R::failure("expected HOST:PORT, not " + host_port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int e = getaddrinfo(to->host.c_str(), std::to_string(to->port).c_str(), &hints, &found); e != 0)
    return R::failure(fmt::format("cannot connect to {}: {}", host_port, gai_strerror(e)));
  const std::unique_ptr<addrinfo, FreeAddresses> addresses(found);
  std::string why = "no address";
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    Fd fd(socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol));
    if (fd && ::connect(fd.get(), a->ai_addr, a->ai_addrlen) == 0) return R(Relay(host_port, std::move(fd)));
    why = std::strerror(errno);
  }
  return R::failure(fmt::format("cannot connect to {}: {}", host_port, why));
}

Status Relay::send(Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Status::error(fmt::format("cannot send to {}: {}", name_, std::strerror(errno)));
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return Status::ok();
}

bool Relay::finish(Millis hold) {
  const auto ended_within = [this](Millis wait) {
    pollfd p{fd_.get(), POLLIN, 0};
    const BootTime until = BootClock::now() + wait;
    for (;;) {
      const auto left = std::chrono::duration_cast<Millis>(until - BootClock::now());
      if (left < Millis{0}) return false;
      if (poll(&p, 1, static_cast<int>(left.count()) + 1) <= 0) continue;
      char unused[256];
      if (::recv(fd_.get(), unused, sizeof unused, MSG_DONTWAIT) <= 0) return true;
    }
  };
  if (ended_within(hold)) return true;
  shutdown(fd_.get(), SHUT_WR);
  (void)ended_within(kCloseWait);
  return false;
}

}  // namespace bmpha::recv
