// The inequalities of A.7: between the settings at the start, and again at each tick with what was measured.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/clock.h"

namespace bmpha::arbiter {

struct Timing {
  Nanos tick{0};           // between two exchanges with Redis: measured, with the lateness of the last one
  Nanos redis_timeout{0};  // of one exchange: measured, what the last one took
  Nanos ttl{0};
  Nanos lease{0};
  Nanos margin{0};
  Nanos retain{0};  // kafka-gate's
};

struct BrokenBound {
  std::string_view key;  // the setting to change
  std::string why;       // "1000 ms is less than ..."
};

std::optional<BrokenBound> broken_bound(const Timing& t);

// Where held records are dropped by their age: the least age at which a take-over after a fault loses none.
Nanos safe_hold(const Timing& t);

}  // namespace bmpha::arbiter
