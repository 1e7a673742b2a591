// The schema as numbered migrations, embedded in the binary. What is released is never changed, only followed.
#pragma once

#include <span>
#include <string>

#include "common/result.h"
#include "psql-sink/pg_connection.h"

namespace bmpha::sink {

struct Migration {
  int version = 0;
  const char* name = "";
  const char* sql = "";
};
std::span<const Migration> migrations();  // numbered from 1, without gaps

enum class MigrateOutcome { kDone, kUnreachable, kRefused };
struct MigrateResult {
  MigrateOutcome outcome = MigrateOutcome::kDone;
  int applied = 0;      // how many this call applied
  int version = 0;      // of the database now
  std::string message;  // why not
};
// Applies what is missing, each migration in a transaction of its own. Several sinks may do so at once: one works, the
// others wait and find nothing left. A database that is newer than this program is refused.
MigrateResult migrate(PgConnection& pg, std::span<const Migration> known = migrations());

}  // namespace bmpha::sink
