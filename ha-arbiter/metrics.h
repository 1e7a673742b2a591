// What the metrics endpoint shows of the arbiter. Pure.
#pragma once

#include "common/clock.h"
#include "common/metrics.h"
#include "ha-arbiter/alarm_watch.h"
#include "ha-arbiter/decider.h"
#include "ha-arbiter/state_dump.h"

namespace bmpha::arbiter {

MetricsPage metrics_page(const Decider& decider, const DumpFacts& facts, bool redis_up, const AlarmWatch& alarms,
                         BootTime now);

}  // namespace bmpha::arbiter
