#include "bmp-recv/router_groups.h"

#include <doctest/doctest.h>

using namespace bmpha::recv;

namespace {

IpAddress ip(const char* text) {
  IpPrefix p;
  REQUIRE(parse_ip_prefix(text, p));
  return p.address;
}

}  // namespace

TEST_CASE("router groups: names before addresses, the first expression, the longest prefix") {
  const RouterGroups g(
      {"wide=10.0.0.0/8", "core=/^core[0-9]+/", "narrow=10.1.2.0/24", "any=/core/", "six=2001:db8::/32"});
  CHECK(g.group_of("core7.example", ip("10.1.2.3")) == "core");
  CHECK(g.group_of("score.example", ip("10.1.2.3")) == "any");
  CHECK(g.group_of("edge", ip("10.1.2.3")) == "narrow");
  CHECK(g.group_of("edge", ip("10.1.3.3")) == "wide");
  CHECK(g.group_of("", ip("2001:db8::1")) == "six");
  CHECK(g.group_of("edge", ip("192.0.2.1")) == "default");
  CHECK(RouterGroups({}).group_of("core1", ip("10.0.0.1")) == "default");
}

TEST_CASE("router groups: entries that cannot be read are told") {
  for (const char* good : {"a=10.0.0.0/8", "a-b_c.9=::/0", "a=/x/", "a=//", "a=192.0.2.1"})
    CHECK(check_router_group(good).empty());
  for (const char* bad :
       {"", "a", "=10.0.0.0/8", "a=", "a=10.0.0.0/33", "a b=/x/", "a=/(/", "a=/x", "{a}=/x/", R"(a=/(x)\1/)"})
    CHECK_FALSE(check_router_group(bad).empty());
}

TEST_CASE("router groups: a router's name cannot make an expression take for ever") {
  const RouterGroups g({"lab=/^([a-z]+-?)*x$/"});
  CHECK(g.group_of(std::string(200, 'a') + "1", ip("192.0.2.1")) == "default");
  CHECK(g.group_of(std::string(100, 'a') + "x", ip("192.0.2.1")) == "lab");
}
