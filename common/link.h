// Messages on the acknowledged link between bmp-recv (ROUTER, binds) and kafka-gate (DEALER, connects), and the
// rules of their exchange (docs/protocol.md A.3). One ZeroMQ frame = one message; the first byte tells the type.
//
//   gate -> recv  HELLO    once per connection and again every second until ALIVE answers with this gate_inc.
//                          The newest HELLO wins: recv serves one gate, resets every session's credit and send
//                          cursor, and replays all records it still keeps.
//   gate -> recv  CONTROL  RELEASE, CREDIT and RESET entries, each for one (router, session). RELEASE and CREDIT
//                          carry cumulative values, so a repeated or reordered entry is harmless.
//   recv -> gate  DATA     one record as in record.h: the frame is the
//                          bare record and is recognised by the envelope's magic.
//   recv -> gate  ALIVE    every 250 ms: the whole session table, and behind its end what peer_counts.h says.
//
// Credit: CREDIT{bytes} is the total of record bytes (envelope included) of that session which recv may have sent to
// this gate since its HELLO. Before the first CREDIT of a session arrives the limit is kInitialCredit.
// Release: bmp-recv keeps a record until RELEASE{seq} with seq >= its own; after that it may forget it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/byte_reader.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/result.h"

namespace bmpha {

inline constexpr std::uint8_t kLinkVersion = 1;
inline constexpr std::uint64_t kInitialCredit = std::uint64_t{1} << 20;

enum class LinkType : std::uint8_t { kHello = 1, kControl = 2, kAlive = 3 };

struct Hello {
  std::uint64_t gate_inc = 0;  // random, new at every start of kafka-gate
};

struct ControlEntry {
  RouterId router;
  SessionId session;
  std::uint64_t release_seq = 0;   // 0: nothing released
  std::uint64_t credit_bytes = 0;  // 0: unchanged
  bool reset = false;              // close this session's TCP connection so that the router dumps anew
};
struct Control {
  std::uint64_t gate_inc = 0;
  std::vector<ControlEntry> entries;
};

struct AliveSession {
  RouterId router;
  SessionId session;
  bool up = false;                        // TCP connection open; false while its last records are still kept
  bool read_paused = false;               // recv has stopped reading (credit or ring exhausted)
  BootTime last_read;                     // last time bytes were read
  std::uint64_t released_seq = 0;         // records up to here are no longer kept
  BootTime released_read_time;            // read_time of that record; epoch 0 when nothing was released
  std::uint64_t last_seq = 0;             // newest record written
  std::string name;                       // display name of the router
  std::optional<std::uint32_t> peers_up;  // BGP peers of the router that are up; none: not said
};
struct Alive {
  std::uint64_t recv_inc = 0;
  std::uint64_t gate_inc = 0;  // of the HELLO that is in force, 0 for none
  std::vector<AliveSession> sessions;
};

std::string encode_hello(const Hello& m);
std::string encode_control(const Control& m);
std::string encode_alive(const Alive& m);

// True when the frame is a record (DATA) rather than one of the messages below.
bool is_data_frame(Bytes frame);

using LinkMessage = std::variant<Hello, Control, Alive>;
Result<LinkMessage> decode_link_message(Bytes frame);

}  // namespace bmpha
