// Session numbers of routers: they grow per router. Any number of routers may come and go, so of those that are gone
// and forgotten only the greatest number is kept, which serves for all of them. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <unordered_map>

#include "common/ids.h"

namespace bmpha::recv {

class SessionNumbers {
 public:
  // `most` routers are remembered one by one, and those beyond that have a session now.
  explicit SessionNumbers(std::size_t most = 10000) : most_(most) {}

  // Greater than all before of this router. is_up(id): it has a session now.
  template <class IsUp>
  std::uint64_t next(const RouterId& router, IsUp&& is_up) {
    if (last_.size() >= most_ && !last_.contains(router))
      std::erase_if(last_, [&](const auto& known) {
        if (is_up(known.first)) return false;
        forgotten_ = std::max(forgotten_, known.second);
        return true;
      });
    return ++last_.try_emplace(router, forgotten_).first->second;
  }
  std::size_t size() const { return last_.size(); }

 private:
  std::size_t most_;
  std::unordered_map<RouterId, std::uint64_t, HashOf> last_;
  std::uint64_t forgotten_ = 0;
};

}  // namespace bmpha::recv
