// What the parts of the world share: its times, its names, and what a record says.
#pragma once

#include "common/clock.h"
#include "common/ids.h"
#include "tests/explore/world.h"

namespace bmpha::explore {

inline constexpr Nanos kStep = Millis(100);  // one tick
// A node hears of another in the next step or the one after: a tick that is one step late may look like death.
inline constexpr Nanos kTtl = Millis(300);
inline constexpr Nanos kLease = Millis(250);
// A session that went silent is found out after so many steps.
inline constexpr int kKeepalive = 5;
inline constexpr std::int64_t kRedisStart = 1'700'000'000'000;

RouterId router_id();
// A peer's key that lies in the partition of its number.
Hash128 peer_key(int peer);

// What a record says travels in its receipt time.
struct Payload {
  std::uint8_t peer = 0;
  bool announced = false;
  std::array<std::uint8_t, kPeers> versions{};  // of both peers; a route's own is versions[peer]
  std::uint16_t read = 0;                       // step in which it was read
};
std::int64_t pack(const Payload& p);
Payload unpack(std::int64_t v);

// Never deviates.
class Usual : public Oracle {
 public:
  int choose(int) override { return 0; }
};

}  // namespace bmpha::explore
