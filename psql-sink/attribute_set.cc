#include "psql-sink/attribute_set.h"

#include <algorithm>

namespace bmpha::sink {
namespace {

constexpr std::size_t kMaxToken = 255;
constexpr std::size_t kMaxText = 65536;

// The next token between spaces; false at the end.
bool next_token(std::string_view& rest, std::string_view& token) {
  const std::size_t from = rest.find_first_not_of(' ');
  if (from == std::string_view::npos) return false;
  const std::size_t to = std::min(rest.find(' ', from), rest.size());
  token = rest.substr(from, to - from);
  rest.remove_prefix(to);
  return true;
}

// Brackets mark sets and confederation segments; they may touch the numbers.
bool parse_as_path(std::string_view text, AttributeSet& out) {
  bool plain = true;
  std::size_t at = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == ' ' || c == ',') {
      ++at;
      continue;
    }
    if (std::string_view("{}()[]").find(c) != std::string_view::npos) {
      plain = false;
      ++at;
      continue;
    }
    const std::size_t end = std::min(text.find_first_of(" ,{}()[]", at), text.size());
    std::uint64_t asn = 0;
    if (!parse_u64(text.substr(at, end - at), UINT32_MAX, asn)) return false;
    out.as_path.push_back(static_cast<std::int64_t>(asn));
    at = end;
  }
  if (!plain) out.as_path_text = clean_text(text.substr(std::min(text.find_first_not_of(' '), text.size())), kMaxText);
  return true;
}

bool parse_communities(std::string_view text, std::vector<std::int64_t>& out) {
  std::string_view token;
  while (next_token(text, token)) {
    const std::size_t colon = token.find(':');
    std::uint64_t high = 0, low = 0;
    if (colon == std::string_view::npos || !parse_u64(token.substr(0, colon), UINT16_MAX, high) ||
        !parse_u64(token.substr(colon + 1), UINT16_MAX, low))
      return false;
    out.push_back(static_cast<std::int64_t>(high << 16 | low));
  }
  return true;
}

std::vector<std::string> tokens(std::string_view text) {
  std::vector<std::string> out;
  std::string_view token;
  while (next_token(text, token)) out.push_back(clean_text(token, kMaxToken));
  return out;
}

bool parse_optional(std::string_view text, std::optional<std::int64_t>& out) {
  if (text.empty()) return true;
  std::uint64_t v = 0;
  if (!parse_u64(text, UINT32_MAX, v)) return false;
  out = static_cast<std::int64_t>(v);
  return true;
}

bool parse_optional(std::string_view text, std::optional<IpAddress>& out) {
  if (text.empty()) return true;
  IpAddress a;
  if (!parse_ip(text, a)) return false;
  out = a;
  return true;
}

bool parse_origin(std::string_view text, std::optional<std::int16_t>& out) {
  if (text == "igp")
    out = 0;
  else if (text == "egp")
    out = 1;
  else if (text == "incomplete")
    out = 2;
  else
    return text.empty();
  return true;
}

}  // namespace

const char* parse_attributes(const UnicastRow& row, const Columns& c, AttributeSet& out) {
  AttributeSet a;
  a.id = row.attributes;
  if (row.origin_as) a.origin_as = *row.origin_as;
  if (!parse_origin(c[13], a.origin)) return "bad origin";
  if (!parse_as_path(c[14], a)) return "bad AS path";
  if (!parse_optional(c[17], a.next_hop)) return "bad next hop";
  if (!parse_optional(c[18], a.med)) return "bad MED";
  if (!parse_optional(c[19], a.local_pref)) return "bad local preference";
  a.aggregator = clean_text(c[20], kMaxToken);
  if (!parse_communities(c[21], a.communities)) return "bad communities";
  a.ext_communities = tokens(c[22]);
  a.cluster_list = tokens(c[23]);
  a.atomic_aggregate = c[24] == "1";
  if (!parse_optional(c[26], a.originator)) return "bad originator id";
  a.large_communities = tokens(c[31]);
  out = std::move(a);
  return nullptr;
}

}  // namespace bmpha::sink
