#include "ha-arbiter/redis_address.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "ha-arbiter/words.h"

namespace bmpha::arbiter {
namespace {

constexpr const char* kExpected =
    "expected redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss://... for TLS, unix:///PATH[?db=N], or "
    "sentinel://[[USER]:PASSWORD@]HOST[:PORT][,HOST[:PORT]...]/MASTER[/DB], rediss+sentinel://... for TLS";
constexpr std::uint16_t kSentinelPort = 26379;
constexpr std::size_t kMaxSentinels = 32;

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

// HOST, HOST:PORT, [V6] or [V6]:PORT. Without a port it stays what it was.
bool parse_host(std::string_view text, HostPort& out) {
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return false;
    out.host = text.substr(1, close - 1);
    text.remove_prefix(close + 1);
    if (!text.empty() && text.front() != ':') return false;
    port = text.empty() ? text : text.substr(1);
    if (!text.empty() && port.empty()) return false;
  } else {
    const std::size_t colon = text.find(':');
    out.host = text.substr(0, colon);
    if (colon != std::string_view::npos) {
      port = text.substr(colon + 1);
      if (port.empty()) return false;
    }
  }
  return !out.host.empty() && (port.empty() || (to_number(port, out.port) && out.port != 0));
}

// Takes [[USER]:PASSWORD@] off the front.
bool take_user(std::string_view& rest, RedisAddress& a) {
  const std::size_t at = rest.rfind('@');
  if (at == std::string_view::npos) return true;
  if (!parse_user(rest.substr(0, at), a)) return false;
  rest.remove_prefix(at + 1);
  return true;
}

bool parse_db(std::string_view text, RedisAddress& a) { return text.empty() || to_number(text, a.db); }

bool parse_tcp(std::string_view rest, RedisAddress& a) {
  if (!take_user(rest, a)) return false;
  if (const std::size_t slash = rest.find('/'); slash != std::string_view::npos) {
    if (!parse_db(rest.substr(slash + 1), a)) return false;
    rest = rest.substr(0, slash);
  }
  HostPort where{{}, a.port};
  if (!parse_host(rest, where)) return false;
  a.host = where.host;
  a.port = where.port;
  return true;
}

bool parse_sentinels(std::string_view rest, RedisAddress& a) {
  if (!take_user(rest, a)) return false;
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return false;
  std::string_view name = rest.substr(slash + 1);
  if (const std::size_t db = name.find('/'); db != std::string_view::npos) {
    if (!parse_db(name.substr(db + 1), a)) return false;
    name = name.substr(0, db);
  }
  a.master = name;
  for (std::string_view hosts = rest.substr(0, slash);;) {
    const std::size_t comma = std::min(hosts.find(','), hosts.size());
    HostPort where{{}, kSentinelPort};
    if (!parse_host(hosts.substr(0, comma), where) || a.sentinels.size() >= kMaxSentinels) return false;
    a.sentinels.push_back(where);
    if (comma == hosts.size()) break;
    hosts.remove_prefix(comma + 1);
  }
  return !a.master.empty();
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
  struct Scheme {
    const char* prefix;
    bool tls;
    bool (*parse)(std::string_view, RedisAddress&);
  };
  constexpr Scheme kSchemes[] = {{"redis://", false, parse_tcp},
                                 {"rediss://", true, parse_tcp},
                                 {"unix://", false, parse_unix},
                                 {"sentinel://", false, parse_sentinels},
                                 {"redis+sentinel://", false, parse_sentinels},
                                 {"rediss+sentinel://", true, parse_sentinels}};
  for (const Scheme& s : kSchemes) {
    if (!text.starts_with(s.prefix)) continue;
    a.tls = s.tls;
    if (s.parse(text.substr(std::string_view(s.prefix).size()), a)) return a;
  }
  return R::failure(kExpected);
}

std::string to_text(const HostPort& where) {
  const bool v6 = where.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", where.host, v6 ? "]" : "", where.port);
}

std::string to_text(const RedisAddress& a) {
  if (a.by_sentinel()) {
    std::string hosts;
    for (const HostPort& s : a.sentinels) hosts += (hosts.empty() ? "" : ",") + to_text(s);
    return fmt::format("{}sentinel://{}/{}/{}", a.tls ? "rediss+" : "", hosts, a.master, a.db);
  }
  if (a.host.empty()) return fmt::format("unix://{}?db={}", a.path, a.db);
  return fmt::format("{}://{}/{}", a.tls ? "rediss" : "redis", to_text(HostPort{a.host, a.port}), a.db);
}

}  // namespace bmpha::arbiter
