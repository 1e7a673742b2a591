#include "bmp-recv/nlri_rt_constraint.h"

#include "tests/unit/bmp-recv/nlri_builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

std::string columns(const RtConstraintRoute& r) { return columns_of(r, append_rt_constraint_columns); }
std::string key_of(const RtConstraintRoute& r) {
  KeyBytes key;
  append_key(key, r);
  return text_of(key);
}

}  // namespace

TEST_CASE("route target memberships of every length are read and printed") {
  using enum NlriResult;
  const struct {
    const char* bytes;
    PathIds expected;
    NlriResult result;
    const char* want;
  } cases[] = {
      {"60 0000fde8 0002 fde8 00000064", PathIds::kNo, kOk, "96|65000|rt=65000:100"},
      {"60 00010000 0102 c0000201 0064", PathIds::kNo, kOk, "96|65536|rt=192.0.2.1:100"},
      {"60 0000fde8 0202 00010000 0064", PathIds::kNo, kOk, "96|65000|rt=65536:100"},
      {"60 0000fde8 4399 0102030405 06", PathIds::kNo, kOk, "96|65000|0x4399010203040506"},
      {"00", PathIds::kNo, kOk, "0||"},  // the default: all routes, please
      {"00", PathIds::kYes, kOkOtherForm, "0||"},
      {"00000000 00", PathIds::kYes, kOk, "0||"},
      {"20 0000fde8", PathIds::kNo, kOk, "32|65000|"},  // all targets of an AS
      {"30 0000fde8 0002", PathIds::kNo, kOk, "48|65000|0x0002/16"},
      {"33 0000fde8 0002ff", PathIds::kNo, kOk, "51|65000|0x0002e0/19"},
      {"00000007 60 0000fde8 0002 fde8 00000064", PathIds::kNo, kOkOtherForm, "96|65000|rt=65000:100"},
      {"60 0000fde8 0002 fde8 00000064", PathIds::kYes, kOkOtherForm, "96|65000|rt=65000:100"},
      {"61 0000fde8 0002 fde8 00000064 00", PathIds::kNo, kBad, nullptr},
      {"1f 0000fde8", PathIds::kNo, kBad, nullptr},  // a part of the AS number
      {"01 00", PathIds::kNo, kBad, nullptr},
  };
  for (const auto& c : cases) {
    CAPTURE(c.bytes);
    std::vector<RtConstraintRoute> list;
    CHECK(parse_rt_constraint(as_bytes(hex(c.bytes)), c.expected, list) == c.result);
    REQUIRE(list.size() == (c.want == nullptr ? 0 : 1));
    if (c.want != nullptr) CHECK(columns(list[0]) == c.want);
  }
}

TEST_CASE("route target memberships survive a round trip, with and without path identifiers") {
  const auto invent = [](Dice& dice) {
    RtConstraintRoute r;
    r.length = static_cast<std::uint8_t>(32 + dice.below(9) * 8);
    r.origin_as = static_cast<std::uint32_t>(dice.below(1ULL << 32));
    dice.fill(r.target);
    std::fill(r.target.begin() + (r.length - 32) / 8, r.target.end(), std::uint8_t{0});
    return r;
  };
  check_round_trips<RtConstraintRoute>(invent, parse_rt_constraint,
                                       [](const RtConstraintRoute& a, const RtConstraintRoute& b) {
                                         return columns(a) == columns(b) && key_of(a) == key_of(b);
                                       });
}

TEST_CASE("a truncated field of route target memberships is refused as a whole") {
  const std::string one = hex("60 0000fde8 0002 fde8 00000064"), part = hex("30 0000fde8 0002");
  check_truncations<RtConstraintRoute>(one + part, {one.size(), one.size() + part.size()}, parse_rt_constraint);
}

TEST_CASE("bits beyond the length of a membership are no part of it") {
  std::vector<RtConstraintRoute> list;
  REQUIRE(parse_rt_constraint(as_bytes(hex("33 0000fde8 0002ff 33 0000fde8 0002e1 34 0000fde8 0002e1")), PathIds::kNo,
                              list) == NlriResult::kOk);
  CHECK(key_of(list[0]) == key_of(list[1]));
  CHECK(key_of(list[0]) != key_of(list[2]));
}
