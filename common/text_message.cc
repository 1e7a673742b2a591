#include "common/text_message.h"

namespace bmpha {

const char* parse_framing(std::string_view value, TextMessage& out) {
  TextMessage m;
  std::string_view rest = value;
  for (;;) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) return "headers without end";
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (line.empty()) break;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return "header line without colon";
    std::string_view content = line.substr(colon + 1);
    while (!content.empty() && content.front() == ' ') content.remove_prefix(1);
    if (line.substr(0, colon) == "T") m.object = content;
    if (line.substr(0, colon) == "HASH") m.hashes_tell_all = false;
  }
  if (m.object.empty()) return "no T header";
  m.rows = rest;
  out = m;
  return nullptr;
}

bool RowCursor::next(std::string_view& row, bool& complete) {
  if (rest_.empty()) return false;
  const std::size_t end = rest_.find('\n');
  complete = end != std::string_view::npos;
  row = rest_.substr(0, end);
  rest_.remove_prefix(complete ? end + 1 : rest_.size());
  return true;
}

}  // namespace bmpha
