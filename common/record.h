// The record: what bmp-recv sends to kafka-gate, and the unit that everything downstream forwards, acknowledges and
// replays. Byte layout and version rules: common/RECORD_FORMAT.md.
//
// A record is an Envelope of fixed size followed by its payload: a complete Kafka value. kafka-gate reads the
// envelope only and never looks inside the payload.
#pragma once

#include <cstdint>
#include <string>

#include "common/byte_reader.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/result.h"

namespace bmpha {

// What a record is. The numbers stand in the envelope and in the Kafka header `bmpha`.
enum class RecordKind : std::uint8_t {
  kSessionBegin = 1,  // bmp-recv to gate only; first record of a session
  kSessionEnd = 2,    // bmp-recv to gate only; last record of a session
  kRouter = 3,        // OpenBMP `router` rows
  kPeer = 4,          // OpenBMP `peer` rows (Peer Up, first, Peer Down)
  kAttributes = 5,    // OpenBMP `base_attribute` rows
  kRoutes = 6,        // rows of a route object (unicast_prefix, l3vpn, ...)
  kStat = 7,          // OpenBMP `bmp_stat` rows
  kEor = 8,           // End-of-RIB, information only
  kRaw = 9,           // bmp_raw
  kSynced = 10,       // control, by bmp-recv: the session's dump has ended; empty payload
  kRun = 11,          // control, by kafka-gate: first record of a claim
  kStale = 12,        // control, by kafka-gate: no node has this router
  kDown = 13,         // control, by kafka-gate: the router is given up
  kCollector = 14,    // OpenBMP `collector` rows, of the pseudo-router
};

// Control records concern a whole router: the gate sends one copy to every partition of every topic it writes.
constexpr bool is_control(RecordKind k) {
  return k == RecordKind::kSynced || k == RecordKind::kRun || k == RecordKind::kStale || k == RecordKind::kDown;
}
// Session marks end in the gate; they never reach Kafka.
constexpr bool is_session_mark(RecordKind k) { return k == RecordKind::kSessionBegin || k == RecordKind::kSessionEnd; }
const char* kind_name(RecordKind k);

// Which topic template the record belongs to (layout "single" maps all parsed objects to one topic). Those behind
// kOther are objects that the first readers did not tell apart: to them they are kOther.
enum class TopicSelector : std::uint8_t {
  kCollector = 0,
  kRouter = 1,
  kPeer = 2,
  kBaseAttribute = 3,
  kUnicastPrefix = 4,
  kL3vpn = 5,
  kEvpn = 6,
  kLsNode = 7,
  kLsLink = 8,
  kLsPrefix = 9,
  kBmpStat = 10,
  kBmpRaw = 11,
  kOther = 12,  // session marks, and records that go to every topic
  kMulticastPrefix = 13,
  kL3vpnMulticast = 14,
  kVpls = 15,
  kFlowspec = 16,
  kSrPolicy = 17,
  kRtConstraint = 18,
  kMvpn = 19,
  kLsSrv6Sid = 20,
  kBmpStatExt = 21,
  kEor = 22,
  kMdt = 23,
  kLsSrPolicy = 24,
};
inline constexpr std::size_t kTopicSelectors = 25;
// The object whose records these are, as in their `T` header; "bmp_raw"; empty for kOther.
const char* topic_object(TopicSelector t);
// Rows of a route object.
bool is_route_topic(TopicSelector t);

struct Envelope {
  RecordKind kind = RecordKind::kRoutes;
  TopicSelector topic = TopicSelector::kOther;
  bool in_dump = false;  // read before the session's `synced` (the `synced` itself included)
  bool opener = false;   // a Peer Up, or the `first` row written in its place
  SessionId session;
  std::uint64_t seq = 0;          // from 1 per session, without gaps; session begin is 1
  RouterId router;                // also the rows' router hash
  Hash128 key;                    // Kafka key: peer hash; router hash for router and control records; collector hash
  BootTime read_time;             // when the bytes were read from the socket
  BootTime drained_time;          // last instant before that read at which the socket was seen empty
  std::int64_t read_wall_us = 0;  // read_time as UTC microseconds
  std::uint32_t rows = 0;
  std::uint32_t payload_size = 0;
};

inline constexpr std::uint8_t kEnvelopeVersion = 1;
inline constexpr std::size_t kEnvelopeSize = 104;
// Largest payload a record may announce; the builder flushes at 256 KiB, one row more may follow.
inline constexpr std::uint32_t kMaxPayload = 1024 * 1024;

// Writes the envelope into exactly kEnvelopeSize bytes at out.
void encode_envelope(const Envelope& e, std::uint8_t* out);
// Reads and checks an envelope at the start of a record; the record's size must be kEnvelopeSize + payload_size.
Result<Envelope> decode_envelope(Bytes record);

}  // namespace bmpha
