// Options of ha-arbiter and the checks between them (A.7 of the protocol).
#pragma once

#include <cstdint>
#include <string>

#include "common/clock.h"
#include "common/options.h"
#include "ha-arbiter/decider.h"
#include "ha-arbiter/redis_store.h"

namespace bmpha::arbiter {

struct Config {
  std::string node;
  std::string cluster_name = "default";
  std::uint64_t cluster_id = 0;
  std::string redis_url = "redis://127.0.0.1:6379";
  std::string redis_user;
  std::string redis_password;
  TlsSettings redis_tls;
  std::string sentinel_user;
  std::string sentinel_password;
  bool standalone = false;
  std::string status_socket = "ipc:///run/bmp-ha/status.sock";
  std::string roles_socket = "ipc:///run/bmp-ha/roles.sock";
  std::string control_socket = "ipc:///run/bmp-ha/control.sock";
  std::string state_file = "/var/lib/bmp-ha/ha-arbiter.state";
  std::string metrics_listen;
  std::string dump_file;
  std::string grain = "router";
  std::string trim = "evidence";
  Millis tick{500};
  Millis redis_timeout{400};
  Millis ttl{2000};
  Millis hold{2000};
  Millis retain{5000};
  Millis lease{1500};
  Millis stale_delay{10'000};
  Millis down_delay{900'000};
  Millis stall_timeout{30'000};
  Millis alarm_after{30'000};
};

void add_options(Options& options, Config& config);
// Empty, or which key breaks which bound.
std::string check_timing(const Config& config);
// Settings that work, but with which a fault can cost records; empty: none.
std::string hold_warning(const Config& config);
DeciderSettings decider_settings(const Config& config, std::uint64_t inc);
// The URL was checked by add_options.
RedisSettings redis_settings(const Config& config);

}  // namespace bmpha::arbiter
