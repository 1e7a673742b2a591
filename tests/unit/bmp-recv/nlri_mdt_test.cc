#include "bmp-recv/nlri_mdt.h"

#include "tests/unit/bmp-recv/nlri_builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

std::string columns(const MdtRoute& r) { return columns_of(r, append_mdt_columns); }
std::string key_of(const MdtRoute& r) {
  KeyBytes key;
  append_key(key, r);
  return text_of(key);
}
const std::string kOne = hex("80 0000 fde8 00000001 c0000201 e8000101");

}  // namespace

TEST_CASE("multicast default groups are read and printed (RFC 6037)") {
  std::vector<MdtRoute> list;
  REQUIRE(parse_mdt(as_bytes(kOne + hex("80 0001 c0000209 0007 c0000202 e8000102")), PathIds::kNo, list) ==
          NlriResult::kOk);
  REQUIRE(list.size() == 2);
  CHECK(columns(list[0]) == "65000:1|0|192.0.2.1|232.0.1.1");
  CHECK(columns(list[1]) == "192.0.2.9:7|1|192.0.2.2|232.0.1.2");
  CHECK(key_of(list[0]) == hex("0000 fde8 00000001 04 c0000201 04 e8000101"));
  CHECK(parse_mdt(as_bytes(hex("60 0000 fde8 00000001 c0000201")), PathIds::kNo, list) == NlriResult::kBad);
  CHECK(parse_mdt(as_bytes(hex("00000007") + kOne), PathIds::kNo, list) == NlriResult::kOkOtherForm);
  CHECK(list.back().path_id == 7);
}

TEST_CASE("multicast default groups survive a round trip, with and without path identifiers") {
  const auto invent = [](Dice& dice) {
    MdtRoute r;
    dice.fill(r.rd);
    r.pe = dice.address({4});
    r.group = dice.address({4});
    return r;
  };
  check_round_trips<MdtRoute>(invent, parse_mdt,
                              [](const MdtRoute& a, const MdtRoute& b) { return columns(a) == columns(b); });
}

TEST_CASE("a truncated field of multicast default groups is refused as a whole") {
  check_truncations<MdtRoute>(kOne + kOne, {kOne.size(), 2 * kOne.size()}, parse_mdt);
}
