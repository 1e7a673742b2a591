#include "common/text_message.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace bmpha;

namespace {

struct Read {
  std::vector<std::string> rows;  // complete ones
  std::string cut;
};
Read read(std::string_view rows) {
  Read all;
  RowCursor cursor(rows);
  std::string_view row;
  bool complete = false;
  while (cursor.next(row, complete)) {
    if (complete)
      all.rows.emplace_back(row);
    else
      all.cut = row;
  }
  return all;
}

}  // namespace

TEST_CASE("framing: T is found among other headers, rows begin behind the blank line") {
  TextMessage m;
  CHECK(parse_framing("V: 1.7\nX: y\nT: peer\nL: 3\n\na\tb\n", m) == nullptr);
  CHECK(m.object == "peer");
  CHECK(m.rows == "a\tb\n");
  CHECK(m.hashes_tell_all);
  CHECK(parse_framing("T:peer\n\n", m) == nullptr);
  CHECK(m.rows.empty());
  CHECK(parse_framing("HASH: openbmp\nT: peer\n\n", m) == nullptr);
  CHECK(!m.hashes_tell_all);
}

TEST_CASE("framing: what is wrong is named, and nothing is given") {
  for (const char* bad :
       {"", "\n", "V: 1.7\n\nrow\n", "T: peer", "T: peer\n", "T:\n\n", "no colon\n\n", "OBMP\x01\x07"}) {
    CAPTURE(bad);
    TextMessage m;
    CHECK(parse_framing(bad, m) != nullptr);
    CHECK(m.object.empty());
    CHECK(m.rows.empty());
  }
}

TEST_CASE("framing: no truncation of a message is taken for another message") {
  const std::string head = "V: 1.7\nC_HASH_ID: 0\nT: unicast_prefix\nL: 14\nR: 2\n\n", rows = "add\t1\nadd\t22\n";
  const std::string whole = head + rows;
  for (std::size_t n = 0; n <= whole.size(); ++n) {
    CAPTURE(n);
    TextMessage m;
    const bool framed = parse_framing(std::string_view(whole).substr(0, n), m) == nullptr;
    CHECK(framed == (n >= head.size()));
    if (!framed) continue;
    CHECK(m.object == "unicast_prefix");
    const Read all = read(m.rows);
    const std::size_t behind = n - head.size();
    CHECK(all.rows.size() == (behind < 6 ? 0U : behind < 13 ? 1U : 2U));
    CHECK(all.cut == (behind < 6 ? rows.substr(0, behind) : behind < 13 ? rows.substr(6, behind - 6) : ""));
  }
}

TEST_CASE("rows come one by one, empty ones too") {
  CHECK(read("").rows.empty());
  CHECK(read("a\n\nb\n").rows == std::vector<std::string>{"a", "", "b"});
  CHECK(read("\n").rows == std::vector<std::string>{""});
}
