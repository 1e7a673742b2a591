#include "bmp-recv/nlri_sr_policy.h"

#include "tests/unit/bmp-recv/nlri_builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

std::string columns(const SrPolicyRoute& r) { return columns_of(r, append_sr_policy_columns); }
std::string key_of(const SrPolicyRoute& r) {
  KeyBytes key;
  append_key(key, r);
  return text_of(key);
}
NlriResult parse4(Bytes field, PathIds expected, std::vector<SrPolicyRoute>& out) {
  return parse_sr_policy(field, false, expected, out);
}
NlriResult parse6(Bytes field, PathIds expected, std::vector<SrPolicyRoute>& out) {
  return parse_sr_policy(field, true, expected, out);
}

}  // namespace

TEST_CASE("SR policies are read and printed") {
  std::vector<SrPolicyRoute> list;
  REQUIRE(parse4(as_bytes(hex("60 00000002 00000064 c0000201")), PathIds::kNo, list) == NlriResult::kOk);
  REQUIRE(parse6(as_bytes(hex("c0 00000001 000000c8 20010db8000000000000000000000001")), PathIds::kNo, list) ==
          NlriResult::kOk);
  REQUIRE(list.size() == 2);
  CHECK(columns(list[0]) == "2|100|192.0.2.1");
  CHECK(columns(list[1]) == "1|200|2001:db8::1");
  CHECK(key_of(list[0]) == hex("00000002 00000064 04 c0000201"));
  // The length is that of the family (RFC 9830 2.1).
  CHECK(parse6(as_bytes(hex("60 00000002 00000064 c0000201")), PathIds::kNo, list) == NlriResult::kBad);
  CHECK(parse4(as_bytes(hex("c0 00000001 000000c8 20010db8000000000000000000000001")), PathIds::kNo, list) ==
        NlriResult::kBad);
  CHECK(list.size() == 2);
}

TEST_CASE("SR policies survive a round trip, with and without path identifiers") {
  const auto same = [](const SrPolicyRoute& a, const SrPolicyRoute& b) {
    return columns(a) == columns(b) && key_of(a) == key_of(b);
  };
  for (const bool v6 : {false, true}) {
    const auto invent = [v6](Dice& dice) {
      SrPolicyRoute r;
      r.distinguisher = static_cast<std::uint32_t>(dice.below(1ULL << 32));
      r.color = static_cast<std::uint32_t>(dice.below(1ULL << 32));
      r.endpoint = dice.address({static_cast<std::uint8_t>(v6 ? 16 : 4)});
      return r;
    };
    check_round_trips<SrPolicyRoute>(invent, v6 ? parse6 : parse4, same);
  }
}

TEST_CASE("a truncated field of SR policies is refused as a whole") {
  const std::string one = hex("60 00000002 00000064 c0000201");
  check_truncations<SrPolicyRoute>(one + one, {one.size(), 2 * one.size()}, parse4);
  const std::string six = hex("c0 00000001 000000c8 20010db8000000000000000000000001");
  check_truncations<SrPolicyRoute>(six + six, {six.size(), 2 * six.size()}, parse6);
}

TEST_CASE("path identifiers of SR policies are found out by the lengths") {
  std::vector<SrPolicyRoute> list;
  REQUIRE(parse4(as_bytes(hex("00000009 60 00000002 00000064 c0000201")), PathIds::kNo, list) ==
          NlriResult::kOkOtherForm);
  CHECK(list.back().path_id == 9);
  REQUIRE(parse4(as_bytes(hex("60 00000002 00000064 c0000201")), PathIds::kYes, list) == NlriResult::kOkOtherForm);
  CHECK(list.back().path_id == 0);
}
