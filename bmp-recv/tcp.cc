#include "bmp-recv/tcp.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "common/value_checks.h"

namespace bmpha::recv {
namespace {

constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool is_mapped(const IpAddress& a) { return std::equal(kMapped.begin(), kMapped.end(), a.begin()); }

bool parse_ip(const std::string& text, IpAddress& out, bool& v6) {
  in6_addr six{};
  in_addr four{};
  if (inet_pton(AF_INET6, text.c_str(), &six) == 1) {
    v6 = true;
    std::copy(std::begin(six.s6_addr), std::end(six.s6_addr), out.begin());
    return true;
  }
  if (inet_pton(AF_INET, text.c_str(), &four) != 1) return false;
  v6 = false;
  std::copy(kMapped.begin(), kMapped.end(), out.begin());
  std::memcpy(out.data() + 12, &four, 4);
  return true;
}

template <class T>
bool parse_decimal(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

// Letters, digits, hyphens and dots, with a letter in it: "192.0.2" is no name, but an address with an error in it.
bool is_host_name(std::string_view host) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto is_plain = [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  return host.size() <= 253 && std::all_of(host.begin(), host.end(), is_plain) &&
         std::any_of(host.begin(), host.end(), is_letter);
}

void set_option(int fd, int level, int name, int value) { setsockopt(fd, level, name, &value, sizeof value); }

// bind(2) or connect(2).
using AddressCall = int (*)(int, const sockaddr*, socklen_t);
int with_address(AddressCall call, int fd, const ListenAddress& a) {
  if (a.v6) {
    sockaddr_in6 s{};
    s.sin6_family = AF_INET6;
    s.sin6_port = htons(a.port);
    inet_pton(AF_INET6, a.host.c_str(), &s.sin6_addr);
    return call(fd, reinterpret_cast<const sockaddr*>(&s), sizeof s);
  }
  sockaddr_in s{};
  s.sin_family = AF_INET;
  s.sin_port = htons(a.port);
  inet_pton(AF_INET, a.host.c_str(), &s.sin_addr);
  return call(fd, reinterpret_cast<const sockaddr*>(&s), sizeof s);
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}
void Fd::reset() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

std::string ip_text(const IpAddress& a) {
  char text[INET6_ADDRSTRLEN] = {};
  if (is_mapped(a)) {
    inet_ntop(AF_INET, a.data() + 12, text, sizeof text);
  } else {
    inet_ntop(AF_INET6, a.data(), text, sizeof text);
  }
  return text;
}

bool IpPrefix::contains(const IpAddress& a) const {
  const std::size_t whole = length / 8;
  if (!std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(whole), address.begin())) return false;
  const unsigned rest = length % 8;
  return rest == 0 || ((a[whole] ^ address[whole]) >> (8 - rest)) == 0;
}

bool parse_ip_prefix(const std::string& text, IpPrefix& out) {
  const std::size_t slash = text.find('/');
  IpPrefix p;
  bool v6 = false;
  if (!parse_ip(text.substr(0, slash), p.address, v6)) return false;
  p.length = v6 ? 128 : 32;
  if (slash != std::string::npos) {
    unsigned length = 0;
    if (!parse_decimal(std::string_view(text).substr(slash + 1), length) || length > p.length) return false;
    p.length = length;
  }
  if (!v6) p.length += 96;
  out = p;
  return true;
}

bool parse_dial_address(const std::string& text, ListenAddress& out) {
  ListenAddress a;
  const std::size_t comma = text.find(',');
  a.text = text.substr(0, comma);
  if (comma != std::string::npos) {
    constexpr std::string_view kTag = "tag=";
    const std::string rest = text.substr(comma + 1);
    if (!rest.starts_with(kTag) || rest.size() == kTag.size()) return false;
    a.tag = rest.substr(kTag.size());
  }
  const std::optional<HostPort> parts = split_host_port(a.text);
  if (!parts) return false;
  a.host = parts->host;
  a.port = parts->port;
  IpAddress ip{};
  const bool is_ip = parse_ip(a.host, ip, a.v6);
  a.is_name = !is_ip;
  if (is_ip ? a.v6 != parts->is_bracketed : parts->is_bracketed || !is_host_name(a.host)) return false;
  out = std::move(a);
  return true;
}

bool parse_listen_address(const std::string& text, ListenAddress& out) {
  ListenAddress a;
  if (!parse_dial_address(text, a) || a.is_name) return false;
  out = std::move(a);
  return true;
}

ListenAddress with_host(ListenAddress named, const IpAddress& address) {
  named.host = ip_text(address);
  named.v6 = !is_mapped(address);
  named.is_name = false;
  return named;
}

Result<Fd> listen_on(const ListenAddress& a) {
  using R = Result<Fd>;
  const auto fail = [&](const char* what) {
    return R::failure(fmt::format("cannot {} {}: {}", what, a.text, std::strerror(errno)));
  };
  Fd fd(socket(a.v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail("open a socket for");
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (a.v6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (with_address(bind, fd.get(), a) != 0) return fail("bind");
  if (listen(fd.get(), 1024) != 0) return fail("listen on");
  return R(std::move(fd));
}

AcceptState accept_one(int listen_fd, Accepted& out) {
  sockaddr_storage from{};
  socklen_t size = sizeof from;
  const int fd = accept4(listen_fd, reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    const bool exhausted = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
    return exhausted ? AcceptState::kExhausted : AcceptState::kNone;
  }
  out.fd = Fd(fd);
  if (from.ss_family == AF_INET6) {
    sockaddr_in6 s{};
    std::memcpy(&s, &from, sizeof s);
    std::copy(std::begin(s.sin6_addr.s6_addr), std::end(s.sin6_addr.s6_addr), out.ip.begin());
    out.port = ntohs(s.sin6_port);
  } else {
    sockaddr_in s{};
    std::memcpy(&s, &from, sizeof s);
    std::copy(kMapped.begin(), kMapped.end(), out.ip.begin());
    std::memcpy(out.ip.data() + 12, &s.sin_addr, 4);
    out.port = ntohs(s.sin_port);
  }
  return AcceptState::kAccepted;
}

Fd connect_to(const ListenAddress& a, int& error) {
  Fd fd(socket(a.v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd && (with_address(connect, fd.get(), a) == 0 || errno == EINPROGRESS)) return fd;
  error = errno;
  return {};
}

ConnectState connect_state(int fd, int& error) {
  pollfd p{fd, POLLOUT, 0};
  if (poll(&p, 1, 0) <= 0) return ConnectState::kPending;
  socklen_t size = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  return error == 0 ? ConnectState::kConnected : ConnectState::kFailed;
}

void set_keepalive(int fd) {
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 4000);
}

ReadResult read_some(int fd, std::uint8_t* buffer, std::size_t size) {
  for (;;) {
    const ssize_t n = ::recv(fd, buffer, size, MSG_DONTWAIT);
    if (n > 0) return {ReadState::kData, static_cast<std::size_t>(n), 0};
    if (n == 0) return {ReadState::kEnd, 0, 0};
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {ReadState::kEmpty, 0, 0};
    return {ReadState::kFailed, 0, errno};
  }
}

bool is_drained(int fd) {
  int waiting = 0;
  return ioctl(fd, FIONREAD, &waiting) == 0 && waiting == 0;
}

bool is_established(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_state == TCP_ESTABLISHED;
}

}  // namespace bmpha::recv
