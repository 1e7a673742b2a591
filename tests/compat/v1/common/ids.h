// Identities that travel between the tools (docs/protocol.md A.1).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

namespace bmpha_v1 {

// A 128-bit hash as it stands in records, Kafka keys and headers.
struct Hash128 {
  std::array<std::uint8_t, 16> bytes{};
  auto operator<=>(const Hash128&) const = default;  // NOLINT: clang-tidy 14 takes the comparison with 0 for a null
  bool is_zero() const { return *this == Hash128{}; }
};

// 32 lower-case hex characters.
inline std::string to_hex(const Hash128& h) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string s(32, '0');
  for (std::size_t n = 0; n < 16; ++n) {
    s[2 * n] = kDigits[h.bytes[n] >> 4];
    s[2 * n + 1] = kDigits[h.bytes[n] & 15];
  }
  return s;
}

// False unless text is exactly 32 hex digits; out is untouched then.
[[nodiscard]] inline bool from_hex(std::string_view text, Hash128& out) {
  if (text.size() != 32) return false;
  auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  Hash128 h;
  for (std::size_t n = 0; n < 16; ++n) {
    const int hi = digit(text[2 * n]);
    const int lo = digit(text[2 * n + 1]);
    if (hi < 0 || lo < 0) return false;
    h.bytes[n] = static_cast<std::uint8_t>(hi * 16 + lo);
  }
  out = h;
  return true;
}

// A router, or the pseudo-router that carries the collector object. The same on every node of a cluster.
using RouterId = Hash128;

// One BMP session of one router with one node: the receiver's incarnation and a number that it counts up from 1
// per router. Session numbers rise within an incarnation; incarnations are not ordered.
struct SessionId {
  std::uint64_t recv_inc = 0;
  std::uint64_t number = 0;
  auto operator<=>(const SessionId&) const = default;  // NOLINT: as above
  bool is_none() const { return recv_inc == 0 && number == 0; }
};

struct HashOf {
  std::size_t operator()(const Hash128& h) const {
    std::size_t v = 0;
    std::memcpy(&v, h.bytes.data(), sizeof v);
    return v;
  }
  std::size_t operator()(const SessionId& s) const {
    return std::hash<std::uint64_t>{}(s.recv_inc * 0x9e3779b97f4a7c15ULL ^ s.number);
  }
};

}  // namespace bmpha_v1
