// From records to a batch: fence, rows that cost themselves only, history within a batch.
#include "psql-sink/batch.h"

#include <doctest/doctest.h>

#include "psql-sink/fence_watch.h"
#include "psql-sink/latency.h"
#include "psql-sink/maintenance.h"
#include "support.h"

using namespace bmpha;
using namespace bmpha::sink;
using namespace bmpha::sink::test;

namespace {

struct Bench {
  PartitionState state;
  AttributeCache attributes{1000};

  Batch build(std::vector<Record> records) {
    number(records);
    BatchBuilder b(state, attributes, 0, 1700000000000000);
    std::string bytes;
    for (const Record& r : records)
      if (b.add(r.input(bytes))) break;
    return b.finish();
  }
};

Record routes(const std::vector<std::vector<std::string>>& rows) {
  Record r = route(10, 1, 1);
  r.value = message("unicast_prefix", rows);
  return r;
}

}  // namespace

TEST_CASE("a bad row costs itself only") {
  Bench b;
  auto bad = route_row(10, "10.9.0.0", 24, 3);
  bad[11] = "99";
  const Batch batch = b.build(
      {peer_up(10), routes({route_row(10, "10.1.0.0", 24, 3), bad, {"junk"}, route_row(10, "10.2.0.0", 24, 3)})});
  CHECK(batch.routes.size() == 2);
  REQUIRE(batch.rejected.size() == 2);
  CHECK(batch.rejected[0].reason == "unicast_prefix: bad prefix length");
  CHECK(batch.rejected[0].offset == 1);
  CHECK(batch.rejected[1].raw == "junk");
  CHECK(batch.counts.rejected == 2);
}

TEST_CASE("a bad record costs itself only, and its offset is passed") {
  Bench b;
  Record broken = route(10, 1, 1);
  broken.value = "not a message";
  std::vector<Record> records = {peer_up(10), broken, route(10, 2, 1)};
  number(records);
  BatchBuilder builder(b.state, b.attributes, 0, 1700000000000000);
  std::string bytes;
  for (const Record& r : records) CHECK_FALSE(builder.add(r.input(bytes)));
  const std::string nonsense = "\x01";
  CHECK_FALSE(builder.add({3, 0, true, as_bytes(nonsense), "raw", -1}));  // its header is cut short
  CHECK_FALSE(builder.add({4, 0, false, {}, "foreign", -1}));
  const Batch batch = builder.finish();
  CHECK(batch.new_offset == 5);
  CHECK(batch.routes.size() == 1);
  CHECK(batch.counts.rejected == 2);
  CHECK(batch.counts.foreign == 1);
  CHECK(batch.rejected[1].raw == "raw");
}

TEST_CASE("a row cut short at the end of a record is set aside, the rows before it are kept") {
  Bench b;
  Record r = routes({route_row(10, "10.1.0.0", 24, 3), route_row(10, "10.2.0.0", 24, 3)});
  r.value.pop_back();
  const Batch batch = b.build({peer_up(10), r});
  CHECK(batch.routes.size() == 1);
  CHECK(batch.rejected.at(0).reason == "unicast_prefix: row without line feed");
}

TEST_CASE("rows that would slip past the fence of another router are refused") {
  Bench b;
  const Batch batch = b.build({peer_up(10), routes({route_row(10, "10.1.0.0", 24, 3, 2)}),  // router 2's row
                               route(10, 1, 1, 1, 1, 2)});                                  // router 1's peer
  CHECK(batch.routes.empty());
  REQUIRE(batch.rejected.size() == 2);
  CHECK(batch.rejected[0].reason == "unicast_prefix: router hash differs from the record's header");
  CHECK(batch.rejected[1].reason == "unicast_prefix: peer hash belongs to another router");
}

TEST_CASE("an epoch that the database cannot hold is refused before it fences everybody out") {
  Bench b;
  const Batch batch = b.build({control(RecordKind::kRun, 1, UINT64_MAX), peer_up(10), route(10, 1, 1)});
  CHECK(batch.rejected.size() == 1);
  CHECK(batch.routes.size() == 1);
  CHECK(batch.counts.fenced == 0);
}

TEST_CASE("fenced records leave nothing but their offset and a count") {
  Bench b;
  const Batch batch =
      b.build({control(RecordKind::kRun, 1, 5), peer_up(10, true, 5), route(10, 1, 1, 4), peer_down(10, 4)});
  CHECK(batch.routes.empty());
  CHECK(batch.counts.fenced == 2);
  CHECK(batch.new_offset == 4);
  CHECK(batch.peer_updates.at(0).state.up);
  CHECK(batch.fenced_routers.contains(hash_of(1)));
}

TEST_CASE("attribute sets are parsed once, and one that does not parse is not remembered as stored") {
  Bench b;
  auto bad = route_row(10, "10.1.0.0", 24, 3);
  bad[14] = "nonsense";
  const Batch batch =
      b.build({peer_up(10), routes({bad, bad, route_row(10, "10.2.0.0", 24, 3), route_row(10, "10.3.0.0", 24, 3),
                                    route_row(10, "10.4.0.0", 24, 4)})});
  CHECK(batch.rejected.size() == 2);
  CHECK(batch.routes.size() == 3);
  CHECK(batch.attributes.size() == 2);
}

TEST_CASE("the attribute cache keeps the most recently used") {
  AttributeCache cache(2);
  CHECK_FALSE(cache.know(hash_of(1)));
  CHECK_FALSE(cache.know(hash_of(2)));
  CHECK(cache.know(hash_of(1)));
  CHECK_FALSE(cache.know(hash_of(3)));  // drops 2
  CHECK(cache.know(hash_of(1)));
  CHECK_FALSE(cache.know(hash_of(2)));
  CHECK(cache.size() == 2);
}

TEST_CASE("views: numbers of the design, and a Loc-RIB peer's rows are view 4 whatever their flags say") {
  Bench b;
  std::vector<std::vector<std::string>> rows;
  for (const auto& [pre, in] : {std::pair{"1", "1"}, {"0", "1"}, {"1", "0"}, {"0", "0"}}) {
    rows.push_back(route_row(10, "10.1.0.0", 24, 3));
    rows.back()[29] = pre;
    rows.back()[30] = in;
  }
  Batch batch = b.build({peer_up(10), routes(rows)});
  REQUIRE(batch.routes.size() == 4);
  for (std::int16_t v = 0; v < 4; ++v) CHECK(batch.routes[static_cast<std::size_t>(v)].view == v);
  Record up = peer_up(11);
  auto row = peer_row("first", 11);
  row[28] = "1";
  up.value = message("peer", {row});
  auto loc = route_row(11, "10.1.0.0", 24, 3);
  Record r = routes({loc});
  batch = b.build({up, r});
  CHECK(batch.routes.at(0).view == 4);
}

TEST_CASE("a synced that ends a refresh closes the batch") {
  Bench b;
  const Batch batch =
      b.build({control(RecordKind::kRun), peer_up(10), route(10, 1, 1), control(RecordKind::kRun, 1, 2, 2),
               peer_up(10, true, 2, 2), control(RecordKind::kSynced, 1, 2, 2), route(10, 2, 1, 2, 2)});
  CHECK(batch.new_offset == 6);
  REQUIRE(batch.leftovers.size() == 1);
  CHECK(batch.leftovers[0].old_live == 1);
  CHECK(batch.leftovers[0].new_live == 2);
}

TEST_CASE("S5: within a batch repetitions and refreshes are folded, changes are kept in order") {
  Bench b;
  const Batch batch = b.build({peer_up(10), route(10, 1, 1), route(10, 1, 1), route(10, 1, 2), route(10, 1, -1),
                               route(10, 1, -1), route(10, 1, 2), peer_up(10), route(10, 1, 2)});
  REQUIRE(batch.routes.size() == 4);  // 1, 2, gone, 2
  CHECK(batch.routes[0].first);
  CHECK_FALSE(batch.routes[0].last);
  CHECK(batch.routes[1].log);
  CHECK(batch.routes[2].withdrawn);
  CHECK(batch.routes[2].has_attributes);  // of what was withdrawn
  CHECK(batch.routes[3].last);
  CHECK(batch.routes[3].epoch == 1);
  CHECK(batch.routes[3].row_epoch == 2);  // the refresh moved the row's generation only
  CHECK(batch.routes[3].risen);
}

TEST_CASE("S5: a route that died with its peer is announced anew") {
  Bench b;
  const Batch batch = b.build({peer_up(10), route(10, 1, 1), peer_down(10), peer_up(10), route(10, 1, 1)});
  REQUIRE(batch.routes.size() == 2);
  CHECK(batch.routes[1].log);
  CHECK(batch.routes[1].risen);
}

TEST_CASE("routes leave in key order, events of one key in offset order") {
  Bench b;
  const Batch batch = b.build({peer_up(10), route(10, 9, 1), route(10, 3, 1), route(10, 9, 2), route(10, 1, 1)});
  REQUIRE(batch.routes.size() == 4);
  CHECK(batch.routes[0].prefix.bytes[2] == 1);
  CHECK(batch.routes[1].prefix.bytes[2] == 3);
  CHECK(batch.routes[2].attributes == hash_of(1000001));
  CHECK(batch.routes[3].attributes == hash_of(1000002));
}

TEST_CASE("receipt times that cannot be are replaced, so that history is not scattered over the centuries") {
  Bench b;
  std::vector<Record> records = {peer_up(10), route(10, 1, 1)};
  number(records);
  records[1].header.read_wall_us = INT64_MAX;
  BatchBuilder builder(b.state, b.attributes, 0, 1700000000000000);
  std::string bytes;
  for (const Record& r : records) CHECK_FALSE(builder.add(r.input(bytes)));
  CHECK(builder.finish().routes.at(0).rx_us == 1700000000000000);  // Kafka's time of the record
}

TEST_CASE("rejected rows are bounded in number and size, and all counted") {
  Bench b;
  std::vector<std::vector<std::string>> rows(1500, {"junk"});
  rows[0] = {std::string(kMaxRejectedBytes + 5, 'x')};
  const Batch batch = b.build({peer_up(10), routes(rows)});
  CHECK(batch.rejected.size() == kMaxRejectedPerBatch);
  CHECK(batch.counts.rejected == 1500);
  CHECK(batch.rejected[0].raw.size() == kMaxRejectedBytes);
}

TEST_CASE("fence watch: an alarm once, when nothing but fenced records came for the limit") {
  FenceWatch w(Millis{30000});
  const BootTime t = boot_from_ns(1000000000);
  CHECK_FALSE(w.fenced(hash_of(1), t));
  CHECK_FALSE(w.fenced(hash_of(1), t + Millis{29999}));
  CHECK_FALSE(w.accepted(hash_of(1), t + Millis{29999}));
  CHECK_FALSE(w.fenced(hash_of(1), t + Millis{30000}));
  CHECK_FALSE(w.alarmed());
  CHECK(w.fenced(hash_of(1), t + Millis{60000}));
  CHECK(w.alarmed());
  CHECK_FALSE(w.fenced(hash_of(1), t + Millis{90000}));
  const auto lasted = w.accepted(hash_of(1), t + Millis{95000});
  REQUIRE(lasted);
  CHECK(*lasted == Millis{65000});
  CHECK_FALSE(w.alarmed());
  CHECK_FALSE(w.accepted(hash_of(1), t + Millis{96000}));
}

TEST_CASE("latency: quantiles within an eighth") {
  Latency l;
  CHECK(l.quantile(0.5) == 0);
  for (std::int64_t us = 1; us <= 10000; ++us) l.add(us);
  CHECK(l.quantile(0.5) >= 5000);
  CHECK(l.quantile(0.5) <= 5650);
  CHECK(l.quantile(0.99) >= 9900);
  CHECK(l.quantile(0.99) <= 11200);
  CHECK(l.sum_us() == 50005000);
  CHECK(l.below_power(12) == 4095);
  CHECK(l.below_power(20) == 10000);
  l.add(-5);  // clocks of two hosts
  CHECK(l.sum_us() == 50005000);
  l.add(INT64_MAX);
  CHECK(l.total() == 10002);
}

TEST_CASE("retention: days, other units, for ever") {
  std::uint64_t days = 7;
  CHECK(parse_retention("0", days));
  CHECK(days == 0);
  CHECK(parse_retention("30d", days));
  CHECK(days == 30);
  CHECK(parse_retention("25h", days));
  CHECK(days == 2);
  for (const char* bad : {"", "d", "-1d", "0d", "30", "99999d", "3 d", "0s"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_retention(bad, days));
  }
  CHECK(days == 2);
}

TEST_CASE("layout per-object: only the topic of routes numbers generations; elsewhere rows describe peers") {
  Bench b;
  Record stat = control(RecordKind::kStat), up = peer_up(10), eor = control(RecordKind::kEor), down = peer_down(10);
  const std::string r = to_hex(hash_of(1)), p = to_hex(hash_of(10)), t = "2026-01-02 03:04:05.000006";
  stat.value =
      message("bmp_stat",
              {{"add", "0", r, "192.0.2.1", p, "10.0.0.1", "65001", t, "1", "2", "3", "4", "5", "6", "7", "8", "9"}});
  eor.value = message("eor", {{"add", "0", p, r, "192.0.2.1", "10.0.0.1", "65001", t, "2", "1", "1", "1"}});
  Record unicast = route(10, 1, 1);
  for (Record* x : {&stat, &up, &eor, &down, &unicast}) x->header.detached = true;
  const Batch batch = b.build({control(RecordKind::kRun), up, stat, eor, unicast, control(RecordKind::kSynced), down,
                               control(RecordKind::kDown)});
  CHECK(b.state.generations.peers().empty());
  CHECK(batch.peer_updates.empty());
  CHECK(batch.peer_infos.empty());
  CHECK(batch.events.empty());
  CHECK(batch.stats.size() == 1);
  REQUIRE(batch.peers.size() == 1);
  CHECK(batch.peers[0].detached);
  CHECK(batch.fences.size() == 1);
  CHECK(batch.routers_down.size() == 1);
  REQUIRE(batch.rejected.size() == 1);
  CHECK(batch.rejected[0].reason == "unicast_prefix: routes in a topic that does not order them");
}

TEST_CASE("layout per-object: every topic has a fence of its own") {
  Bench b;
  Record stat = control(RecordKind::kStat);
  const std::string r = to_hex(hash_of(1)), p = to_hex(hash_of(10)), t = "2026-01-02 03:04:05.000006";
  stat.value =
      message("bmp_stat",
              {{"add", "0", r, "192.0.2.1", p, "10.0.0.1", "65001", t, "1", "2", "3", "4", "5", "6", "7", "8", "9"}});
  stat.header.detached = true;
  Record late = stat, ahead = stat;
  ahead.header.epoch = 2;
  const Batch batch = b.build({control(RecordKind::kRun), stat, control(RecordKind::kRun, 1, 2), late, ahead});
  CHECK(batch.stats.size() == 2);
  CHECK(batch.counts.fenced == 1);
}
