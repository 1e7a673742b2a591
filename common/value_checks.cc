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
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view digits = text.substr(colon + 1);
  unsigned port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size() || port < 1 || port > 65535) return false;
  std::string_view host = text.substr(0, colon);
  if (!host.starts_with('[')) return consists_of(host, signs);
  if (!host.ends_with(']')) return false;
  host = host.substr(1, host.size() - 2);
  return host.find(':') != std::string_view::npos && consists_of(host, ":.%");
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

}  // namespace

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
