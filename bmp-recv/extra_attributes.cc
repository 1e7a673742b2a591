#include "bmp-recv/extra_attributes.h"

#include "bmp-recv/tlv.h"
#include "bmp-recv/value_text.h"

namespace bmpha::recv {
namespace {

constexpr std::string_view kNames[] = {
    "ipv6_ext_communities", "pmsi_tunnel", "tunnel_encapsulation", "aigp", "prefix_sid", "otc", "attr_set", "bier",
    "other_attributes"};
static_assert(std::size(kNames) == kExtraColumns);

// Attributes that are kept raw, by their names (IANA BGP Path Attributes).
constexpr CodeName kOtherNames[] = {
    {19, "ssa"},           {20, "connector"},         {24, "traffic_engineering"},     {27, "pe_distinguisher_labels"},
    {28, "entropy_label"}, {33, "bgpsec_path"},       {34, "community_container"},     {36, "d_path"},
    {37, "sfp"},           {38, "bfd_discriminator"}, {39, "next_hop_characteristics"}};
// Optional, transitive, partial; the rest says how the length is written.
constexpr std::uint8_t kMeaningfulFlags = 0xe0;

constexpr std::uint16_t kAigpMetric = 1;
constexpr std::uint16_t kBierTlv = 1;

}  // namespace

std::span<const std::string_view> extra_column_names() { return kNames; }

void ExtraAttributes::clear() {
  if (!any_) return;
  for (TextBuffer& t : text_) t.clear();
  any_ = false;
}

std::size_t ExtraAttributes::bytes() const {
  if (!any_) return 0;
  std::size_t sum = kExtraColumns;
  for (const TextBuffer& t : text_) sum += t.size();
  return sum;
}

void ExtraAttributes::append_columns(TextBuffer& out) const {
  for (const TextBuffer& t : text_) {
    out.append('\t');
    out.append(t.view());
  }
}

// RFC 7311 3: type, a length that includes type and length, value; the first TLV of type 1 counts.
bool append_aigp(TextBuffer& out, Bytes value) {
  ByteReader r(value);
  bool found = false;
  while (!r.empty()) {
    std::uint8_t type = 0;
    std::uint16_t length = 0;
    Bytes body;
    if (!r.u8(type) || !r.u16(length) || length < 3 || !r.bytes(length - std::size_t{3}, body)) return false;
    if (type != kAigpMetric) continue;
    ByteReader metric(body);
    std::uint64_t v = 0;
    if (!metric.u64(v) || !metric.empty()) return false;
    if (!found) out.number(v);
    found = true;
  }
  return found;
}

bool append_otc(TextBuffer& out, Bytes value) {  // RFC 9234 5
  ByteReader r(value);
  std::uint32_t asn = 0;
  if (!r.u32(asn) || !r.empty()) return false;
  out.number(asn);
  return true;
}

namespace {

void append_raw_tlv(TextBuffer& out, const Tlv& t) {
  out.number(t.type);
  out.append('=');
  append_hex(out, t.value);
}

// Sub-domain, BFR-id, reserved, sub-TLVs.
bool append_bier_info(TextBuffer& out, ByteReader r) {
  std::uint8_t sub_domain = 0, reserved = 0;
  std::uint16_t id = 0;
  if (!r.u8(sub_domain) || !r.u16(id) || !r.u8(reserved)) return false;
  append_field(out, "sub-domain=", sub_domain);
  append_field(out, ",bfr-id=", id);
  for (Tlv t; !r.empty();) {
    if (!read_tlv_16_16(r, t)) return false;
    out.append(',');
    append_raw_tlv(out, t);
  }
  return true;
}

}  // namespace

bool append_bier(TextBuffer& out, Bytes value) {  // RFC 9793 3
  if (value.empty()) return false;
  ByteReader r(value);
  for (bool first = true; !r.empty(); first = false) {
    Tlv t;
    if (!read_tlv_16_16(r, t)) return false;
    if (!first) out.append(' ');
    if (t.type != kBierTlv) {
      append_raw_tlv(out, t);
    } else if (!append_bier_info(out, ByteReader(t.value))) {
      return false;
    }
  }
  return true;
}

void append_other(TextBuffer& out, std::uint8_t type, std::uint8_t flags, Bytes value) {
  if (out.size() != 0) out.append(' ');
  append_code(out, type, kOtherNames);
  const std::uint8_t shown = flags & kMeaningfulFlags;
  out.append(':');
  append_digits(out, Bytes(&shown, 1));
  out.append(':');
  append_digits(out, value);
}

}  // namespace bmpha::recv
