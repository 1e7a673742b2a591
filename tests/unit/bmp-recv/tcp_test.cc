#include "bmp-recv/tcp.h"

#include <doctest/doctest.h>

#include "bmp-recv/config.h"

using namespace bmpha;
using namespace bmpha::recv;

namespace {
IpAddress address(const std::string& text) {
  IpPrefix p;
  REQUIRE(parse_ip_prefix(text, p));
  return p.address;
}
}  // namespace

TEST_CASE("listen addresses") {
  const struct {
    const char* text;
    bool good;
    const char* host;
    unsigned port;
    const char* tag;
  } cases[] = {
      {"[::]:1790", true, "::", 1790, ""},
      {"192.0.2.1:11019", true, "192.0.2.1", 11019, ""},
      {"[2001:db8::1]:1790,tag=edge-1", true, "2001:db8::1", 1790, "edge-1"},
      {"::1790", false, "", 0, ""},
      {"2001:db8::1:1790", false, "", 0, ""},
      {"[192.0.2.1]:1790", false, "", 0, ""},
      {"192.0.2.1", false, "", 0, ""},
      {"192.0.2.1:", false, "", 0, ""},
      {"192.0.2.1:65536", false, "", 0, ""},
      {"localhost:1790", false, "", 0, ""},
      {"192.0.2.1:1790,", false, "", 0, ""},
      {"192.0.2.1:1790,tag=", false, "", 0, ""},
      {"192.0.2.1:1790,name=x", false, "", 0, ""},
      {"", false, "", 0, ""},
  };
  for (const auto& c : cases) {
    CAPTURE(std::string(c.text));
    ListenAddress a;
    CHECK(parse_listen_address(c.text, a) == c.good);
    if (!c.good) continue;
    CHECK(a.host == c.host);
    CHECK(a.port == c.port);
    CHECK(a.tag == c.tag);
    CHECK_FALSE(a.is_name);
  }
}

TEST_CASE("an address to dial is an address or a name") {
  const struct {
    std::string text;
    bool good, name;
  } cases[] = {{"r1.example.net:1790", true, true},
               {"localhost:1,tag=a", true, true},
               {"192.0.2.1:1790", true, false},
               {"[2001:db8::1]:1790", true, false},
               {"192.0.2:1790", false, false},
               {"192.0.2.256:1790", false, false},
               {"2001:db8::1:1790", false, false},
               {"[r1]:1790", false, false},
               {"r1 r2:1790", false, false},
               {"r1", false, false},
               {":1790", false, false},
               {std::string(254, 'a') + ":1", false, false}};
  for (const auto& c : cases) {
    CAPTURE(c.text);
    ListenAddress a;
    CHECK(parse_dial_address(c.text, a) == c.good);
    CHECK(a.is_name == c.name);
    if (!c.name) continue;
    IpPrefix six;
    REQUIRE(parse_ip_prefix("2001:db8::1", six));
    const ListenAddress there = with_host(a, six.address);
    CHECK((there.host == "2001:db8::1" && there.v6 && !there.is_name && there.port == a.port && there.tag == a.tag));
  }
}

TEST_CASE("allow prefixes contain what they should") {
  const struct {
    const char* prefix;
    const char* ip;
    bool inside;
  } cases[] = {
      {"192.0.2.0/24", "192.0.2.255", true},
      {"192.0.2.0/24", "192.0.3.0", false},
      {"192.0.2.128/25", "192.0.2.127", false},
      {"192.0.2.1", "192.0.2.1", true},
      {"192.0.2.1", "192.0.2.2", false},
      {"0.0.0.0/0", "203.0.113.9", true},
      {"0.0.0.0/0", "2001:db8::1", false},
      {"2001:db8::/33", "2001:db8:7fff::1", true},
      {"2001:db8::/33", "2001:db8:8000::1", false},
      {"::/0", "2001:db8::1", true},
  };
  for (const auto& c : cases) {
    CAPTURE(std::string(c.prefix));
    CAPTURE(std::string(c.ip));
    IpPrefix p;
    REQUIRE(parse_ip_prefix(c.prefix, p));
    CHECK(p.contains(address(c.ip)) == c.inside);
  }
  IpPrefix p;
  for (const char* bad : {"", "192.0.2.0/33", "2001:db8::/129", "192.0.2/24", "192.0.2.0/", "192.0.2.0/-1", "x/8"})
    CHECK_FALSE(parse_ip_prefix(bad, p));
}

TEST_CASE("IPv4 behind a dual-stack listener prints as IPv4") {
  CHECK(ip_text(address("192.0.2.7")) == "192.0.2.7");
  CHECK(ip_text(address("2001:db8::7")) == "2001:db8::7");
}

TEST_CASE("configuration errors name the key and what would be right") {
  const auto code = [](std::vector<const char*> arguments) {
    Config c;
    Options o("bmp-recv", "test");
    add_options(o, c);
    arguments.insert(arguments.begin(), "bmp-recv");
    return o.parse(static_cast<int>(arguments.size()), arguments.data()).value_or(-1);
  };
  CHECK(code({}) == -1);
  CHECK(code({"--listen", "192.0.2.1:1790", "--listen", "[::1]:1791,tag=b"}) == -1);
  CHECK(code({"--listen", "nonsense"}) == kExitUsage);
  CHECK(code({"--listen", "localhost:1790"}) == kExitUsage);
  CHECK(code({"--dial", "192.0.2:1790"}) == kExitUsage);
  CHECK(code({"--router-name", "r1=192.0.2.1", "--router-name", "r2=2001:db8::1"}) == -1);
  for (const char* bad : {"r1", "=192.0.2.1", "r1=", "r1=r2", "r1=192.0.2.0/24", "r 1=192.0.2.1"})
    CHECK(code({"--router-name", bad}) == kExitUsage);
  CHECK(code({"--dial", "r1.example.net:1790", "--reverse-dns"}) == -1);
  CHECK(code({"--allow", "192.0.2.0/99"}) == kExitUsage);
  CHECK(code({"--router-id", "name"}) == kExitUsage);
  CHECK(code({"--gate-socket", "/run/x"}) == kExitUsage);
  CHECK(code({"--collector-id", "it's"}) == kExitUsage);
  CHECK(code({"--ring-bytes", "1KiB"}) == kExitUsage);
  // Tags must be there and differ when they are the identity.
  CHECK(code({"--router-id", "tag"}) == kExitUsage);
  CHECK(code({"--router-id", "tag", "--listen", "[::]:1790,tag=a", "--listen", "[::]:1791,tag=a"}) == kExitUsage);
  CHECK(code({"--router-id", "tag", "--listen", "[::]:1790,tag=a", "--listen", "[::]:1791,tag=b"}) == -1);
}
