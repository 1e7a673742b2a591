#include "psql-sink/sql_text.h"

#include <fmt/format.h>

#include <charconv>

namespace bmpha::sink {

bool parse_uuid(std::string_view text, Hash128& out) {
  std::string hex;
  for (const char c : text)
    if (c != '-') hex += c;
  return from_hex(hex, out);
}

std::string json_text(std::string_view s) {
  std::string out = "\"";
  for (const char c : s) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (u < 0x20) {
      out += fmt::format("\\u{:04x}", u);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string session_text(const SessionId& s) {
  return s.is_none() ? std::string() : fmt::format("{:016x}:{}", s.recv_inc, s.number);
}

SessionId parse_session(std::string_view text) {
  SessionId s;
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return s;
  std::from_chars(text.data(), text.data() + colon, s.recv_inc, 16);
  std::from_chars(text.data() + colon + 1, text.data() + text.size(), s.number);
  return s;
}

std::string uuid_array(const std::vector<Hash128>& hashes) {
  std::string out = "{";
  for (const Hash128& h : hashes) {
    if (out.size() > 1) out += ',';
    out += to_hex(h);
  }
  return out + "}";
}

}  // namespace bmpha::sink
