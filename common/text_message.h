// OpenBMP message bus text: headers, blank line, rows of tab-separated columns that end with a line feed. Pure;
// everything is untrusted. Views point into the message: they live as long as its bytes.
#pragma once

#include <string_view>

namespace bmpha {

struct TextMessage {
  std::string_view object;  // the T header: unicast_prefix, peer, ...
  std::string_view rows;    // what follows the blank line
  // The base attribute hash stands for all attributes. Not so with a HASH header: large communities, cluster list,
  // originator and others may differ under one hash.
  bool hashes_tell_all = true;
};

// Null on success, else what is wrong with the framing.
const char* parse_framing(std::string_view value, TextMessage& out);

// Takes rows off one by one. A last row without its line feed is cut short and comes back as not complete.
class RowCursor {
 public:
  explicit RowCursor(std::string_view rows) : rest_(rows) {}
  // False at the end.
  [[nodiscard]] bool next(std::string_view& row, bool& complete);

 private:
  std::string_view rest_;
};

}  // namespace bmpha
