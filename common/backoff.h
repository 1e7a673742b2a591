// The one retry policy: exponential, bounded, jittered, and folding equal failures into one log line.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "common/clock.h"

namespace bmpha {

class Backoff {
 public:
  explicit Backoff(Millis first = Millis{100}, Millis most = Millis{5000}) : first_(first), most_(most) {}

  // The delay before the next attempt.
  Millis next() {
    const Millis delay = std::min(most_, first_ * (std::int64_t{1} << std::min<std::uint32_t>(failures_, 16)));
    ++failures_;
    // A little jitter keeps many clients of one server apart; quality of randomness does not matter here.
    seed_ = seed_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return delay +
           Millis(static_cast<std::int64_t>((seed_ >> 33) % (static_cast<std::uint64_t>(delay.count()) / 4 + 1)));
  }
  // True when this failure differs from the last one and is worth a log line.
  bool is_news(const std::string& failure) {
    if (failure == last_) return false;
    last_ = failure;
    return true;
  }
  void reset() {
    failures_ = 0;
    last_.clear();
  }
  std::uint32_t failures() const { return failures_; }

 private:
  Millis first_, most_;
  std::uint32_t failures_ = 0;
  std::uint64_t seed_ = static_cast<std::uint64_t>(to_ns(BootClock::now()));
  std::string last_;
};

}  // namespace bmpha
