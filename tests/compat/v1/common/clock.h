// Time types that cannot be confused. All intervals are measured on CLOCK_BOOTTIME, which does not stop while a
// machine is suspended; wall-clock time is for display and stored stamps only. Pure code takes `now` as an argument.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>

namespace bmpha_v1 {

using namespace std::chrono_literals;
using Nanos = std::chrono::nanoseconds;
using Millis = std::chrono::milliseconds;
using Micros = std::chrono::microseconds;

// An instant of this host's CLOCK_BOOTTIME. Comparable between processes of one host, meaningless on another.
struct BootClock {
  using duration = Nanos;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;
  static time_point now() {
    timespec t{};
    clock_gettime(CLOCK_BOOTTIME, &t);
    return time_point(std::chrono::seconds(t.tv_sec) + Nanos(t.tv_nsec));
  }
};
using BootTime = BootClock::time_point;

inline std::int64_t to_ns(BootTime t) { return t.time_since_epoch().count(); }
inline BootTime boot_from_ns(std::int64_t ns) { return BootTime(Nanos(ns)); }

// Wall clock, microseconds since 1970-01-01 UTC. For records' stamps and logs; never for intervals.
inline std::int64_t wall_us() {
  timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  return std::int64_t{t.tv_sec} * 1000000 + t.tv_nsec / 1000;
}

}  // namespace bmpha_v1
