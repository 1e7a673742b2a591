// The partitions by day of history and statistics.
#pragma once

#include "psql-sink/pg_connection.h"

namespace bmpha::sink {

constexpr std::int64_t kDayUs = 86'400'000'000;

// Creates the partitions of history and statistics for a day since 1970, unless they exist.
Status create_day(PgConnection& pg, std::int64_t day);

}  // namespace bmpha::sink
