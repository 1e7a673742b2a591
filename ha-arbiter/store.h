// The questions that an arbiter asks its store, as texts. Two stores answer them: Redis (redis_store.h), and
// memory for a single node (memory_store.h). Keys and scripts: BLOB_FORMAT.md.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"

namespace bmpha::arbiter {

// Writes the node's blob (unless it is empty) and reads everything.
struct TickRequest {
  std::string blob;
  std::int64_t made_ms = 0;  // Redis time when the blob was made, 0: not known; much later it is not written
};
struct TickReply {
  bool late = false;  // came too late to be written; redis_ms is right
  std::int64_t redis_ms = 0;
  std::string before;                                       // the own key before this tick
  std::vector<std::pair<std::string, std::string>> nodes;   // id, value of its key or empty
  std::vector<std::pair<std::string, std::string>> owners;  // router, value
};

// For each item: if the router's owner is still `expected`, it becomes `value`, and the blob written in the same step
// has the line `won`; otherwise the line `lost`. The blob is head, lines, tail.
struct ClaimRequest {
  struct Item {
    std::string router, expected, value, won, lost;
  };
  std::string head, tail;
  std::vector<Item> items;
  std::int64_t made_ms = 0;
};
struct ClaimReply {
  bool late = false;
  std::int64_t redis_ms = 0;
  std::vector<bool> won;  // as the items
};

// One request at a time. Callbacks come from the event loop, or from within the call.
class Store {
 public:
  using TickDone = std::function<void(Result<TickReply>)>;
  using ClaimDone = std::function<void(Result<ClaimReply>)>;
  using Done = std::function<void(Status)>;

  Store() = default;
  virtual ~Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  using Pairs = std::vector<std::pair<std::string, std::string>>;
  using CensusDone = std::function<void(Result<Pairs>)>;

  virtual void tick(const TickRequest& request, TickDone done) = 0;
  virtual void claim(const ClaimRequest& request, ClaimDone done) = 0;
  // Removes routers from the owners where the value is still the expected one.
  virtual void forget(const std::vector<std::pair<std::string, std::string>>& routers, Done done) = 0;
  // Removes the own key.
  virtual void leave(Done done) = 0;
  // Writes the node's census and reads everybody's (node and text). Apart from the others: it may be under way beside
  // one of them, holds none of them up, and fails by itself alone. Nobody is called when there is no connection, or
  // when it ends before the answer.
  virtual void census(const std::string& text, CensusDone done) = 0;
};

}  // namespace bmpha::arbiter
