// What the metrics endpoint shows of the gate. Pure.
#pragma once

#include <map>

#include "common/clock.h"
#include "common/ids.h"
#include "common/metrics.h"
#include "kafka-gate/gate.h"
#include "kafka-gate/state_dump.h"

namespace bmpha::gate {

// Counts of all routers together. They never fall: what a router had when it was forgotten stays in.
class CounterTotals {
 public:
  void update(const std::map<RouterId, HeldRecords>& routers);
  const HeldCounters& sum() const { return sum_; }

 private:
  std::map<RouterId, HeldCounters> seen_;
  HeldCounters sum_;
};

MetricsPage metrics_page(const Gate& gate, const GateStatus& status, const DumpFacts& facts,
                         const HeldCounters& counters, BootTime now);

}  // namespace bmpha::gate
