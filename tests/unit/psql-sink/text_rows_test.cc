// Parsing of untrusted text: tables of good and bad values, every truncation, and neighbours that survive.
#include "psql-sink/text_rows.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "psql-sink/attribute_set.h"
#include "support.h"

using namespace bmpha;
using namespace bmpha::sink;
using namespace bmpha::sink::test;

namespace {
std::string line(const std::vector<std::string>& row) { return fmt::format("{}", fmt::join(row, "\t")); }

const char* parse(const std::vector<std::string>& row, UnicastRow& out) {
  RowReader reader;
  Columns columns;
  return reader.unicast(line(row), out, columns);
}
std::vector<std::string> good_route() { return route_row(10, "10.1.2.0", 24, 7); }
}  // namespace

TEST_CASE("prefixes: family, host bits, limits") {
  struct Case {
    const char* address;
    const char* length;
    bool good;
  };
  const Case cases[] = {{"10.0.0.0", "8", true},
                        {"0.0.0.0", "0", true},
                        {"10.1.2.3", "32", true},
                        {"2001:db8::", "32", true},
                        {"::", "0", true},
                        {"::1", "128", true},
                        {"10.0.0.0", "33", false},
                        {"2001:db8::", "129", false},
                        {"10.0.0", "8", false},
                        {"10.0.0.256", "8", false},
                        {"10.0.0.0.1", "8", false},
                        {"10..0.0", "8", false},
                        {"10.0.0.0 ", "8", false},
                        {"", "8", false},
                        {"10.0.0.0", "", false},
                        {"10.0.0.0", "-1", false},
                        {"10.0.0.0", "8x", false},
                        {"2001:db8:::", "8", false},
                        {"1:2:3:4:5:6:7:8:9", "8", false},
                        {"0010.0.0.0", "8", false}};
  for (const Case& c : cases) {
    CAPTURE(c.address);
    CAPTURE(c.length);
    auto row = good_route();
    row[10] = c.address;
    row[11] = c.length;
    UnicastRow out;
    CHECK((parse(row, out) == nullptr) == c.good);
  }
  auto row = good_route();
  row[10] = "10.1.255.255";
  row[11] = "17";
  UnicastRow out;
  REQUIRE(parse(row, out) == nullptr);
  CHECK(out.prefix.bytes[2] == 128);  // host bits cleared: cidr takes no others
  CHECK(out.prefix.bytes[3] == 0);
  CHECK(out.prefix.family == 4);
}

TEST_CASE("route rows: fields") {
  auto row = good_route();
  row[27] = "4294967295";
  row[29] = "0";
  UnicastRow out;
  REQUIRE(parse(row, out) == nullptr);
  CHECK_FALSE(out.withdrawn);
  CHECK(out.peer == hash_of(10));
  CHECK(out.router == hash_of(1));
  CHECK(out.path_id == 4294967295U);
  CHECK(out.origin_as == 7);
  CHECK_FALSE(out.pre_policy);
  CHECK(out.adj_rib_in);
  CHECK_FALSE(out.labelled);
  CHECK(out.timestamp_us == 1700000000000000);
  REQUIRE(parse(route_row(10, "10.1.2.0", 24, -1), out) == nullptr);
  CHECK(out.withdrawn);
  CHECK_FALSE(out.origin_as.has_value());
}

TEST_CASE("route rows: each bad column is refused, nothing else is") {
  struct Case {
    std::size_t column;
    const char* value;
  };
  const Case cases[] = {{0, "change"},
                        {0, ""},
                        {3, "xyz"},
                        {3, ""},
                        {5, ""},
                        {5, "0123"},
                        {6, ""},
                        {6, "g"},
                        {9, ""},
                        {9, "2026-13-01 00:00:00.000000"},
                        {16, "x"},
                        {16, "99999999999"},
                        {27, ""},
                        {27, "-1"},
                        {27, "4294967296"},
                        {29, "2"},
                        {30, ""},
                        {5, "00000000000000000000000000000000"}};
  for (const Case& c : cases) {
    CAPTURE(c.column);
    CAPTURE(c.value);
    auto row = good_route();
    row[c.column] = c.value;
    UnicastRow out;
    CHECK(parse(row, out) != nullptr);
  }
  // One memory for many rows: a bad value must not stick, nor the last good one stand in for it.
  RowReader reader;
  Columns columns;
  UnicastRow out;
  auto bad = good_route();
  bad[6] = "no";
  CHECK(reader.unicast(line(good_route()), out, columns) == nullptr);
  CHECK(reader.unicast(line(bad), out, columns) != nullptr);
  bad[6] = to_hex(hash_of(11));
  bad[9] = "never";
  CHECK(reader.unicast(line(bad), out, columns) != nullptr);
  CHECK(reader.unicast(line(good_route()), out, columns) == nullptr);
  CHECK(out.peer == hash_of(10));
}

TEST_CASE("rows: every truncation is refused or is a whole row") {
  const std::string route = line(good_route());
  for (std::size_t n = 0; n + 1 < route.size(); ++n) {
    RowReader reader;
    Columns columns;
    UnicastRow out;
    const char* reason = reader.unicast(std::string_view(route).substr(0, n), out, columns);
    if (std::count(route.begin(), route.begin() + static_cast<std::ptrdiff_t>(n), '\t') < 30) CHECK(reason != nullptr);
  }
  const std::string peer = line(peer_row("up", 10));
  for (std::size_t n = 0; n < peer.size(); ++n) {
    RowReader reader;
    PeerRow out;
    const char* reason = reader.peer(std::string_view(peer).substr(0, n), out);
    if (std::count(peer.begin(), peer.begin() + static_cast<std::ptrdiff_t>(n), '\t') < 29) CHECK(reason != nullptr);
  }
}

TEST_CASE("rows of the other objects") {
  RowReader reader;
  PeerRow peer;
  const std::string down = line(peer_row("down", 10));
  REQUIRE(reader.peer(down, peer) == nullptr);
  CHECK(peer.action == PeerRow::Action::kDown);
  CHECK(peer.peer == hash_of(10));
  CHECK(reader.peer(line(peer_row("sideways", 10)), peer) != nullptr);
  const std::string r = to_hex(hash_of(1)), p = to_hex(hash_of(10)), t = "2026-01-02 03:04:05.000006";
  RouterRow router;
  const std::string init = line({"init", "0", "edge", r, "192.0.2.1", "descr", "0", "", "data", "", t, ""});
  REQUIRE(reader.router(init, router) == nullptr);
  CHECK(router.name == "edge");
  CHECK(router.init);
  CHECK(reader.router(line({"init", "0", "edge", r}), router) != nullptr);
  StatRow stat;
  const std::vector<std::string> good = {"add", "0", r,   "192.0.2.1", p,   "10.0.0.1", "65001", t,
                                         "1",   "2", "3", "4",         "5", "6",        "7",     "18446744073709551615",
                                         ""};
  REQUIRE(reader.stat(line(good), stat) == nullptr);
  CHECK(stat.counters[7] == INT64_MAX);
  CHECK(stat.counters[8] == 0);
  auto bad = good;
  bad[9] = "-1";
  CHECK(reader.stat(line(bad), stat) != nullptr);
  EorRow eor;
  REQUIRE(reader.eor(line({"add", "0", p, r, "192.0.2.1", "10.0.0.1", "65001", t, "2", "1", "0", "1"}), eor) ==
          nullptr);
  CHECK(eor.afi == 2);
  CHECK_FALSE(eor.pre_policy);
  CHECK(reader.eor(line({"add", "0", p, r, "192.0.2.1", "10.0.0.1", "65001", t, "65536", "1", "0", "1"}), eor) !=
        nullptr);
  CollectorRow collector;
  REQUIRE(reader.collector(line({"heartbeat", "0", "c1", r, "192.0.2.1, 192.0.2.2", "2", t}), collector) == nullptr);
  CHECK(collector.router_count == 2);
}

TEST_CASE("timestamps") {
  std::int64_t us = 0;
  REQUIRE(parse_timestamp("1970-01-01 00:00:00.000000", us));
  CHECK(us == 0);
  REQUIRE(parse_timestamp("2023-11-14 22:13:20.5", us));
  CHECK(us == 1700000000500000);
  REQUIRE(parse_timestamp("2024-02-29 23:59:60", us));
  for (const char* bad : {"", "2024-02-29", "2024-02-29T00:00:00", "2024-00-01 00:00:00", "2024-01-32 00:00:00",
                          "2024-01-01 24:00:00", "2024-01-01 00:60:00", "2024-01-01 00:00:00.", "2024-01-01 00:00:00.x",
                          "2024-01-01 00:00:00.1234567", "x024-01-01 00:00:00"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_timestamp(bad, us));
  }
}

TEST_CASE("a timestamp survives the way to PostgreSQL's text and back") {
  for (std::int64_t us = 1; us < 4102444800000000; us = us * 3 + 17) {
    std::int64_t back = 0;
    REQUIRE(parse_timestamp(timestamp_literal(us).substr(0, 26), back));
    CHECK(back == us);
  }
}

TEST_CASE("attributes: what a row says") {
  auto row = good_route();
  row[14] = " 65001 { 1 2 } 4200000000";
  row[21] = "65001:1 0:65535";
  row[22] = "rt=1:2  soo=3:4";
  row[23] = "192.0.2.7 192.0.2.8 ";
  row[24] = "1";
  row[26] = "192.0.2.6";
  row[31] = "1:2:3 4:5:6";
  UnicastRow out;
  RowReader reader;
  Columns columns;
  const std::string text = line(row);
  REQUIRE(reader.unicast(text, out, columns) == nullptr);
  AttributeSet a;
  REQUIRE(parse_attributes(out, columns, a) == nullptr);
  CHECK(a.as_path == std::vector<std::int64_t>{65001, 1, 2, 4200000000});
  CHECK(a.as_path_text == "65001 { 1 2 } 4200000000");
  CHECK(a.communities == std::vector<std::int64_t>{65001LL << 16 | 1, 65535});
  CHECK(a.ext_communities == std::vector<std::string>{"rt=1:2", "soo=3:4"});
  CHECK(a.cluster_list.size() == 2);
  CHECK(a.atomic_aggregate);
  CHECK(a.large_communities.size() == 2);
  CHECK(a.origin == 0);
  CHECK(a.med == 0);
}

TEST_CASE("attributes: a plain path needs no text, bad values are refused") {
  RowReader reader;
  Columns columns;
  UnicastRow out;
  AttributeSet a;
  const std::string good = line(good_route());
  REQUIRE(reader.unicast(good, out, columns) == nullptr);
  REQUIRE(parse_attributes(out, columns, a) == nullptr);
  CHECK(a.as_path_text.empty());
  const std::pair<std::size_t, const char*> cases[] = {
      {13, "bgp"},  {14, "65001 x"}, {14, "4294967296"}, {17, "nowhere"}, {18, "-1"},
      {19, "many"}, {21, "1"},       {21, "65536:1"},    {21, "1:1:1"},   {26, "300.1.1.1"}};
  for (const auto& [column, value] : cases) {
    CAPTURE(column);
    CAPTURE(value);
    auto row = good_route();
    row[column] = value;
    const std::string text = line(row);
    REQUIRE(reader.unicast(text, out, columns) == nullptr);
    CHECK(parse_attributes(out, columns, a) != nullptr);
  }
}

TEST_CASE("text is cleaned to UTF-8 without NUL") {
  CHECK(clean_text("caf\xc3\xa9", 100) == "caf\xc3\xa9");
  CHECK(clean_text(std::string_view("a\0b", 3), 100) == "a?b");
  CHECK(clean_text("\xff\xc0\x80", 100) == "???");
  CHECK(clean_text("\xed\xa0\x80", 100) == "???");       // a surrogate
  CHECK(clean_text("\xe0\x80\x80", 100) == "???");       // overlong
  CHECK(clean_text("\xf4\x90\x80\x80", 100) == "????");  // above U+10FFFF
  CHECK(clean_text("caf\xc3\xa9", 4) == "caf");          // not cut inside a character
  CHECK(clean_text("caf\xc3", 100) == "caf?");
}

TEST_CASE("attribute sets are told apart by their columns where the hash does not do it") {
  TextMessage m;
  REQUIRE(parse_framing("V: 1.7\nT: unicast_prefix\n\n", m) == nullptr);
  CHECK(m.hashes_tell_all);
  REQUIRE(parse_framing("V: 1.7\nHASH: openbmp\nT: unicast_prefix\n\n", m) == nullptr);
  CHECK_FALSE(m.hashes_tell_all);
  RowReader reader;
  Columns columns{};
  for (std::size_t n = 0; n < 32; ++n) columns[n] = "1";
  const Hash128 first = reader.hash_attributes(columns);
  CHECK_FALSE(first.is_zero());
  CHECK(reader.hash_attributes(columns) == first);
  for (std::size_t n = 0; n < 32; ++n) {
    Columns other = columns;
    other[n] = "2";
    const bool is_attribute = (n >= 13 && n < 27) || n == 31;
    CHECK((reader.hash_attributes(other) != first) == is_attribute);
  }
  Columns moved = columns;  // a text that moves into the next column is another set
  moved[13] = "";
  moved[14] = "11";
  CHECK(reader.hash_attributes(moved) != first);
}
