// Text of single values that many attributes and NLRI share.
#pragma once

#include <bit>
#include <cmath>
#include <optional>
#include <span>

#include "bmp-recv/text.h"

namespace bmpha::recv {

// "0x" and two digits a byte.
inline void append_hex(TextBuffer& out, Bytes bytes) {
  out.append("0x");
  out.commit(put_hex(out.room(bytes.size() * 2), bytes));
}
// Digits alone.
inline void append_digits(TextBuffer& out, Bytes bytes) { out.commit(put_hex(out.room(bytes.size() * 2), bytes)); }

// An address of 4 or 16 bytes; what has another size prints as hex.
inline void append_ip(TextBuffer& out, Bytes address) {
  if (address.size() == 4) {
    out.commit(put_ipv4(out.room(kMaxIpText), address.data()));
  } else if (address.size() == 16) {
    out.commit(put_ipv6(out.room(kMaxIpText), address.data()));
  } else {
    append_hex(out, address);
  }
}

inline void append_mac(TextBuffer& out, Bytes six) {
  for (std::size_t n = 0; n < six.size(); ++n) {
    if (n != 0) out.append(':');
    append_digits(out, six.subspan(n, 1));
  }
}

inline void append_field(TextBuffer& out, std::string_view name, std::uint64_t value) {
  out.append(name);
  out.number(value);
}

// An IEEE single float that stands for an amount, times `factor`, rounded to an integer. Nothing: it is no amount
// (negative, NaN, infinite or beyond 63 bits).
inline std::optional<std::uint64_t> amount_of(std::uint32_t bits, double factor = 1) {
  const double value = static_cast<double>(std::bit_cast<float>(bits)) * factor;
  if (!(value >= 0) || value >= 9.2e18) return std::nullopt;
  return static_cast<std::uint64_t>(std::llround(value));
}

// Names of code points.
struct CodeName {
  std::uint16_t code;
  std::string_view name;
};
// The name, or the number where there is none.
inline void append_code(TextBuffer& out, std::uint16_t code, std::span<const CodeName> names) {
  for (const CodeName& n : names)
    if (n.code == code) return out.append(n.name);
  out.number(code);
}

}  // namespace bmpha::recv
