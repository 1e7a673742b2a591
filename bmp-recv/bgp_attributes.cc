#include "bmp-recv/bgp_attributes.h"

#include <algorithm>

namespace bmpha::recv {
namespace {

constexpr std::uint8_t kExtendedLength = 0x10;
constexpr std::uint32_t kAsTrans = 23456;

std::size_t hops_of(const AsPath::Segment& s) {
  if (s.type == SegmentType::kSequence) return s.count;
  return s.type == SegmentType::kSet ? 1 : 0;
}
bool is_confed(SegmentType t) { return t == SegmentType::kConfedSequence || t == SegmentType::kConfedSet; }

// A sequence that was cut at `seam` becomes one again, as a new speaker sends it; a segment holds at most 255.
void join_sequences(std::vector<AsPath::Segment>& segments, std::size_t seam) {
  if (seam == 0 || seam >= segments.size()) return;
  AsPath::Segment& before = segments[seam - 1];
  const AsPath::Segment& after = segments[seam];
  if (before.type != SegmentType::kSequence || after.type != SegmentType::kSequence) return;
  if (before.count + after.count > 255) return;
  before.count = static_cast<std::uint8_t>(before.count + after.count);
  segments.erase(segments.begin() + static_cast<std::ptrdiff_t>(seam));
}

bool multiple_of(Bytes value, std::size_t item) { return !value.empty() && value.size() % item == 0; }

bool parse_u32(Bytes value, std::uint32_t& out) {
  ByteReader r(value);
  return r.u32(out) && r.empty();
}
bool parse_id(Bytes value, std::array<std::uint8_t, 4>& out) {
  ByteReader r(value);
  return r.copy(out.data(), 4) && r.empty();
}
bool parse_origin(Bytes value, std::uint8_t& out) {
  ByteReader r(value);
  std::uint8_t v = 0;
  if (!r.u8(v) || !r.empty() || v > 2) return false;
  out = v;
  return true;
}
// 6 bytes from an old speaker, 8 from a new one: the length itself tells, whatever the session agreed on.
bool parse_aggregator(Bytes value, PathAttributes& out) {
  ByteReader r(value);
  std::uint16_t short_asn = 0;
  if (value.size() == 6) {
    if (!r.u16(short_asn)) return false;
    out.aggregator_asn = short_asn;
  } else if (value.size() != 8 || !r.u32(out.aggregator_asn)) {
    return false;
  }
  out.has_aggregator = r.copy(out.aggregator_id.data(), 4);
  return out.has_aggregator;
}

// RFC 7607: AS 0 stands in no path, but in a path that was read in the wrong width it is common.
bool has_zero(const AsPath& path) { return std::find(path.asns.begin(), path.asns.end(), 0U) != path.asns.end(); }

// AS_PATH in the expected width; if it does not fit exactly, in the other one.
bool parse_either_width(Bytes value, bool expect_as4, PathAttributes& out, bool& is_as4) {
  is_as4 = expect_as4;
  const bool fits = parse_as_path(value, expect_as4 ? 4 : 2, out.as_path);
  if (fits && !has_zero(out.as_path)) return true;
  if (parse_as_path(value, expect_as4 ? 2 : 4, out.as_path) && !has_zero(out.as_path)) {
    is_as4 = !expect_as4;
    return true;
  }
  return fits && parse_as_path(value, expect_as4 ? 4 : 2, out.as_path);
}

// RFC 6793 4.2.3 and 6: AS4_PATH and AS4_AGGREGATOR complete what an old speaker sent.
void apply_as4(Bytes as4_path, Bytes as4_aggregator, PathAttributes& out, AttributeFaults& faults) {
  const bool has_aggregator4 = out.has(AttributeType::kAs4Aggregator);
  if (has_aggregator4 && as4_aggregator.size() != 8) {
    faults.discard(Fault::kAs4Aggregator);
  } else if (has_aggregator4 && out.has_aggregator) {
    if (out.aggregator_asn != kAsTrans) return;  // a later old speaker has aggregated: both attributes are outdated
    (void)parse_aggregator(as4_aggregator, out);
  }
  if (!out.has(AttributeType::kAs4Path)) return;
  if (!parse_as_path(as4_path, 4, out.as4_path)) {
    faults.discard(Fault::kAs4Path);
    return;
  }
  merge_as4_path(out.as4_path, out.as_path, out.scratch);
}

struct Pending {  // values that are read when the others are known
  Bytes as4_path, as4_aggregator, as_path;
};

// One attribute's value. Returns the fault, none when it is right or of no interest.
Fault parse_value(AttributeType type, Bytes value, PathAttributes& out, Pending& pending) {
  switch (type) {
    case AttributeType::kOrigin:
      return parse_origin(value, out.origin) ? Fault::kNone : Fault::kOrigin;
    case AttributeType::kAsPath:
      pending.as_path = value;
      return Fault::kNone;
    case AttributeType::kNextHop:
      if (value.size() != 4) return Fault::kNextHop;
      std::copy(value.begin(), value.end(), out.next_hop.bytes.begin());
      out.next_hop.size = 4;
      return Fault::kNone;
    case AttributeType::kMed:
      return parse_u32(value, out.med) ? Fault::kNone : Fault::kMed;
    case AttributeType::kLocalPref:
      return parse_u32(value, out.local_pref) ? Fault::kNone : Fault::kLocalPref;
    case AttributeType::kAtomicAggregate:
      return value.empty() ? Fault::kNone : Fault::kAtomicAggregate;
    case AttributeType::kAggregator:
      return parse_aggregator(value, out) ? Fault::kNone : Fault::kAggregator;
    case AttributeType::kCommunity:
      out.communities = value;
      return multiple_of(value, 4) ? Fault::kNone : Fault::kCommunity;
    case AttributeType::kOriginatorId:
      return parse_id(value, out.originator_id) ? Fault::kNone : Fault::kOriginatorId;
    case AttributeType::kClusterList:
      out.cluster_list = value;
      return multiple_of(value, 4) ? Fault::kNone : Fault::kClusterList;
    case AttributeType::kExtCommunity:
      out.ext_communities = value;
      return multiple_of(value, 8) ? Fault::kNone : Fault::kExtCommunity;
    case AttributeType::kLargeCommunity:
      out.large_communities = value;
      return multiple_of(value, 12) ? Fault::kNone : Fault::kLargeCommunity;
    case AttributeType::kMpReach:
      out.mp_reach = value;
      return Fault::kNone;
    case AttributeType::kMpUnreach:
      out.mp_unreach = value;
      return Fault::kNone;
    case AttributeType::kAs4Path:
      pending.as4_path = value;
      return Fault::kNone;
    case AttributeType::kAs4Aggregator:
      pending.as4_aggregator = value;
      return Fault::kNone;
  }
  return Fault::kNone;
}

bool is_discardable(Fault f) { return f == Fault::kAtomicAggregate || f == Fault::kAggregator; }
bool is_mp(AttributeType t) { return t == AttributeType::kMpReach || t == AttributeType::kMpUnreach; }

bool next_attribute(ByteReader& r, RawAttribute& out) {
  std::uint8_t flags = 0, type = 0, short_length = 0;
  std::uint16_t length = 0;
  if (!r.u8(flags) || !r.u8(type)) return false;
  if ((flags & kExtendedLength) != 0) {
    if (!r.u16(length)) return false;
  } else {
    if (!r.u8(short_length)) return false;
    length = short_length;
  }
  out.type = static_cast<AttributeType>(type);
  return r.bytes(length, out.value);
}

}  // namespace

const std::bitset<256>& decoded_attributes() {
  static const std::bitset<256> kDecoded = [] {
    std::bitset<256> types;
    for (const unsigned type : {1U, 2U, 3U, 4U, 5U, 6U, 7U, 8U, 9U, 10U, 14U, 15U, 16U, 17U, 18U, 32U}) types.set(type);
    return types;
  }();
  return kDecoded;
}

std::size_t AsPath::hops() const {
  std::size_t n = 0;
  for (const Segment& s : segments) n += hops_of(s);
  return n;
}

bool parse_as_path(Bytes value, int width, AsPath& out) {
  out.clear();
  ByteReader r(value);
  while (!r.empty()) {
    std::uint8_t type = 0, count = 0;
    if (!r.u8(type) || !r.u8(count) || type < 1 || type > 4 || count == 0) return false;
    if (r.remaining() < std::size_t{count} * static_cast<std::size_t>(width)) return false;
    out.segments.push_back({static_cast<SegmentType>(type), count});
    for (unsigned n = 0; n < count; ++n) {
      std::uint32_t asn = 0;
      std::uint16_t short_asn = 0;
      if (width == 4 ? !r.u32(asn) : !r.u16(short_asn)) return false;
      out.asns.push_back(width == 4 ? asn : short_asn);
    }
  }
  return true;
}

void merge_as4_path(const AsPath& as4, AsPath& path, AsPath& scratch) {
  const std::size_t have = path.hops(), complete = as4.hops();
  if (have < complete) return;  // RFC 6793 4.2.3: AS4_PATH is to be ignored
  std::size_t missing = have - complete;
  scratch.clear();
  std::size_t at = 0;
  // The leading part of AS_PATH that AS4_PATH does not have; confederation segments in front of or inside it stay.
  for (const AsPath::Segment& s : path.segments) {
    if (missing == 0 && !is_confed(s.type)) break;
    const std::size_t take = s.type == SegmentType::kSequence ? std::min<std::size_t>(s.count, missing) : s.count;
    scratch.segments.push_back({s.type, static_cast<std::uint8_t>(take)});
    for (std::size_t n = 0; n < take; ++n) scratch.asns.push_back(path.asns[at + n]);
    at += s.count;
    missing -= std::min(missing, s.type == SegmentType::kSequence ? take : hops_of(s));
  }
  const std::size_t seam = scratch.segments.size();
  at = 0;
  for (const AsPath::Segment& s : as4.segments) {
    if (!is_confed(s.type)) {  // not allowed in AS4_PATH: discarded
      scratch.segments.push_back(s);
      for (std::size_t n = 0; n < s.count; ++n) scratch.asns.push_back(as4.asns[at + n]);
    }
    at += s.count;
  }
  join_sequences(scratch.segments, seam);
  std::swap(path, scratch);
}

void PathAttributes::clear() {
  all.clear();
  present.reset();
  origin = 0;
  as_path.clear();
  next_hop.size = 0;
  med = local_pref = aggregator_asn = 0;
  has_aggregator = false;
  communities = ext_communities = large_communities = cluster_list = mp_reach = mp_unreach = {};
}

void parse_attributes(Bytes field, bool expect_as4, PathAttributes& out, AttributeFaults& faults) {
  const auto withdraw = [&](Fault f) {
    if (faults.withdraw == Fault::kNone) faults.withdraw = f;
  };
  Pending pending;
  ByteReader r(field);
  while (!r.empty()) {
    RawAttribute a;
    if (!next_attribute(r, a)) {
      withdraw(Fault::kAttributeLength);
      break;
    }
    if (out.has(a.type)) {  // RFC 7606 3.g: all but the first are discarded
      if (is_mp(a.type)) {
        faults.fatal = Fault::kDuplicateMp;
        return;
      }
      faults.discard(Fault::kDuplicateAttribute);
      continue;
    }
    const Fault f = parse_value(a.type, a.value, out, pending);
    if (is_discardable(f)) {
      faults.discard(f);
      continue;
    }
    if (f != Fault::kNone) withdraw(f);
    out.present.set(static_cast<std::size_t>(a.type));
    out.all.push_back(a);
  }
  if (!out.has(AttributeType::kAsPath)) return;
  bool is_as4 = expect_as4;
  if (!parse_either_width(pending.as_path, expect_as4, out, is_as4)) return withdraw(Fault::kAsPath);
  faults.other_as_width = is_as4 != expect_as4 && !pending.as_path.empty();
  if (!is_as4) apply_as4(pending.as4_path, pending.as4_aggregator, out, faults);
}

}  // namespace bmpha::recv
