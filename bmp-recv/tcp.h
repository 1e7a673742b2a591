// Sockets: addresses, listening, accepting, reading, and what the kernel knows about a connection.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "common/byte_reader.h"
#include "common/result.h"

namespace bmpha::recv {

// A descriptor that is closed with its owner.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() { reset(); }
  Fd(Fd&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_ = -1;
};

// An IP address in IPv6 form; IPv4 as mapped.
using IpAddress = std::array<std::uint8_t, 16>;
std::string ip_text(const IpAddress& a);

struct IpPrefix {
  IpAddress address{};
  unsigned length = 0;  // of the IPv6 form
  bool contains(const IpAddress& a) const;
};
// "192.0.2.0/24", "2001:db8::/32", or a single address.
[[nodiscard]] bool parse_ip_prefix(const std::string& text, IpPrefix& out);

struct ListenAddress {
  std::string text;  // "ADDR:PORT" as configured
  std::string host;
  std::uint16_t port = 0;
  bool v6 = false;
  bool is_name = false;  // host is to be looked up first
  std::string tag;       // empty: none
};
// "ADDR:PORT" or "ADDR:PORT,tag=NAME"; IPv6 in brackets.
[[nodiscard]] bool parse_listen_address(const std::string& text, ListenAddress& out);
// The same, or a name in place of ADDR.
[[nodiscard]] bool parse_dial_address(const std::string& text, ListenAddress& out);
// What that name stands for.
ListenAddress with_host(ListenAddress named, const IpAddress& address);

// [::] takes IPv4 as well.
Result<Fd> listen_on(const ListenAddress& address);

struct Accepted {
  Fd fd;
  IpAddress ip{};
  std::uint16_t port = 0;
};
enum class AcceptState : std::uint8_t { kAccepted, kNone, kExhausted };
// kExhausted: no descriptors or memory; try again later.
AcceptState accept_one(int listen_fd, Accepted& out);

// Begins to connect. No descriptor: it failed at once, with that error number.
Fd connect_to(const ListenAddress& address, int& error);
enum class ConnectState : std::uint8_t { kPending, kConnected, kFailed };
ConnectState connect_state(int fd, int& error);

// Finds a dead peer within about 4 s, with or without data on the way.
void set_keepalive(int fd);

enum class ReadState : std::uint8_t { kData, kEmpty, kEnd, kFailed };
struct ReadResult {
  ReadState state = ReadState::kEmpty;
  std::size_t size = 0;
  int error = 0;
};
ReadResult read_some(int fd, std::uint8_t* buffer, std::size_t size);
// No bytes wait in the socket.
bool is_drained(int fd);
// The other side has neither closed nor failed, as far as the kernel knows.
bool is_established(int fd);

}  // namespace bmpha::recv
