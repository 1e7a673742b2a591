// Notices a router of which nothing passes the fence any more although somebody keeps sending: then epochs have fallen
// (an emptied Redis beside a lost state file), and no take-over will heal it.
#pragma once

#include <map>
#include <optional>

#include "common/clock.h"
#include "common/ids.h"

namespace bmpha::sink {

class FenceWatch {
 public:
  explicit FenceWatch(Millis limit = Millis{30000}) : limit_(limit) {}
  // For how long only fenced records came, where that was told.
  std::optional<Nanos> accepted(const RouterId& router, BootTime now) {
    const auto at = fenced_.find(router);
    if (at == fenced_.end()) return std::nullopt;
    const Entry e = at->second;
    fenced_.erase(at);
    return e.told ? std::optional(now - e.since) : std::nullopt;
  }
  // True once, when only fenced records have come for the limit.
  [[nodiscard]] bool fenced(const RouterId& router, BootTime now) {
    const auto [at, is_new] = fenced_.try_emplace(router, Entry{now, false});
    if (is_new || at->second.told || now - at->second.since < limit_) return false;
    at->second.told = true;
    return true;
  }
  bool alarmed() const {
    for (const auto& [router, e] : fenced_)
      if (e.told) return true;
    return false;
  }

 private:
  struct Entry {
    BootTime since;
    bool told = false;
  };
  Millis limit_;
  std::map<RouterId, Entry> fenced_;
};

}  // namespace bmpha::sink
