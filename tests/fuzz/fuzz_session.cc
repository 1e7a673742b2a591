// A session whose peers are up: the input chooses what the OPENs agree on and is a list of messages, each with a byte
// that says which, two with its length, and its content. Headers are made, so that no input ends at them.
#include "common/byte_writer.h"
#include "tests/fuzz/session_checks.h"

namespace {
using namespace bmpha;

// A message: bits 0-3 kind, 4 which of two peers, 5 L flag, 6 O flag, 7 A flag.
enum Kind : std::uint8_t {
  kUpdateV4 = 8,  // BGP message TLV of version 4 around the content; below: an UPDATE of version 3
  kTlvsV4,        // all TLVs of version 4 are the content
  kReport,
  kDown,
  kUp,
  kMirroring,
  kInitiation,
  kTermination,
};

struct Stream {
  std::string bytes;  // reused
  std::string part;

  void begin(std::uint8_t version, std::uint8_t type, std::size_t body) {
    ByteWriter w(bytes);
    w.u8(version);
    w.u32(static_cast<std::uint32_t>(6 + body));
    w.u8(type);
  }
  void peer(std::uint8_t kind) {
    ByteWriter w(bytes);
    const bool second = (kind & 0x10) != 0;
    w.u8(0);
    w.u8(static_cast<std::uint8_t>((second ? 0x80 : 0) | (kind & 0x20) << 1 | (kind & 0x40) >> 2 | (kind & 0x80) >> 2));
    w.u64(0);
    w.u64(second ? 0x20010db800000000 : 0);
    w.u64(second ? 1 : 0xc0000201);
    w.u32(second ? 65002 : 4200000001);
    w.u32(0x0a000001);
    w.u32(1700000000);
    w.u32(5);
  }
  void bgp(std::uint8_t type, Bytes body) {
    ByteWriter w(bytes);
    bytes.append(16, '\xff');
    w.u16(static_cast<std::uint16_t>(19 + body.size()));
    w.u8(type);
    w.bytes(body);
  }
  // Both OPENs are the same; ADD-PATH for all families or none, likewise multiple labels.
  void peer_up(std::uint8_t kind, std::uint8_t form, Bytes tlvs) {
    part.clear();
    ByteWriter w(part);
    if ((form & 1) != 0) {
      w.u16(0x4104);
      w.u32(4200000001);
    }
    static constexpr std::pair<std::uint16_t, std::uint8_t> kFamilies[] = {{1, 1},   {2, 1},   {1, 4},
                                                                           {1, 128}, {25, 70}, {16388, 71}};
    const auto each = [&](std::uint8_t code, std::uint8_t value) {
      w.u8(code);
      w.u8(static_cast<std::uint8_t>(4 * std::size(kFamilies)));
      for (const auto& [afi, safi] : kFamilies) {
        w.u16(afi);
        w.u8(safi);
        w.u8(value);
      }
    };
    if ((form & 2) != 0) each(69, 3);
    if ((form & 4) != 0) each(8, 5);
    std::string body;
    ByteWriter o(body);
    o.u8(4);
    o.u16((form & 1) != 0 ? 23456 : 65002);
    o.u16(180);
    o.u32(0x0a000001);
    o.u8(static_cast<std::uint8_t>(part.empty() ? 0 : part.size() + 2));
    if (!part.empty()) {
      o.u8(2);
      o.u8(static_cast<std::uint8_t>(part.size()));
      o.bytes(as_bytes(part));
    }
    begin(3, 3, 42 + 20 + 2 * (19 + body.size()) + tlvs.size());
    peer(kind);
    bytes.append(16, '\0');
    ByteWriter(bytes).u32(0x00b39c40);
    bgp(1, as_bytes(body));
    bgp(1, as_bytes(body));
    ByteWriter(bytes).bytes(tlvs);
  }
  void message(std::uint8_t kind, std::uint8_t form, Bytes content) {
    ByteWriter w(bytes);
    const unsigned what = kind & 15U;
    if (what < kUpdateV4) {
      begin(3, 0, 42 + 19 + content.size());
      peer(kind);
      return bgp(2, content);
    }
    if (what == kUpdateV4) {
      begin(4, 0, 42 + 6 + 19 + content.size());
      peer(kind);
      w.u16(7);
      w.u16(static_cast<std::uint16_t>(19 + content.size()));
      w.u16(0);
      return bgp(2, content);
    }
    if (what == kUp) return peer_up(kind, form, content);
    static constexpr std::pair<std::uint8_t, std::uint8_t> kTypes[] = {{4, 0}, {3, 1}, {3, 2}, {3, 3},
                                                                       {3, 6}, {3, 4}, {3, 5}};
    const auto [version, type] = kTypes[what - kTlvsV4];
    const bool of_peer = what < kInitiation;
    begin(version, type, content.size() + (of_peer ? 42 : 0));
    if (of_peer) peer(kind);
    w.bytes(content);
  }
};
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader r(Bytes(data, size));
  std::uint8_t form = 0, kind = 0;
  std::uint16_t length = 0;
  if (!r.u8(form)) return 0;
  static Stream stream;
  stream.bytes.clear();
  stream.peer_up(0x00, form, {});
  stream.peer_up(0x10, static_cast<std::uint8_t>(form >> 3), {});
  while (r.u8(kind) && r.u16(length)) {
    Bytes content;
    if (!r.bytes(std::min<std::size_t>({length, r.remaining(), 60000}), content)) break;
    stream.message(kind, form, content);
  }
  fuzz::run_session(as_bytes(stream.bytes), {(form & 0x40) != 0, (form & 0x80) != 0});
  return 0;
}
