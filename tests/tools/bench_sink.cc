// bench_sink: what a route costs the sink and the database, with the sink's own classes and records built in memory.
//
//   DATABASE_URL=... bench_sink [--routes N] [--peers N] [--batch N] [--rows-per-record N] [--rounds N]
//
// Makes a database of its own on that server and drops it at the end. Three passes over the same routes: a first dump,
// every route changed, an exact repetition. CPU time of the database is that of the one backend, read from /proc, so
// the server must run on this host. Prints one JSON object; the best of all rounds, since other load only adds.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "common/kafka_header.h"
#include "psql-sink/ingest.h"
#include "psql-sink/migrations.h"

using namespace bmpha;
using namespace bmpha::sink;

namespace {

struct Settings {
  std::size_t routes = 300000, peers = 10, batch = 20000, rows_per_record = 100, rounds = 2;
  std::size_t routes_per_set = 6;
};

struct Record {
  std::int64_t offset = 0;
  std::string header, value;
  InputRecord input() const { return {offset, 0, true, as_bytes(header), value, -1}; }
};

Hash128 hash_of(std::uint64_t n, std::uint8_t kind) {
  Hash128 h;
  // Spread like a real hash: attribute ids of neighbours must not be neighbours in the index.
  std::uint64_t x = (n + 1) * 0x9e3779b97f4a7c15ULL;
  x ^= x >> 29;
  x *= 0xbf58476d1ce4e5b9ULL;
  for (std::size_t b = 0; b < 8; ++b) h.bytes[b] = static_cast<std::uint8_t>(x >> (8 * b));
  for (std::size_t b = 0; b < 7; ++b) h.bytes[8 + b] = static_cast<std::uint8_t>(n >> (8 * b));
  h.bytes[15] = kind;
  return h;
}

class Feed {
 public:
  explicit Feed(const Settings& s) : s_(s), router_(hash_of(0, 1)) {}

  void open() {
    add(RecordKind::kRun, {}, 0);
    for (std::size_t p = 0; p < s_.peers; ++p)
      add(RecordKind::kPeer, "peer",
          fmt::format(
              "up\t0\t{}\t{}\t\t10.0.0.{}\t192.0.2.1\t2026-01-02 03:04:05.000006\t65001\t10.0.0.{}\t0:0{:\t<15}0\t1"
              "\t1\t0\t0\t\n",
              to_hex(hash_of(p, 2)), to_hex(router_), p + 1, p + 1, ""));
  }
  // All peers dump at once, in turns of one record; prefixes rise per peer.
  void dump(std::uint64_t version) {
    const std::size_t per_peer = s_.routes / s_.peers;
    for (std::size_t from = 0; from < per_peer; from += s_.rows_per_record)
      for (std::size_t p = 0; p < s_.peers; ++p)
        routes(p, from, std::min(from + s_.rows_per_record, per_peer), version);
  }
  const std::vector<Record>& records() const { return records_; }

 private:
  void routes(std::size_t peer, std::size_t from, std::size_t to, std::uint64_t version) {
    std::string rows;
    for (std::size_t n = from; n < to; ++n) {
      const std::uint64_t set = (n / s_.routes_per_set * 64 + peer) * 4 + version;
      const std::uint64_t third = n % 5 < 3 ? 24 : 20 + n % 4;  // about 60 % are /24
      const std::uint64_t address = (std::uint64_t{1} << 24) + (static_cast<std::uint64_t>(n) << 12);
      rows += fmt::format(
          "add\t{}\t{}\t{}\t192.0.2.1\t{}\t{}\t10.0.0.{}\t65001\t2026-01-02 "
          "03:04:{:02}.000006\t{}.{}.{}.0\t{}\t1\tigp\t"
          " 65001 {} {} {}\t4\t{}\t10.0.0.{}\t0\t100\t\t65001:{} 65000:100 65000:200\t\t\t0\t1\t\t0\t\t1\t1\t\n",
          n, to_hex(hash_of(n * 64 + peer, 4)), to_hex(router_), to_hex(hash_of(set, 3)), to_hex(hash_of(peer, 2)),
          peer + 1, from / 1000 % 60, address >> 24 & 255, address >> 16 & 255, address >> 8 & 255, third,
          1000 + set % 50000, 2000 + set % 3000, 3000 + set % 70000, 3000 + set % 70000, peer + 1, set % 65536);
    }
    add(RecordKind::kRoutes, "unicast_prefix", rows);
  }
  void add(RecordKind kind, const std::string& object, const std::string& rows) {
    KafkaHeader h;
    h.kind = kind;
    h.epoch = 1;
    h.node = "bench";
    h.router = router_;
    h.session = {1, 1};
    h.in_dump = true;
    h.read_wall_us = wall_us();
    Record r;
    r.offset = static_cast<std::int64_t>(records_.size());
    encode_kafka_header(h, r.header);
    if (kind != RecordKind::kRun)
      r.value =
          fmt::format("V: 1.7\nC_HASH_ID: {}\nT: {}\nL: {}\nR: 1\n\n{}", to_hex(router_), object, rows.size(), rows);
    records_.push_back(std::move(r));
  }
  void add(RecordKind kind, const std::string& object, int) { add(kind, object, std::string()); }

  const Settings s_;
  const RouterId router_;
  std::vector<Record> records_;
};

double own_cpu_us() {
  rusage u{};
  getrusage(RUSAGE_SELF, &u);
  return static_cast<double>(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
         static_cast<double>(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

// utime and stime; where the kernel counts nanoseconds for the scheduler, those.
double backend_cpu_us(int pid) {
  if (std::ifstream fine(fmt::format("/proc/{}/schedstat", pid)); fine) {
    double ns = 0;
    if (fine >> ns) return ns / 1000;
  }
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text((std::istreambuf_iterator<char>(file)), {});
  const std::size_t behind_name = text.rfind(')');
  if (behind_name == std::string::npos) return -1;
  unsigned long utime = 0, stime = 0;
  if (std::sscanf(text.c_str() + behind_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &utime,
                  &stime) != 2)
    return -1;
  return static_cast<double>(utime + stime) * 1e6 / static_cast<double>(sysconf(_SC_CLK_TCK));
}

struct Pass {
  double sink_us = 0, database_us = 0, wall_us = 0;
};

// One partition through the real classes.
class Runner {
 public:
  explicit Runner(const std::string& database) : ingest_(database, "bench"), attributes_(500000) {}
  Status start() {
    if (Status s = ingest_.open(); !s) return s;
    if (Status s = ingest_.begin_partition(partition_, 0); !s) return s;
    auto loaded = ingest_.load(partition_);
    if (!loaded) return Status::error(loaded.error());
    state_ = std::move(loaded.value().state);
    return Status::ok();
  }
  Status run(const std::vector<Record>& records, std::size_t batch_rows, Pass& out) {
    const double sink = own_cpu_us(), database = backend_cpu_us(ingest_.connection().backend_pid());
    const BootTime began = BootClock::now();
    while (next_ < static_cast<std::int64_t>(records.size())) {
      BatchBuilder b(state_, attributes_, next_, wall_us());
      for (auto n = static_cast<std::size_t>(next_); n < records.size(); ++n)
        if (b.add(records[n].input()) || b.rows() >= batch_rows) break;
      Batch batch = b.finish();
      const FlushResult r = ingest_.flush(partition_, batch, state_);
      if (r.outcome != Outcome::kCommitted) return Status::error(r.message);
      if (batch.counts.rejected > 0) return Status::error("rejected: " + batch.rejected[0].reason);
      next_ = batch.new_offset;
    }
    out.wall_us = static_cast<double>((BootClock::now() - began).count()) / 1000;
    out.sink_us = own_cpu_us() - sink;
    out.database_us = backend_cpu_us(ingest_.connection().backend_pid()) - database;
    return Status::ok();
  }

 private:
  const Partition partition_{"bench", 0};
  Ingest ingest_;
  AttributeCache attributes_;
  PartitionState state_;
  std::int64_t next_ = 0;
};

// Replaces the database of a connection string.
std::string with_database(const std::string& conninfo, const std::string& name) {
  // A later keyword wins in a keyword string; in a URL so does a parameter.
  if (conninfo.rfind("postgres", 0) == 0)
    return conninfo + (conninfo.find('?') == std::string::npos ? "?" : "&") + "dbname=" + name;
  return conninfo + " dbname=" + name;
}

Status bench(const std::string& database, const Settings& s, std::map<std::string, double>& best) {
  PgConnection pg(database);
  if (Status c = pg.connect(); !c) return c;
  if (const MigrateResult m = migrate(pg); m.outcome != MigrateOutcome::kDone) return Status::error(m.message);
  Feed feed(s);
  Runner runner(database);
  if (Status r = runner.start(); !r) return r;
  feed.open();
  Pass pass;
  if (Status r = runner.run(feed.records(), s.batch, pass); !r) return r;
  const char* const names[] = {"dump", "changed", "duplicate"};
  const std::uint64_t versions[] = {0, 1, 1};
  for (std::size_t n = 0; n < 3; ++n) {
    feed.dump(versions[n]);
    if (Status r = runner.run(feed.records(), s.batch, pass); !r) return r;
    if (n == 0) {
      const PgResult a = pg.exec("ANALYZE rib");  // as housekeeping does
      if (!a) return Status::error(a.error());
    }
    const auto keep = [&](const std::string& key, double value) {
      const auto [at, is_new] = best.try_emplace(key, value);
      if (!is_new) at->second = std::min(at->second, value);
    };
    const double routes = static_cast<double>(s.routes / s.peers * s.peers);
    keep(fmt::format("db_us_per_route_{}", names[n]), pass.database_us / routes);
    keep(n == 0 ? "sink_us_per_route" : fmt::format("sink_us_per_route_{}", names[n]), pass.sink_us / routes);
    keep(fmt::format("wall_us_per_route_{}", names[n]), pass.wall_us / routes);
  }
  const PgResult live = pg.exec("SELECT count(*) FROM rib_live");
  if (!live || live.number(0, 0) != static_cast<std::int64_t>(s.routes / s.peers * s.peers))
    return Status::error(fmt::format("{} routes are visible", live ? live.number(0, 0) : -1));
  return Status::ok();
}

int fail(const std::string& why) {
  fmt::print(stderr, "bench_sink: {}\n", why);
  return 111;
}

}  // namespace

int main(int argc, char** argv) {
  Settings s;
  const std::map<std::string, std::size_t*> options = {{"--routes", &s.routes},
                                                       {"--peers", &s.peers},
                                                       {"--batch", &s.batch},
                                                       {"--rows-per-record", &s.rows_per_record},
                                                       {"--rounds", &s.rounds}};
  for (int n = 1; n < argc; n += 2) {
    const auto at = options.find(argv[n]);
    if (at == options.end() || n + 1 >= argc || std::atol(argv[n + 1]) < 1) {
      fmt::print(stderr, "bench_sink: unknown or incomplete option \"{}\"\n", argv[n]);
      return 100;
    }
    *at->second = static_cast<std::size_t>(std::atol(argv[n + 1]));
  }
  s.peers = std::min<std::size_t>(s.peers, 60);
  const char* url = std::getenv("DATABASE_URL");
  if (url == nullptr) {
    fmt::print(stderr, "bench_sink: DATABASE_URL is not set\n");
    return 100;
  }
  std::map<std::string, double> best;
  for (std::size_t round = 0; round < s.rounds; ++round) {
    const std::string name = fmt::format("bench_sink_{}_{}", getpid(), round);
    PgConnection admin(url);
    if (const Status c = admin.connect(); !c) return fail(c.message());
    if (const PgResult r = admin.exec("CREATE DATABASE " + name); !r) return fail(r.error());
    const Status done = bench(with_database(url, name), s, best);
    admin.exec("DROP DATABASE " + name + " WITH (FORCE)");
    if (!done) return fail(done.message());
  }
  fmt::print("{{\"routes\": {}, \"batch\": {}, \"rows_per_record\": {}", s.routes, s.batch, s.rows_per_record);
  for (const auto& [key, value] : best) fmt::print(", \"{}\": {:.3f}", key, value);
  fmt::print("}}\n");
  return 0;
}
