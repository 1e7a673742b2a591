// One line when a server goes away and one when it is back, however many connections notice, and whenever they do.
// Keeps the books only: the caller writes the lines. Any thread.
#pragma once

#include <fmt/format.h>

#include <mutex>
#include <optional>
#include <string>

#include "common/clock.h"

namespace bmpha {

class Outage {
 public:
  // Something failed over a connection (or an attempt at one) that was begun at `since`. True when this is news: not
  // when the outage is known, nor when the connection is older than the end of the last one and so died in that.
  bool failed(BootTime since, BootTime now) {
    const std::lock_guard lock(mutex_);
    if (began_ || since < ended_) return false;
    began_ = now;
    return true;
  }
  // The server answered. How long it was away, when it was.
  std::optional<Nanos> works(BootTime now) {
    const std::lock_guard lock(mutex_);
    if (!began_) return std::nullopt;
    const Nanos away = now - *began_;
    began_.reset();
    ended_ = now;
    return away;
  }
  bool lasts() const {
    const std::lock_guard lock(mutex_);
    return began_.has_value();
  }

 private:
  mutable std::mutex mutex_;
  std::optional<BootTime> began_;
  BootTime ended_{};
};

// For the line: "4.2".
inline std::string seconds_of(Nanos away) { return fmt::format("{:.1f}", std::chrono::duration<double>(away).count()); }

}  // namespace bmpha
