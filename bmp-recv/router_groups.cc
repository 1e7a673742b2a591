#include "bmp-recv/router_groups.h"

#include <algorithm>
#include <optional>

namespace bmpha::recv {
namespace {

struct Entry {
  std::string group;
  std::optional<std::string> pattern;
  IpPrefix prefix;
};

bool parse_entry(const std::string& text, Entry& out) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos) return false;
  out.group = text.substr(0, equals);
  const bool plain = std::all_of(out.group.begin(), out.group.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
  if (!plain || out.group.size() > 64) return false;
  const std::string what = text.substr(equals + 1);
  if (what.size() >= 2 && what.front() == '/' && what.back() == '/') {
    out.pattern = what.substr(1, what.size() - 2);
    return true;
  }
  return parse_ip_prefix(what, out.prefix);
}

// None: the expression cannot be read.
std::optional<std::regex> compile(const std::string& pattern) {
  try {
    // Names come from routers: no time that grows exponentially with their length, hence no back-references either.
    return std::regex(pattern, std::regex::ECMAScript | std::regex::optimize | std::regex_constants::__polynomial);
  } catch (const std::regex_error&) {
    return std::nullopt;
  }
}

bool is_found(const std::regex& pattern, const std::string& name) {
  try {
    return std::regex_search(name, pattern);
  } catch (const std::regex_error&) {  // too complex for this name
    return false;
  }
}

}  // namespace

std::string check_router_group(const std::string& entry) {
  Entry e;
  if (!parse_entry(entry, e))
    return "expected NAME=PREFIX such as edge=192.0.2.0/24, or NAME=/REGEX/ such as core=/^core[0-9]/";
  if (e.pattern && !compile(*e.pattern))
    return "expected a regular expression (ECMAScript, no back-references) between the slashes";
  return {};
}

RouterGroups::RouterGroups(const std::vector<std::string>& entries) {
  for (const std::string& text : entries) {
    Entry e;
    if (!parse_entry(text, e)) continue;
    if (!e.pattern) {
      by_prefix_.push_back({e.group, e.prefix});
    } else if (std::optional<std::regex> pattern = compile(*e.pattern); pattern) {
      by_name_.push_back({e.group, std::move(*pattern)});
    }
  }
  std::stable_sort(by_prefix_.begin(), by_prefix_.end(),
                   [](const ByPrefix& a, const ByPrefix& b) { return a.prefix.length > b.prefix.length; });
}

const std::string& RouterGroups::group_of(const std::string& router_name, const IpAddress& address) const {
  for (const ByName& n : by_name_)
    if (is_found(n.pattern, router_name)) return n.group;
  for (const ByPrefix& p : by_prefix_)
    if (p.prefix.contains(address)) return p.group;
  return default_;
}

}  // namespace bmpha::recv
