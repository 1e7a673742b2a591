#include "ha-arbiter/redis_address.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string_view>

namespace bmpha::arbiter {
namespace {

constexpr const char* kExpected = "expected redis://[[USER]:PASSWORD@]HOST[:PORT][/DB] or unix:///PATH[?db=N]";

template <class T>
bool to_number(std::string_view text, T& out) {
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return !text.empty() && error == std::errc() && at == text.data() + text.size();
}

// %40 and the like, for user and password.
std::optional<std::string> unescape(std::string_view text) {
  std::string out;
  for (std::size_t n = 0; n < text.size(); ++n) {
    if (text[n] != '%') {
      out += text[n];
      continue;
    }
    unsigned code = 0;
    const std::string_view digits = text.substr(n + 1, 2);
    const auto [at, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    if (digits.size() != 2 || error != std::errc() || at != digits.data() + 2) return std::nullopt;
    out += static_cast<char>(code);
    n += 2;
  }
  return out;
}

bool parse_user(std::string_view text, RedisAddress& a) {
  const std::size_t colon = text.find(':');
  const auto user = unescape(colon == std::string_view::npos ? std::string_view() : text.substr(0, colon));
  const auto password = unescape(colon == std::string_view::npos ? text : text.substr(colon + 1));
  if (!user || !password || password->empty()) return false;
  a.user = *user;
  a.password = *password;
  return true;
}

bool parse_host(std::string_view text, RedisAddress& a) {
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return false;
    a.host = text.substr(1, close - 1);
    text.remove_prefix(close + 1);
    if (!text.empty() && text.front() != ':') return false;
    port = text.empty() ? text : text.substr(1);
    if (!text.empty() && port.empty()) return false;
  } else {
    const std::size_t colon = text.find(':');
    a.host = text.substr(0, colon);
    if (colon != std::string_view::npos) {
      port = text.substr(colon + 1);
      if (port.empty()) return false;
    }
  }
  return !a.host.empty() && (port.empty() || (to_number(port, a.port) && a.port != 0));
}

bool parse_tcp(std::string_view rest, RedisAddress& a) {
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
    if (!parse_user(rest.substr(0, at), a)) return false;
    rest.remove_prefix(at + 1);
  }
  if (const std::size_t slash = rest.find('/'); slash != std::string_view::npos) {
    const std::string_view db = rest.substr(slash + 1);
    if (!db.empty() && !to_number(db, a.db)) return false;
    rest = rest.substr(0, slash);
  }
  return parse_host(rest, a);
}

bool parse_unix(std::string_view rest, RedisAddress& a) {
  if (const std::size_t query = rest.find('?'); query != std::string_view::npos) {
    if (!rest.substr(query).starts_with("?db=") || !to_number(rest.substr(query + 4), a.db)) return false;
    rest = rest.substr(0, query);
  }
  a.path = rest;
  return rest.starts_with('/') && rest.size() > 1;
}

}  // namespace

Result<RedisAddress> parse_redis_url(const std::string& url) {
  using R = Result<RedisAddress>;
  RedisAddress a;
  const std::string_view text = url;
  if (text.starts_with("rediss://")) return R::failure("TLS to Redis is not supported; expected redis:// or unix://");
  if (text.starts_with("redis://") && parse_tcp(text.substr(8), a)) return a;
  if (text.starts_with("unix://") && parse_unix(text.substr(7), a)) return a;
  return R::failure(kExpected);
}

std::string to_text(const RedisAddress& a) {
  if (a.host.empty()) return fmt::format("unix://{}?db={}", a.path, a.db);
  const bool v6 = a.host.find(':') != std::string::npos;
  return fmt::format("redis://{}{}{}:{}/{}", v6 ? "[" : "", a.host, v6 ? "]" : "", a.port, a.db);
}

}  // namespace bmpha::arbiter
