// Addresses and prefixes in the binary form that keys, sorting and COPY use.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string_view>

namespace bmpha::sink {

struct IpAddress {
  bool v4 = true;
  std::array<std::uint8_t, 16> bytes{};  // IPv4: the first four
  auto operator<=>(const IpAddress&) const = default;
  std::size_t size() const { return v4 ? 4 : 16; }
};

// Ordered as PostgreSQL orders cidr: family, address, length. Bits beyond the length are zero.
struct IpPrefix {
  std::uint8_t family = 4;  // 4 or 6, first for the order
  std::array<std::uint8_t, 16> bytes{};
  std::uint8_t length = 0;
  auto operator<=>(const IpPrefix&) const = default;  // NOLINT(modernize-use-nullptr): misread by clang-tidy 14
  std::size_t size() const { return family == 4 ? 4 : 16; }
};

// inet_ntop text of either family. False leaves out untouched.
[[nodiscard]] bool parse_ip(std::string_view text, IpAddress& out);
// Clears the host bits. False when the length does not fit the family.
[[nodiscard]] bool make_prefix(const IpAddress& address, std::uint32_t length, IpPrefix& out);

}  // namespace bmpha::sink
