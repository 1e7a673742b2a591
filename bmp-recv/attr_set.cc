// ATTR_SET (RFC 6368 5): the attributes of a route as it came from a customer, inside the route of the provider.
#include "bmp-recv/attribute_text.h"
#include "bmp-recv/ext_community_text.h"
#include "bmp-recv/extra_attributes.h"
#include "bmp-recv/value_text.h"

namespace bmpha::recv {
namespace {

// The value's text; false: malformed. AS numbers have four bytes here (RFC 6368 5).
bool append_path(TextBuffer& out, Bytes value) {
  ByteReader r(value);
  for (bool first = true; !r.empty();) {
    std::uint8_t type = 0, count = 0;
    if (!r.u8(type) || !r.u8(count) || type < 1 || type > 4 || count == 0) return false;
    const bool set = type == static_cast<std::uint8_t>(SegmentType::kSet);
    if (set) out.append(first ? "{ " : " { ");
    for (unsigned n = 0; n < count; ++n) {
      std::uint32_t asn = 0;
      if (!r.u32(asn)) return false;
      if (n != 0 || (!first && !set)) out.append(' ');
      out.number(asn);
    }
    if (set) out.append(" }");
    first = false;
  }
  return true;
}

bool append_number(TextBuffer& out, Bytes value) {
  ByteReader r(value);
  std::uint32_t v = 0;
  if (!r.u32(v) || !r.empty()) return false;
  out.number(v);
  return true;
}

using Append = void (*)(TextBuffer&, Bytes);
bool append_items(TextBuffer& out, Bytes value, std::size_t item, Append append) {
  if (value.empty() || value.size() % item != 0) return false;
  append(out, value);
  return true;
}

bool append_aggregator(TextBuffer& out, Bytes value) {
  ByteReader r(value);
  std::uint32_t asn = 0;
  if (value.size() != 8 || !r.u32(asn)) return false;
  out.number(asn);
  out.append(' ');
  append_ip(out, r.rest());
  return true;
}

bool append_address(TextBuffer& out, Bytes value) {
  append_ip(out, value);
  return value.size() == 4;
}

void append_clusters(TextBuffer& out, Bytes value) {
  append_cluster_list(out, value);
  out.cut(out.size() - 1);  // a space stands behind each
}

bool append_one(TextBuffer& out, AttributeType type, std::uint8_t flags, Bytes value) {
  switch (type) {
    case AttributeType::kOrigin: {
      ByteReader r(value);
      std::uint8_t v = 0;
      if (!r.u8(v) || !r.empty() || v > 2) return false;
      out.append("origin=");
      out.append(origin_text(v));
      return true;
    }
    case AttributeType::kAsPath:
      out.append("as_path=");
      return append_path(out, value);
    case AttributeType::kNextHop:
      out.append("next_hop=");
      return append_address(out, value);
    case AttributeType::kMed:
      out.append("med=");
      return append_number(out, value);
    case AttributeType::kLocalPref:
      out.append("local_pref=");
      return append_number(out, value);
    case AttributeType::kAtomicAggregate:
      out.append("atomic_aggregate");
      return value.empty();
    case AttributeType::kAggregator:
      out.append("aggregator=");
      return append_aggregator(out, value);
    case AttributeType::kOriginatorId:
      out.append("originator_id=");
      return append_address(out, value);
    case AttributeType::kClusterList:
      out.append("cluster_list=");
      return append_items(out, value, 4, append_clusters);
    case AttributeType::kCommunity:
      out.append("communities=");
      return append_items(out, value, 4, append_communities);
    case AttributeType::kExtCommunity:
      out.append("ext_communities=");
      return append_items(out, value, 8, append_ext_communities);
    case AttributeType::kLargeCommunity:
      out.append("large_communities=");
      return append_items(out, value, 12, append_large_communities);
    default:
      out.number(static_cast<std::uint8_t>(type));
      out.append(':');
      append_digits(out, Bytes(&flags, 1));
      out.append(':');
      append_digits(out, value);
      return true;
  }
}

}  // namespace

bool append_attr_set(TextBuffer& out, Bytes value) {
  ByteReader r(value);
  std::uint32_t origin_as = 0;
  if (!r.u32(origin_as)) return false;
  append_field(out, "origin_as=", origin_as);
  while (!r.empty()) {
    RawAttribute a;
    if (!next_attribute(r, a)) return false;
    out.append(';');
    if (!append_one(out, a.type, a.flags & 0xe0, a.value)) return false;
  }
  return true;
}

}  // namespace bmpha::recv
