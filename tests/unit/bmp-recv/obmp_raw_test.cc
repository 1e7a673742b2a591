// The layout of contract A8.2, byte by byte, and what a reader must refuse.
#include "bmp-recv/obmp_raw.h"

#include <doctest/doctest.h>

#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using bmpha::recv::testing::hex;

namespace {

Hash128 hash(std::uint8_t fill) {
  Hash128 h;
  h.bytes.fill(fill);
  return h;
}

RawMessage sample(const char* address, const std::string& message) {
  IpPrefix p;
  REQUIRE(parse_ip_prefix(address, p));
  RawMessage m;
  m.receipt_us = std::int64_t{1700000000} * 1000000 + 250;
  m.collector = hash(0xc0);
  m.admin_id = "collector";
  m.router = hash(0x70);
  m.router_ip = p.address;
  m.router_group = "edge";
  m.message = as_bytes(message);
  return m;
}

std::string write(const RawMessage& m) {
  TextBuffer out;
  std::string scratch;
  append_obmp_raw(out, m, scratch);
  return std::string(out.view());
}

const std::string kMessage = hex("03 00 00 00 08 04 aa bb");

}  // namespace

TEST_CASE("bmp_raw: each field stands where the contract says") {
  const std::string got = write(sample("192.0.2.1", kMessage));
  std::string want = hex("4f 42 4d 50  01 07  00 5b  00 00 00 08  80  0c  65 53 f1 00  00 00 00 fa");
  want += std::string(16, '\xc0') + hex("00 09") + "collector" + std::string(16, '\x70') + hex("c0 00 02 01") +
          std::string(12, '\0') + hex("00 04") + "edge" + hex("00 00 00 01") + kMessage;
  CHECK(want.size() == 78 + 9 + 4 + kMessage.size());
  CHECK(got == want);
}

TEST_CASE("bmp_raw: an IPv6 router has its flag and sixteen bytes") {
  const std::string got = write(sample("2001:db8::7", kMessage));
  CHECK(got[12] == static_cast<char>(0xc0));
  CHECK(got.substr(56 + 9, 16) == hex("20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 07"));
}

TEST_CASE("bmp_raw: what was written is read back; any other length is refused") {
  for (const char* address : {"192.0.2.1", "2001:db8::7"}) {
    const RawMessage in = sample(address, kMessage);
    const std::string bytes = write(in);
    RawMessage out;
    REQUIRE(parse_obmp_raw(as_bytes(bytes), out));
    CHECK(out.receipt_us == in.receipt_us);
    CHECK(out.collector == in.collector);
    CHECK(out.admin_id == in.admin_id);
    CHECK(out.router == in.router);
    CHECK(out.router_ip == in.router_ip);
    CHECK(out.router_group == in.router_group);
    CHECK(std::equal(out.message.begin(), out.message.end(), in.message.begin(), in.message.end()));
    for (std::size_t size = 0; size < bytes.size(); ++size)
      REQUIRE_FALSE(parse_obmp_raw(as_bytes(bytes).first(size), out));
    CHECK_FALSE(parse_obmp_raw(as_bytes(bytes + "x"), out));
    for (const std::size_t at : {0U, 4U, 5U, 7U, 12U, 13U}) {  // magic, version, header length, flags, object
      std::string wrong = bytes;
      wrong[at] = 0x01;
      if (wrong != bytes) CHECK_FALSE(parse_obmp_raw(as_bytes(wrong), out));
    }
  }
}

TEST_CASE("bmp_raw: texts that are too long are cut, and the header still adds up") {
  RawMessage in = sample("192.0.2.1", kMessage);
  const std::string name(1000, 'n');
  in.admin_id = in.router_group = name;
  RawMessage out;
  REQUIRE(parse_obmp_raw(as_bytes(write(in)), out));
}
