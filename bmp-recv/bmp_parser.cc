#include "bmp-recv/bmp_parser.h"

#include <algorithm>

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

// IANA: Initiation and Peer Up information TLVs.
enum class InfoType : std::uint16_t { kString = 0, kSysDescr = 1, kSysName = 2, kTableName = 3, kAdminLabel = 4 };

// False: one overruns the message; what stood before it is used.
bool parse_peer_info(ByteReader r, PeerInfo& out) {
  while (!r.empty()) {
    Tlv t;
    if (!next_tlv(r, t)) return false;
    switch (static_cast<InfoType>(t.type)) {
      case InfoType::kString:
        out.info = as_text(t.value.rest());
        break;
      case InfoType::kTableName:
        out.table_name = as_text(t.value.rest());
        break;
      case InfoType::kAdminLabel:
        out.admin_label = as_text(t.value.rest());
        break;
      default:
        ++out.unknown;
    }
  }
  return true;
}

bool parse_notification(ByteReader& r, PeerDown& out) {
  Bytes pdu;
  if (!bgp_message(r, pdu)) return false;
  ByteReader message(pdu);
  std::uint8_t type = 0;
  constexpr std::uint8_t kNotification = 3;
  if (!message.skip(18) || !message.u8(type) || type != kNotification || !message.u8(out.error_code) ||
      !message.u8(out.error_subcode))
    return false;
  out.error_data = message.rest();
  return true;
}

// draft-ietf-grow-bmp-tlv: type, length, index, value. The length is that of the value.
constexpr std::uint16_t kEnterpriseBit = 0x8000;  // draft-ietf-grow-bmp-tlv-ebit
struct IndexedTlv {
  std::uint16_t type = 0;
  std::uint16_t index = 0;
  ByteReader value;
};
bool next_indexed_tlv(ByteReader& r, IndexedTlv& out) {
  std::uint16_t length = 0;
  return r.u16(out.type) && r.u16(length) && r.u16(out.index) && r.sub(length, out.value);
}

// Marker, and a length that is the TLV's.
bool is_bgp_message(ByteReader r) {
  const std::size_t size = r.remaining();
  Bytes marker;
  std::uint16_t length = 0;
  return r.bytes(16, marker) && r.u16(length) && length == size &&
         std::all_of(marker.begin(), marker.end(), [](std::uint8_t b) { return b == 0xff; });
}

// What a TLV is; which number that has depends on the revision of the document.
enum class MonitoringTlv : std::uint8_t { kGroup, kTableName, kStateless, kPathStatus, kUnknown };

// Whole capabilities, of those that a stateless parsing TLV has.
bool are_capabilities(ByteReader r) {
  if (r.empty()) return false;
  while (!r.empty()) {
    std::uint8_t code = 0, length = 0;
    ByteReader value;
    if (!r.u8(code) || !r.u8(length) || !r.sub(length, value)) return false;
    const bool known = code == static_cast<std::uint8_t>(Capability::kAs4) ||
                       code == static_cast<std::uint8_t>(Capability::kAddPath) ||
                       code == static_cast<std::uint8_t>(Capability::kMultipleLabels) ||
                       code == static_cast<std::uint8_t>(Capability::kMultiprotocol);
    if (!known || length == 0 || length % 4 != 0) return false;
  }
  return true;
}

// Of the length of a path status, with no more than the bits that are defined: a name has no zero bytes, a time stamp
// has others.
bool may_be_status(ByteReader r) {
  std::uint32_t bits = 0;
  const std::size_t size = r.remaining();
  return (size == 4 || size == 6) && r.u32(bits) && (bits >> 13) == 0;
}

// Revision 21 gives the numbers of revision 18 to other TLVs, which do not look like those.
bool is_revision_21(const IndexedTlv& t) {
  const bool of_group = (t.index & RouteMarks::kGroupBit) != 0;
  return (t.type == 1 && of_group) || (t.type == 2 && !of_group) || (t.type == 3 && are_capabilities(t.value)) ||
         t.type == 6 || t.type == 7;
}

using enum MonitoringTlv;
MonitoringTlv kind_before_18(const IndexedTlv& t) {
  constexpr MonitoringTlv kKinds[] = {kUnknown, kUnknown, kGroup, kTableName, kStateless, kPathStatus};
  return t.type < std::size(kKinds) ? kKinds[t.type] : kUnknown;
}
MonitoringTlv kind_18(const IndexedTlv& t) {
  constexpr MonitoringTlv kKinds[] = {kUnknown, kStateless, kGroup, kTableName, kUnknown, kPathStatus};
  return t.type < std::size(kKinds) ? kKinds[t.type] : kUnknown;
}
// Path status has the number that its own document takes for it, which is the table name's as well.
MonitoringTlv kind_20(const IndexedTlv& t) {
  constexpr MonitoringTlv kKinds[] = {kUnknown, kUnknown, kUnknown, kUnknown, kGroup, kTableName, kStateless};
  if (t.type == 5 && may_be_status(t.value)) return kPathStatus;
  return t.type < std::size(kKinds) ? kKinds[t.type] : kUnknown;
}
MonitoringTlv kind_21(const IndexedTlv& t) {
  constexpr MonitoringTlv kKinds[] = {kUnknown, kGroup, kTableName, kStateless};
  return t.type < std::size(kKinds) ? kKinds[t.type] : kUnknown;
}

// A stateless parsing TLV holds BGP capabilities: how this message is encoded, whatever the OPENs say.
void take_capabilities(ByteReader r, MonitoringTlvs& out) {
  std::uint8_t code = 0, length = 0;
  ByteReader value;
  while (r.u8(code) && r.u8(length) && r.sub(length, value)) {
    Family f;
    std::uint8_t more = 0;
    if (code == static_cast<std::uint8_t>(Capability::kAs4)) out.as4 = true;
    if (code == static_cast<std::uint8_t>(Capability::kAddPath))
      while (value.u16(f.afi) && value.u8(f.safi) && value.u8(more))
        if (more != 0) out.ids.insert(f);
    if (code == static_cast<std::uint8_t>(Capability::kMultipleLabels))
      while (value.u16(f.afi) && value.u8(f.safi) && value.u8(more))
        if (more > 1) out.many_labels.insert(f);
  }
}

// False: of no known form.
bool take_tlv(const IndexedTlv& t, MonitoringTlv kind, MonitoringTlvs& out) {
  ByteReader value = t.value;
  switch (kind) {
    case kStateless:
      take_capabilities(value, out);
      return true;
    case kTableName:
      out.marks.set_table(as_text(value.rest()));
      return true;
    case kGroup:
      return out.marks.add_group(t.index, value.rest());
    case kPathStatus:
      return out.marks.add_status(t.index, value.rest());
    case kUnknown:
      break;
  }
  return false;
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
    switch (static_cast<InfoType>(t.type)) {
      case InfoType::kString:
        out.text = as_text(t.value.rest());
        break;
      case InfoType::kSysDescr:
        out.sys_descr = as_text(t.value.rest());
        break;
      case InfoType::kSysName:
        out.sys_name = as_text(t.value.rest());
        break;
      default:
        ++out.unknown;
    }
  }
  return Fault::kNone;
}

Fault parse_termination(ByteReader r, Termination& out) {
  constexpr std::uint16_t kString = 0, kReason = 1;
  while (!r.empty()) {
    Tlv t;
    if (!next_tlv(r, t)) return Fault::kTermination;
    if (t.type == kString) {
      out.text = as_text(t.value.rest());
    } else if (t.type != kReason) {
      ++out.unknown;
    } else if (!t.value.u16(out.reason)) {
      return Fault::kTermination;
    }
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
  return parse_peer_info(r, out) ? Fault::kNone : Fault::kPeerUpTlv;
}

Fault parse_peer_down(ByteReader r, PeerDown& out) {
  if (!r.u8(out.reason)) return Fault::kPeerDown;
  if (out.is(DownReason::kLocalEvent)) {
    if (!r.u16(out.fsm_event)) return Fault::kPeerDownData;
  } else if (out.is(DownReason::kLocalNotification) || out.is(DownReason::kRemoteNotification)) {
    if (!parse_notification(r, out)) return Fault::kPeerDownData;
  } else if (!out.is(DownReason::kRemoteNoData) && !out.is(DownReason::kDeconfigured) &&
             !out.is(DownReason::kLocalTlvs)) {
    return Fault::kNone;  // data of a reason that nobody has defined
  }
  return parse_peer_info(r, out) ? Fault::kNone : Fault::kPeerDownData;  // version 4: behind the data of any reason
}

Fault parse_statistics(ByteReader r, Statistics& out) {
  out.all.clear();
  out.unknown = 0;
  std::uint32_t count = 0;
  if (!r.u32(count)) return Fault::kStatistics;
  // The announced count is data of the router; the TLVs themselves say how many there are.
  while (!r.empty()) {
    Tlv t;
    if (!next_tlv(r, t)) return Fault::kStatistics;
    Statistic& s = out.all.emplace_back();
    s.type = t.type;
    s.raw = t.value.rest();
    std::uint32_t v32 = 0;
    if (s.raw.size() == 4) {
      s.has_value = t.value.u32(v32);
      s.value = v32;
    } else if (s.raw.size() == 8) {
      s.has_value = t.value.u64(s.value);
    } else if (s.raw.size() == 11) {
      s.has_value = t.value.u16(s.family.afi) && t.value.u8(s.family.safi) && t.value.u64(s.value);
      s.has_family = s.has_value;
    }
  }
  return Fault::kNone;
}

// From revision 20 on the statistics stand inside a TLV of type 1. As a count of statistics its type and length would
// be more than any message holds.
Fault parse_statistics_tlvs(ByteReader r, Statistics& out) {
  constexpr std::uint16_t kStatistics = 1;
  ByteReader look = r;
  std::uint16_t type = 0;
  if (!look.u16(type) || type != kStatistics) return parse_statistics(r, out);
  look = r;
  Tlv t;
  out.all.clear();
  if (!next_tlv(look, t)) return Fault::kStatistics;
  if (const Fault f = parse_statistics(t.value, out); f != Fault::kNone) return f;
  while (!look.empty()) {
    if (!next_tlv(look, t)) return Fault::kStatistics;
    ++out.unknown;
  }
  return Fault::kNone;
}

Fault parse_mirroring(ByteReader r, Mirroring& out) {
  constexpr std::uint16_t kMessage = 0, kInformation = 1, kErrored = 0, kLost = 1;
  while (!r.empty()) {
    Tlv t;
    if (!next_tlv(r, t)) return Fault::kMirroring;
    std::uint16_t code = 0;
    if (t.type == kMessage) {
      ++out.messages;
    } else if (t.type != kInformation) {
      ++out.unknown;
    } else if (!t.value.u16(code)) {
      return Fault::kMirroring;
    } else {
      ++(code == kErrored ? out.errored : code == kLost ? out.lost : out.unknown);
    }
  }
  return Fault::kNone;
}

void MonitoringTlvs::clear() {
  update = {};
  as4 = false;
  ids = many_labels = {};
  marks.clear();
  unknown = 0;
}

Fault parse_monitoring_tlvs(ByteReader r, MonitoringTlvs& out) {
  out.clear();
  ByteReader look = r;
  std::uint16_t message_type = 0;
  bool revision_21 = false;
  while (!look.empty()) {
    IndexedTlv t;
    if (!next_indexed_tlv(look, t)) return Fault::kMonitoringTlv;
    if (is_revision_21(t)) revision_21 = true;
    if (!is_bgp_message(t.value) || !out.update.empty()) continue;
    out.update = t.value.rest();
    message_type = t.type;
  }
  if (out.update.empty()) return Fault::kMonitoringTlv;
  const auto kind_of = message_type == 1   ? kind_before_18
                       : message_type == 7 ? kind_20
                       : message_type == 4 ? (revision_21 ? kind_21 : kind_18)
                                           : nullptr;
  if (message_type == 1) out.marks.set_early_bits();
  for (IndexedTlv t; next_indexed_tlv(r, t);) {
    if (t.type == message_type) continue;
    const bool known = kind_of != nullptr && (t.type & kEnterpriseBit) == 0;
    if (!known || !take_tlv(t, kind_of(t), out)) ++out.unknown;
  }
  out.marks.resolve();
  return Fault::kNone;
}

}  // namespace bmpha::recv
