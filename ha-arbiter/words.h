// Words and numbers of the texts that ha-arbiter reads: keys in Redis, addresses. All of it is untrusted.
#pragma once

#include <algorithm>
#include <charconv>
#include <limits>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace bmpha::arbiter {

// The word up to the next space, taken off with that space.
inline std::string_view take_word(std::string_view& rest) {
  const std::size_t end = std::min(rest.find(' '), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return word;
}

// The whole text is a number from 0 to `most`; else `out` stays as it is.
template <class T>
bool to_number(std::string_view text, T& out, T most = std::numeric_limits<T>::max(), int base = 10) {
  T v{};
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), v, base);
  if (text.empty() || error != std::errc() || at != text.data() + text.size() || v > most) return false;
  if constexpr (std::is_signed_v<T>)
    if (v < 0) return false;
  out = v;
  return true;
}

}  // namespace bmpha::arbiter
