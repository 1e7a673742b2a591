#include "common/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "common/byte_writer.h"
#include "common/versions.h"

namespace bmpha {
namespace {

constexpr std::uint16_t kMagic = 0x4248;  // "BH"
constexpr std::uint8_t kFlagInDump = 0x01;
constexpr std::uint8_t kFlagOpener = 0x02;
constexpr std::uint8_t kLastKind = static_cast<std::uint8_t>(RecordKind::kCollector);
constexpr std::uint8_t kOtherTopic = static_cast<std::uint8_t>(TopicSelector::kOther);

constexpr std::array<const char*, kTopicSelectors> kTopicObjects = {
    "collector",       "router",  "peer",      "base_attribute", "unicast_prefix", "l3vpn", "evpn",
    "ls_node",         "ls_link", "ls_prefix", "bmp_stat",       "bmp_raw",        "",      "multicast_prefix",
    "l3vpn_multicast", "vpls",    "flowspec",  "sr_policy",      "rt_constraint",  "mvpn",  "ls_srv6_sid",
    "bmp_stat_ext",    "eor",     "mdt",       "ls_sr_policy"};

// Fixed-layout big-endian writer into a caller's buffer: an envelope is written for every record.
struct Cursor {
  std::uint8_t* at;
  template <class T>
  void put(T v) {
    for (int shift = static_cast<int>(sizeof(T)) * 8 - 8; shift >= 0; shift -= 8)
      *at++ = static_cast<std::uint8_t>(v >> shift);
  }
  void put(const Hash128& h) {
    std::memcpy(at, h.bytes.data(), h.bytes.size());
    at += h.bytes.size();
  }
};

}  // namespace

const char* kind_name(RecordKind k) {
  switch (k) {
    case RecordKind::kSessionBegin:
      return "session_begin";
    case RecordKind::kSessionEnd:
      return "session_end";
    case RecordKind::kRouter:
      return "router";
    case RecordKind::kPeer:
      return "peer";
    case RecordKind::kAttributes:
      return "attributes";
    case RecordKind::kRoutes:
      return "routes";
    case RecordKind::kStat:
      return "stat";
    case RecordKind::kEor:
      return "eor";
    case RecordKind::kRaw:
      return "raw";
    case RecordKind::kSynced:
      return "synced";
    case RecordKind::kRun:
      return "run";
    case RecordKind::kStale:
      return "stale";
    case RecordKind::kDown:
      return "down";
    case RecordKind::kCollector:
      return "collector";
  }
  return "unknown";
}

const char* topic_object(TopicSelector t) { return kTopicObjects.at(static_cast<std::size_t>(t)); }

bool is_route_topic(TopicSelector t) {
  switch (t) {
    case TopicSelector::kUnicastPrefix:
    case TopicSelector::kL3vpn:
    case TopicSelector::kEvpn:
    case TopicSelector::kLsNode:
    case TopicSelector::kLsLink:
    case TopicSelector::kLsPrefix:
    case TopicSelector::kMulticastPrefix:
    case TopicSelector::kL3vpnMulticast:
    case TopicSelector::kVpls:
    case TopicSelector::kFlowspec:
    case TopicSelector::kSrPolicy:
    case TopicSelector::kRtConstraint:
    case TopicSelector::kMvpn:
    case TopicSelector::kLsSrv6Sid:
    case TopicSelector::kMdt:
    case TopicSelector::kLsSrPolicy:
      return true;
    default:
      return false;
  }
}

void encode_envelope(const Envelope& e, std::uint8_t* out) {
  Cursor c{out};
  c.put(kMagic);
  c.put(kEnvelopeVersion);
  c.put(static_cast<std::uint8_t>(e.kind));
  const auto topic = static_cast<std::uint8_t>(e.topic);
  c.put(std::min(topic, kOtherTopic));
  c.put(static_cast<std::uint8_t>((e.in_dump ? kFlagInDump : 0) | (e.opener ? kFlagOpener : 0)));
  c.put(static_cast<std::uint8_t>(topic > kOtherTopic ? topic : 0));
  c.put(std::uint8_t{0});
  c.put(e.session.recv_inc);
  c.put(e.session.number);
  c.put(e.seq);
  c.put(e.router);
  c.put(e.key);
  c.put(static_cast<std::uint64_t>(to_ns(e.read_time)));
  c.put(static_cast<std::uint64_t>(to_ns(e.drained_time)));
  c.put(static_cast<std::uint64_t>(e.read_wall_us));
  c.put(e.rows);
  c.put(e.payload_size);
  c.put(std::uint64_t{0});
  assert(c.at == out + kEnvelopeSize);
}

Result<Envelope> decode_envelope(Bytes record) {
  using R = Result<Envelope>;
  ByteReader r(record);
  Envelope e;
  std::uint16_t magic = 0;
  std::uint8_t version = 0, kind = 0, topic = 0, flags = 0, other = 0, reserved = 0;
  std::int64_t read_ns = 0, drained_ns = 0;
  std::uint64_t reserved64 = 0;
  const bool complete = r.u16(magic) && r.u8(version) && r.u8(kind) && r.u8(topic) && r.u8(flags) && r.u8(other) &&
                        r.u8(reserved) && r.u64(e.session.recv_inc) && r.u64(e.session.number) && r.u64(e.seq) &&
                        r.copy(e.router.bytes.data(), 16) && r.copy(e.key.bytes.data(), 16) && r.i64(read_ns) &&
                        r.i64(drained_ns) && r.i64(e.read_wall_us) && r.u32(e.rows) && r.u32(e.payload_size) &&
                        r.u64(reserved64);
  if (!complete) return R::failure(fmt::format("record of {} bytes is shorter than an envelope", record.size()));
  if (magic != kMagic) return R::failure(fmt::format("record starts with 0x{:04x}, not with an envelope", magic));
  if (!reads_version(version, kEnvelopeVersion))
    return R::failure(version_refused("envelope", version, kEnvelopeVersion));
  if (kind == 0 || kind > kLastKind) return R::failure(fmt::format("unknown record kind {}", kind));
  if (topic > kOtherTopic) return R::failure(fmt::format("unknown topic selector {}", topic));
  if (e.payload_size > kMaxPayload || e.payload_size != r.remaining())
    return R::failure(fmt::format("envelope announces {} payload bytes, {} follow", e.payload_size, r.remaining()));
  if (e.seq == 0 || e.session.is_none()) return R::failure("envelope without sequence or session");
  e.kind = static_cast<RecordKind>(kind);
  // A number that this build does not know is an object of a newer one: other than those that it tells apart.
  e.topic = static_cast<TopicSelector>(topic == kOtherTopic && other > kOtherTopic && other < kTopicSelectors ? other
                                                                                                              : topic);
  e.in_dump = (flags & kFlagInDump) != 0;
  e.opener = (flags & kFlagOpener) != 0;
  e.read_time = boot_from_ns(read_ns);
  e.drained_time = boot_from_ns(drained_ns);
  return e;
}

}  // namespace bmpha
