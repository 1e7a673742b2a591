#include "psql-sink/day_tables.h"

#include <fmt/format.h>

namespace bmpha::sink {
namespace {

// Not to_regclass(): that answers from the session's cache, which does not see what another one has just committed.
constexpr const char* kTableExists =
    "SELECT EXISTS (SELECT FROM pg_class WHERE relname = $1 AND relnamespace = current_schema()::regnamespace)";

}  // namespace

Status create_day(PgConnection& pg, std::int64_t day) {
  const std::string from = timestamp_literal(day * kDayUs);
  const std::string to = timestamp_literal((day + 1) * kDayUs);
  const std::string name = from.substr(0, 4) + from.substr(5, 2) + from.substr(8, 2);
  // ATTACH takes a weaker lock than CREATE ... PARTITION OF, so it does not wait for other writers.
  for (const char* table : {"rib_log", "stat_report"}) {
    const std::string part = fmt::format("{}_{}", table, name);
    PgResult r = pg.exec(kTableExists, {part});
    if (!r) return Status::error(r.error());
    if (r.flag(0, 0)) continue;
    r = pg.exec("BEGIN; SELECT pg_advisory_xact_lock(7240511002)");
    if (r) r = pg.exec(kTableExists, {part});
    const bool exists = r && r.flag(0, 0);
    if (r && !exists)
      r =
          pg.exec(fmt::format("CREATE TABLE {0} (LIKE {1} INCLUDING ALL);"
                              "ALTER TABLE {1} ATTACH PARTITION {0} FOR VALUES FROM ('{2}') TO ('{3}')",
                              part, table, from, to));
    if (r) r = pg.exec("COMMIT");
    if (!r) {
      if (pg.usable()) pg.exec("ROLLBACK");
      return Status::error(fmt::format("create {}: {}", part, r.error()));
    }
  }
  return Status::ok();
}

}  // namespace bmpha::sink
