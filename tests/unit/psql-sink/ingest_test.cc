// The transaction, against a real PostgreSQL: the database must show what the model shows, whatever the batches.
#include "psql-sink/ingest.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <thread>

#include "psql-sink/ingest_sql.h"
#include "psql-sink/maintenance.h"
#include "psql-sink/migrations.h"
#include "psql-sink/startup.h"
#include "support.h"

using namespace bmpha;
using namespace bmpha::sink;
using namespace bmpha::sink::test;

namespace {

const Partition kPartition{"openbmp.parsed", 0};

// A sink of one partition: loads, builds batches of the sizes it is told, writes.
struct Sinker {
  Ingest ingest;
  AttributeCache attributes{1000};
  PartitionState state;
  std::int64_t next = -1;

  const Partition partition;

  explicit Sinker(const std::string& database, Partition of = kPartition)
      : ingest(database, "g"), partition(std::move(of)) {
    REQUIRE(ingest.open().is_ok());
  }
  void load() {
    attributes.clear();
    auto loaded = ingest.load(partition);
    REQUIRE_MESSAGE(loaded.is_ok(), (loaded ? "" : loaded.error()));
    if (loaded.value().next_offset < 0) {
      REQUIRE(ingest.begin_partition(partition, 0).is_ok());
      loaded.value().next_offset = 0;
    }
    state = std::move(loaded.value().state);
    next = loaded.value().next_offset;
  }
  FlushResult flush(const std::vector<Record>& records, std::size_t size) {
    BatchBuilder b(state, attributes, next, 1700000000000000);
    std::string bytes;
    for (auto n = static_cast<std::size_t>(next); n < records.size() && size > 0; ++n, --size)
      if (b.add(records[n].input(bytes))) break;
    Batch batch = b.finish();
    const FlushResult r = ingest.flush(partition, batch, state);
    if (r.outcome == Outcome::kCommitted) next = batch.new_offset;
    return r;
  }
  void run(const std::vector<Record>& records, const std::function<std::size_t()>& size) {
    load();
    while (next < static_cast<std::int64_t>(records.size())) {
      const FlushResult r = flush(records, size());
      REQUIRE_MESSAGE(r.outcome == Outcome::kCommitted, r.message);
    }
  }
};

struct Query {
  PgConnection pg;
  explicit Query(const std::string& database) : pg(database) { REQUIRE(pg.connect().is_ok()); }
  std::string one(const std::string& sql) {
    const PgResult r = pg.exec(sql);
    REQUIRE_MESSAGE(r.is_ok(), r.error());
    return r.rows() > 0 && !r.is_null(0, 0) ? std::string(r.text(0, 0)) : std::string();
  }
  // Everything that must not depend on where batches end. Ids may: new ones are given in the order of a batch's keys.
  std::string digest() {
    return one(
        "SELECT md5(string_agg(x, '|' ORDER BY x)) FROM ("
        "SELECT 'rib' || p.hash || (to_jsonb(r) - 'peer_id')::text AS x FROM rib r JOIN peers p USING (peer_id) "
        "UNION ALL SELECT 'log' || p.hash || coalesce(n.name, '') || (to_jsonb(l) - 'peer_id' - 'node_id')::text "
        "FROM rib_log l JOIN peers p USING (peer_id) LEFT JOIN nodes n USING (node_id) "
        "UNION ALL SELECT 'peer' || (to_jsonb(p) - 'peer_id')::text FROM peers p "
        "UNION ALL SELECT 'event' || p.hash || (to_jsonb(e) - 'peer_id')::text FROM peer_event e JOIN peers p USING "
        "(peer_id) "
        "UNION ALL SELECT 'fence' || f::text FROM ingest_fence f UNION ALL SELECT 'offset' || o::text FROM "
        "ingest_offset o "
        "UNION ALL SELECT 'attributes' || (to_jsonb(a) - 'first_seen')::text FROM base_attrs a) t");
  }
};

int peer_number(const std::string& uuid) {
  std::string hex;
  for (const char c : uuid)
    if (c != '-') hex += c;
  for (int n = 10; n < 100; ++n)
    if (to_hex(hash_of(n)) == hex) return n;
  return -1;
}
int prefix_number(const std::string& text) {
  int a = 0, b = 0;
  std::sscanf(text.c_str(), "10.%d.%d.0", &a, &b);
  return a * 256 + b;
}

std::map<std::pair<int, int>, int> visible(Query& q) {
  std::map<std::pair<int, int>, int> out;
  const PgResult r =
      q.pg.exec("SELECT p.hash, host(l.prefix), l.origin_as FROM rib_live l JOIN peers p USING (peer_id)");
  REQUIRE(r.is_ok());
  for (int n = 0; n < r.rows(); ++n)
    out[{peer_number(std::string(r.text(n, 0))), prefix_number(std::string(r.text(n, 1)))}] =
        static_cast<int>(r.number(n, 2));
  return out;
}

// Per key, in order of receipt: which the history must give exactly.
std::map<std::pair<int, int>, std::vector<int>> by_key(const std::vector<Model::Change>& changes) {
  std::map<std::pair<int, int>, std::vector<int>> out;
  for (const Model::Change& c : changes) out[{c.peer, c.prefix}].push_back(c.attributes);
  return out;
}
std::map<std::pair<int, int>, std::vector<int>> history(Query& q) {
  const PgResult r = q.pg.exec(
      "SELECT p.hash, host(l.prefix), CASE WHEN withdrawn THEN -1 ELSE origin_as END FROM rib_log l "
      "JOIN peers p USING (peer_id) ORDER BY l.rx");
  REQUIRE(r.is_ok());
  std::map<std::pair<int, int>, std::vector<int>> out;
  for (int n = 0; n < r.rows(); ++n)
    out[{peer_number(std::string(r.text(n, 0))), prefix_number(std::string(r.text(n, 1)))}].push_back(
        static_cast<int>(r.number(n, 2)));
  return out;
}

}  // namespace

TEST_CASE("database: random traffic gives the model's state and history, whatever the batch size") {
  NEED_SERVER;
  for (std::uint32_t seed = 1; seed <= 6; ++seed) {
    const std::vector<Record> records = random_traffic(seed, 400);
    Model model;
    for (const Record& r : records) model.apply(r);
    std::string first_digest;
    std::mt19937 random(seed);
    for (const std::size_t size : {1U, 7U, 100U, 5000U, 0U}) {  // 0: random
      const std::string database = server->fresh_database();
      Sinker s(database);
      s.run(records, [&] { return size != 0 ? size : 1 + random() % 60; });
      Query q(database);
      CAPTURE(seed);
      CAPTURE(size);
      CHECK(visible(q) == model.visible());
      CHECK(history(q) == by_key(model.history()));
      if (first_digest.empty()) first_digest = q.digest();
      CHECK(q.digest() == first_digest);
    }
  }
}

TEST_CASE("database: a crash before COMMIT and a delivery from the start again change nothing") {
  NEED_SERVER;
  const std::vector<Record> records = random_traffic(77, 500);
  Model model;
  for (const Record& r : records) model.apply(r);
  const std::string calm = server->fresh_database(), rough = server->fresh_database();
  {
    Sinker s(calm);
    s.run(records, [] { return std::size_t{9}; });
  }
  std::mt19937 random(5);
  std::int64_t done = 0;
  int crashes = 0;
  while (done < static_cast<std::int64_t>(records.size())) {
    Sinker s(rough);  // a new process: nothing but the database is known
    s.load();
    for (int n = 0; n < 6 && s.next < static_cast<std::int64_t>(records.size()); ++n) {
      const bool crash = random() % 4 == 0;
      s.ingest.before_commit = [&] { return !crash; };
      const FlushResult r = s.flush(records, 1 + random() % 30);
      if (crash) {
        CHECK(r.outcome == Outcome::kRefused);
        ++crashes;
        break;
      }
      REQUIRE_MESSAGE(r.outcome == Outcome::kCommitted, r.message);
    }
    done = std::stoll("0" + Query(rough).one("SELECT next_offset FROM ingest_offset"));
  }
  CHECK(crashes > 3);
  Query a(calm), b(rough);
  CHECK(b.digest() == a.digest());
  CHECK(visible(b) == model.visible());
  CHECK(history(b) == by_key(model.history()));
}

TEST_CASE("database: a connection killed in the transaction leaves nothing, and the same batch goes through later") {
  NEED_SERVER;
  const std::vector<Record> records = random_traffic(3, 60);
  const std::string database = server->fresh_database();
  Sinker s(database);
  s.load();
  Query q(server->admin());
  s.ingest.before_commit = [&] {
    q.one(fmt::format("SELECT pg_terminate_backend({})", s.ingest.connection().backend_pid()));
    return true;
  };
  CHECK(s.flush(records, 50).outcome == Outcome::kUnreachable);
  CHECK_FALSE(s.ingest.usable());
  CHECK(Query(database).one("SELECT count(*) FROM rib") == "0");
  s.ingest.before_commit = nullptr;
  REQUIRE(s.ingest.open().is_ok());
  s.run(records, [] { return std::size_t{50}; });
  Model model;
  for (const Record& r : records) model.apply(r);
  Query after(database);
  CHECK(visible(after) == model.visible());
}

TEST_CASE("S1: a sink that lost the partition is fenced by its offset and writes nothing") {
  NEED_SERVER;
  const std::vector<Record> records = random_traffic(8, 200);
  const std::string database = server->fresh_database();
  Sinker old_one(database), new_one(database);
  old_one.load();
  REQUIRE(old_one.flush(records, 50).outcome == Outcome::kCommitted);
  new_one.load();
  CHECK(new_one.next == old_one.next);
  REQUIRE(new_one.flush(records, 50).outcome == Outcome::kCommitted);
  Query q(database);
  const std::string before = q.digest();
  const FlushResult zombie = old_one.flush(records, 30);
  CHECK(zombie.outcome == Outcome::kFenced);
  CHECK(q.digest() == before);
  old_one.load();  // should it really be the owner again, it goes on from the stored state
  while (old_one.next < static_cast<std::int64_t>(records.size()))
    REQUIRE(old_one.flush(records, 40).outcome == Outcome::kCommitted);
  Model model;
  for (const Record& r : records) model.apply(r);
  CHECK(visible(q) == model.visible());
  CHECK(history(q) == by_key(model.history()));
}

TEST_CASE("S5: history holds first announcements and changes, not refreshes; leftovers are withdrawn at synced") {
  NEED_SERVER;
  std::vector<Record> records = {control(RecordKind::kRun),
                                 peer_up(10),
                                 route(10, 1, 1),
                                 route(10, 2, 1),
                                 route(10, 3, 1),
                                 control(RecordKind::kSynced),
                                 control(RecordKind::kRun, 1, 2, 2),
                                 peer_up(10, true, 2, 2),
                                 route(10, 1, 1, 2, 2),  // the same: a refresh
                                 route(10, 2, 5, 2, 2),  // changed while nobody looked
                                 control(RecordKind::kSynced, 1, 2, 2)};
  number(records);
  records[8].header.replay = records[9].header.replay = true;
  records[10].header.node = "b";
  for (const std::size_t size : {1U, 100U}) {
    const std::string database = server->fresh_database();
    Sinker s(database);
    s.run(records, [&] { return size; });
    Query q(database);
    CHECK(q.one("SELECT string_agg(host(prefix) || ':' || CASE WHEN withdrawn THEN '-' ELSE '' END || origin_as || "
                "CASE WHEN replay THEN 'r' ELSE '' END || n.name, ' ' ORDER BY rx, prefix) FROM rib_log "
                "JOIN nodes n USING (node_id)") == "10.0.1.0:1a 10.0.2.0:1a 10.0.3.0:1a 10.0.2.0:5ra 10.0.3.0:-1b");
    CHECK(q.one("SELECT string_agg(host(prefix) || ':' || origin_as, ' ' ORDER BY prefix) FROM rib_live") ==
          "10.0.1.0:1 10.0.2.0:5");
    CHECK(q.one("SELECT count(*) FROM rib_live l JOIN base_attrs a USING (attr_id)") == "2");
    // The unchanged route is as old as it was.
    CHECK(q.one("SELECT ts = first_ts FROM rib WHERE prefix = '10.0.1.0/24'") == "t");
  }
}

TEST_CASE("S5: rows hidden with their peer are ended by its event, not by a line each") {
  NEED_SERVER;
  std::vector<Record> records = {control(RecordKind::kRun), peer_up(10), route(10, 1, 1), route(10, 2, 1),
                                 peer_down(10)};
  number(records);
  const std::string database = server->fresh_database();
  Sinker s(database);
  s.run(records, [] { return std::size_t{2}; });
  Query q(database);
  CHECK(q.one("SELECT count(*) FROM rib_live") == "0");
  CHECK(q.one("SELECT count(*) FROM rib_log WHERE withdrawn") == "0");
  CHECK(q.one("SELECT string_agg(kind::text, ',' ORDER BY rx) FROM peer_event") == "1,2");
  CHECK(q.one("SELECT bmp_reason || ' ' || bgp_error || ' ' || error_text FROM peers") == "1 6 cease");
}

TEST_CASE("database: a withdrawal logs what it ended, a withdrawal of nothing logs nothing") {
  NEED_SERVER;
  std::vector<Record> records = {control(RecordKind::kRun), peer_up(10),      route(10, 7, -1),
                                 route(10, 1, 4),           route(10, 1, -1), route(10, 1, -1)};
  number(records);
  for (const std::size_t size : {1U, 100U}) {
    const std::string database = server->fresh_database();
    Sinker s(database);
    s.run(records, [&] { return size; });
    Query q(database);
    CHECK(q.one("SELECT string_agg(withdrawn::text || origin_as || (attr_id IS NOT NULL)::text, ' ' ORDER BY rx) "
                "FROM rib_log") == "false4true true4true");
  }
}

namespace {

constexpr std::int64_t kSecond = 1'000'000, kTime = 1700000000000000;

Record at(std::int64_t seconds, int prefix, int attributes, std::uint64_t session = 1) {
  return route(10, prefix, attributes, session, session, 1, kTime + seconds * kSecond);
}
// A row per prefix: attributes, `-` when withdrawn, seconds of ts and first_ts after kTime.
const char* const kRows =
    "SELECT string_agg(host(prefix) || ':' || coalesce(origin_as::text, '?') || CASE WHEN withdrawn THEN '-' ELSE '' "
    "END || '@' || extract(epoch FROM ts)::int8 - 1700000000 || ',' || extract(epoch FROM first_ts)::int8 - 1700000000,"
    " ' ' ORDER BY prefix) FROM rib";

}  // namespace

TEST_CASE("database: what changes a row, and which of its times, in one batch or in several") {
  NEED_SERVER;
  std::vector<Record> records = {
      control(RecordKind::kRun),
      peer_up(10),
      at(10, 1, 1),
      at(10, 2, 1),
      at(10, 3, 1),
      at(10, 4, 1),
      at(10, 5, 1),
      control(RecordKind::kSynced),
      at(20, 1, 1),   // the same again
      at(20, 2, 2),   // other attributes
      at(20, 3, -1),  // gone
      at(20, 4, 2),
      at(21, 4, 1),  // changed, and changed back
      at(20, 5, -1),
      at(21, 5, 1),  // gone, and back
  };
  number(records);
  for (const std::size_t size : {1U, 8U, 100U}) {
    CAPTURE(size);
    const std::string database = server->fresh_database();
    Sinker s(database);
    s.run(records, [&] { return size; });
    Query q(database);
    CHECK(q.one(kRows) == "10.0.1.0:1@10,10 10.0.2.0:2@20,10 10.0.3.0:1-@20,10 10.0.4.0:1@21,10 10.0.5.0:1@21,21");
    CHECK(q.one("SELECT count(*) FROM rib WHERE attr_id IS NULL") == "0");
    CHECK(visible(q).size() == 4);
  }
}

TEST_CASE("database: a refresh keeps the times of what it repeats, marks the rest withdrawn, touches no other peer") {
  NEED_SERVER;
  std::vector<Record> records = {control(RecordKind::kRun),
                                 control(RecordKind::kRun, 2),
                                 peer_up(10),
                                 peer_up(11),
                                 peer_up(12, true, 1, 1, 2),
                                 route(12, 8, 1, 1, 1, 2),
                                 at(10, 7, 1),
                                 peer_down(10),
                                 peer_up(10),  // prefix 7 died with its peer
                                 at(10, 1, 1),
                                 at(10, 2, 1),
                                 at(10, 3, 1),
                                 at(11, 3, -1),
                                 route(11, 9, 1),
                                 control(RecordKind::kSynced),
                                 peer_up(12, false, 1, 1, 2),
                                 route(12, 8, 1, 1, 1, 2),
                                 control(RecordKind::kRun, 1, 2, 2),
                                 peer_up(10, true, 2, 2),
                                 at(30, 1, 1, 2),
                                 peer_up(11, true, 2, 2),
                                 route(11, 9, 1, 2, 2),
                                 control(RecordKind::kSynced, 1, 2, 2)};
  number(records);
  for (const std::size_t size : {1U, 100U}) {
    CAPTURE(size);
    const std::string database = server->fresh_database();
    Sinker s(database);
    s.run(records, [&] { return size; });
    Query q(database);
    CHECK(q.one("SELECT extract(epoch FROM ts)::int8 - 1700000000 || ',' || extract(epoch FROM first_ts)::int8 - "
                "1700000000 FROM rib WHERE prefix = '10.0.1.0/24'") == "10,10");
    CHECK(q.one("SELECT string_agg(host(prefix) || withdrawn, ' ' ORDER BY prefix) FROM rib") ==
          "10.0.1.0false 10.0.2.0true 10.0.3.0true 10.0.7.0false 10.0.8.0false 10.0.9.0false");
    CHECK(q.one("SELECT string_agg(host(prefix), ' ' ORDER BY prefix) FROM rib_live") == "10.0.1.0 10.0.8.0 10.0.9.0");
    CHECK(q.one("SELECT string_agg(host(prefix), ' ' ORDER BY prefix, rx) FROM rib_log WHERE withdrawn") ==
          "10.0.2.0 10.0.3.0");
  }
}

TEST_CASE("database: a route that its peer's end outlived is announced anew, and dead before that") {
  NEED_SERVER;
  std::vector<Record> records = {
      control(RecordKind::kRun),    peer_up(10),   at(10, 1, 1),       at(10, 2, 1), at(10, 3, 1),
      control(RecordKind::kSynced), peer_down(10), peer_up(10, false), at(20, 1, 1), at(20, 2, -1)};
  number(records);
  for (const std::size_t size : {1U, 6U, 100U}) {
    CAPTURE(size);
    const std::string database = server->fresh_database();
    Sinker s(database);
    s.run(records, [&] { return size; });
    Query q(database);
    CHECK(q.one("SELECT string_agg(host(prefix), ' ') FROM rib_live") == "10.0.1.0");
    CHECK(q.one("SELECT string_agg(host(prefix) || withdrawn, ' ' ORDER BY rx) FROM rib_log") ==
          "10.0.1.0false 10.0.2.0false 10.0.3.0false 10.0.1.0false");
    CHECK(q.one("SELECT extract(epoch FROM first_ts)::int8 - 1700000000 FROM rib WHERE prefix = '10.0.1.0/24'") ==
          "20");
  }
}

TEST_CASE("database: the views show the rows of peers that are up, of the live generation, not withdrawn") {
  NEED_SERVER;
  std::vector<Record> records = {control(RecordKind::kRun),
                                 peer_up(10),
                                 peer_up(11),
                                 at(10, 1, 1),
                                 at(10, 2, 1),
                                 at(10, 3, 1),
                                 route(11, 4, 1),
                                 control(RecordKind::kSynced),
                                 peer_down(11),
                                 at(11, 2, -1),
                                 peer_up(10, false),
                                 at(12, 1, 2)};  // what is not announced again is outlived
  number(records);
  const std::string database = server->fresh_database();
  Sinker s(database);
  s.run(records, [] { return std::size_t{3}; });
  Query q(database);
  CHECK(q.one("SELECT count(*) FROM rib") == "4");
  for (const char* view : {"rib_live", "routes"}) {
    CAPTURE(view);
    CHECK(q.one(fmt::format("SELECT string_agg(host(prefix) || ':' || origin_as, ' ') FROM {}", view)) == "10.0.1.0:2");
  }
  // Of the same generation and withdrawn: only the flag tells.
  q.one("UPDATE rib SET withdrawn = true WHERE prefix = '10.0.1.0/24'");
  for (const char* view : {"rib_live", "routes"}) CHECK(q.one(fmt::format("SELECT count(*) FROM {}", view)) == "0");
}

TEST_CASE("database: a sink that starts takes back fence, settled gens, runs, openers and generations") {
  NEED_SERVER;
  std::vector<Record> records = {control(RecordKind::kRun),
                                 peer_up(10),
                                 peer_up(11),
                                 at(10, 1, 1),
                                 route(11, 2, 1),
                                 control(RecordKind::kSynced),
                                 control(RecordKind::kRun, 1, 5, 5),
                                 peer_up(10, true, 5, 5),
                                 route(10, 1, 2, 5, 5)};
  records[6].header.settled = {{"b", 7}};
  std::vector<Record> late = {route(11, 3, 9), route(11, 4, 9, 1, 1), control(RecordKind::kSynced, 1, 5, 5)};
  late[1].header.node = "b";
  late[1].header.solo = true;
  late[1].header.gen = 7;
  records.insert(records.end(), late.begin(), late.end());
  number(records);
  const std::string database = server->fresh_database();
  for (std::size_t n = 0; n < records.size(); ++n) {  // a new sink for each record
    Sinker s(database);
    s.load();
    REQUIRE(s.flush(records, 1).outcome == Outcome::kCommitted);
  }
  Query q(database);
  // Below the mark, and solo of a settled gen: not stored. The dump of session 5 did not open peer 11: it went down.
  CHECK(q.one("SELECT string_agg(host(prefix) || ':' || origin_as, ' ') FROM rib_live") == "10.0.1.0:2");
  CHECK(q.one("SELECT count(*) FROM rib WHERE origin_as = 9") == "0");
  CHECK(q.one("SELECT count(*) FROM peers WHERE up") == "1");
  CHECK(q.one("SELECT epoch || ' ' || live_epoch FROM peers WHERE up") == "2 2");
}

TEST_CASE("database: the sweep leaves rows of a peer that has just gone down, and other sinks' partitions") {
  NEED_SERVER;
  std::vector<Record> records = {
      control(RecordKind::kRun), peer_up(10), at(10, 1, 1), at(10, 2, 1), at(11, 2, -1), peer_down(10)};
  number(records);
  const std::string database = server->fresh_database();
  Sinker s(database);
  s.run(records, [] { return std::size_t{100}; });
  const Partition other{"openbmp.parsed", 1};
  REQUIRE(s.ingest.begin_partition(other, 0).is_ok());
  CHECK(s.ingest.sweep({{other, 0}}, 4000000000000000, 1000) == 0);
  Query q(database);
  CHECK(q.one("SELECT count(*) FROM rib") == "2");
  CHECK(s.ingest.sweep({{kPartition, s.next}}, kTime - 3600 * kSecond, 1000) == 1);  // the withdrawn one
  CHECK(q.one("SELECT string_agg(host(prefix), ' ') FROM rib") == "10.0.1.0");
}

TEST_CASE("database: an exact repetition writes nothing to the table") {
  NEED_SERVER;
  std::vector<Record> records = {control(RecordKind::kRun), peer_up(10)};
  for (int n = 0; n < 50; ++n) records.push_back(route(10, n, 1));
  for (int n = 0; n < 50; ++n) records.push_back(route(10, n, 1));
  number(records);
  const std::string database = server->fresh_database();
  Sinker s(database);
  s.load();
  REQUIRE(s.flush(records, 52).outcome == Outcome::kCommitted);
  Query q(database);
  const std::string before = q.one("SELECT md5(string_agg(ctid::text || xmin::text, ' ' ORDER BY prefix)) FROM rib");
  REQUIRE(s.flush(records, 50).outcome == Outcome::kCommitted);
  CHECK(q.one("SELECT md5(string_agg(ctid::text || xmin::text, ' ' ORDER BY prefix)) FROM rib") == before);
  CHECK(q.one("SELECT count(*) FROM rib_log") == "50");
}

TEST_CASE("database: rows are joined by the whole key and updated by place, on an empty and on a full table") {
  NEED_SERVER;
  const std::string database = server->fresh_database();
  const auto plan = [&](PgConnection& pg) {
    const PgResult r = pg.exec("EXPLAIN (COSTS off) EXECUTE look");
    REQUIRE_MESSAGE(r.is_ok(), r.error());
    std::string text;
    for (int n = 0; n < r.rows(); ++n) text += std::string(r.text(n, 0)) + "\n";
    return text;
  };
  const auto good = [](const std::string& p) {
    const std::size_t scan = p.find("Index Scan using rib_pkey on rib r");
    const std::string condition =
        "Index Cond: (((prefix)::inet = (s.prefix)::inet) AND (peer_id = s.peer_id) AND (view = s.view)"
        " AND (path_id = s.path_id))";
    return scan != std::string::npos && p.find(condition) != std::string::npos &&
           p.find("Tid Scan on rib r") != std::string::npos && p.find("Seq Scan on rib ") == std::string::npos &&
           p.find("Hash") == std::string::npos && p.find("Merge") == std::string::npos &&
           p.find("Materialize") == std::string::npos;
  };
  Ingest empty(database, "g");
  REQUIRE(empty.open().is_ok());
  PgConnection& pg = empty.connection();
  REQUIRE(pg.exec(std::string("PREPARE look AS ") + kApply).is_ok());
  std::string p = plan(pg);
  CHECK_MESSAGE(good(p), p);
  // The statement that was planned on the empty table must stay right when the table has grown behind its back.
  Query q(database);
  q.one("INSERT INTO routers (hash) VALUES ('00000000-0000-0000-0000-000000000001')");
  q.one("INSERT INTO peers (hash, router_id, topic, part) VALUES ('00000000-0000-0000-0000-000000000002', 1, 't', 0)");
  q.one(
      "INSERT INTO rib SELECT NULL, 1, 0, now(), now(), 1, 1, 0, false, ('10.' || n / 65536 || '.' || n / 256 % 256 || "
      "'.' || n % 256 || '/32')::cidr FROM generate_series(0, 99999) n");
  p = plan(pg);
  CHECK_MESSAGE(good(p), p);
  q.one("ANALYZE rib");
  p = plan(pg);
  CHECK_MESSAGE(good(p), p);
  for (const bool many : {false, true}) {  // a new session on the full table, few and many staged rows
    Ingest full(database, "g");
    REQUIRE(full.open().is_ok());
    REQUIRE(full.connection().exec("BEGIN").is_ok());
    if (many)
      REQUIRE(full.connection()
                  .exec("INSERT INTO stg SELECT NULL, 1, 0, now(), now(), now(), 1, 1, 1, 1, 1, 0, false, false, true, "
                        "true, false, false, prefix FROM rib LIMIT 20000")
                  .is_ok());
    REQUIRE(full.connection().exec(std::string("PREPARE look AS ") + kApply).is_ok());
    p = plan(full.connection());
    CHECK_MESSAGE(good(p), p);
  }
}

TEST_CASE("database: dead rows are swept, and the history does not notice") {
  NEED_SERVER;
  const std::vector<Record> records = random_traffic(21, 400);
  Model model;
  for (const Record& r : records) model.apply(r);
  const std::string database = server->fresh_database();
  Sinker s(database);
  s.load();
  std::int64_t swept = 0;
  while (s.next < static_cast<std::int64_t>(records.size())) {
    REQUIRE(s.flush(records, 11).outcome == Outcome::kCommitted);
    const std::int64_t n = s.ingest.sweep({{kPartition, s.next}}, 0, 5);
    REQUIRE(n >= 0);
    swept += n;
  }
  CHECK(swept > 20);
  Query q(database);
  CHECK(visible(q) == model.visible());
  CHECK(history(q) == by_key(model.history()));
  while (s.ingest.sweep({{kPartition, s.next}}, 4000000000000000, 1000) > 0) continue;
  CHECK(q.one("SELECT (SELECT count(*) FROM rib) = (SELECT count(*) FROM rib_live)") == "t");
  // With another offset than the stored one this sink is not the partition's writer, and touches nothing.
  q.one("UPDATE rib SET withdrawn = true");
  CHECK(s.ingest.sweep({{kPartition, s.next - 1}}, 0, 1000) == 0);
}

TEST_CASE("database: another writer of the same rows is noticed and nothing is committed") {
  NEED_SERVER;
  std::vector<Record> records = {control(RecordKind::kRun), peer_up(10), route(10, 1, 1), route(10, 1, 2)};
  number(records);
  const std::string database = server->fresh_database();
  Sinker s(database);
  s.load();
  REQUIRE(s.flush(records, 3).outcome == Outcome::kCommitted);
  // Another session holds a changed version of the row while our statement runs, and commits: READ COMMITTED would
  // skip our update without a word.
  Query rival(database), watch(database);
  rival.one("BEGIN");
  rival.one("UPDATE rib SET origin_as = 99");
  std::thread later([&] {
    while (watch.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = "
                     "current_database()") == "0")
      usleep(10000);
    rival.one("COMMIT");
  });
  const FlushResult r = s.flush(records, 1);
  later.join();
  CHECK(r.outcome == Outcome::kRefused);
  CHECK(r.message.find("somebody else writes") != std::string::npos);
  CHECK(watch.one("SELECT next_offset FROM ingest_offset") == "3");
}

TEST_CASE("database: rejected rows are kept with their bytes, in the batch's transaction") {
  NEED_SERVER;
  Record bad = route(10, 1, 1);
  bad.value = message("unicast_prefix", {{"junk\xff"}, route_row(10, "10.0.1.0", 24, 1)});
  std::vector<Record> records = {control(RecordKind::kRun), peer_up(10), bad};
  number(records);
  const std::string database = server->fresh_database();
  Sinker s(database);
  s.run(records, [] { return std::size_t{100}; });
  Query q(database);
  CHECK(
      q.one("SELECT part || ' ' || record_offset || ' ' || reason || ' ' || encode(raw, 'hex') FROM ingest_rejected") ==
      "0 2 unicast_prefix: unicast_prefix row with too few columns 6a756e6bff");
  CHECK(q.one("SELECT count(*) FROM rib_live") == "1");
}

TEST_CASE("database: hostile text cannot stop a batch") {
  NEED_SERVER;
  auto row = peer_row("up", 10);
  row[4] = "n'; DROP TABLE rib; --\xff\"\\";
  row[5] = "not an address";
  row[8] = "99999999999999999999";
  row[17] = std::string(10000, '\xc3');
  row[30] = "table,{}\"NULL\"";
  Record up = peer_up(10);
  up.value = message("peer", {row});
  Record init = control(RecordKind::kRouter);
  init.value = message("router", {{"init", "0", "r'\"\\\x01", to_hex(hash_of(1)), "nowhere", "{}", "0", "", "NULL", "",
                                   "2026-01-02 03:04:05.000006", "x"}});
  Record odd = route(10, 1, 1);
  odd.header.node = std::string("\xff\"\\',{}") + std::string("\0", 1);
  auto attributes = route_row(10, "10.0.2.0", 24, 9);
  attributes[22] = "{\"NULL\",} \\ \xff,";
  Record hostile = route(10, 1, 1);
  hostile.value = message("unicast_prefix", {attributes});
  std::vector<Record> records = {control(RecordKind::kRun, 1, 1, 1, "n\"}"), init, up, odd, hostile};
  records[0].header.settled = {{"x\":1,\"\xfe", 3}};
  number(records);
  const std::string database = server->fresh_database();
  Sinker s(database);
  s.run(records, [] { return std::size_t{1}; });
  Query q(database);
  CHECK(q.one("SELECT count(*) FROM rib_live") == "2");
  CHECK(q.one("SELECT name FROM peers") == "n'; DROP TABLE rib; --?\"\\");
  CHECK(q.one("SELECT table_name FROM peers") == "table,{}\"NULL\"");
  CHECK(q.one("SELECT array_to_string(ext_communities, '|') FROM base_attrs WHERE origin_as = 9") ==
        "{\"NULL\",}|\\|?,");
  Sinker again(database);  // and it can be loaded
  again.load();
  CHECK(again.state.generations.find_fence(hash_of(1))->settled.size() == 1);
  CHECK(again.state.generations.peers() == s.state.generations.peers());
}

TEST_CASE("database: the other objects arrive") {
  NEED_SERVER;
  const std::string r = to_hex(hash_of(1)), p = to_hex(hash_of(10)), t = "2026-01-02 03:04:05.000006";
  Record init = control(RecordKind::kRouter), stat = control(RecordKind::kStat), eor = control(RecordKind::kEor);
  init.value = message("router", {{"init", "0", "edge1", r, "192.0.2.1", "a router", "0", "", "hello", "", t, ""}});
  stat.value =
      message("bmp_stat",
              {{"add", "0", r, "192.0.2.1", p, "10.0.0.1", "65001", t, "1", "2", "3", "4", "5", "6", "7", "8", "9"}});
  eor.value = message("eor", {{"add", "0", p, r, "192.0.2.1", "10.0.0.1", "65001", t, "2", "1", "1", "1"}});
  Record collector = control(RecordKind::kCollector, 5);
  collector.value = message("collector", {{"heartbeat", "0", "c1", to_hex(hash_of(5)), "192.0.2.1", "1", t}});
  Record base = control(RecordKind::kAttributes);
  base.value = message("base_attribute", {{"add", "x"}});
  Record vpn = route(10, 1, 1);
  vpn.value = message("l3vpn", {{"add", "x"}});
  std::vector<Record> records = {control(RecordKind::kRun),  init, peer_up(10), stat, eor, collector, base, vpn,
                                 control(RecordKind::kStale)};
  number(records);
  const std::string database = server->fresh_database();
  Sinker s(database);
  s.run(records, [] { return std::size_t{100}; });
  Query q(database);
  CHECK(q.one("SELECT name || ' ' || host(ip) || ' ' || description || ' ' || init_data FROM routers WHERE NOT "
              "is_collector") == "edge1 192.0.2.1 a router hello");
  CHECK(q.one("SELECT rejected || ' ' || adj_rib_in || ' ' || loc_rib FROM stat_report") == "1 8 9");
  CHECK(q.one("SELECT info ->> 'afi' FROM peer_event WHERE kind = 3") == "2");
  CHECK(q.one("SELECT admin_id FROM collectors") == "c1");
  CHECK(q.one("SELECT count(*) FROM routers WHERE is_collector") == "1");
  CHECK(q.one("SELECT stale_at IS NOT NULL AND up FROM peers") == "t");
  CHECK(q.one("SELECT count(*) FROM ingest_rejected") == "0");
  CHECK(q.one("SELECT router || ' ' || up FROM peer_status") == "edge1 true");
}

TEST_CASE("database: layout per-object: topics that only describe a peer leave its row to the topic of its routes") {
  NEED_SERVER;
  const std::string r = to_hex(hash_of(1)), p = to_hex(hash_of(10)), t = "2026-01-02 03:04:05.000006";
  Record stat = control(RecordKind::kStat), late = peer_up(10);
  stat.value =
      message("bmp_stat",
              {{"add", "0", r, "192.0.2.1", p, "10.0.0.1", "65001", t, "1", "2", "3", "4", "5", "6", "7", "8", "9"}});
  stat.header.detached = late.header.detached = true;
  const std::string database = server->fresh_database();
  Query q(database);
  Sinker stats(database, {"openbmp.parsed.bmp_stat", 0});
  const auto all = [] { return std::size_t{100}; };
  std::vector<Record> told = {control(RecordKind::kRun), stat};
  number(told);
  stats.run(told, all);  // before anything is known of the peer
  CHECK(q.one("SELECT topic || part || up || epoch FROM peers") == "-1false0");
  CHECK(q.one("SELECT count(*) FROM stat_report s JOIN peers p USING (peer_id)") == "1");

  Sinker routes(database, {"openbmp.parsed.unicast_prefix", 0});
  std::vector<Record> life = {control(RecordKind::kRun), peer_up(10), route(10, 1, 1), control(RecordKind::kSynced)};
  number(life);
  routes.run(life, all);  // in one go: a row that was only reserved is no other partition's
  CHECK(q.one("SELECT topic || part || up || epoch FROM peers") == "openbmp.parsed.unicast_prefix0true1");
  CHECK(q.one("SELECT count(*) FROM rib_live") == "1");

  for (const RecordKind k : {RecordKind::kSynced, RecordKind::kStale, RecordKind::kDown, RecordKind::kRun})
    told.push_back(control(k));
  told.push_back(stat);
  number(told);
  stats.load();
  CHECK(stats.state.generations.peers().empty());
  stats.run(told, all);
  CHECK(q.one("SELECT topic || part || up || epoch FROM peers") == "openbmp.parsed.unicast_prefix0true1");
  CHECK(q.one("SELECT count(*) FROM rib_live") == "1");
  CHECK(q.one("SELECT count(*) FROM stat_report") == "2");
  CHECK(q.one("SELECT stale_at IS NULL FROM peers") == "t");
  CHECK(q.one("SELECT down_at IS NOT NULL FROM routers") == "t");
  CHECK(q.one("SELECT count(*) FROM ingest_fence") == "2");

  // Another sink that starts takes back the peer with the topic of its routes.
  Sinker again(database, {"openbmp.parsed.unicast_prefix", 0});
  again.load();
  CHECK(again.state.generations.peers() == routes.state.generations.peers());
}

TEST_CASE("database: a change of layout takes peers along, and leaves those of other topics") {
  NEED_SERVER;
  const std::string database = server->fresh_database();
  Query q(database);
  SinkConfig c;
  c.topics = {"openbmp.parsed"};
  c.ordering_topic = "openbmp.parsed";
  c.former_topic = "openbmp.parsed.unicast_prefix";
  c.writer.group = "g";
  bool reached = true;
  const auto starts = [&](const SinkConfig& s) {
    return claim_topics(q.pg, s, reached).empty() && adopt_peers(q.pg, s);
  };
  CHECK(starts(c));
  Sinker before(database);
  std::vector<Record> records = {control(RecordKind::kRun), peer_up(10), route(10, 1, 1), control(RecordKind::kSynced)};
  number(records);
  before.run(records, [] { return std::size_t{100}; });
  CHECK(starts(c));
  CHECK(q.one("SELECT topic || opener_offset FROM peers") == "openbmp.parsed1");
  SinkConfig other = c;
  other.topics = {"openbmp.parsed.unicast_prefix", "openbmp.parsed.router"};
  other.ordering_topic = other.former_topic = "";  // not known where the operator names the topics
  CHECK(starts(other));
  other.ordering_topic = other.topics[0];
  other.former_topic = "another.parsed";  // the peers' topic is that of another sink
  CHECK(starts(other));
  other.former_topic = "openbmp.parsed";
  other.partitions = 8;  // a peer is in another partition then
  q.one("UPDATE ingest_topic SET partitions = 8 WHERE topic <> 'openbmp.parsed'");
  CHECK(starts(other));
  CHECK(q.one("SELECT topic || opener_offset FROM peers") == "openbmp.parsed1");
  other.partitions = 16;
  q.one("UPDATE ingest_topic SET partitions = 16");
  CHECK(starts(other));
  CHECK(q.one("SELECT topic || opener_offset FROM peers") == "openbmp.parsed.unicast_prefix-1");
  // A dump in the new topic that does not contain the peer takes it down, as it would have in the old one.
  Sinker after(database, {"openbmp.parsed.unicast_prefix", 0});
  std::vector<Record> dump = {control(RecordKind::kRun, 1, 2, 2), peer_up(11, true, 2, 2),
                              control(RecordKind::kSynced, 1, 2, 2)};
  number(dump);
  after.run(dump, [] { return std::size_t{100}; });
  CHECK(q.one("SELECT string_agg(up::text, ' ' ORDER BY peer_id) FROM peers") == "false true");
  CHECK(q.one("SELECT count(*) FROM rib_live") == "0");
}

TEST_CASE("database: a gap is recorded, peers are incomplete until their next full dump") {
  NEED_SERVER;
  std::vector<Record> records = {control(RecordKind::kRun), peer_up(10), control(RecordKind::kSynced)};
  number(records);
  const std::string database = server->fresh_database();
  Sinker s(database);
  s.run(records, [] { return std::size_t{100}; });
  REQUIRE(s.ingest.jump(kPartition, 3, 90, false).is_ok());
  Query q(database);
  CHECK(q.one("SELECT from_offset || '-' || to_offset FROM ingest_gap") == "3-90");
  CHECK(q.one("SELECT incomplete FROM peers") == "t");
  CHECK(q.one("SELECT opener_offset FROM peers") == "1");
  s.load();
  CHECK(s.next == 90);
  // The topic was recreated: offsets of the old one order nothing.
  REQUIRE(s.ingest.jump(kPartition, 90, 0, true).is_ok());
  CHECK(q.one("SELECT opener_offset FROM peers") == "-1");
  CHECK(q.one("SELECT runs FROM ingest_fence") == "{}");
  CHECK(q.one("SELECT epoch FROM ingest_fence") == "1");
  std::vector<Record> dump = {control(RecordKind::kRun, 1, 2, 2), peer_up(10, true, 2, 2),
                              control(RecordKind::kSynced, 1, 2, 2)};
  number(dump);
  s.run(dump, [] { return std::size_t{100}; });
  CHECK(q.one("SELECT incomplete FROM peers") == "f");
  CHECK(q.one("SELECT count(*) FROM ingest_gap WHERE healed_at IS NULL") == "0");
}

TEST_CASE("database: migrations are safe from several sinks at once, and a newer schema is refused") {
  NEED_SERVER;
  Query admin(server->admin());
  admin.one("CREATE DATABASE race");
  std::string conninfo = server->admin();
  conninfo.replace(conninfo.find("dbname=postgres"), 15, "dbname=race");
  std::vector<std::thread> threads;
  std::atomic<int> applied = 0, failed = 0;
  for (int n = 0; n < 4; ++n)
    threads.emplace_back([&] {
      PgConnection pg(conninfo);
      const MigrateResult r = pg.connect() ? migrate(pg) : MigrateResult{MigrateOutcome::kUnreachable, 0, 0, ""};
      applied += r.applied;
      failed += r.outcome == MigrateOutcome::kDone ? 0 : 1;
    });
  for (std::thread& t : threads) t.join();
  CHECK(failed == 0);
  CHECK(applied == static_cast<int>(migrations().size()));
  Query q(conninfo);
  q.one("INSERT INTO schema_version (version, name) VALUES (999, 'future')");
  const MigrateResult r = migrate(q.pg);
  CHECK(r.outcome == MigrateOutcome::kRefused);
  CHECK(r.message.find("newer psql-sink") != std::string::npos);
}

// The version that follows the present one, whatever it will be: rows that are there stay and take the new shape.
TEST_CASE(
    "database: a later migration follows on tables in use, whole or not at all, and its version is refused before it") {
  NEED_SERVER;
  const std::string database = server->fresh_database();
  Query q(database);
  const int now = migrations().back().version;
  q.one("INSERT INTO routers (hash, name) VALUES ('00000000-0000-0000-0000-000000000001', 'r1')");
  std::vector<Migration> next(migrations().begin(), migrations().end());
  next.push_back({now + 1, "broken", "ALTER TABLE routers ADD site text; SELECT 1 / 0"});
  {
    PgConnection pg(database);
    REQUIRE(pg.connect());
    const MigrateResult r = migrate(pg, next);
    CHECK(r.outcome == MigrateOutcome::kRefused);
    CHECK(r.message.find("(broken)") != std::string::npos);
  }
  CHECK(q.one("SELECT max(version) FROM schema_version") == std::to_string(now));
  CHECK(
      q.one("SELECT count(*) FROM information_schema.columns WHERE table_name = 'routers' AND column_name = 'site'") ==
      "0");
  next.back() = {now + 1, "site", "ALTER TABLE routers ADD site text; UPDATE routers SET site = name || '-site'"};
  next.push_back({now + 2, "renamed", "ALTER TABLE routers RENAME site TO place"});
  MigrateResult r = migrate(q.pg, next);
  CHECK(r.outcome == MigrateOutcome::kDone);
  CHECK(r.applied == 2);
  CHECK(r.version == now + 2);
  CHECK(q.one("SELECT place FROM routers WHERE name = 'r1'") == "r1-site");
  CHECK(q.one("SELECT name FROM schema_version WHERE version = " + std::to_string(now + 1)) == "site");
  r = migrate(q.pg, next);
  CHECK(r.outcome == MigrateOutcome::kDone);
  CHECK(r.applied == 0);
  // The program of before.
  CHECK(migrate(q.pg).outcome == MigrateOutcome::kRefused);
}

TEST_CASE("database: a second group and another partition count are refused with the remedy") {
  NEED_SERVER;
  const std::string database = server->fresh_database();
  Query q(database);
  SinkConfig c;
  c.topics = {"openbmp.parsed"};
  c.writer.group = "one";
  bool reached = true;
  CHECK(claim_topics(q.pg, c, reached).empty());
  CHECK(claim_topics(q.pg, c, reached).empty());
  SinkConfig other = c;
  other.writer.group = "two";
  other.topics = {"elsewhere"};
  CHECK(claim_topics(q.pg, other, reached).find("set group-id = one") != std::string::npos);
  other = c;
  other.partitions = 8;
  CHECK(claim_topics(q.pg, other, reached).find("set partitions = 16") != std::string::npos);
  CHECK(reached);
  CHECK(q.one("SELECT count(*) FROM ingest_topic") == "1");
}

TEST_CASE("database: history partitions are made ahead and dropped when old, by one sink at a time") {
  NEED_SERVER;
  const std::string database = server->fresh_database();
  Query q(database);
  const std::int64_t day = 86400000000;
  const std::int64_t now = 1700000000000000;
  MaintenanceConfig c;
  c.retention_days = 30;
  REQUIRE(maintain(q.pg, c, now - 40 * day).is_ok());
  CHECK(q.one("SELECT count(*) FROM pg_inherits WHERE inhparent = 'rib_log'::regclass") == "4");
  REQUIRE(maintain(q.pg, c, now).is_ok());
  CHECK(q.one("SELECT string_agg(inhrelid::regclass::text, ' ' ORDER BY inhrelid::regclass::text) FROM pg_inherits "
              "WHERE inhparent = 'rib_log'::regclass") ==
        "rib_log_20231114 rib_log_20231115 rib_log_20231116 rib_log_20231117");
  CHECK(q.one("SELECT count(*) FROM pg_class WHERE relname ~ '^rib_log_2023(09|10)'  AND relkind = 'r'") == "0");
  c.retention_days = 0;
  REQUIRE(maintain(q.pg, c, now + 1000 * day).is_ok());
  CHECK(q.one("SELECT count(*) FROM pg_inherits WHERE inhparent = 'stat_report'::regclass") == "8");
}

TEST_CASE("database: longest-prefix match and community text") {
  NEED_SERVER;
  Query q(server->fresh_database());
  CHECK(q.one("SELECT cardinality(supernets('10.1.2.3'))") == "33");
  CHECK(q.one("SELECT '10.1.2.0/24'::cidr = ANY(supernets('10.1.2.3'))") == "t");
  CHECK(q.one("SELECT cardinality(supernets('2001:db8::1'))") == "129");
  CHECK(q.one("SELECT array_to_string(community_text(ARRAY[4259905537, 65535]), ' ')") == "65001:1 0:65535");
}

TEST_CASE("connection strings") {
  CHECK(check_conninfo("host=/tmp dbname=x").empty());
  CHECK(check_conninfo("postgresql://u@h:5/db").empty());
  CHECK_FALSE(check_conninfo("hots=/tmp").empty());
  CHECK(describe_conninfo("postgresql://u:secret@h:5/db") == "dbname=db host=h port=5");
}
