#include "bmp-recv/route_marks.h"

#include <doctest/doctest.h>

#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

std::string columns(const RouteMarks& m, std::size_t route) {
  TextBuffer out;
  m.append_columns(out, route);
  CHECK(out.size() <= RouteMarks::kMaxBytes);
  return std::string(out.view());
}

}  // namespace

TEST_CASE("a status of all routes, of a group, of one: the nearest counts, of several the last") {
  const std::string best = be32(2), backup = be32(0x10), invalid = be32(1) + be16(1), members = be16(2) + be16(3);
  RouteMarks m;
  CHECK(m.add_group(0x8001, as_bytes(members)));
  CHECK(m.add_status(0, as_bytes(best)));
  CHECK(m.add_status(3, as_bytes(invalid)));
  CHECK(m.add_status(0x8001, as_bytes(backup)));
  CHECK(m.add_status(0x8002, as_bytes(invalid)));  // of a group that is not there
  m.resolve();
  CHECK(m.is_indexed());
  CHECK(columns(m, 0) == "\tbest\t\t");
  CHECK(columns(m, 1) == "\tbest\t\t");
  CHECK(columns(m, 2) == "\tbackup\t\t");
  CHECK(columns(m, 3) == "\tinvalid\tas-loop\t");
  CHECK(columns(m, 60000) == "\tbest\t\t");
  m.clear();
  CHECK_FALSE(m.any());
  CHECK(m.add_status(2, as_bytes(best)));
  CHECK(m.add_status(2, as_bytes(backup)));
  m.set_table("blue\tsky");
  m.resolve();
  CHECK(columns(m, 1) == "\t\t\tblue sky");
  CHECK(columns(m, 2) == "\tbackup\t\tblue sky");
}

TEST_CASE("status bits and reasons have their names, unknown ones their numbers") {
  const struct {
    std::uint32_t bits;
    int reason;  // -1: none
    const char* want;
    const char* early;
  } cases[] = {
      {0, -1, "\tunknown\t\t", "\tunknown\t\t"},
      {0xff, -1, "\tinvalid,best,non-selected,primary,backup,non-installed,best-external,add-path\t\t", nullptr},
      {0x300, -1, "\tfiltered-in,filtered-out\t\t", nullptr},
      {0x0c00, -1, "\tstale,suppressed\t\t", "\tinvalid-rov,stale\t\t"},
      {0x1002, 11, "\tbest,0x00001000\taigp\t", "\tbest,suppressed\taigp\t"},
      {0x80000000, 77, "\t0x80000000\t77\t", nullptr},
      {4, 3, "\tnon-selected\tlocal-pref\t", nullptr},
      {4, 0, "\tnon-selected\t0\t", nullptr},
  };
  for (const auto& c : cases)
    for (const bool early : {false, true}) {
      const std::string value = be32(c.bits) + (c.reason < 0 ? "" : be16(static_cast<std::size_t>(c.reason)));
      RouteMarks m;
      if (early) m.set_early_bits();
      REQUIRE(m.add_status(0, as_bytes(value)));
      m.resolve();
      CHECK(columns(m, 1) == (early && c.early != nullptr ? c.early : c.want));
    }
  RouteMarks longest;
  const std::string all = be32(0xffffffff) + be16(2), name(70000, '\'');
  REQUIRE(longest.add_status(0, as_bytes(all)));
  longest.set_table(name);
  longest.resolve();
  CHECK(columns(longest, 1).size() < RouteMarks::kMaxBytes);
}

TEST_CASE("what has not the form of a status or a group is refused") {
  RouteMarks m;
  for (const char* bad : {"", "00", "000000", "0000000200", "00000002000300"})
    CHECK_FALSE(m.add_status(0, as_bytes(hex(bad))));
  const std::string one = be16(1), odd = hex("000100");
  CHECK_FALSE(m.add_group(1, as_bytes(one)));  // no group bit
  CHECK_FALSE(m.add_group(0x8001, as_bytes(odd)));
  CHECK_FALSE(m.add_group(0x8001, {}));
  CHECK_FALSE(m.any());
  // Members that are no routes are left out.
  const std::string members = be16(0) + be16(0x8001) + be16(0x7fff), best = be32(2);
  CHECK(m.add_group(0x8001, as_bytes(members)));
  CHECK(m.add_status(0x8001, as_bytes(best)));
  m.resolve();
  CHECK(m.status_of(0) == nullptr);
  CHECK(m.status_of(0x7fff) != nullptr);
}
