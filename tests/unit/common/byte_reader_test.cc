#include "common/byte_reader.h"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "common/byte_writer.h"

using namespace bmpha;

TEST_CASE("integers are read big-endian and advance the cursor") {
  const std::array<std::uint8_t, 17> data{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17};
  ByteReader r(data, 100);
  std::uint8_t a = 0;
  std::uint16_t b = 0;
  std::uint32_t c = 0, d = 0;
  std::uint64_t e = 0;
  REQUIRE(r.u8(a));
  REQUIRE(r.u16(b));
  REQUIRE(r.u24(c));
  REQUIRE(r.u8(a));
  REQUIRE(r.u32(d));
  CHECK(b == 0x0203);
  CHECK(c == 0x040506);
  CHECK(a == 7);
  CHECK(d == 0x08090a0b);
  CHECK(r.offset() == 111);
  CHECK(r.remaining() == 6);
  CHECK_FALSE(r.u64(e));
}

TEST_CASE("a read that does not fit leaves cursor and output untouched") {
  const volatile std::size_t size = 3;  // the compiler must not know it: it warns of the very reads that are refused
  const std::vector<std::uint8_t> data(size, 1);
  for (std::size_t skip = 0; skip <= 3; ++skip) {
    ByteReader r(data);
    REQUIRE(r.skip(skip));
    std::uint32_t four = 42;
    std::uint64_t eight = 43;
    Bytes view;
    std::string_view text = "kept";
    ByteReader sub;
    CHECK_FALSE(r.u32(four));
    CHECK_FALSE(r.u64(eight));
    CHECK_FALSE(r.bytes(4, view));
    CHECK_FALSE(r.sub(4, sub));
    CHECK_FALSE(r.text16(text));
    CHECK_FALSE(r.skip(4));
    CHECK(four == 42);
    CHECK(eight == 43);
    CHECK(text == "kept");
    CHECK(r.offset() == skip);
  }
}

TEST_CASE("a sub-reader keeps the absolute offset and its own end") {
  const std::array<std::uint8_t, 6> data{0, 0, 9, 8, 7, 6};
  ByteReader r(data);
  REQUIRE(r.skip(2));
  ByteReader s;
  REQUIRE(r.sub(2, s));
  CHECK(s.offset() == 2);
  std::uint16_t v = 0;
  REQUIRE(s.u16(v));
  CHECK(v == 0x0908);
  CHECK(s.empty());
  CHECK_FALSE(s.u16(v));
  CHECK(r.remaining() == 2);
}

TEST_CASE("what the writer writes the reader reads") {
  std::string out;
  ByteWriter w(out);
  w.u8(1);
  w.u16(2);
  w.u32(3);
  w.u64(4);
  w.i64(-5);
  w.text8("abc");
  w.text16(std::string(300, 'x'));
  w.text8(std::string(300, 'y'));  // cut to 255
  ByteReader r(as_bytes(out));
  std::uint8_t a = 0;
  std::uint16_t b = 0;
  std::uint32_t c = 0;
  std::uint64_t d = 0;
  std::int64_t e = 0;
  std::string_view s, t, u;
  REQUIRE((r.u8(a) && r.u16(b) && r.u32(c) && r.u64(d) && r.i64(e) && r.text8(s) && r.text16(t) && r.text8(u)));
  CHECK(r.empty());
  CHECK((a == 1 && b == 2 && c == 3 && d == 4 && e == -5 && s == "abc"));
  CHECK(t.size() == 300);
  CHECK(u.size() == 255);
}
