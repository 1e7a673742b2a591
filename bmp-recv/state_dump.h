// The state of bmp-recv as JSON, for operators and scripts. The only file pair that includes nlohmann-json.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bmp-recv/config.h"
#include "bmp-recv/counters.h"
#include "bmp-recv/malformed_store.h"
#include "bmp-recv/record_ring.h"
#include "common/result.h"

namespace bmpha::recv {

struct StateView {
  struct Session {
    std::string name, ip, tag, id, phase;
    std::uint16_t port = 0;
    std::uint64_t session = 0;
    bool paused = false, synced = false;
    std::uint64_t bytes = 0, messages = 0, faults = 0;
    std::size_t peers_up = 0, peers_known = 0;
    // Null: no decoder yet.
    const PeerFaults* peer_faults = nullptr;
    std::int64_t last_read_age_ms = 0, drained_age_ms = 0;
  };
  const Config& config;
  const Counters& counters;
  const RecordRing& ring;
  std::uint64_t recv_inc = 0;
  std::uint64_t gate_inc = 0;
  bool subscribers = false;
  const MalformedStore& malformed;
  std::uint64_t dial_failures = 0;
  std::size_t ids_in_use = 0;  // router ids for which a second connection was refused lately
  std::vector<Session> sessions;
};
// The key of the dump, and the label of the metric.
const char* message_type_name(std::size_t type);
std::string state_json(const StateView& state);

}  // namespace bmpha::recv
