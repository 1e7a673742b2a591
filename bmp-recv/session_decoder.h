// One BMP session of one router: its messages in, records out. Pure: times are given, records go to a sink.
//
// Routers differ, and the rules that bear with them are here: peers are told apart by type, distinguisher and address
// (flags differ from message to message); a peer without a Peer Up gets an opener of its own; a Peer Down may come for
// a peer that never was up; what follows a Peer Down does not bring the peer back.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "bmp-recv/bgp_open.h"
#include "bmp-recv/bgp_update.h"
#include "bmp-recv/counters.h"
#include "bmp-recv/dump_tracker.h"
#include "bmp-recv/framer.h"
#include "bmp-recv/identity.h"
#include "bmp-recv/record_builder.h"
#include "bmp-recv/route_writer.h"
#include "bmp-recv/tcp.h"

namespace bmpha::recv {

// Buffers and counters that all sessions of the process share; single-threaded.
struct DecoderShared {
  RowPool pool;
  RouteScratch routes;
  Update update;
  Open sent, received;
  Statistics statistics;
  MonitoringTlvs monitoring;
  Rows rows;  // for records of one row
  Counters counters;
};

// Gets messages that are passed on as they are.
class RawSink {
 public:
  virtual ~RawSink() = default;
  // A whole message that had a fault, and its first one. Borrowed: valid during the call.
  virtual void on_malformed(const BmpFrame& /*frame*/, Fault /*fault*/) {}
};

class SessionDecoder {
 public:
  struct Settings {
    RecordBuilder::Identity identity;
    std::string router_ip;
    std::string name;      // for display
    std::string dns_name;  // of the router where its Initiation has none; empty: not known
    DumpTracker::Settings dump;
    RawSink* raw = nullptr;  // null: nobody wants them
    // Every message is published as it came, too (bmp_raw), labelled with these.
    bool publish_raw = false;
    std::string collector_id;
    std::string router_group;
  };
  // A fault worth a log line: the first of its kind in the session.
  struct FirstFault {
    Fault fault = Fault::kNone;
    std::uint64_t offset = 0;  // of the message in the session's stream
    std::string peer;          // empty: not of a peer
  };
  // A new peer beyond takes the place of the one that has not been up for longest; without such a one it is refused.
  static constexpr std::size_t kMaxPeers = 65536;

  SessionDecoder(Settings settings, DecoderShared& shared, RecordSink& sink);
  ~SessionDecoder();

  // Writes `session_begin`.
  void begin(const ReadTimes& times);
  // One pass: begin_pass, on_frame for each message, end_pass. The bytes of frames may go away after end_pass.
  void begin_pass(const ReadTimes& times);
  void on_frame(const BmpFrame& frame, std::uint64_t stream_offset);
  void end_pass();
  // Writes `synced` when the dump has ended; true then. Not inside a pass.
  bool poll_dump(const ReadTimes& times);
  // The same by `dump.cap` alone, whether or not the session is read up to date. `times` are those of the last read:
  // what waits in the socket has not been read at `now`.
  bool poll_dump_cap(BootTime now, const ReadTimes& times);
  void on_stall(BootTime now) { dump_.on_stall(now); }
  void on_pause(Nanos length) { dump_.on_pause(length); }
  // Writes `session_end`.
  void end(const ReadTimes& times);

  bool synced() const { return dump_.ended(); }
  bool terminated() const { return terminated_; }
  // Why the router ends the session: "2 (out of resources): text". Empty before its Termination.
  const std::string& termination() const { return termination_; }
  const std::string& name() const { return settings_.name; }
  std::size_t peers_up() const { return peers_up_; }
  std::size_t peers_known() const { return peers_.size(); }
  std::uint64_t messages() const { return messages_; }
  std::uint64_t faults() const { return faults_; }
  // The faults that came for the first time since the last call.
  std::vector<FirstFault> take_first_faults();
  // Faults by peer ("<address>", or "<address> <distinguisher>") and reason; those of no peer have an empty one. Beyond
  // kMaxPeerFaults, new ones are counted under kOtherPeers.
  static constexpr std::size_t kMaxPeerFaults = 256;
  static constexpr std::string_view kOtherPeers = "others";
  const PeerFaults& peer_faults() const { return peer_faults_; }

 private:
  enum class PeerState : std::uint8_t { kNew, kUp, kDown };
  struct Peer;
  class PeerRows;

  void take_frame(const BmpFrame& frame);
  void publish_raw(Bytes message);
  void on_initiation(ByteReader body);
  void on_termination(ByteReader body);
  void on_mirroring(const BmpFrame& frame);
  void on_peer_message(BmpType type, std::uint8_t version, ByteReader body);
  void on_peer_up(const PeerHeader& h, Peer& peer, ByteReader body);
  void on_peer_down(const PeerHeader& h, Peer& peer, ByteReader body);
  void on_statistics(const PeerHeader& h, Peer& peer, std::uint8_t version, ByteReader body);
  void on_route_monitoring(const PeerHeader& h, Peer& peer, ByteReader body);
  void on_monitoring_tlvs(const PeerHeader& h, Peer& peer, ByteReader body);
  void take_update(const PeerHeader& h, Peer& peer, Bytes message);
  void take_further_updates(const PeerHeader& h, Peer& peer, Bytes rest);
  void write_routes(const PeerHeader& h, Peer& peer);
  void write_family(const PeerHeader& h, Peer& peer, const FamilyRoutes& routes, bool withdrawn, Fault unreadable);
  void refuse_amplification();
  void write_end_of_rib(const PeerHeader& h, Peer& peer);
  void note_update(const PeerHeader& h, Peer& peer);
  bool are_marks_placed() const;
  void open_first(const PeerHeader& h, Peer& peer);
  static const FamilySet& path_ids(const PeerHeader& h, const PeerContext& context);
  UpdateContext update_context(const PeerHeader& h, const Peer& peer) const;
  RouteWriter::Context write_context(const PeerHeader& h, const Peer& peer) const;
  NlriContext nlri_context(const PeerHeader& h, const Peer& peer, const Family& family) const;
  // Null: too many peers.
  Peer* find_peer(const PeerHeader& h);
  bool make_room();
  Hash128 openbmp_peer_hash(const PeerHeader& h) const;
  PeerRow peer_row(const PeerHeader& h, const Peer& peer, std::uint64_t& seq) const;
  void emit_row(RecordKind kind, TopicSelector topic, const char* object, const Hash128& key, bool opener);
  void emit_mark(RecordKind kind);
  void emit_synced(const ReadTimes& times);
  void flush_attributes(Peer& peer);
  void flush_routes(Peer& peer, Object object);
  void flush(Peer& peer);
  void write_pending(Peer& peer);  // leaves the peer in touched_
  void set_up(Peer& peer, PeerState state);
  void count_fault(Fault f, std::uint64_t times = 1);

  Settings settings_;
  DecoderShared& shared_;
  RecordBuilder builder_;
  DumpTracker dump_;
  RouteWriter route_writer_;
  RouterText router_;
  IpAddress router_address_{};
  std::string raw_scratch_;
  std::string router_columns_;
  std::unordered_map<PeerKey, std::unique_ptr<Peer>, HashOfPeerKey> peers_;
  std::map<std::uint64_t, Peer*> idle_;  // those that are not up, by Peer::idle_since
  std::uint64_t idle_count_ = 0;
  Peer* recent_ = nullptr;      // the peer of the last message
  std::vector<Peer*> touched_;  // with rows pending in this pass
  std::size_t peers_up_ = 0;
  std::uint64_t router_seq_ = 0, peer_seq_ = 0, stat_seq_ = 0, stat_ext_seq_ = 0, eor_seq_ = 0;
  std::uint64_t messages_ = 0, faults_ = 0;
  std::uint64_t stream_offset_ = 0;
  std::array<bool, kFaultCount> fault_seen_{};
  std::vector<FirstFault> first_faults_;
  PeerFaults peer_faults_;
  Fault frame_fault_ = Fault::kNone;  // the first of the message at hand
  std::size_t message_text_ = 0;      // rows written since the message at hand began, but for those that are pending
  const Peer* frame_peer_ = nullptr;  // null: not of a peer
  bool terminated_ = false;
  std::string termination_;
  const MonitoringTlvs* tlvs_ = nullptr;  // of the message at hand; null in version 3
  bool marks_placed_ = false;             // tlvs_->marks are of routes that can be told
};

}  // namespace bmpha::recv
