// What bmp-recv counts, over all sessions. Shown by the state dump.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "bmp-recv/bgp_open.h"
#include "bmp-recv/fault.h"
#include "bmp-recv/framer.h"

namespace bmpha::recv {

// By peer (address and distinguisher) and reason.
struct ByPeerAndFault {
  using is_transparent = void;  // a view of an address finds it
  template <class A, class B>
  bool operator()(const A& a, const B& b) const {
    const std::string_view x = a.first, y = b.first;
    return x != y ? x < y : a.second < b.second;
  }
};
using PeerFaults = std::map<std::pair<std::string, Fault>, std::uint64_t, ByPeerAndFault>;

struct Counters {
  std::array<std::uint64_t, kBmpTypes> messages{};
  std::map<std::uint8_t, std::uint64_t> unknown_messages;  // by type number
  std::array<std::uint64_t, kFaultCount> faults{};
  std::uint64_t bad_frames = 0;  // sessions closed for bad framing
  std::uint64_t prefixes_announced = 0;
  std::uint64_t prefixes_withdrawn = 0;
  std::uint64_t treated_as_withdraw = 0;  // messages
  std::uint64_t after_peer_down = 0;      // announced prefixes of peers that are down: dropped
  std::uint64_t unknown_routes = 0;       // of types that are not decoded, of families that are
  std::uint64_t end_of_rib = 0;
  std::uint64_t peers_first = 0;                      // openers written for peers without a Peer Up
  std::uint64_t as_width_fallbacks = 0;               // AS_PATH in another width than OPENs and flags say
  std::uint64_t path_id_fallbacks = 0;                // NLRI with or without path identifiers, against the OPENs
  std::uint64_t unknown_statistics = 0;               // statistics of types that nobody has defined
  std::uint64_t unknown_tlvs = 0;                     // of other messages than statistics: skipped
  std::uint64_t mirrored = 0;                         // BGP messages in Route Mirroring
  std::uint64_t mirrored_errored = 0;                 // ... that the router took for malformed
  std::uint64_t mirrored_lost = 0;                    // marks that the router has lost messages of Route Mirroring
  std::uint64_t path_marks = 0;                       // path status TLVs of BMP version 4
  std::uint64_t path_marks_unplaced = 0;              // messages with such of routes that cannot be told
  std::map<Family, std::uint64_t> other_families;     // messages with families that are not decoded
  std::uint64_t other_families_more = 0;              // ... beyond the families that are listed
  std::array<std::uint64_t, 256> other_attributes{};  // messages with attributes that are not decoded, by type
  std::uint64_t raw_messages = 0;                     // published as they came
  std::uint64_t raw_bytes = 0;                        // of them
  std::uint64_t records = 0;
  std::uint64_t record_bytes = 0;
  std::uint64_t read_bytes = 0;
  std::uint64_t sessions_opened = 0;
  std::uint64_t sessions_refused = 0;  // allow list, limit, router id in use
  std::uint64_t name_lookups = 0;      // names of routers' addresses that were asked for
  std::uint64_t names_not_found = 0;   // ... and are not there
  std::uint64_t handshake_timeouts = 0;
  std::uint64_t idle_timeouts = 0;
  std::uint64_t resets = 0;       // sessions closed on the gate's request
  std::uint64_t pauses = 0;       // times that reading of a session was paused
  std::uint64_t link_errors = 0;  // malformed messages on the gate's socket

  static constexpr std::size_t kMaxFamilies = 64;
  void fault(Fault f, std::uint64_t times = 1) { faults[static_cast<std::size_t>(f)] += times; }
  void other_family(const Family& f) {
    if (other_families.size() >= kMaxFamilies && !other_families.contains(f)) {
      ++other_families_more;
    } else {
      ++other_families[f];
    }
  }
};

}  // namespace bmpha::recv
