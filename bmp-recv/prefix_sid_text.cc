#include "bmp-recv/prefix_sid_text.h"

#include "bmp-recv/tlv.h"
#include "bmp-recv/value_text.h"

namespace bmpha::recv {
namespace {

// TLV types of the attribute (IANA BGP Prefix-SID TLV Types).
constexpr std::uint16_t kLabelIndex = 1, kOriginatorSrgb = 3, kSrv6L3Service = 5, kSrv6L2Service = 6;
// Sub-TLV of a service, and its sub-sub-TLV.
constexpr std::uint16_t kSidInformation = 1, kSidStructure = 1;

void append_unknown(TextBuffer& out, const Tlv& t) {
  out.number(t.type);
  out.append('=');
  append_hex(out, t.value);
}

bool append_label_index(TextBuffer& out, Bytes value) {
  ByteReader r(value);
  std::uint8_t reserved = 0;
  std::uint16_t flags = 0;
  std::uint32_t index = 0;
  if (!r.u8(reserved) || !r.u16(flags) || !r.u32(index) || !r.empty()) return false;
  append_field(out, "label-index=", index);
  return true;
}

bool append_srgb(TextBuffer& out, Bytes value) {
  ByteReader r(value);
  std::uint16_t flags = 0;
  std::uint32_t base = 0, range = 0;
  if (!r.u16(flags) || r.empty()) return false;
  for (bool first = true; !r.empty(); first = false) {
    if (!r.u24(base) || !r.u24(range)) return false;
    append_field(out, first ? "srgb=" : ",", base);
    append_field(out, "+", range);
  }
  return true;
}

// Lengths of block, node, function and argument, and how much of the function or argument stands in the label.
bool append_structure(TextBuffer& out, Bytes value) {
  ByteReader r(value);
  std::uint8_t part[6] = {};
  if (!r.copy(part) || !r.empty()) return false;
  for (std::size_t n = 0; n < 6; ++n)
    append_field(out, n == 0 ? ",structure=" : n == 4 ? ",transposed=" : "+", part[n]);
  return true;
}

bool append_sid_information(TextBuffer& out, Bytes value) {
  ByteReader r(value);
  std::uint8_t reserved = 0, flags = 0;
  std::uint16_t behavior = 0;
  Bytes sid;
  if (!r.u8(reserved) || !r.bytes(16, sid) || !r.u8(flags) || !r.u16(behavior) || !r.u8(reserved)) return false;
  out.append("sid=");
  append_ip(out, sid);
  append_field(out, ",flags=", flags);
  append_field(out, ",behavior=", behavior);
  while (!r.empty()) {
    Tlv t;
    if (!read_tlv_8_16(r, t)) return false;
    if (t.type == kSidStructure) {
      if (!append_structure(out, t.value)) return false;
    } else {
      out.append(',');
      append_unknown(out, t);
    }
  }
  return true;
}

bool append_service(TextBuffer& out, std::string_view name, Bytes value) {
  ByteReader r(value);
  std::uint8_t reserved = 0;
  if (!r.u8(reserved)) return false;
  out.append(name);
  out.append('{');
  for (bool first = true; !r.empty(); first = false) {
    Tlv t;
    if (!read_tlv_8_16(r, t)) return false;
    if (!first) out.append(';');
    if (t.type != kSidInformation) {
      append_unknown(out, t);
    } else if (!append_sid_information(out, t.value)) {
      return false;
    }
  }
  out.append('}');
  return true;
}

}  // namespace

PrefixSidResult append_prefix_sid(TextBuffer& out, Bytes value) {
  using enum PrefixSidResult;
  if (value.empty()) return kBad;
  ByteReader r(value);
  for (bool first = true; !r.empty(); first = false) {
    Tlv t;
    if (!read_tlv_8_16(r, t)) return kBad;
    if (!first) out.append(' ');
    if (t.type == kLabelIndex) {
      if (!append_label_index(out, t.value)) return kBad;
    } else if (t.type == kOriginatorSrgb) {
      if (!append_srgb(out, t.value)) return kBad;
    } else if (t.type == kSrv6L3Service || t.type == kSrv6L2Service) {
      if (!append_service(out, t.type == kSrv6L3Service ? "srv6-l3" : "srv6-l2", t.value)) return kBadService;
    } else {
      append_unknown(out, t);
    }
  }
  return kOk;
}

}  // namespace bmpha::recv
