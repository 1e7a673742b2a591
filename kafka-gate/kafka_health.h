// Is Kafka failing for this gate? Pure; the arbiter lets a gate whose Kafka fails give way (class 3).
#pragma once

#include <algorithm>
#include <optional>
#include <string>

#include "common/clock.h"

namespace bmpha::gate {

// Not ok after `bad` of failing without a break, ok again after `good` without failing. Failing is: something was
// handed over and nothing was answered for a while, no broker answers questions, or the topic is not as it must be.
class KafkaHealth {
 public:
  KafkaHealth(Nanos bad, Nanos good, BootTime now) : bad_(bad), good_(good), progress_(now), reached_(now) {}

  // Something was handed over; `outstanding` includes it.
  void sent(BootTime now, std::uint64_t outstanding) {
    if (outstanding <= 1) progress_ = now;  // waiting begins now
    waiting_ = true;
  }
  void answered(BootTime now, std::uint64_t outstanding) {
    progress_ = reached_ = now;
    waiting_ = outstanding > 0;
    unreachable_ = false;
    lost_since_.reset();
  }
  // The producer is lost. Until a later one gets an answer, all that is handed over has failed since then: else one
  // that is lost each time soon after its start would never count as failing.
  void lost(BootTime now) {
    if (!lost_since_) lost_since_ = now;
  }
  // The producer was replaced: nothing is outstanding. What went wrong before is not forgotten.
  void cleared() { waiting_ = false; }
  // Outcome of a question to the brokers.
  void asked(BootTime now, bool reached) {
    if (reached) reached_ = now;
    unreachable_ = !reached;
  }
  // The topic cannot be written to (gone, other partition count, producer lost).
  void blocked(bool is_blocked, BootTime now) {
    if (!is_blocked) blocked_since_.reset();
    if (is_blocked && !blocked_since_) blocked_since_ = now;
  }

  // Call at least every 250 ms.
  bool tick(BootTime now) {
    Nanos failing{0};
    if (waiting_) failing = now - progress_;
    if (unreachable_) failing = std::max(failing, now - reached_);
    if (blocked_since_) failing = std::max(failing, now - *blocked_since_);
    if (lost_since_ && (waiting_ || blocked_since_)) failing = std::max(failing, now - *lost_since_);
    if (ok_ && failing >= bad_) {
      ok_ = false;
      last_bad_ = now;
    }
    if (!ok_) {
      if (failing > kSlow || unreachable_ || blocked_since_) last_bad_ = now;
      if (now - last_bad_ >= good_) ok_ = true;
    }
    return ok_;
  }
  bool ok() const { return ok_; }

 private:
  static constexpr Nanos kSlow = std::chrono::seconds(1);  // an answer that takes longer is no sign of health
  Nanos bad_, good_;
  BootTime progress_, reached_;
  BootTime last_bad_{};
  std::optional<BootTime> blocked_since_;
  std::optional<BootTime> lost_since_;
  bool waiting_ = false;
  bool unreachable_ = false;
  bool ok_ = true;
};

}  // namespace bmpha::gate
