// How many BGP peers are up in each node's session of a router. Nodes tell each other in a key of its own in Redis,
// since nothing depends on it but the alarm redundancy-differs. Text: BLOB_FORMAT.md. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "common/result.h"
#include "ha-arbiter/decider.h"

namespace bmpha::arbiter {

inline constexpr Millis kCensusInterval{10'000};
inline constexpr Millis kCensusTooOld{30'000};
// What both nodes see at once must not look like a difference while the news of it travels.
inline constexpr Millis kCensusPatience{25'000};
// No more are told, and no longer text is read.
inline constexpr std::size_t kMaxCensusRouters = 20'000;
inline constexpr std::size_t kMaxCensusText = std::size_t{1} << 20;

using PeerCounts = std::map<RouterId, std::uint32_t>;

struct CensusText {
  std::uint64_t inc = 0;     // of the arbiter, as in its blob
  std::uint64_t number = 0;  // rises with every write
  PeerCounts peers;
};
std::string encode_census(const CensusText& c);
Result<CensusText> decode_census(std::string_view text);

class Census {
 public:
  // Counts this node's sessions whose dump ended, and whose number stands, since `after` or longer.
  void count(const Decider& d, Nanos after, BootTime now);
  const PeerCounts& own() const { return own_; }
  // What is to be written now.
  std::string next_text(std::uint64_t inc) { return encode_census({inc, ++number_, own_}); }
  // What was read: node and text. Returns how many texts are of no use; their nodes are as if they had told nothing.
  std::size_t take(const std::vector<std::pair<std::string, std::string>>& texts, const std::string& self,
                   BootTime now);
  // What this incarnation of a node has told lately.
  std::optional<std::uint32_t> peers(const std::string& node, std::uint64_t inc, const RouterId& router,
                                     BootTime now) const;

 private:
  struct Synced {
    SessionId session;
    std::uint32_t peers = 0;
    BootTime since;
  };
  struct Node {
    CensusText text;
    BootTime heard;  // that it went on
  };
  std::map<RouterId, Synced> synced_;
  PeerCounts own_;
  std::uint64_t number_ = 0;
  std::map<std::string, Node> nodes_;
};

}  // namespace bmpha::arbiter
