// May this process use its node name? Pure.
//
// Before it writes anything, it looks at its own key. A key that another incarnation goes on writing belongs to a live
// arbiter of the same name: refuse. A key that has stood still for longer than a tick was left by an earlier process
// of this node: take it over, with what it says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/clock.h"
#include "ha-arbiter/cluster.h"

namespace bmpha::arbiter {

class JoinGuard {
 public:
  JoinGuard(std::uint64_t inc, Millis tick, Millis ttl) : inc_(inc), tick_(tick), ttl_(ttl) {}

  enum class Verdict { kWait, kJoin, kRefuse };
  // value: the own key as it stands. Called until it does not say kWait.
  Verdict look(const std::string& value, std::int64_t redis_ms, BootTime now);
  // What the earlier process left; none: nothing of use.
  const std::optional<NodeReading>& left_behind() const { return left_behind_; }

  // value: the own key before this process wrote again. True: another live arbiter writes it too.
  bool is_contested(const std::string& value);
  // A young process gives way to one that was there before.
  bool is_young(BootTime now) const { return joined_at_ && now - *joined_at_ < 5 * ttl_; }

 private:
  std::uint64_t inc_;
  Millis tick_, ttl_;
  std::optional<std::int64_t> first_pub_ms_;
  std::optional<BootTime> joined_at_;
  std::optional<NodeReading> left_behind_;
  std::uint64_t foreign_inc_ = 0;
  std::uint64_t foreign_tick_ = 0;
};

}  // namespace bmpha::arbiter
