// Folds equal failures that can come by the thousand: the first is told, the further ones are counted, and their number
// is told once a pause. Keeps the books only: the caller writes the lines. Pure; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"

namespace bmpha {

class Burst {
 public:
  struct Count {
    std::string event, why;
    std::uint64_t more = 0;  // since the last line
  };

  explicit Burst(Nanos pause) : pause_(pause) {}

  // True: tell this one. `event` and `why` must come from small sets.
  bool is_news(const std::string& event, const std::string& why, BootTime now) {
    const auto [at, is_new] = open_.try_emplace({event, why}, State{now, 0});
    if (!is_new) ++at->second.more;
    return is_new;
  }
  // What has been counted for a pause. A burst without any for that long is over: the next one is news again.
  std::vector<Count> due(BootTime now) {
    std::vector<Count> out;
    for (auto at = open_.begin(); at != open_.end();) {
      State& s = at->second;
      if (now - s.told < pause_) {
        ++at;
      } else if (s.more == 0) {
        at = open_.erase(at);
      } else {
        out.push_back({at->first.first, at->first.second, s.more});
        s = {now, 0};
        ++at;
      }
    }
    return out;
  }

 private:
  struct State {
    BootTime told;
    std::uint64_t more = 0;
  };
  Nanos pause_;
  std::map<std::pair<std::string, std::string>, State> open_;
};

}  // namespace bmpha
