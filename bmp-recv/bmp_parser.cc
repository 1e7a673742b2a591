#include "bmp-recv/bmp_parser.h"

namespace bmpha::recv {
namespace {

std::string_view as_text(Bytes b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }

struct Tlv {
  std::uint16_t type = 0;
  ByteReader value;
};
bool next_tlv(ByteReader& r, Tlv& out) {
  std::uint16_t length = 0;
  return r.u16(out.type) && r.u16(length) && r.sub(length, out.value);
}

// One BGP message, header included, as a view of its announced length.
bool bgp_message(ByteReader& r, Bytes& out) {
  ByteReader peek = r;
  std::uint16_t length = 0;
  if (!peek.skip(16) || !peek.u16(length) || length < 19) return false;
  return r.bytes(length, out);
}

}  // namespace

bool parse_peer_header(ByteReader& r, PeerHeader& out) {
  ByteReader c = r;
  const bool complete = c.u8(out.type) && c.u8(out.flags) && c.copy(out.distinguisher.data(), 8) &&
                        c.copy(out.address.data(), 16) && c.u32(out.asn) && c.copy(out.bgp_id.data(), 4) &&
                        c.u32(out.seconds) && c.u32(out.micros);
  if (complete) r = c;
  return complete;
}

Fault parse_initiation(ByteReader r, Initiation& out) {
  while (!r.empty()) {
    Tlv t;
    if (!next_tlv(r, t)) return Fault::kInitiation;
    if (t.type == 0) out.text = as_text(t.value.rest());
    if (t.type == 1) out.sys_descr = as_text(t.value.rest());
    if (t.type == 2) out.sys_name = as_text(t.value.rest());
  }
  return Fault::kNone;
}

Fault parse_termination(ByteReader r, Termination& out) {
  while (!r.empty()) {
    Tlv t;
    if (!next_tlv(r, t)) return Fault::kTermination;
    if (t.type == 0) out.text = as_text(t.value.rest());
    if (t.type == 1 && !t.value.u16(out.reason)) return Fault::kTermination;
  }
  return Fault::kNone;
}

Fault parse_peer_up(ByteReader r, PeerUp& out) {
  if (!r.copy(out.local_address.data(), 16) || !r.u16(out.local_port) || !r.u16(out.remote_port)) return Fault::kPeerUp;
  if (!bgp_message(r, out.sent_open)) return Fault::kPeerUpOpen;
  if (!bgp_message(r, out.received_open)) {
    out.sent_open = {};
    return Fault::kPeerUpOpen;
  }
  while (!r.empty()) {  // RFC 9736 TLVs
    Tlv t;
    if (!next_tlv(r, t)) return Fault::kPeerUpTlv;
    if (t.type == 0) out.info = as_text(t.value.rest());
    if (t.type == 3) out.table_name = as_text(t.value.rest());
  }
  return Fault::kNone;
}

Fault parse_peer_down(ByteReader r, PeerDown& out) {
  if (!r.u8(out.reason)) return Fault::kPeerDown;
  if (out.reason == 2) return r.u16(out.fsm_event) ? Fault::kNone : Fault::kPeerDownData;
  if (out.reason != 1 && out.reason != 3) return Fault::kNone;
  ByteReader message;
  Bytes pdu;
  if (!bgp_message(r, pdu)) return Fault::kPeerDownData;
  message = ByteReader(pdu);
  std::uint8_t type = 0;
  constexpr std::uint8_t kNotification = 3;
  if (!message.skip(18) || !message.u8(type) || type != kNotification || !message.u8(out.error_code) ||
      !message.u8(out.error_subcode))
    return Fault::kPeerDownData;
  out.error_data = message.rest();
  return Fault::kNone;
}

Fault parse_statistics(ByteReader r, Statistics& out) {
  std::uint32_t count = 0;
  if (!r.u32(count)) return Fault::kStatistics;
  // The announced count is data of the router; the TLVs themselves say how many there are.
  while (!r.empty()) {
    Tlv t;
    if (!next_tlv(r, t)) return Fault::kStatistics;
    std::uint32_t v32 = 0;
    std::uint64_t v64 = 0;
    const std::size_t n = t.value.remaining();
    const bool read = (n == 4 && t.value.u32(v32)) || (n == 8 && t.value.u64(v64)) ||
                      // Gauges per AFI and SAFI (types 9, 10, 16, 17): several in one message add up.
                      (n == 11 && t.value.skip(3) && t.value.u64(v64));
    if (!read || t.type >= kStatTypes) {
      ++out.unknown;
      continue;
    }
    out.value[t.type] += n == 4 ? v32 : v64;
    out.known |= std::uint32_t{1} << t.type;
  }
  return Fault::kNone;
}

}  // namespace bmpha::recv
