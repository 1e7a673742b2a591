#include "bmp-recv/bgp_open.h"

#include <algorithm>

namespace bmpha::recv {
namespace {

constexpr std::uint8_t kOpen = 1;
constexpr std::uint8_t kCapabilityParameter = 2;

// By their place in this list.
constexpr Family kFamilies[] = {{1, 1},   {2, 1},   {1, 2},   {2, 2},    {1, 4},    {2, 4},      {1, 5},     {2, 5},
                                {1, 66},  {2, 66},  {1, 73},  {2, 73},   {1, 85},   {2, 85},     {1, 128},   {2, 128},
                                {1, 129}, {2, 129}, {1, 132}, {2, 132},  {1, 133},  {2, 133},    {1, 134},   {2, 134},
                                {25, 8},  {25, 65}, {25, 70}, {25, 133}, {25, 134}, {16388, 71}, {16388, 72}};
static_assert(std::size(kFamilies) <= 64);

std::uint64_t bit_of(const Family& f) {
  const auto* const at = std::find(std::begin(kFamilies), std::end(kFamilies), f);
  return at == std::end(kFamilies) ? 0 : std::uint64_t{1} << (at - std::begin(kFamilies));
}

void parse_many_labels(ByteReader value, Open& out) {
  Family f;
  std::uint8_t count = 0;
  while (value.u16(f.afi) && value.u8(f.safi) && value.u8(count))
    if (count > 1) out.many_labels.push_back(f);
}

// A malformed one costs itself only: what the router and its peer agree on by the others stands.
void parse_capability(std::uint8_t code, ByteReader value, Open& out) {
  out.capabilities.push_back({code, value.rest()});
  switch (static_cast<Capability>(code)) {
    case Capability::kMultiprotocol: {
      Family f;
      std::uint8_t reserved = 0;
      if (value.u16(f.afi) && value.u8(reserved) && value.u8(f.safi)) out.families.push_back(f);
      return;
    }
    case Capability::kAs4:
      if (std::uint32_t asn = 0; value.u32(asn)) {
        out.as4 = true;
        out.asn = asn;
      }
      return;
    case Capability::kAddPath:
      for (AddPath a; value.u16(a.family.afi) && value.u8(a.family.safi) && value.u8(a.mode);)
        out.add_path.push_back(a);
      return;
    case Capability::kMultipleLabels:
      return parse_many_labels(value, out);
    default:
      return;
  }
}

bool parse_capabilities(ByteReader r, Open& out) {
  while (!r.empty()) {
    std::uint8_t code = 0, length = 0;
    ByteReader value;
    if (!r.u8(code) || !r.u8(length) || !r.sub(length, value)) return false;
    parse_capability(code, value, out);
  }
  return true;
}

// Optional parameters; RFC 9072: a first parameter type of 255 means 16-bit lengths.
bool parse_parameters(ByteReader r, std::uint8_t length8, Open& out) {
  ByteReader peek = r;
  std::uint8_t first = 0;
  const bool extended = length8 != 0 && peek.u8(first) && first == 255;
  std::uint16_t total = length8;
  if (extended) {
    r = peek;
    if (!r.u16(total)) return false;
  }
  ByteReader parameters;
  if (!r.sub(total, parameters) || !r.empty()) return false;
  while (!parameters.empty()) {
    std::uint8_t type = 0, short_length = 0;
    std::uint16_t length = 0;
    ByteReader value;
    if (!parameters.u8(type)) return false;
    if (extended ? !parameters.u16(length) : !parameters.u8(short_length)) return false;
    if (!extended) length = short_length;
    if (!parameters.sub(length, value)) return false;
    if (type == kCapabilityParameter && !parse_capabilities(value, out)) return false;
  }
  return true;
}

bool has_add_path(const Open& sender, const Open& receiver, Family f) {
  const auto sends = [&](const AddPath& a) { return a.family == f && a.sends(); };
  const auto receives = [&](const AddPath& a) { return a.family == f && a.receives(); };
  return std::any_of(sender.add_path.begin(), sender.add_path.end(), sends) &&
         std::any_of(receiver.add_path.begin(), receiver.add_path.end(), receives);
}

// RFC 7911 4: in the direction from sender to receiver.
FamilySet path_id_families(const Open& sender, const Open& receiver) {
  FamilySet set;
  for (const AddPath& a : sender.add_path)
    if (has_add_path(sender, receiver, a.family)) set.insert(a.family);
  return set;
}

}  // namespace

void FamilySet::insert(const Family& f) { bits_ |= bit_of(f); }
bool FamilySet::contains(const Family& f) const { return (bits_ & bit_of(f)) != 0; }

bool parse_open(Bytes message, Open& out) {
  ByteReader r(message);
  std::uint16_t length = 0, asn = 0;
  std::uint8_t type = 0, parameters = 0;
  if (!r.skip(16) || !r.u16(length) || length != message.size() || !r.u8(type) || type != kOpen) return false;
  if (!r.u8(out.version) || !r.u16(asn) || !r.u16(out.hold_time) || !r.copy(out.bgp_id.data(), 4) || !r.u8(parameters))
    return false;
  out.asn = asn;
  if (!parse_parameters(r, parameters, out)) return false;
  if (out.families.empty()) out.families.push_back(kIpv4Unicast);
  return true;
}

PeerContext negotiate(const Open& sent, const Open& received) {
  PeerContext c;
  c.known = true;
  c.as4 = sent.as4 && received.as4;
  c.external = sent.asn != received.asn;
  c.ids_in = path_id_families(received, sent);
  c.ids_out = path_id_families(sent, received);
  for (const Open* open : {&sent, &received})
    for (const AddPath& a : open->add_path)
      if (a.sends() || a.receives()) c.ids_named.insert(a.family);
  for (const Family& f : sent.many_labels)
    if (std::find(received.many_labels.begin(), received.many_labels.end(), f) != received.many_labels.end())
      c.many_labels.insert(f);
  for (const Family& f : sent.families)
    if (std::find(received.families.begin(), received.families.end(), f) != received.families.end() &&
        std::find(c.families.begin(), c.families.end(), f) == c.families.end())
      c.families.push_back(f);
  return c;
}

}  // namespace bmpha::recv
