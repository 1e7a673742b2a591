// An operator's request, as JSON text, and its answer. Pure: the socket is the service's.
//
//   {"command": "take", "router": "<32 hex digits, or the router's name>", "timeout_ms": 10000}
//   {"ok": true, "router": "<32 hex digits>"}      or      {"ok": false, "error": "..."}
//
// Commands: status; give, take, resync, reset-session, forget, cancel (of one router); raise-epoch (of one router or of
// "all", with `above`); switch, force-active, force-standby, auto (of the node). An order is begun by the request; how
// it goes on stands in the state (`errand`, `errand_end`).
//
// Requests come from whoever can open the socket: everything in them is checked.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "ha-arbiter/decider.h"

namespace bmpha::arbiter {

inline constexpr std::size_t kMaxControlRequest = 4096;

struct ControlAnswer {
  std::string reply;
  bool acted = false;  // the decision must be taken anew
};

// state: the node's state as JSON (state_dump.h), asked for when it is wanted.
ControlAnswer answer_control(std::string_view request, Decider& decider, const std::function<std::string()>& state,
                             BootTime now);

}  // namespace bmpha::arbiter
