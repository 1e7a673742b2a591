// The census' text: strict, and bounded.
#include "ha-arbiter/census.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/unit/ha-arbiter/sim.h"

using namespace bmpha;
using namespace bmpha::arbiter;
using sim::router_id;

TEST_CASE("a census is read as it was written") {
  const CensusText c{0xab, 7, {{router_id(1), 0}, {router_id(2), UINT32_MAX}}};
  const std::string text = encode_census(c);
  CHECK(text == fmt::format("bmpha-census 1 00000000000000ab 7 {}=0 {}=4294967295", to_hex(router_id(1)),
                            to_hex(router_id(2))));
  const auto read = decode_census(text);
  REQUIRE_MESSAGE(read.is_ok(), read.error());
  CHECK(read.value().inc == 0xab);
  CHECK(read.value().number == 7);
  CHECK(read.value().peers == c.peers);
  CHECK(decode_census(encode_census({1, 1, {}})).value().peers.empty());
}

TEST_CASE("anything else is refused") {
  const std::string id = to_hex(router_id(1)), head = "bmpha-census 1 00000000000000ab 7";
  REQUIRE(decode_census(head + " " + id + "=3").is_ok());
  for (const std::string& text : {std::string(),
                                  std::string("bmpha-census"),
                                  std::string("bmpha-census 2 00000000000000ab 7"),
                                  std::string("bmpha-census 1 "),
                                  std::string("bmpha-census 1 ab 7"),
                                  std::string("bmpha-census 1 00000000000000ab"),
                                  std::string("bmpha-census 1 00000000000000ab -7"),
                                  std::string("bmpha-census 1 00000000000000ag 7"),
                                  std::string("bmpha-census 1 00000000000000ab 99999999999999999999"),
                                  head + " ",
                                  head + "\n",
                                  head + " " + id,
                                  head + " " + id + "=",
                                  head + " " + id + "=-1",
                                  head + " " + id + "=4294967296",
                                  head + " " + id + "=3 ",
                                  head + "  " + id + "=3",
                                  head + " " + id + "=3 " + id + "=3",
                                  head + " " + id + "=3x",
                                  head + " " + id + "3=3",
                                  head + " " + id.substr(1) + "=3",
                                  head + " g" + id.substr(1) + "=3",
                                  head + std::string(1, '\0'),
                                  head + " " + id + "=" + std::string(kMaxCensusText, '0')}) {
    CAPTURE(text.substr(0, 100));
    CHECK(!decode_census(text).is_ok());
  }
}

TEST_CASE("a census is bounded: what all routers make fits in what is read") {
  CensusText c{UINT64_MAX, UINT64_MAX, {}};
  for (std::size_t n = 0; n < kMaxCensusRouters + 5; ++n) {
    RouterId id;
    for (std::size_t byte = 0; byte < 4; ++byte) id.bytes[byte] = static_cast<std::uint8_t>(n >> (8 * byte));
    c.peers[id] = UINT32_MAX;
  }
  const std::string text = encode_census(c);
  CHECK(text.size() < kMaxCensusText);
  CHECK(decode_census(text).value().peers.size() == kMaxCensusRouters);
}

TEST_CASE("what is of no use is counted and costs only its node's census") {
  Census census;
  const std::string good = encode_census({5, 1, {{router_id(1), 2}}});
  CHECK(census.take({{"b", good}, {"c", "x"}, {"d", std::string(100, '=')}, {"a", "own"}}, "a", BootTime()) == 2);
  CHECK(census.peers("b", 5, router_id(1), BootTime()) == 2u);
  CHECK(!census.peers("c", 5, router_id(1), BootTime()));
}
