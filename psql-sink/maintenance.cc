#include "psql-sink/maintenance.h"

#include <fmt/format.h>

#include "common/backoff.h"
#include "common/log.h"
#include "common/options.h"
#include "psql-sink/day_tables.h"

namespace bmpha::sink {
namespace {

constexpr std::uint64_t kMaxDays = 36500;
constexpr Millis kAnalyzeInterval{15000};

// Detaching concurrently does not stand in the way of readers and writers; a detach that was cut off is finished.
Status drop_partition(PgConnection& pg, const std::string& table, const std::string& part) {
  PgResult r = pg.exec(fmt::format("ALTER TABLE {} DETACH PARTITION {} CONCURRENTLY", table, part));
  if (!r && pg.usable()) r = pg.exec(fmt::format("ALTER TABLE {} DETACH PARTITION {} FINALIZE", table, part));
  if (!r) return Status::error(fmt::format("detach {}: {}", part, r.error()));
  if (r = pg.exec("DROP TABLE " + part); !r) return Status::error(fmt::format("drop {}: {}", part, r.error()));
  log_info("history partition dropped", kv("table", part));
  return Status::ok();
}

}  // namespace

bool parse_retention(const std::string& text, std::uint64_t& days) {
  Millis d{};
  if (text == "0") {
    days = 0;
  } else if (text.size() > 1 && text.back() == 'd' && text.size() < 8 &&
             text.find_first_not_of("0123456789") == text.size() - 1) {
    const std::uint64_t n = std::stoull(text);
    if (n == 0 || n > kMaxDays) return false;
    days = n;
  } else if (parse_duration(text, d) && d > Millis{0}) {
    days = static_cast<std::uint64_t>((d.count() + 86'399'999) / 86'400'000);
  } else {
    return false;
  }
  return true;
}

Status maintain(PgConnection& pg, const MaintenanceConfig& config, std::int64_t now_us) {
  const std::int64_t today = now_us / kDayUs;
  for (std::int64_t day = today; day <= today + static_cast<std::int64_t>(config.days_ahead); ++day)
    if (Status s = create_day(pg, day); !s) return s;
  if (config.retention_days == 0) return Status::ok();
  const std::string oldest = timestamp_literal((today - static_cast<std::int64_t>(config.retention_days)) * kDayUs);
  const std::string day = oldest.substr(0, 4) + oldest.substr(5, 2) + oldest.substr(8, 2);
  const PgResult got = pg.exec("SELECT pg_try_advisory_lock(7240511003)");
  if (!got) return Status::error(got.error());
  if (!got.flag(0, 0)) return Status::ok();  // another sink is at it
  Status out = Status::ok();
  for (const char* table : {"rib_log", "stat_report"}) {
    const PgResult parts = pg.exec(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "WHERE i.inhparent = $1::regclass AND c.relname ~ ('^' || $1 || '_[0-9]{8}$') "
        "AND right(c.relname, 8) < $2 ORDER BY 1",
        {std::string(table), day});
    if (!parts) out = Status::error(parts.error());
    for (int n = 0; n < parts.rows() && out; ++n) out = drop_partition(pg, table, std::string(parts.text(n, 0)));
    if (!out) break;
  }
  for (const char* sql : {"DELETE FROM peer_event WHERE rx < $1::timestamptz",
                          "DELETE FROM ingest_rejected WHERE at < $1::timestamptz"}) {
    if (!out) break;
    if (const PgResult r = pg.exec(sql, {oldest}); !r) out = Status::error(r.error());
  }
  if (pg.usable()) pg.exec("SELECT pg_advisory_unlock(7240511003)");
  return out;
}

Status refresh_statistics(PgConnection& pg) {
  // relpages tells the size at the last ANALYZE or VACUUM; pg_relation_size the present one.
  for (const char* table : {"rib", "base_attrs", "peers"}) {
    const PgResult r = pg.exec(
        "SELECT pg_relation_size(oid) / 8192 > 100 AND pg_relation_size(oid) / 8192 > 10 * greatest(relpages, 1) "
        "FROM pg_class WHERE oid = $1::regclass",
        {std::string(table)});
    if (!r) return Status::error(r.error());
    if (!r.flag(0, 0)) continue;
    if (const PgResult a = pg.exec(fmt::format("ANALYZE {}", table)); !a) return Status::error(a.error());
  }
  return Status::ok();
}

Maintenance::Maintenance(MaintenanceConfig config, Outage& outage)
    : config_(std::move(config)), outage_(outage), pg_(config_.database), thread_([this] { run(); }) {}
Maintenance::~Maintenance() { stop(); }

void Maintenance::set_retention(std::uint64_t days) {
  const std::lock_guard lock(mutex_);
  config_.retention_days = days;
}

void Maintenance::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
  }
  pg_.interrupt();
  if (thread_.joinable()) thread_.join();
}

void Maintenance::run() {
  Backoff backoff(Millis{1000}, Millis{60000});
  BootTime next_round = BootClock::now();
  BootTime connected_at;
  for (;;) {
    MaintenanceConfig config;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      config = config_;
    }
    Millis delay = kAnalyzeInterval;
    Status s = Status::ok();
    if (!pg_.usable()) {
      connected_at = BootClock::now();
      s = pg_.connect();
    }
    if (s) s = refresh_statistics(pg_);
    if (s && BootClock::now() >= next_round) {
      s = maintain(pg_, config, wall_us());
      if (s) next_round = BootClock::now() + config.interval;
    }
    if (s) {
      backoff.reset();
    } else {
      delay = backoff.next();
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      if (!pg_.usable())
        say_unreachable(outage_, config.database, s.message(), connected_at);
      else if (backoff.failures() == 1)
        log_warn("housekeeping failed, retrying", kv("error", s.message()));
    }
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, delay, [this] { return stopping_; });
  }
}

}  // namespace bmpha::sink
