#include "bmp-recv/tap/tcp_streams.h"

#include <algorithm>

#include "bmp-recv/framer.h"

namespace bmpha::recv {
namespace {

constexpr std::uint32_t kNull = 0, kEthernet = 1, kRawOld = 12, kRaw = 101, kLoop = 108, kLinuxCooked = 113,
                        kIpv4 = 228, kIpv6 = 229, kLinuxCooked2 = 276;
constexpr std::uint16_t kEtherIpv4 = 0x0800, kEtherIpv6 = 0x86dd, kEtherVlan = 0x8100, kEtherQinq = 0x88a8;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04;
constexpr std::uint8_t kMaxBmpVersion = 4;

// Skips what stands before the IP header. False: not IP.
bool skip_link(std::uint32_t type, ByteReader& r) {
  std::uint16_t ether = 0;
  switch (type) {
    case kRaw:
    case kRawOld:
    case kIpv4:
    case kIpv6:
      return true;
    case kNull:
    case kLoop:
      return r.skip(4);  // the family; the IP header tells it as well
    case kEthernet:
      if (!r.skip(12) || !r.u16(ether)) return false;
      break;
    case kLinuxCooked:
      if (!r.skip(14) || !r.u16(ether)) return false;
      break;
    case kLinuxCooked2:
      return r.u16(ether) && r.skip(18) && (ether == kEtherIpv4 || ether == kEtherIpv6);
    default:
      return false;
  }
  while (ether == kEtherVlan || ether == kEtherQinq)
    if (!r.skip(2) || !r.u16(ether)) return false;
  return ether == kEtherIpv4 || ether == kEtherIpv6;
}

bool is_extension(std::uint8_t next) { return next == 0 || next == 43 || next == 60; }

}  // namespace

namespace {

// Headers of messages that follow each other to the end of the data; 0: something else stands between.
std::size_t count_headers(Bytes start) {
  std::size_t count = 0;
  while (start.size() >= kBmpHeaderSize) {
    ByteReader r(start);
    std::uint8_t version = 0, type = 0;
    std::uint32_t length = 0;
    if (!r.u8(version) || !r.u32(length) || !r.u8(type)) return count;
    if (version < kBmpVersion || version > kMaxBmpVersion || length < kBmpHeaderSize || length > kMaxBmpMessage ||
        type >= kBmpTypes)
      return 0;
    ++count;
    start = start.subspan(std::min<std::size_t>(length, start.size()));
  }
  return count;
}

}  // namespace

bool looks_like_bmp(Bytes start) { return count_headers(start) != 0; }

std::optional<std::size_t> find_bmp(Bytes data) {
  if (looks_like_bmp(data)) return 0;
  for (std::size_t at = 1; at + 2 * kBmpHeaderSize <= data.size(); ++at)
    if (data[at] >= kBmpVersion && data[at] <= kMaxBmpVersion && count_headers(data.subspan(at)) > 1) return at;
  return std::nullopt;
}

void TcpStreams::on_packet(const Packet& packet) {
  ++counters_.packets;
  ByteReader r(packet.bytes);
  if (!skip_link(packet.link_type, r)) {
    ++counters_.not_tcp;
    return;
  }
  on_ip(r, packet.time_us);
}

void TcpStreams::on_ip(ByteReader r, std::int64_t time_us) {
  Key key{};
  std::uint8_t first = 0;
  const ByteReader start = r;
  if (!r.u8(first)) return void(++counters_.malformed);
  std::size_t header = 0, total = 0;
  std::uint8_t protocol = 0;
  bool fragment = false;
  if (first >> 4 == 4) {
    std::uint8_t tos = 0, ttl = 0;
    std::uint16_t length = 0, id = 0, flags = 0, checksum = 0;
    key[10] = key[11] = key[26] = key[27] = 0xff;
    if (!r.u8(tos) || !r.u16(length) || !r.u16(id) || !r.u16(flags) || !r.u8(ttl) || !r.u8(protocol) ||
        !r.u16(checksum) || !r.copy(key.data() + 12, 4) || !r.copy(key.data() + 28, 4))
      return void(++counters_.malformed);
    header = std::size_t{4} * (first & 15U);
    total = length;
    fragment = (flags & 0x3fff) != 0;  // more fragments, or an offset
  } else if (first >> 4 == 6) {
    std::uint16_t length = 0;
    std::uint8_t hops = 0;
    if (!r.skip(3) || !r.u16(length) || !r.u8(protocol) || !r.u8(hops) || !r.copy(key.data(), 16) ||
        !r.copy(key.data() + 16, 16))
      return void(++counters_.malformed);
    header = 40;
    total = header + length;
    while (is_extension(protocol)) {
      std::uint8_t words = 0;
      if (!r.u8(protocol) || !r.u8(words) || !r.skip(6 + std::size_t{8} * words)) return void(++counters_.malformed);
      header += 8 + std::size_t{8} * words;
    }
    fragment = protocol == 44;
  } else {
    ++counters_.not_tcp;
    return;
  }
  if (fragment) return void(++counters_.fragments);
  if (protocol != kTcp) return void(++counters_.not_tcp);
  // Offloading to the network card leaves 0 in captures of what the machine itself sent.
  if (total <= header) total = start.remaining();
  if (header > start.remaining()) return void(++counters_.malformed);
  on_tcp(key, ByteReader(start.rest().subspan(header, std::min(total, start.remaining()) - header)), time_us);
}

void TcpStreams::on_tcp(Key key, ByteReader r, std::int64_t time_us) {
  const ByteReader start = r;
  std::uint32_t seq = 0, ack = 0;
  std::uint8_t offset = 0, flags = 0;
  if (!r.copy(key.data() + 32, 4) || !r.u32(seq) || !r.u32(ack) || !r.u8(offset) || !r.u8(flags))
    return void(++counters_.malformed);
  const std::size_t header = std::size_t{4} * (offset >> 4);
  if (header < 20 || header > start.remaining()) return void(++counters_.malformed);
  const Bytes data = start.rest().subspan(header);
  auto at = flows_.find(key);
  if (at == flows_.end()) {
    if ((flags & kSyn) == 0 && !find_bmp(data)) return;
    if (flows_.size() >= kMaxFlows) return void(++counters_.not_tcp);
    at = flows_.emplace(key, Flow()).first;
  }
  Flow& flow = at->second;
  if ((flags & kSyn) != 0) {
    if (flow.state == Flow::State::kAtStart && flow.next == seq + 1) return;  // sent again
    end(key, flow);
    flow.state = Flow::State::kAtStart;
    flow.next = seq + 1;
    return;
  }
  if (!data.empty()) on_segment(key, flow, seq, data, time_us);
  const bool all_there = flow.next == seq + static_cast<std::uint32_t>(data.size());
  if ((flags & kRst) != 0 || ((flags & kFin) != 0 && all_there)) end(key, flow);
}

void TcpStreams::on_segment(const Key& key, Flow& flow, std::uint32_t seq, Bytes data, std::int64_t time_us) {
  if (flow.state == Flow::State::kOther) return;
  if (flow.state == Flow::State::kIdle) {
    const std::optional<std::size_t> at = find_bmp(data);
    if (!at) return;
    flow.state = Flow::State::kOn;
    flow.next = seq + static_cast<std::uint32_t>(*at);
  }
  auto ahead = static_cast<std::int32_t>(seq - flow.next);
  if (ahead < 0) {
    const auto known = static_cast<std::size_t>(-static_cast<std::int64_t>(ahead));
    if (known >= data.size()) return;  // sent again
    data = data.subspan(known);
    ahead = 0;
  }
  if (ahead == 0) {
    take(key, flow, data, time_us);
    return take_waiting(key, flow);
  }
  Segment& slot = flow.waiting[flow.position + static_cast<std::uint32_t>(ahead)];
  if (slot.bytes.size() >= data.size()) return;
  flow.waiting_bytes += data.size() - slot.bytes.size();
  slot.bytes.assign(data.begin(), data.end());
  slot.time_us = time_us;
  while (flow.waiting_bytes > kMaxWaiting) skip_gap(key, flow);
}

void TcpStreams::take(const Key& key, Flow& flow, Bytes data, std::int64_t time_us) {
  flow.next += static_cast<std::uint32_t>(data.size());
  flow.position += data.size();
  if (flow.state != Flow::State::kAtStart) return give(key, flow, data, time_us);
  flow.head.insert(flow.head.end(), data.begin(), data.end());
  if (flow.head.size() < kBmpHeaderSize) return;
  const std::vector<std::uint8_t> head = std::move(flow.head);
  flow.head.clear();
  flow.state = looks_like_bmp(Bytes(head).first(kBmpHeaderSize)) ? Flow::State::kOn : Flow::State::kOther;
  if (flow.state == Flow::State::kOn) return give(key, flow, head, time_us);
  flow.waiting.clear();
  flow.waiting_bytes = 0;
}

void TcpStreams::take_waiting(const Key& key, Flow& flow) {
  while (!flow.waiting.empty() && flow.waiting.begin()->first <= flow.position) {
    const auto node = flow.waiting.extract(flow.waiting.begin());
    const Segment& segment = node.mapped();
    flow.waiting_bytes -= segment.bytes.size();
    const std::uint64_t known = flow.position - node.key();
    if (known >= segment.bytes.size()) continue;
    take(key, flow, Bytes(segment.bytes).subspan(known), segment.time_us);
  }
}

// What is missing before the first segment that waits does not come any more.
void TcpStreams::skip_gap(const Key& key, Flow& flow) {
  ++counters_.gaps;
  if (flow.stream != 0) events_.gap(flow.stream);
  flow.head.clear();
  while (!flow.waiting.empty()) {
    const auto first = flow.waiting.begin();
    const std::uint64_t missing = first->first - flow.position;
    counters_.missing_bytes += missing;
    flow.next += static_cast<std::uint32_t>(missing);
    flow.position = first->first;
    if (const std::optional<std::size_t> at = find_bmp(first->second.bytes); at) {
      flow.state = Flow::State::kOn;
      counters_.missing_bytes += *at;
      flow.next += static_cast<std::uint32_t>(*at);
      flow.position += *at;
      return take_waiting(key, flow);
    }
    const std::size_t size = first->second.bytes.size();
    counters_.missing_bytes += size;
    flow.next += static_cast<std::uint32_t>(size);
    flow.position += size;
    flow.waiting_bytes -= size;
    flow.waiting.erase(first);
    // Overlaps with what was just left out.
    while (!flow.waiting.empty() && flow.waiting.begin()->first < flow.position) {
      flow.waiting_bytes -= flow.waiting.begin()->second.bytes.size();
      flow.waiting.erase(flow.waiting.begin());
    }
  }
  flow.state = Flow::State::kIdle;
}

void TcpStreams::give(const Key& key, Flow& flow, Bytes data, std::int64_t time_us) {
  if (flow.stream == 0) {
    flow.stream = ++counters_.streams;
    IpAddress source{};
    std::copy_n(key.begin(), source.size(), source.begin());
    events_.open(flow.stream, ip_text(source));
  }
  events_.data(flow.stream, data, time_us);
}

void TcpStreams::end(const Key& key, Flow& flow) {
  while (!flow.waiting.empty()) skip_gap(key, flow);
  if (flow.stream != 0) events_.close(flow.stream);
  flow = Flow();
}

void TcpStreams::finish() {
  for (auto& [key, flow] : flows_) end(key, flow);
}

}  // namespace bmpha::recv
