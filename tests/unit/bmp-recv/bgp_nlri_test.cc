#include "bmp-recv/bgp_nlri.h"

#include <doctest/doctest.h>

#include "bmp-recv/text.h"
#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {
std::string print(const std::vector<Prefix>& list) {
  std::string out;
  for (const Prefix& p : list) {
    char text[kMaxIpText];
    char* end = p.v6 ? put_ipv6(text, p.address.data()) : put_ipv4(text, p.address.data());
    out += (out.empty() ? "" : " ") + std::string(static_cast<char*>(text), end) + '/' + std::to_string(p.length);
    if (p.path_id != 0) out += '#' + std::to_string(p.path_id);
  }
  return out;
}
}  // namespace

TEST_CASE("prefixes are read in the form that fits") {
  using enum NlriResult;
  const struct {
    const char* bytes;
    bool v6;
    PathIds expected;
    NlriResult result;
    const char* want;
  } cases[] = {
      {"", false, PathIds::kNo, kOk, ""},
      {"00", false, PathIds::kNo, kOk, "0.0.0.0/0"},
      {"18 0a 01 02  08 0b", false, PathIds::kNo, kOk, "10.1.2.0/24 11.0.0.0/8"},
      {"09 0a ff", false, PathIds::kNo, kOk, "10.128.0.0/9"},  // bits beyond the length do not count
      {"20 c0 00 02 01", false, PathIds::kNo, kOk, "192.0.2.1/32"},
      {"20 20 01 0d b8  00", true, PathIds::kNo, kOk, "2001:db8::/32 ::/0"},
      {"21 c0 00 02 01 00", false, PathIds::kNo, kBad, ""},  // length 33
      {"81"
       "00000000000000000000000000000000 00",
       true, PathIds::kNo, kBad, ""},
      {"18 0a 01", false, PathIds::kNo, kBad, ""},
      // Path identifiers, as agreed.
      {"00000007 18 0a 01 02  00000008 18 0a 01 02", false, PathIds::kYes, kOk, "10.1.2.0/24#7 10.1.2.0/24#8"},
      {"00000001 20 20 01 0d b8", true, PathIds::kYes, kOk, "2001:db8::/32#1"},
      // Agreed, but left out: FRR always, GoBGP in its dumps.
      {"18 0a 01 02", false, PathIds::kYes, kOkOtherForm, "10.1.2.0/24"},
      {"18 0a 01 02 18 0a 01 03", false, PathIds::kYes, kOkOtherForm, "10.1.2.0/24 10.1.3.0/24"},
      {"19 0a 00 00 00", false, PathIds::kYes, kOkOtherForm, "10.0.0.0/25"},
      {"20 24 00 cb 00", true, PathIds::kYes, kOkOtherForm, "2400:cb00::/32"},
      {"00", false, PathIds::kYes, kOkOtherForm, "0.0.0.0/0"},
      // Not agreed, but there.
      {"00000001 18 0a 01 02 00000002 18 0a 01 03", false, PathIds::kNo, kOkOtherForm, "10.1.2.0/24#1 10.1.3.0/24#2"},
      {"00000001 18 0a 01 02", false, PathIds::kUnknown, kOkOtherForm, "10.1.2.0/24#1"},
      // Readable with identifiers only, but those are too strange to be believed against the OPENs.
      {"ff000001 18 0a 01 02", false, PathIds::kNo, kBad, ""},
      {"ff000001 18 0a 01 02", false, PathIds::kYes, kOk, "10.1.2.0/24#4278190081"},
      // A large identifier that reads as a prefix length: what follows it would be no prefix that anybody announces.
      {"18000001 18 0a 01 02", false, PathIds::kYes, kOk, "10.1.2.0/24#402653185"},
      {"20000001 18 0a 01 02 20000002 18 0a 01 03", false, PathIds::kYes, kOk,
       "10.1.2.0/24#536870913 10.1.3.0/24#536870914"},
      // Several default routes are no misread identifiers when they have their own.
      {"00000001 00 00000002 00", false, PathIds::kYes, kOk, "0.0.0.0/0#1 0.0.0.0/0#2"},
      // Fits in no form.
      {"00000001 21 0a 01 02 03 04", false, PathIds::kYes, kBad, ""},
      {"ff", false, PathIds::kYes, kBad, ""},
  };
  for (const auto& c : cases) {
    CAPTURE(c.bytes);
    std::vector<Prefix> list;
    bool large_ids = false;
    CHECK(parse_nlri(as_bytes(hex(c.bytes)), c.v6, c.expected, large_ids, list) == c.result);
    CHECK(print(list) == c.want);
  }
}

TEST_CASE("a bad field appends nothing") {
  std::vector<Prefix> list(1);
  bool large_ids = false;
  CHECK(parse_nlri(as_bytes(hex("18 0a 01 02 18 0a")), false, PathIds::kNo, large_ids, list) == NlriResult::kBad);
  CHECK(list.size() == 1);
}

TEST_CASE("prefixes read from reused memory carry nothing over") {
  std::vector<Prefix> list;
  bool large_ids = false;
  REQUIRE(parse_nlri(as_bytes(hex("20 c0 00 02 ff")), false, PathIds::kNo, large_ids, list) == NlriResult::kOk);
  list.clear();
  REQUIRE(parse_nlri(as_bytes(hex("08 0a")), false, PathIds::kNo, large_ids, list) == NlriResult::kOk);
  CHECK(print(list) == "10.0.0.0/8");
}

TEST_CASE("a peer that is known to use large identifiers is believed where both forms look right") {
  const std::string ambiguous = hex("180a0105 18 0a 01 02");  // two prefixes, or one with an identifier
  std::vector<Prefix> list;
  bool large_ids = false;
  CHECK(parse_nlri(as_bytes(ambiguous), false, PathIds::kYes, large_ids, list) == NlriResult::kOkOtherForm);
  CHECK(print(list) == "10.1.5.0/24 10.1.2.0/24");
  list.clear();
  // Cannot be read without identifiers.
  CHECK(parse_nlri(as_bytes(hex("ff000001 18 0a 01 02")), false, PathIds::kYes, large_ids, list) == NlriResult::kOk);
  CHECK(large_ids);
  list.clear();
  CHECK(parse_nlri(as_bytes(ambiguous), false, PathIds::kYes, large_ids, list) == NlriResult::kOk);
  CHECK(print(list) == "10.1.2.0/24#403308805");
}
