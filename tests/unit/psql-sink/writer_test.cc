// The writer's thread against a real PostgreSQL, with records handed to it as the Kafka side does.
#include "psql-sink/writer.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include "support.h"

using namespace bmpha;
using namespace bmpha::sink;
using namespace bmpha::sink::test;

namespace {

const Partition kPart{"openbmp.parsed", 3};

struct Rig {
  std::string database;
  OnceLog once;
  Outage outage;
  std::atomic<std::int64_t> low = 0, high = 1000000;
  std::vector<Record> records;
  std::vector<WriterEvent> events;
  Writer writer;

  explicit Rig(const std::string& db, WriterConfig config = {})
      : database(db),
        writer(
            with(std::move(config), db), [this](const Partition&) { return range(); }, [] {}, once, outage) {
    writer.assign(kPart, 1);
  }
  static WriterConfig with(WriterConfig c, const std::string& db) {
    c.database = db;
    c.group = "g";
    return c;
  }
  std::optional<OffsetRange> range() const { return low < 0 ? std::nullopt : std::optional(OffsetRange{low, high}); }
  void push(std::size_t n) {
    struct Held {
      std::string header, value;
    };
    auto held = std::make_shared<Held>();
    encode_kafka_header(records[n].header, held->header);
    held->value = records[n].value;
    KafkaMessage m;
    m.offset = records[n].offset;
    m.has_header = true;
    m.header = as_bytes(held->header);
    m.value = held->value;
    m.owner = held;
    writer.push(kPart, std::move(m));
  }
  // Waits for the next event of this kind and offset.
  bool saw(WriterEvent::Kind kind, std::int64_t offset) {
    for (int n = 0; n < 2000; ++n, usleep(5000)) {
      for (const WriterEvent& e : writer.take_events()) events.push_back(e);
      for (const WriterEvent& e : events)
        if (e.kind == kind && e.offset == offset) return true;
    }
    return false;
  }
  std::string one(const std::string& sql) {
    PgConnection pg(database);
    REQUIRE(pg.connect().is_ok());
    const PgResult r = pg.exec(sql);
    REQUIRE_MESSAGE(r.is_ok(), r.error());
    return r.rows() > 0 && !r.is_null(0, 0) ? std::string(r.text(0, 0)) : std::string();
  }
};

using Kind = WriterEvent::Kind;

std::vector<Record> some_routes(int count) {
  std::vector<Record> records = {control(RecordKind::kRun), peer_up(10)};
  for (int n = 0; n < count; ++n) records.push_back(route(10, n, 1 + n % 7));
  number(records);
  return records;
}

}  // namespace

TEST_CASE("writer: asks for the stored position, writes what comes, and says how far it is") {
  NEED_SERVER;
  Rig rig(server->fresh_database());
  rig.records = some_routes(50);
  REQUIRE(rig.saw(Kind::kSeek, 0));
  for (std::size_t n = 0; n < rig.records.size(); ++n) rig.push(n);
  REQUIRE(rig.saw(Kind::kCommitted, 52));
  CHECK(rig.one("SELECT count(*) FROM rib_live") == "50");
  CHECK(rig.writer.queued(kPart).records == 0);
  CHECK(rig.writer.queued(kPart).bytes == 0);
  CHECK(rig.writer.stats().counts.records == 52);
}

TEST_CASE("writer: records from before a seek are thrown away, none is skipped") {
  NEED_SERVER;
  Rig rig(server->fresh_database());
  rig.records = some_routes(20);
  for (std::size_t n = 7; n < 12; ++n) rig.push(n);  // wherever the client stood
  REQUIRE(rig.saw(Kind::kSeek, 0));
  for (std::size_t n = 7; n < 9; ++n) rig.push(n);  // still under way when the seek was ordered
  for (std::size_t n = 0; n < rig.records.size(); ++n) rig.push(n);
  REQUIRE(rig.saw(Kind::kCommitted, 22));
  CHECK(rig.one("SELECT count(*) FROM rib_live") == "20");
  CHECK(rig.one("SELECT count(*) FROM rib_log") == "20");
}

TEST_CASE("writer: after a killed connection the queue goes on where the database stands, without Kafka") {
  NEED_SERVER;
  WriterConfig config;
  config.batch_rows = config.bulk_rows = 5;
  Rig rig(server->fresh_database(), config);
  rig.records = some_routes(300);
  REQUIRE(rig.saw(Kind::kSeek, 0));
  for (std::size_t n = 0; n < rig.records.size(); ++n) rig.push(n);
  for (int n = 0; n < 5; ++n) {
    usleep(20000);
    rig.one(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = "
        "current_database()");
  }
  REQUIRE(rig.saw(Kind::kCommitted, 302));
  CHECK(rig.one("SELECT count(*) FROM rib_live") == "300");
  CHECK(rig.one("SELECT count(*) FROM rib_log") == "300");
  CHECK(rig.one("SELECT count(*) FROM rib_live LEFT JOIN base_attrs USING (attr_id) WHERE first_seen IS NULL") == "0");
  int seeks = 0;
  for (const WriterEvent& e : rig.events) seeks += e.kind == Kind::kSeek ? 1 : 0;
  CHECK(rig.writer.stats().database_failures > 0);
  CHECK(seeks <= 1 + 5);
}

TEST_CASE("writer: a record that the database refuses for its data is set aside, its neighbours are stored") {
  NEED_SERVER;
  Rig rig(server->fresh_database());
  rig.one(
      "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.prefix = '10.0.13.0/24' THEN "
      "RAISE EXCEPTION 'not this one' USING ERRCODE = '22023'; END IF; RETURN NEW; END $$; "
      "CREATE TRIGGER refuse BEFORE INSERT ON rib FOR EACH ROW EXECUTE FUNCTION refuse(); SELECT 1");
  rig.records = some_routes(30);
  REQUIRE(rig.saw(Kind::kSeek, 0));
  for (std::size_t n = 0; n < rig.records.size(); ++n) rig.push(n);
  REQUIRE(rig.saw(Kind::kCommitted, 32));
  CHECK(rig.one("SELECT count(*) FROM rib_live") == "29");
  CHECK(rig.one("SELECT record_offset || ' ' || reason FROM ingest_rejected") ==
        "15 the database refused it: apply routes: ERROR:  not this one CONTEXT:  PL/pgSQL function refuse() line 1 at "
        "RAISE");
}

TEST_CASE("writer: what the log no longer has is recorded, not jumped over in silence") {
  NEED_SERVER;
  Rig rig(server->fresh_database());
  rig.records = some_routes(5);
  REQUIRE(rig.saw(Kind::kSeek, 0));
  for (std::size_t n = 0; n < rig.records.size(); ++n) rig.push(n);
  REQUIRE(rig.saw(Kind::kCommitted, 7));
  rig.low = 40;
  rig.writer.reload(kPart);
  REQUIRE(rig.saw(Kind::kSeek, 40));
  CHECK(rig.one("SELECT from_offset || '-' || to_offset FROM ingest_gap") == "7-40");
  CHECK(rig.one("SELECT incomplete FROM peers") == "t");
  rig.low = 0;
  rig.high = 10;  // another log
  rig.events.clear();
  rig.writer.reload(kPart);
  REQUIRE(rig.saw(Kind::kSeek, 0));
  CHECK(rig.one("SELECT opener_offset FROM peers") == "-1");
}

TEST_CASE("writer: while the broker does not answer nothing is assumed, and a revoked partition is let go at once") {
  NEED_SERVER;
  const std::string database = server->fresh_database();
  OnceLog once;
  Outage outage;
  std::atomic<int> asked = 0;
  Writer writer(
      Rig::with({}, database),
      [&](const Partition&) {
        ++asked;
        return std::optional<OffsetRange>();
      },
      [] {}, once, outage);
  writer.assign(kPart, 1);
  for (int n = 0; n < 1000 && asked < 2; ++n) usleep(5000);
  CHECK(asked >= 2);
  CHECK(writer.take_events().empty());
  writer.revoke(kPart, Millis{1000});
  CHECK(writer.partitions() == 0);
  writer.stop(Millis{2000});
}

TEST_CASE("writer: stops at once while the database is away, with its queue unwritten") {
  OnceLog once;
  Outage outage;
  const BootTime began = BootClock::now();
  {
    Writer writer(
        Rig::with({}, "host=/nonexistent dbname=x"), [](const Partition&) { return OffsetRange{}; }, [] {}, once,
        outage);
    writer.assign(kPart, 1);
    usleep(300000);
    writer.stop(Millis{3000});
  }
  CHECK(BootClock::now() - began < std::chrono::seconds(2));
}
