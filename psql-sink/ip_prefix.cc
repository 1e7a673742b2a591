#include "psql-sink/ip_prefix.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

namespace bmpha::sink {
namespace {

// Dotted quad, strictly: four numbers of one to three digits up to 255.
bool parse_v4(std::string_view text, IpAddress& out) {
  std::array<std::uint8_t, 4> quad{};
  std::size_t part = 0;
  std::uint32_t value = 0;
  std::size_t digits = 0;
  for (const char c : text) {
    if (c == '.') {
      if (digits == 0 || part == 3) return false;
      quad[part++] = static_cast<std::uint8_t>(value);
      value = 0;
      digits = 0;
      continue;
    }
    if (c < '0' || c > '9' || ++digits > 3) return false;
    value = value * 10 + static_cast<std::uint32_t>(c - '0');
    if (value > 255) return false;
  }
  if (part != 3 || digits == 0) return false;
  quad[3] = static_cast<std::uint8_t>(value);
  out = IpAddress{};
  std::copy(quad.begin(), quad.end(), out.bytes.begin());
  return true;
}

bool parse_v6(std::string_view text, IpAddress& out) {
  char buffer[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof buffer || text.find('\0') != std::string_view::npos) return false;
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  IpAddress a;
  a.v4 = false;
  if (inet_pton(AF_INET6, buffer, a.bytes.data()) != 1) return false;
  out = a;
  return true;
}

}  // namespace

bool parse_ip(std::string_view text, IpAddress& out) {
  return text.find(':') == std::string_view::npos ? parse_v4(text, out) : parse_v6(text, out);
}

bool make_prefix(const IpAddress& address, std::uint32_t length, IpPrefix& out) {
  const std::size_t size = address.size();
  if (length > size * 8) return false;
  IpPrefix p;
  p.family = address.v4 ? 4 : 6;
  p.length = static_cast<std::uint8_t>(length);
  const std::size_t whole = length / 8;
  std::copy_n(address.bytes.begin(), whole, p.bytes.begin());
  if (const std::uint32_t bits = length % 8; bits != 0)
    p.bytes[whole] = static_cast<std::uint8_t>(address.bytes[whole] & (0xff00u >> bits));
  out = p;
  return true;
}

}  // namespace bmpha::sink
