// The acknowledged link to kafka-gate: a ROUTER socket that serves the newest gate from the ring (common/link.h).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "bmp-recv/counters.h"
#include "bmp-recv/loop.h"
#include "bmp-recv/record_ring.h"
#include "common/zmq_socket.h"

namespace bmpha::recv {

class GateLink {
 public:
  // `on_applied` follows each CONTROL: space may have become free, sessions may have to be reset.
  using OnApplied = std::function<void(const RecordRing::Applied&)>;
  GateLink(Loop& loop, ZmqContext& context, RecordRing& ring, Counters& counters, std::uint64_t recv_inc,
           OnApplied on_applied);
  Status bind(const std::string& endpoint);

  // Records were appended to this queue: sends what credit allows.
  void offer(RecordRing::Queue& queue);
  // ALIVE to the gate, and whatever is waiting in the socket.
  void tick(BootTime now);
  // After a batch of sends: a send may have consumed the edge of a message that has come meanwhile.
  void settle() {
    if (gate_inc_ != 0) drain();
  }
  bool connected() const { return gate_inc_ != 0; }
  std::uint64_t gate_inc() const { return gate_inc_; }

 private:
  void drain();
  void on_message(const Frame& identity, Bytes body);
  void on_hello(const Frame& identity, const Hello& hello);
  void pump();
  bool send_record(RecordRing::Queue& queue, const Record& record);
  void send_alive(BootTime now);
  void lose_gate();

  RecordRing& ring_;
  Counters& counters_;
  std::uint64_t recv_inc_;
  OnApplied on_applied_;
  ZmqSocket socket_;
  std::unique_ptr<Loop::Watch> watch_;
  std::string identity_;
  std::uint64_t gate_inc_ = 0;
  bool draining_ = false;
};

}  // namespace bmpha::recv
