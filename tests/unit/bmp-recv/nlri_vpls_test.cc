#include "bmp-recv/nlri_vpls.h"

#include "tests/unit/bmp-recv/nlri_builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

std::string columns(const VplsRoute& r) { return columns_of(r, append_vpls_columns); }
std::string key_of(const VplsRoute& r) {
  KeyBytes key;
  append_key(key, r);
  return text_of(key);
}
constexpr const char* kBlock = "0011 0000 fde8 00000001 0003 0001 0008 c35001";
constexpr const char* kDiscovery = "000c 0001 c0000201 0064 c0000202";

}  // namespace

TEST_CASE("VPLS routes of both forms are read and printed") {
  const struct {
    std::string field;
    const char* want;
  } cases[] = {
      {kBlock, "65000:1|0|3|1|8|800000||"},
      {kDiscovery, "192.0.2.1:100|1|||||192.0.2.2|"},
      {"0016 0000 fde8 00000001 0003 0001 0008 000010 01 0008 ff 00", "65000:1|0|3|1|8|1||010008ff00"},  // RFC 6624
  };
  for (const auto& c : cases) {
    CAPTURE(c.field);
    const std::string field = hex(c.field);
    std::vector<VplsRoute> list;
    REQUIRE(parse_vpls(as_bytes(field), PathIds::kNo, list) == NlriResult::kOk);
    REQUIRE(list.size() == 1);
    CHECK(columns(list[0]) == c.want);
  }
}

TEST_CASE("VPLS routes survive a round trip, with and without path identifiers") {
  const auto invent = [](Dice& dice) {
    VplsRoute r;
    dice.fill(r.rd);
    if (dice.below(3) == 0) {
      r.pe = dice.address({4});
      return r;
    }
    r.ve_id = static_cast<std::uint16_t>(dice.below(65536));
    r.block_offset = static_cast<std::uint16_t>(dice.below(65536));
    r.block_size = static_cast<std::uint16_t>(dice.below(65536));
    r.label_base = static_cast<std::uint32_t>(dice.below(1U << 24));
    return r;
  };
  check_round_trips<VplsRoute>(invent, parse_vpls, [](const VplsRoute& a, const VplsRoute& b) {
    return columns(a) == columns(b) && key_of(a) == key_of(b);
  });
}

TEST_CASE("a truncated VPLS field is refused as a whole") {
  const std::string one = hex(kBlock), two = hex(kDiscovery);
  check_truncations<VplsRoute>(one + two, {one.size(), one.size() + two.size()}, parse_vpls);
  check_truncations<VplsRoute>(two + one, {two.size(), one.size() + two.size()}, parse_vpls);
}

TEST_CASE("VPLS routes of other lengths are refused") {
  for (std::size_t n = 0; n < 17; ++n) {
    if (n == 12) continue;
    std::vector<VplsRoute> list;
    CAPTURE(n);
    CHECK(parse_vpls(as_bytes(be16(n) + std::string(n, '\1')), PathIds::kNo, list) == NlriResult::kBad);
  }
}

TEST_CASE("VPLS path identifiers are found out by what follows them") {
  const std::string field = be32(5) + hex(kBlock) + be32(6) + hex(kDiscovery);
  std::vector<VplsRoute> list;
  REQUIRE(parse_vpls(as_bytes(field), PathIds::kNo, list) == NlriResult::kOkOtherForm);
  CHECK(list[1].path_id == 6);
  list.clear();
  const std::string bare = hex(kBlock);
  REQUIRE(parse_vpls(as_bytes(bare), PathIds::kYes, list) == NlriResult::kOkOtherForm);
  CHECK(list[0].ve_id == 3);
}

TEST_CASE("a VPLS block is withdrawn by its VE and offset, whatever its label") {
  std::vector<VplsRoute> list;
  const std::string field = hex(kBlock) + hex("0011 0000 fde8 00000001 0003 0001 0000 800000") +
                            hex("0011 0000 fde8 00000001 0003 0009 0008 c35001");
  REQUIRE(parse_vpls(as_bytes(field), PathIds::kNo, list) == NlriResult::kOk);
  CHECK(key_of(list[0]) == key_of(list[1]));
  CHECK(key_of(list[0]) != key_of(list[2]));
}
