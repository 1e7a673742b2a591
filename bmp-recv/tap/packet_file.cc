#include "bmp-recv/tap/packet_file.h"

#include <fmt/format.h>

#include <algorithm>

namespace bmpha::recv {
namespace {

constexpr std::uint32_t kClassicMicros = 0xa1b2c3d4, kClassicNanos = 0xa1b23c4d;
constexpr std::uint32_t kSection = 0x0a0d0d0a, kByteOrder = 0x1a2b3c4d;
constexpr std::uint32_t kInterfaceBlock = 1, kOldPacketBlock = 2, kSimplePacketBlock = 3, kPacketBlock = 6;
constexpr std::size_t kClassicHeader = 24, kClassicRecord = 16, kBlockFrame = 12;
constexpr std::uint32_t kMaxPacket = 16U << 20;  // what a length field may say before it counts as broken
constexpr std::size_t kMaxInterfaces = 65536;

std::uint32_t first_word(Bytes b) {
  ByteReader r(b);
  std::uint32_t v = 0;
  return r.u32(v) ? v : 0;
}

}  // namespace

bool PacketFile::is_capture(Bytes start) {
  const std::uint32_t v = first_word(start), swapped = __builtin_bswap32(v);
  return v == kSection || v == kClassicMicros || v == kClassicNanos || swapped == kClassicMicros ||
         swapped == kClassicNanos;
}

PacketFile::State PacketFile::broken(const std::string& why) {
  error_ = fmt::format("offset {}: {}", file_.offset(), file_.failure().empty() ? why : file_.failure());
  return State::kBroken;
}

bool PacketFile::u16(ByteReader& r, std::uint16_t& out) const {
  if (!r.u16(out)) return false;
  out = fix(out);
  return true;
}
bool PacketFile::u32(ByteReader& r, std::uint32_t& out) const {
  if (!r.u32(out)) return false;
  out = fix(out);
  return true;
}

PacketFile::State PacketFile::begin() {
  begun_ = true;
  const std::uint32_t magic = first_word(file_.peek(4));
  is_ng_ = magic == kSection;
  if (is_ng_) return State::kPacket;
  const std::uint32_t swapped = __builtin_bswap32(magic);
  little_ = swapped == kClassicMicros || swapped == kClassicNanos;
  nanoseconds_ = fix(magic) == kClassicNanos;
  const Bytes head = file_.peek(kClassicHeader);
  if (head.size() < kClassicHeader) return broken("the capture ends inside its header");
  ByteReader r(head.subspan(20));
  if (!u32(r, link_type_)) return broken("the capture ends inside its header");
  link_type_ &= 0xffff;  // the rest says something about checksums
  file_.consume(kClassicHeader);
  return State::kPacket;
}

PacketFile::State PacketFile::next(Packet& out) {
  file_.consume(to_consume_);
  to_consume_ = 0;
  if (!begun_)
    if (const State s = begin(); s != State::kPacket) return s;
  return is_ng_ ? next_block(out) : next_classic(out);
}

PacketFile::State PacketFile::next_classic(Packet& out) {
  const Bytes head = file_.peek(kClassicRecord);
  if (head.empty() && file_.failure().empty()) return State::kEnd;
  ByteReader r(head);
  std::uint32_t seconds = 0, fraction = 0, captured = 0, original = 0;
  if (!u32(r, seconds) || !u32(r, fraction) || !u32(r, captured) || !u32(r, original))
    return broken("the capture ends inside the header of a packet");
  if (captured > kMaxPacket) return broken(fmt::format("a packet of {} bytes cannot be", captured));
  const std::size_t size = kClassicRecord + captured;
  const Bytes all = file_.peek(size);
  if (all.size() < size) return broken("the capture ends inside a packet");
  out = {std::int64_t{seconds} * 1000000 + (nanoseconds_ ? fraction / 1000 : fraction), link_type_,
         all.subspan(kClassicRecord, captured)};
  to_consume_ = size;
  return State::kPacket;
}

// The byte order of a section is known by its own header only.
PacketFile::State PacketFile::begin_section() {
  const Bytes head = file_.peek(kBlockFrame);
  ByteReader r(head);
  std::uint32_t type = 0, length = 0, order = 0;
  if (!r.u32(type) || !r.u32(length) || !r.u32(order)) return broken("the capture ends inside the header of a section");
  if (order != kByteOrder && order != __builtin_bswap32(kByteOrder)) return broken("a section without byte order mark");
  little_ = order != kByteOrder;
  interfaces_.clear();
  return State::kPacket;
}

PacketFile::State PacketFile::next_block(Packet& out) {
  for (;;) {
    const Bytes head = file_.peek(kBlockFrame);
    if (head.empty() && file_.failure().empty()) return State::kEnd;
    if (first_word(head) == kSection)
      if (const State s = begin_section(); s != State::kPacket) return s;
    ByteReader r(file_.peek(kBlockFrame));
    std::uint32_t type = 0, length = 0;
    if (!u32(r, type) || !u32(r, length)) return broken("the capture ends inside the header of a block");
    if (length < kBlockFrame || length % 4 != 0 || length > kMaxPacket)
      return broken(fmt::format("a block of {} bytes cannot be", length));
    const Bytes all = file_.peek(length);
    if (all.size() < length) return broken("the capture ends inside a block");
    const ByteReader body(all.subspan(8, length - kBlockFrame));
    if (type == kInterfaceBlock && !read_interface(body)) return broken("a bad interface block");
    if (type == kPacketBlock || type == kOldPacketBlock || type == kSimplePacketBlock) {
      if (!read_packet(type, body, out)) return broken("a bad packet block");
      to_consume_ = length;
      return State::kPacket;
    }
    file_.consume(length);
  }
}

bool PacketFile::read_interface(ByteReader r) {
  Interface i;
  std::uint16_t link = 0, reserved = 0;
  if (!u16(r, link) || !u16(r, reserved) || !u32(r, i.snap_length) || interfaces_.size() >= kMaxInterfaces)
    return false;
  i.link_type = link;
  std::uint16_t code = 0, size = 0;
  while (u16(r, code) && u16(r, size) && code != 0) {
    ByteReader value;
    if (!r.sub(size, value) || !r.skip(std::min<std::size_t>(r.remaining(), (4U - size % 4U) % 4U))) return false;
    std::uint8_t power = 0;
    if (code == 9 && value.u8(power)) {  // if_tsresol: a power of ten, or of two with the highest bit set
      std::uint64_t units = 1;
      const unsigned base = power < 0x80 ? 10 : 2, times = power & 0x7f;
      if (times > (base == 10 ? 18U : 62U)) return false;
      for (unsigned n = 0; n < times; ++n) units *= base;
      i.units_per_second = units;
    }
    if (code == 14) {  // if_tsoffset
      std::uint32_t a = 0, b = 0;
      if (!u32(value, a) || !u32(value, b)) return false;
      const std::uint64_t v = little_ ? std::uint64_t{b} << 32 | a : std::uint64_t{a} << 32 | b;
      if (v < std::uint64_t{1} << 33) i.offset_seconds = static_cast<std::int64_t>(v);
    }
  }
  interfaces_.push_back(i);
  return true;
}

bool PacketFile::read_packet(std::uint32_t type, ByteReader r, Packet& out) {
  std::uint32_t number = 0, high = 0, low = 0, captured = 0, original = 0;
  if (type == kPacketBlock) {
    if (!u32(r, number)) return false;
  } else if (type == kOldPacketBlock) {
    std::uint16_t short_number = 0, drops = 0;
    if (!u16(r, short_number) || !u16(r, drops)) return false;
    number = short_number;
  }
  if (number >= interfaces_.size()) return false;
  const Interface& i = interfaces_[number];
  out = {};
  out.link_type = i.link_type;
  if (type == kSimplePacketBlock) {
    if (!u32(r, original)) return false;
    captured = static_cast<std::uint32_t>(std::min<std::size_t>(original, r.remaining()));
    if (i.snap_length != 0) captured = std::min(captured, i.snap_length);
  } else {
    if (!u32(r, high) || !u32(r, low) || !u32(r, captured) || !u32(r, original)) return false;
    const std::uint64_t units = std::uint64_t{high} << 32 | low;
    const std::uint64_t seconds = units / i.units_per_second, rest = units % i.units_per_second;
    const double micros = static_cast<double>(rest) * 1e6 / static_cast<double>(i.units_per_second);
    if (seconds < std::uint64_t{1} << 33)
      out.time_us =
          (static_cast<std::int64_t>(seconds) + i.offset_seconds) * 1000000 + static_cast<std::int64_t>(micros);
  }
  return r.bytes(captured, out.bytes);
}

}  // namespace bmpha::recv
