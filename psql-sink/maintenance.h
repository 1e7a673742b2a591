// Housekeeping in a thread and a connection of its own: creates history partitions ahead, drops old ones, refreshes
// planner statistics after the first dump. Everything it does may be done by several sinks at once.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "common/clock.h"
#include "common/result.h"
#include "psql-sink/pg_connection.h"

namespace bmpha::sink {

struct MaintenanceConfig {
  std::string database;
  std::uint64_t retention_days = 30;  // 0: keep for ever
  std::uint64_t days_ahead = 3;
  Millis interval{600000};
};

// "30d", "720h", "0". False leaves out untouched; parts of days are rounded up.
bool parse_retention(const std::string& text, std::uint64_t& days);

// One round.
Status maintain(PgConnection& pg, const MaintenanceConfig& config, std::int64_t now_us);
// ANALYZE when the table has grown tenfold since the planner's statistics were taken.
Status refresh_statistics(PgConnection& pg);

class Maintenance {
 public:
  Maintenance(MaintenanceConfig config, Outage& outage);
  ~Maintenance();
  Maintenance(const Maintenance&) = delete;
  Maintenance& operator=(const Maintenance&) = delete;
  void set_retention(std::uint64_t days);
  void stop();

 private:
  void run();

  MaintenanceConfig config_;
  Outage& outage_;
  PgConnection pg_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace bmpha::sink
