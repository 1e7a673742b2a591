#include "common/value_checks.h"

#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <string_view>

namespace bmpha {
namespace {

bool is_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }
bool consists_of(std::string_view text, std::string_view signs) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [&](char c) { return is_alnum(c) || signs.find(c) != std::string_view::npos; });
}

// HOST:PORT, with `signs` besides letters and digits in the name; IPv6 in brackets.
bool is_host_port(std::string_view text, std::string_view signs) {
  const std::optional<HostPort> parts = split_host_port(text);
  if (!parts) return false;
  if (!parts->is_bracketed) return consists_of(parts->host, signs);
  return parts->host.find(':') != std::string::npos && consists_of(parts->host, ":.%");
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::optional<HostPort> split_host_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view digits = text.substr(colon + 1);
  HostPort out;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
  if (error != std::errc() || end != digits.data() + digits.size() || out.port == 0) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  out.is_bracketed = host.size() > 2 && host.starts_with('[') && host.ends_with(']');
  if (out.is_bracketed) host = host.substr(1, host.size() - 2);
  if (host.empty() || (!out.is_bracketed && host.find_first_of(":[]") != std::string_view::npos)) return std::nullopt;
  out.host = host;
  return out;
}

std::string check_host_port(const std::string& text) {
  return is_host_port(text, "-._") ? std::string() : "expected HOST:PORT such as 192.0.2.1:1790 or [::1]:1790";
}

std::string check_endpoint(const std::string& text) {
  constexpr std::string_view kIpc = "ipc://", kTcp = "tcp://";
  constexpr std::size_t kLongestPath = sizeof(sockaddr_un::sun_path) - 1;
  const std::string_view all = text;
  if (all.starts_with(kIpc) && all.size() > kIpc.size() + kLongestPath)
    return "expected a path of at most " + std::to_string(kLongestPath) + " bytes";
  if (all.starts_with(kIpc) && all.size() > kIpc.size()) return {};
  if (all.starts_with(kTcp) && is_host_port(all.substr(kTcp.size()), "-._*")) return {};
  return "expected ipc:///PATH or tcp://ADDRESS:PORT";
}

std::string check_kafka_brokers(const std::string& text) {
  std::string_view rest = text;
  for (;;) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    if (!is_host_port(trimmed(rest.substr(0, comma)), "-._")) return "expected HOST:PORT, several with commas between";
    if (comma == rest.size()) return {};
    rest.remove_prefix(comma + 1);
  }
}

std::string check_topic_name(const std::string& text) {
  constexpr std::size_t kLongest = 249;
  const bool is_right = consists_of(text, "._-") && text.size() <= kLongest && text != "." && text != "..";
  return is_right ? std::string() : "expected 1 to 249 letters, digits or ._- and not only . or ..";
}

}  // namespace bmpha
