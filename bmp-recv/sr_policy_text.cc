#include "bmp-recv/sr_policy_text.h"

#include "bmp-recv/value_text.h"

namespace bmpha::recv {
namespace {

constexpr std::size_t kNameLimit = 255;
constexpr std::uint8_t kWeight = 9;  // in a segment list
constexpr std::size_t kStructureSize = 8;

// Which fields a segment has behind its flags byte; wire order.
enum Part : unsigned {
  kAlgorithm = 1,  // else the second byte is reserved
  kLocalId = 2,    // interface identifiers, 4 bytes
  kLocal = 4,      // address
  kRemoteId = 8,
  kRemote = 16,
};
struct SegmentForm {
  std::uint8_t type;
  char letter;
  std::uint8_t parts;
  std::uint8_t address;  // bytes of an address
  bool srv6;             // a SID of 16 bytes, then perhaps behavior and structure; else of 4
};
// RFC 9830 2.4.4.2, RFC 9831 2.1 to 2.9.
constexpr SegmentForm kForms[] = {
    {1, 'A', 0, 0, false},
    {13, 'B', 0, 0, true},
    {3, 'C', kAlgorithm | kLocal, 4, false},
    {4, 'D', kAlgorithm | kLocal, 16, false},
    {5, 'E', kLocalId | kLocal, 4, false},
    {6, 'F', kLocal | kRemote, 4, false},
    {7, 'G', kLocalId | kLocal | kRemoteId | kRemote, 16, false},
    {8, 'H', kLocal | kRemote, 16, false},
    {14, 'I', kAlgorithm | kLocal, 16, true},
    {15, 'J', kAlgorithm | kLocalId | kLocal | kRemoteId | kRemote, 16, true},
    {16, 'K', kAlgorithm | kLocal | kRemote, 16, true},
};

const SegmentForm* form_of(std::uint16_t type) {
  for (const SegmentForm& f : kForms)
    if (f.type == type) return &f;
  return nullptr;
}

std::size_t fixed_size(const SegmentForm& f) {
  std::size_t n = 2;
  for (const unsigned id : {kLocalId, kRemoteId}) n += (f.parts & id) != 0 ? 4 : 0;
  for (const unsigned address : {kLocal, kRemote}) n += (f.parts & address) != 0 ? f.address : 0;
  return n;
}
// The SID is required where nothing else names the segment (A and B), else optional.
bool size_allowed(const SegmentForm& f, std::size_t size) {
  const std::size_t fixed = fixed_size(f), sid = f.srv6 ? 16 : 4;
  if (size == fixed) return f.parts != 0;
  return size == fixed + sid || (f.srv6 && size == fixed + sid + kStructureSize);
}

void append_part(TextBuffer& out, std::string_view name) {
  out.append('/');
  out.append(name);
}

// "X=" and what the segment says: its parts in wire order, a slash between them.
bool append_segment(TextBuffer& out, const SegmentForm& f, Bytes value) {
  if (!size_allowed(f, value.size())) return false;
  ByteReader r(value);
  std::uint8_t flags = 0, algorithm = 0;
  std::uint32_t word = 0;
  Bytes address;
  if (!r.u8(flags) || !r.u8(algorithm)) return false;
  out.append(f.letter);
  append_field(out, "=flags:", flags);
  if ((f.parts & kAlgorithm) != 0) append_field(out, "/algo:", algorithm);
  if ((f.parts & kLocalId) != 0 && r.u32(word)) append_field(out, "/local-id:", word);
  if ((f.parts & kLocal) != 0 && r.bytes(f.address, address)) {
    append_part(out, (f.parts & kRemote) != 0 || (f.parts & kLocalId) != 0 ? "local:" : "node:");
    append_ip(out, address);
  }
  if ((f.parts & kRemoteId) != 0 && r.u32(word)) append_field(out, "/remote-id:", word);
  if ((f.parts & kRemote) != 0 && r.bytes(f.address, address)) {
    append_part(out, "remote:");
    append_ip(out, address);
  }
  if (f.srv6 && r.bytes(16, address)) {
    append_part(out, "sid:");
    append_ip(out, address);
    if (!r.empty()) {
      append_part(out, "behavior:");
      return append_srv6_structure(out, r);
    }
  } else if (!f.srv6 && r.u32(word)) {
    append_field(out, "/label:", word >> 12);  // RFC 3032: label, class, bottom of stack, time to live
  }
  return true;
}

// Reserved, then weight and segments. The list is printed whole or not at all: the caller falls back to hex.
bool append_segment_list(TextBuffer& out, ByteReader r) {
  std::uint8_t reserved = 0;
  if (!r.u8(reserved)) return false;
  out.append("segment-list{");
  for (bool first = true; !r.empty(); first = false) {
    Tlv t;
    if (!read_tlv_8_8(r, t)) return false;
    if (!first) out.append(',');
    const SegmentForm* form = form_of(t.type);
    if (t.type == kWeight && t.value.size() == 6) {
      ByteReader w(t.value.subspan(2));
      std::uint32_t weight = 0;
      if (!w.u32(weight)) return false;
      append_field(out, "weight=", weight);
    } else if (form == nullptr || !append_segment(out, *form, t.value)) {
      append_field(out, {}, t.type);
      out.append('=');
      append_hex(out, t.value);
    }
  }
  out.append('}');
  return true;
}

// Flags, reserved, then nothing, a label stack entry or a SRv6 SID (RFC 9830 2.4.2).
bool append_binding_sid(TextBuffer& out, Bytes value) {
  ByteReader r(value);
  std::uint8_t flags = 0, reserved = 0;
  std::uint32_t entry = 0;
  if (!r.u8(flags) || !r.u8(reserved)) return false;
  if (r.remaining() != 0 && r.remaining() != 4 && r.remaining() != 16) return false;
  append_field(out, "binding-sid=flags:", flags);
  if (r.remaining() == 16) {
    append_part(out, "sid:");
    append_ip(out, r.rest());
  } else if (r.u32(entry)) {
    append_field(out, "/label:", entry >> 12);
  }
  return true;
}

bool append_srv6_binding_sid(TextBuffer& out, Bytes value) {  // RFC 9830 2.4.3
  if (value.size() != 18 && value.size() != 18 + kStructureSize) return false;
  ByteReader r(value);
  std::uint8_t flags = 0, reserved = 0;
  Bytes sid;
  if (!r.u8(flags) || !r.u8(reserved) || !r.bytes(16, sid)) return false;
  append_field(out, "srv6-binding-sid=flags:", flags);
  append_part(out, "sid:");
  append_ip(out, sid);
  if (r.empty()) return true;
  append_part(out, "behavior:");
  return append_srv6_structure(out, r);
}

// Flags, reserved, number.
bool append_preference(TextBuffer& out, Bytes value) {
  ByteReader r(value);
  std::uint16_t flags = 0;
  std::uint32_t preference = 0;
  if (value.size() != 6 || !r.u16(flags) || !r.u32(preference)) return false;
  append_field(out, "preference=", preference);
  return true;
}
bool append_byte_at(TextBuffer& out, std::string_view name, Bytes value, std::size_t size, std::size_t at) {
  ByteReader r(value);
  std::uint8_t byte = 0;
  if (value.size() != size || !r.skip(at) || !r.u8(byte)) return false;
  append_field(out, name, byte);
  return true;
}

// Reserved, then text of the router.
bool append_policy_name(TextBuffer& out, std::string_view name, Bytes value) {
  if (value.empty()) return false;
  out.append(name);
  const Bytes text = value.subspan(1);
  append_clean(out, {reinterpret_cast<const char*>(text.data()), text.size()}, kNameLimit);
  return true;
}

bool append_known(TextBuffer& out, const Tlv& t) {
  switch (t.type) {
    case 12:
      return append_preference(out, t.value);
    case 13:
      return append_binding_sid(out, t.value);
    case 14:  // explicit null label policy
      return append_byte_at(out, "enlp=", t.value, 3, 2);
    case 15:
      return append_byte_at(out, "priority=", t.value, 2, 0);
    case 20:
      return append_srv6_binding_sid(out, t.value);
    case 128:
      return append_segment_list(out, ByteReader(t.value));
    case 129:
      return append_policy_name(out, "path-name=", t.value);
    case 130:
      return append_policy_name(out, "policy-name=", t.value);
    default:
      return false;
  }
}

}  // namespace

bool append_sr_policy_sub_tlv(TextBuffer& out, const Tlv& t) {
  const std::size_t before = out.size();
  if (append_known(out, t)) return true;
  out.cut(before);
  return false;
}

bool append_srv6_structure(TextBuffer& out, ByteReader& r) {
  std::uint16_t behavior = 0, reserved = 0;
  std::uint8_t part[4] = {};
  if (!r.u16(behavior) || !r.u16(reserved) || !r.copy(part)) return false;
  out.number(behavior);
  out.append('/');
  for (std::size_t n = 0; n < 4; ++n) append_field(out, n == 0 ? "structure:" : "+", part[n]);
  return true;
}

}  // namespace bmpha::recv
