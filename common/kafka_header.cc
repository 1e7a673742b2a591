#include "common/kafka_header.h"

#include <fmt/format.h>

#include "common/byte_writer.h"
#include "common/versions.h"

namespace bmpha {
namespace {
constexpr std::uint8_t kSolo = 0x01;
constexpr std::uint8_t kReplay = 0x02;
constexpr std::uint8_t kInDump = 0x04;
constexpr std::uint8_t kOpener = 0x08;
constexpr std::uint8_t kDetached = 0x10;
}  // namespace

void encode_kafka_header(const KafkaHeader& h, std::string& out) {
  out.clear();
  ByteWriter w(out);
  w.u8(kKafkaHeaderVersion);
  w.u8(static_cast<std::uint8_t>(h.kind));
  w.u8(static_cast<std::uint8_t>((h.solo ? kSolo : 0) | (h.replay ? kReplay : 0) | (h.in_dump ? kInDump : 0) |
                                 (h.opener ? kOpener : 0) | (h.detached ? kDetached : 0)));
  w.u64(h.epoch);
  w.u64(h.gen);
  w.bytes(h.router.bytes);
  w.u64(h.session.recv_inc);
  w.u64(h.session.number);
  w.u64(h.seq);
  w.i64(h.read_wall_us);
  w.text8(h.node);
  const std::size_t count = std::min(h.settled.size(), kMaxSettled);
  w.u8(static_cast<std::uint8_t>(count));
  for (std::size_t n = 0; n < count; ++n) {
    w.text8(h.settled[n].node);
    w.u64(h.settled[n].gen);
  }
}

Result<KafkaHeader> decode_kafka_header(Bytes bytes) {
  using R = Result<KafkaHeader>;
  ByteReader r(bytes);
  KafkaHeader h;
  std::uint8_t version = 0, kind = 0, flags = 0, count = 0;
  std::string_view node;
  if (!r.u8(version)) return R::failure("empty header");
  if (!reads_version(version, kKafkaHeaderVersion))
    return R::failure(version_refused("header", version, kKafkaHeaderVersion));
  const bool complete = r.u8(kind) && r.u8(flags) && r.u64(h.epoch) && r.u64(h.gen) &&
                        r.copy(h.router.bytes.data(), 16) && r.u64(h.session.recv_inc) && r.u64(h.session.number) &&
                        r.u64(h.seq) && r.i64(h.read_wall_us) && r.text8(node) && r.u8(count);
  if (!complete) return R::failure(fmt::format("header cut short at byte {} of {}", r.offset(), bytes.size()));
  if (kind == 0 || kind > static_cast<std::uint8_t>(RecordKind::kCollector))
    return R::failure(fmt::format("unknown record kind {}", kind));
  if (node.empty() || node.size() > kMaxNodeName)
    return R::failure(fmt::format("node name of {} bytes (1 to {} allowed)", node.size(), kMaxNodeName));
  h.kind = static_cast<RecordKind>(kind);
  h.solo = (flags & kSolo) != 0;
  h.replay = (flags & kReplay) != 0;
  h.in_dump = (flags & kInDump) != 0;
  h.opener = (flags & kOpener) != 0;
  h.detached = (flags & kDetached) != 0;
  h.node = node;
  for (std::uint8_t n = 0; n < count; ++n) {
    SettledGen s;
    std::string_view name;
    if (!r.text8(name) || !r.u64(s.gen)) return R::failure(fmt::format("settled gen {} of {} cut short", n + 1, count));
    s.node = name;
    h.settled.push_back(std::move(s));
  }
  return h;  // bytes behind are a newer writer's business
}

}  // namespace bmpha
