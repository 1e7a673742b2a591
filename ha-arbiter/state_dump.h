// The state as JSON (USR1). Only this file pair and control.cc include nlohmann-json.
#pragma once

#include <string>

#include "common/clock.h"
#include "common/result.h"
#include "ha-arbiter/alarm_watch.h"
#include "ha-arbiter/config.h"
#include "ha-arbiter/decider.h"

namespace bmpha::arbiter {

// What the wiring knows beside the decider.
struct DumpFacts {
  std::string redis = "ok";  // or why it is not reachable; "standalone"
  std::uint64_t malformed = 0;
  std::uint64_t gate_malformed = 0;
  std::uint64_t control_requests = 0, control_malformed = 0;
  std::uint64_t ticks = 0, failed_ticks = 0, claims = 0, switches = 0;
  std::uint64_t census = 0, failed_census = 0, malformed_census = 0;
};

std::string state_json(const Decider& decider, const Config& config, const DumpFacts& facts, const AlarmWatch& alarms,
                       BootTime now);

}  // namespace bmpha::arbiter
