// BMP sessions out of captured packets: TCP payload in order, per connection and direction. Pure.
//
// A connection whose beginning was captured starts at its SYN; another one where a segment has what looks like BMP
// messages. Streams that begin otherwise are left alone. Segments that come early wait; where bytes are missing for
// good (not captured, or cut by the capture), the stream goes on at the next segment with BMP messages, and what is
// missing is counted.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bmp-recv/tap/packet_file.h"

namespace bmpha::recv {

// Does this begin like a BMP message? Needs 6 bytes.
bool looks_like_bmp(Bytes start);
// Where in it the first message begins, in the middle of a stream; none: cannot be told. Inside, only where at least
// one more message follows.
std::optional<std::size_t> find_bmp(Bytes data);

class TcpStreams {
 public:
  struct Events {
    // A stream begins. Its number is used by the others; `source` is the sender's address.
    std::function<void(std::uint64_t stream, const std::string& source)> open;
    std::function<void(std::uint64_t stream, Bytes data, std::int64_t time_us)> data;
    // Bytes are missing here; what follows begins like a message.
    std::function<void(std::uint64_t stream)> gap;
    std::function<void(std::uint64_t stream)> close;
  };
  struct Counters {
    std::uint64_t packets = 0;
    std::uint64_t not_tcp = 0;    // other protocols and link types
    std::uint64_t malformed = 0;  // headers that are cut or wrong
    std::uint64_t fragments = 0;  // of IP; their content is missing
    std::uint64_t streams = 0;
    std::uint64_t gaps = 0;
    std::uint64_t missing_bytes = 0;  // as far as sequence numbers tell
  };
  static constexpr std::size_t kMaxWaiting = std::size_t{8} << 20;  // bytes that wait, of one stream
  static constexpr std::size_t kMaxFlows = 65536;

  explicit TcpStreams(Events events) : events_(std::move(events)) {}
  void on_packet(const Packet& packet);
  // The capture has ended: what still waits is given out.
  void finish();
  const Counters& counters() const { return counters_; }

 private:
  using Key = std::array<std::uint8_t, 36>;  // source, destination, ports
  struct Segment {
    std::vector<std::uint8_t> bytes;
    std::int64_t time_us = 0;
  };
  struct Flow {
    enum class State : std::uint8_t { kIdle, kAtStart, kOn, kResync, kOther };
    State state = State::kIdle;
    std::uint64_t stream = 0;        // 0: none opened yet
    std::uint32_t next = 0;          // sequence number that comes next
    std::vector<std::uint8_t> head;  // fewer bytes than tell whether this is BMP
    std::uint64_t position = 0;      // of `next`, counted from the start: orders what waits
    std::map<std::uint64_t, Segment> waiting;
    std::size_t waiting_bytes = 0;
  };

  void on_ip(ByteReader r, std::int64_t time_us);
  void on_tcp(Key key, ByteReader r, std::int64_t time_us);
  void on_segment(const Key& key, Flow& flow, std::uint32_t seq, Bytes data, std::int64_t time_us);
  void take(const Key& key, Flow& flow, Bytes data, std::int64_t time_us);
  void take_waiting(const Key& key, Flow& flow);
  void skip_gap(const Key& key, Flow& flow);
  void give(const Key& key, Flow& flow, Bytes data, std::int64_t time_us);
  void end(const Key& key, Flow& flow);

  Events events_;
  Counters counters_;
  std::map<Key, Flow> flows_;
};

}  // namespace bmpha::recv
