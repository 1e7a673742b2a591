#include "bmp-recv/obmp_raw.h"

#include <algorithm>
#include <array>

#include "common/byte_writer.h"

namespace bmpha::recv {
namespace {

constexpr std::uint32_t kMagic = 0x4f424d50;
constexpr std::uint8_t kMajor = 1, kMinor = 7;
constexpr std::uint8_t kIsRouterMessage = 0x80, kRouterIsV6 = 0x40;
constexpr std::uint8_t kBmpRawObject = 12;
constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool is_mapped(const IpAddress& a) { return std::equal(kMapped.begin(), kMapped.end(), a.begin()); }

std::string_view text_of(Bytes b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }

}  // namespace

void append_obmp_raw(TextBuffer& out, const RawMessage& raw, std::string& head) {
  const std::string_view admin = raw.admin_id.substr(0, kMaxObmpText), group = raw.router_group.substr(0, kMaxObmpText);
  const bool v4 = is_mapped(raw.router_ip);
  head.clear();
  ByteWriter w(head);
  w.u32(kMagic);
  w.u8(kMajor);
  w.u8(kMinor);
  w.u16(static_cast<std::uint16_t>(78 + admin.size() + group.size()));
  w.u32(static_cast<std::uint32_t>(raw.message.size()));
  w.u8(v4 ? kIsRouterMessage : kIsRouterMessage | kRouterIsV6);
  w.u8(kBmpRawObject);
  w.u32(static_cast<std::uint32_t>(raw.receipt_us / 1000000));
  w.u32(static_cast<std::uint32_t>(raw.receipt_us % 1000000));
  w.bytes(raw.collector.bytes);
  w.u16(static_cast<std::uint16_t>(admin.size()));
  w.bytes(as_bytes(admin));
  w.bytes(raw.router.bytes);
  IpAddress ip{};  // IPv4 stands in the first four bytes
  std::copy(raw.router_ip.begin() + (v4 ? 12 : 0), raw.router_ip.end(), ip.begin());
  w.bytes(ip);
  w.u16(static_cast<std::uint16_t>(group.size()));
  w.bytes(as_bytes(group));
  w.u32(1);  // messages
  out.append(head);
  out.append(text_of(raw.message));
}

bool parse_obmp_raw(Bytes bytes, RawMessage& out) {
  ByteReader r(bytes);
  RawMessage m;
  std::uint32_t magic = 0, size = 0, seconds = 0, micros = 0, rows = 0;
  std::uint8_t major = 0, minor = 0, flags = 0, object = 0;
  std::uint16_t header = 0, admin_size = 0, group_size = 0;
  Bytes admin, group;
  const bool fits = r.u32(magic) && r.u8(major) && r.u8(minor) && r.u16(header) && r.u32(size) && r.u8(flags) &&
                    r.u8(object) && r.u32(seconds) && r.u32(micros) && r.copy(m.collector.bytes.data(), 16) &&
                    r.u16(admin_size) && r.bytes(admin_size, admin) && r.copy(m.router.bytes.data(), 16) &&
                    r.copy(m.router_ip.data(), 16) && r.u16(group_size) && r.bytes(group_size, group) && r.u32(rows);
  if (!fits || magic != kMagic || major != kMajor || minor != kMinor || object != kBmpRawObject ||
      (flags & kIsRouterMessage) == 0 || header != r.offset() || r.remaining() != size)
    return false;
  m.receipt_us = std::int64_t{seconds} * 1000000 + micros;
  m.admin_id = text_of(admin);
  m.router_group = text_of(group);
  if ((flags & kRouterIsV6) == 0) {
    IpAddress ip{};
    std::copy(kMapped.begin(), kMapped.end(), ip.begin());
    std::copy_n(m.router_ip.begin(), 4, ip.begin() + 12);
    m.router_ip = ip;
  }
  m.message = r.rest();
  out = m;
  return true;
}

}  // namespace bmpha::recv
