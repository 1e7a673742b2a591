#include "psql-sink/migrations.h"

#include <fmt/format.h>

#include <array>

namespace bmpha::sink {
namespace {

constexpr const char* kInitial =
#include "psql-sink/migrations/0001_initial.sql"
    ;

constexpr std::array kMigrations = {
    Migration{1, "initial", kInitial},
};

// Any number that nobody else uses for an advisory lock of this database.
constexpr const char* kLock = "SELECT pg_advisory_xact_lock(7240511001)";
constexpr const char* kVersionTable =
    "CREATE TABLE IF NOT EXISTS schema_version ("
    "version int4 PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())";

MigrateResult failure(const PgConnection& pg, const std::string& what, const PgResult& r) {
  MigrateResult out;
  out.outcome = pg.usable() ? MigrateOutcome::kRefused : MigrateOutcome::kUnreachable;
  out.message = fmt::format("{}: {}", what, r.error());
  return out;
}

}  // namespace

std::span<const Migration> migrations() { return kMigrations; }

MigrateResult migrate(PgConnection& pg, std::span<const Migration> known) {
  MigrateResult out;
  for (std::size_t n = 0; n <= known.size(); ++n) {
    if (const PgResult r = pg.exec("BEGIN"); !r) return failure(pg, "begin", r);
    if (const PgResult r = pg.exec(kLock); !r) return failure(pg, "lock", r);
    if (const PgResult r = pg.exec(kVersionTable); !r) return failure(pg, "create schema_version", r);
    const PgResult have = pg.exec("SELECT coalesce(max(version), 0) FROM schema_version");
    if (!have) return failure(pg, "read schema_version", have);
    out.version = static_cast<int>(have.number(0, 0));
    if (out.version >= known.back().version) {
      if (const PgResult r = pg.exec("COMMIT"); !r) return failure(pg, "commit", r);
      break;
    }
    const Migration& next = known[static_cast<std::size_t>(out.version)];
    const std::string what = fmt::format("migration {} ({})", next.version, next.name);
    if (const PgResult r = pg.exec(next.sql); !r) return failure(pg, what, r);
    const PgResult noted = pg.exec("INSERT INTO schema_version (version, name) VALUES ($1, $2)",
                                   {std::to_string(next.version), std::string(next.name)});
    if (!noted) return failure(pg, what, noted);
    if (const PgResult r = pg.exec("COMMIT"); !r) return failure(pg, what, r);
    ++out.applied;
  }
  if (out.version > known.back().version) {
    out.outcome = MigrateOutcome::kRefused;
    out.message =
        fmt::format("the database has schema version {}, this program knows {} HINT: install a newer psql-sink",
                    out.version, known.back().version);
  }
  return out;
}

}  // namespace bmpha::sink
