// What an operator should hear of, in the log and as metrics: raised once, cleared once with its length. Looks at the
// decider from outside and changes nothing. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "ha-arbiter/census.h"
#include "ha-arbiter/decider.h"

namespace bmpha::arbiter {

enum class Alarm : std::uint8_t {
  kAllForcedStandby,   // nobody wants to own: the first in rank forwards all the same
  kRedisClock,         // Redis' clock and this node's wall clock differ
  kRedundancyLost,     // one node has a session of the router, the others live and have none
  kRedundancyDiffers,  // nodes' sessions of the router have different numbers of BGP peers
  kOwnedByNone,        // some node has a session of the router, nobody forwards it
  kOwnedByTwo,         // more than one node forwards it, and not because Redis is away
  kGrainDiffers,       // some nodes have one role for all their routers, others one per router
  kStalled,            // this node's session of the router reads nothing while another node's does
};
inline constexpr Alarm kAlarms[] = {Alarm::kAllForcedStandby,  Alarm::kRedisClock,  Alarm::kRedundancyLost,
                                    Alarm::kRedundancyDiffers, Alarm::kOwnedByNone, Alarm::kOwnedByTwo,
                                    Alarm::kGrainDiffers,      Alarm::kStalled};
const char* alarm_name(Alarm a);
const char* alarm_text(Alarm a);  // for the log

class AlarmWatch {
 public:
  struct Change {
    Alarm alarm;
    bool raised = false;  // else cleared
    RouterId router;      // zero: concerns the cluster
    std::string name, detail;
    Nanos lasted{0};  // when cleared
  };
  struct Entry {
    BootTime since;                  // of the condition
    std::optional<BootTime> raised;  // none: it has not lasted long enough
    std::string name, detail;
  };
  using Key = std::pair<Alarm, RouterId>;

  // `clock_skew`: Redis' clock less this node's, where that is too much.
  std::vector<Change> look(const Decider& decider, const Census& census, std::optional<Millis> clock_skew, Nanos after,
                           BootTime now);
  const std::map<Key, Entry>& entries() const { return entries_; }
  // How many alarms of this kind are raised.
  std::size_t raised(Alarm a) const;

 private:
  using Found = std::map<Key, Entry>;
  static void look_at_cluster(const Decider& d, Found& found, BootTime now);
  static void look_at_router(const Decider& d, const RouterState& st, Found& found, BootTime now);
  static void look_at_peers(const Decider& d, const Census& census, const RouterId& router, Found& found, BootTime now);

  std::map<Key, Entry> entries_;
};

}  // namespace bmpha::arbiter
