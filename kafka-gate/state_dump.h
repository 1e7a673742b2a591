// The gate's state as JSON, for USR1.
#pragma once

#include <string>

#include "kafka-gate/gate.h"

namespace bmpha::gate {

struct DumpFacts {
  std::string node;
  bool kafka_ok = true;
  bool producing = false;
  std::uint64_t outstanding = 0;
  std::uint64_t outstanding_bytes = 0;
  std::uint64_t producers = 0;  // how many were made
  std::uint64_t malformed = 0;  // frames that could not be read
};

std::string state_json(const Gate& gate, const GateStatus& status, const DumpFacts& facts, BootTime now);

}  // namespace bmpha::gate
