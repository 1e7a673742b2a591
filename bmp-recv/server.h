// All of bmp-recv at run time: listeners, connections, the ring, the link to the gate, the publication, and the
// pseudo-router of the collector object. Single-threaded, inside one Loop.
//
// A connection goes through: handshake (until its router is known) -> waiting (while an older session has the same
// router id) -> up. Only a connection that is up has a decoder, a queue in the ring and a session number.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bmp-recv/config.h"
#include "bmp-recv/dialer.h"
#include "bmp-recv/gate_link.h"
#include "bmp-recv/loop.h"
#include "bmp-recv/malformed_store.h"
#include "bmp-recv/name_cache.h"
#include "bmp-recv/publisher.h"
#include "bmp-recv/record_ring.h"
#include "bmp-recv/replay.h"
#include "bmp-recv/resolver.h"
#include "bmp-recv/router_groups.h"
#include "bmp-recv/session_decoder.h"
#include "bmp-recv/session_numbers.h"
#include "bmp-recv/state_dump.h"
#include "common/metrics.h"
#include "common/outage.h"
#include "common/zmq_socket.h"

namespace bmpha::recv {

class Server {
 public:
  static constexpr std::size_t kReadSize = std::size_t{256} * 1024;
  static constexpr Millis kTick{250};
  // Keepalive ends a dead session within 4 s; after this the older session counts as alive.
  static constexpr Millis kReplaceWait{5000};
  // So long after a refusal a router id counts as claimed twice: a refused router dials again, as rarely as every 12
  // minutes.
  static constexpr Millis kClashLasts{15 * 60'000};
  static constexpr Millis kReleaseWait{3000};
  // A connection is read without its address's name after this.
  static constexpr Millis kNameWait{2000};

  Server(Loop& loop, const Config& config);
  ~Server();
  // Binds everything. An error is one of the environment.
  Status start();
  // New allow list, limits and timeouts are in config already.
  void reload();
  // Stops accepting, ends all sessions, waits a moment for the gate; then stops the loop.
  void stop();
  // The state as JSON, one line.
  std::string dump() const;

 private:
  struct Connection;
  struct Listener;
  class Emitter;
  enum class Phase : std::uint8_t { kHandshake, kWaiting, kUp };

  StateView state() const;
  void publish_metrics();
  // False: no descriptors or memory for a connection that waits; the tick tries again.
  bool accept_waiting(Listener& listener);
  void accept_again(BootTime now);
  void admit(Listener& listener, Accepted accepted, BootTime now);
  void dial(BootTime now);
  Connection& add_connection(Accepted accepted, const std::string& tag, BootTime now);
  void start_connection(Connection& c);
  void ask_name(Connection& c);
  void name_known(Connection& c);
  void on_answers();
  void on_readable(Connection& c);
  void read(Connection& c);
  void process(Connection& c, Bytes data);
  bool process_frames(Connection& c, Bytes data, std::size_t& used);
  RouterId identity_of(std::string_view router) const;
  bool identify(Connection& c, const BmpFrame& first);
  bool claim(Connection& c);
  void begin(Connection& c);
  void keep(Connection& c, Bytes rest);
  void arm(Connection& c);
  void pause(Connection& c);
  void resume(Connection& c);
  void resume_paused();
  void log_faults(Connection& c);
  void bad_frame(Connection& c, FrameState state, Bytes rest);
  void ended(Connection& c, const std::string& reason, bool expected);
  // Ends the connection; c is gone afterwards (from the next loop turn on).
  void drop(Connection& c, const std::string& reason, bool expected);
  void end(Connection& c);
  void wake_waiting(const RouterId& id);

  void tick();
  void tick_connection(Connection& c, BootTime now);
  void tick_waiting(Connection& c, BootTime now);
  void tick_collector(BootTime now);
  void begin_collector(BootTime now);
  void mark_collector(RecordKind kind, std::string_view text, BootTime now);
  void end_collector(BootTime now);
  void restart_collector();
  void emit_collector(const char* action);
  void on_link(const RecordRing::Applied& applied);
  void on_record(RecordRing::Queue* queue, const std::string& router_hex, const Record& record);
  void finish_if_released(BootTime now);
  std::size_t sessions_up() const;

  Loop& loop_;
  const Config& config_;
  std::vector<IpPrefix> allowed_;
  std::uint64_t recv_inc_;
  // Identities stay as they were at the start, whatever a reload says.
  const std::string router_id_;
  const std::string collector_id_;
  const bool openbmp_hashes_;
  Hash128 collector_;
  const RouterGroups groups_;
  const std::map<IpAddress, std::string> given_names_;  // by the configuration
  ZmqContext zmq_;
  DecoderShared shared_;
  RecordRing ring_;
  std::unique_ptr<GateLink> link_;
  std::unique_ptr<Publisher> publisher_;
  MetricsServer metrics_;
  MalformedStore malformed_;
  NameCache names_;
  Resolver resolver_;
  Dialer dialer_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::unique_ptr<Replay> replay_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<std::unique_ptr<Connection>> dropped_;  // freed between callbacks
  std::unordered_map<RouterId, Connection*, HashOf> active_;
  SessionNumbers session_numbers_;
  // Router ids of living sessions that another connection claimed as well, and when it was refused.
  std::unordered_map<RouterId, BootTime, HashOf> clashes_;
  std::vector<std::uint8_t> buffer_;  // shared by all reads

  // The collector object's pseudo-router.
  std::unique_ptr<Emitter> collector_emitter_;
  std::unique_ptr<RecordBuilder> collector_builder_;
  RecordRing::Queue* collector_queue_ = nullptr;
  std::uint64_t collector_session_ = 0;
  std::uint64_t collector_seq_ = 0;
  BootTime collector_last_;
  bool collector_changed_ = false;

  BootTime started_;
  BootTime refused_logged_;
  Outage shortage_;  // of descriptors or memory for new connections
  bool stopping_ = false;
  BootTime stop_deadline_;
};

}  // namespace bmpha::recv
