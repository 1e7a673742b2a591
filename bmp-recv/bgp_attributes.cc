#include "bmp-recv/bgp_attributes.h"

#include <algorithm>
#include <utility>

#include "bmp-recv/ext_community_text.h"
#include "bmp-recv/ls_tlvs.h"
#include "bmp-recv/prefix_sid_text.h"
#include "bmp-recv/tunnel_text.h"

namespace bmpha::recv {
namespace {

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

// RFC 6793 3, 4.2.2: the length of AGGREGATOR tells the width of all numbers; AS4_PATH comes from an old speaker only.
bool looks_as4(const PathAttributes& a) {
  for (const RawAttribute& raw : a.all)
    if (raw.type == AttributeType::kAggregator) return raw.value.size() != 6;
  return !a.has(AttributeType::kAs4Path);
}

// RFC 6793 4.2.3 and 6: AS4_PATH and AS4_AGGREGATOR complete what an old speaker sent.
void apply_as4(PathAttributes& out, AttributeFaults& faults) {
  const bool has_aggregator4 = out.has(AttributeType::kAs4Aggregator);
  if (has_aggregator4 && out.as4_aggregator_value.size() != 8) {
    faults.discard(Fault::kAs4Aggregator);
  } else if (has_aggregator4 && out.has_aggregator) {
    if (out.aggregator_asn != kAsTrans) return;  // a later old speaker has aggregated: both attributes are outdated
    (void)parse_aggregator(out.as4_aggregator_value, out);
  }
  if (!out.has(AttributeType::kAs4Path)) return;
  if (out.as4_path_value.empty() || !parse_as_path(out.as4_path_value, 4, out.as4_path)) {
    faults.discard(Fault::kAs4Path);
    return;
  }
  merge_as4_path(out.as4_path, out.as_path, out.scratch);
}

Fault fault_unless(bool good, Fault f) { return good ? Fault::kNone : f; }
// Prints into the attribute's extra column; what is malformed leaves the column empty.
template <class Append>
Fault fill(PathAttributes& out, ExtraColumn column, Fault f, Append&& append) {
  TextBuffer& text = out.extra.fill(column);
  if (append(text)) return Fault::kNone;
  text.clear();
  return f;
}

// How attributes of one type are read. `read` gives the fault that the value has; what that means for the message is
// is_discardable().
struct Rule {
  AttributeType type;
  std::uint8_t flags;  // the Optional and Transitive bits that the type has to have; 0xff: not judged
  Fault (*read)(Bytes value, PathAttributes& out);
};
constexpr std::uint8_t kWellKnown = 0x40, kOptional = 0x80, kOptionalTransitive = 0xc0, kAnyFlags = 0xff;

using enum AttributeType;
constexpr Rule kRules[] = {
    {kOrigin, kWellKnown,
     [](Bytes v, PathAttributes& o) { return fault_unless(parse_origin(v, o.origin), Fault::kOrigin); }},
    {kAsPath, kWellKnown,
     [](Bytes v, PathAttributes& o) {
       o.as_path_value = v;
       return Fault::kNone;
     }},
    {kNextHop, kWellKnown,
     [](Bytes v, PathAttributes& o) {
       if (v.size() != 4) return Fault::kNextHop;
       std::copy(v.begin(), v.end(), o.next_hop.bytes.begin());
       o.next_hop.size = 4;
       return Fault::kNone;
     }},
    {kMed, kOptional, [](Bytes v, PathAttributes& o) { return fault_unless(parse_u32(v, o.med), Fault::kMed); }},
    {kLocalPref, kWellKnown,
     [](Bytes v, PathAttributes& o) { return fault_unless(parse_u32(v, o.local_pref), Fault::kLocalPref); }},
    {kAtomicAggregate, kWellKnown,
     [](Bytes v, PathAttributes&) { return fault_unless(v.empty(), Fault::kAtomicAggregate); }},
    {kAggregator, kOptionalTransitive,
     [](Bytes v, PathAttributes& o) { return fault_unless(parse_aggregator(v, o), Fault::kAggregator); }},
    {kCommunity, kOptionalTransitive,
     [](Bytes v, PathAttributes& o) {
       o.communities = v;
       return fault_unless(multiple_of(v, 4), Fault::kCommunity);
     }},
    {kOriginatorId, kOptional,
     [](Bytes v, PathAttributes& o) { return fault_unless(parse_id(v, o.originator_id), Fault::kOriginatorId); }},
    {kClusterList, kOptional,
     [](Bytes v, PathAttributes& o) {
       o.cluster_list = v;
       return fault_unless(multiple_of(v, 4), Fault::kClusterList);
     }},
    {kMpReach, kOptional,
     [](Bytes v, PathAttributes& o) {
       o.mp_reach = v;
       return Fault::kNone;
     }},
    {kMpUnreach, kOptional,
     [](Bytes v, PathAttributes& o) {
       o.mp_unreach = v;
       return Fault::kNone;
     }},
    {kExtCommunity, kOptionalTransitive,
     [](Bytes v, PathAttributes& o) {
       o.ext_communities = v;
       return fault_unless(multiple_of(v, 8), Fault::kExtCommunity);
     }},
    {kAs4Path, kOptionalTransitive,
     [](Bytes v, PathAttributes& o) {
       o.as4_path_value = v;
       return Fault::kNone;
     }},
    {kAs4Aggregator, kOptionalTransitive,
     [](Bytes v, PathAttributes& o) {
       o.as4_aggregator_value = v;
       return Fault::kNone;
     }},
    {kPmsiTunnel, kOptionalTransitive,
     [](Bytes v, PathAttributes& o) {
       return fill(o, ExtraColumn::kPmsiTunnel, Fault::kPmsiTunnel,
                   [v](TextBuffer& t) { return append_pmsi_tunnel(t, v); });
     }},
    {kTunnelEncapsulation, kOptionalTransitive,
     [](Bytes v, PathAttributes& o) {
       return fill(o, ExtraColumn::kTunnelEncapsulation, Fault::kTunnelEncapsulation,
                   [v](TextBuffer& t) { return append_tunnel_encapsulation(t, v); });
     }},
    {kIpv6ExtCommunity, kOptionalTransitive,
     [](Bytes v, PathAttributes& o) {
       return fill(o, ExtraColumn::kIpv6ExtCommunities, Fault::kIpv6ExtCommunity, [v](TextBuffer& t) {
         append_ipv6_ext_communities(t, v);
         return multiple_of(v, 20);
       });
     }},
    {kAigp, kOptional,
     [](Bytes v, PathAttributes& o) {
       return fill(o, ExtraColumn::kAigp, Fault::kAigp, [v](TextBuffer& t) { return append_aigp(t, v); });
     }},
    {kLinkState, kOptional,
     [](Bytes v, PathAttributes& o) {
       if (!are_link_state_tlvs(v)) return Fault::kLinkState;
       o.link_state = v;
       return Fault::kNone;
     }},
    {kLargeCommunity, kOptionalTransitive,
     [](Bytes v, PathAttributes& o) {
       o.large_communities = v;
       return fault_unless(multiple_of(v, 12), Fault::kLargeCommunity);
     }},
    {kOtc, kOptionalTransitive,
     [](Bytes v, PathAttributes& o) {
       return fill(o, ExtraColumn::kOtc, Fault::kOtc, [v](TextBuffer& t) { return append_otc(t, v); });
     }},
    {kPrefixSid, kOptionalTransitive,
     [](Bytes v, PathAttributes& o) {
       PrefixSidResult result = PrefixSidResult::kOk;
       const Fault f = fill(o, ExtraColumn::kPrefixSid, Fault::kPrefixSid, [&](TextBuffer& t) {
         result = append_prefix_sid(t, v);
         return result == PrefixSidResult::kOk;
       });
       return result == PrefixSidResult::kBadService ? Fault::kSrv6Service : f;
     }},
    {kBier, kAnyFlags,
     [](Bytes v, PathAttributes& o) {
       return fill(o, ExtraColumn::kBier, Fault::kBier, [v](TextBuffer& t) { return append_bier(t, v); });
     }},
    {kAttrSet, kOptionalTransitive,
     [](Bytes v, PathAttributes& o) {
       return fill(o, ExtraColumn::kAttrSet, Fault::kAttrSet, [v](TextBuffer& t) { return append_attr_set(t, v); });
     }},
};

bool is_discardable(Fault f) {
  switch (f) {
    case Fault::kAtomicAggregate:  // RFC 7606 7.6
    case Fault::kAggregator:       // RFC 7606 7.7
    case Fault::kAigp:             // RFC 7311 3
    case Fault::kPrefixSid:        // RFC 8669 6
    case Fault::kBier:             // adds nothing to where the route leads
    case Fault::kLinkState:        // RFC 9552 8.2.2
      return true;
    default:
      return false;
  }
}
// Attributes that only peers of one AS exchange.
bool is_internal_only(Fault f) {
  return f == Fault::kLocalPref || f == Fault::kOriginatorId || f == Fault::kClusterList;
}
bool is_mp(AttributeType t) { return t == AttributeType::kMpReach || t == AttributeType::kMpUnreach; }

template <std::size_t kAt>
[[gnu::always_inline]] inline bool read_by(const RawAttribute& a, PathAttributes& out, AttributeFaults& faults,
                                           Fault& fault) {
  constexpr Rule kRule = kRules[kAt];
  if (kRule.flags != kAnyFlags && (a.flags & kOptionalTransitive) != kRule.flags && !faults.wrong_flags) {
    faults.wrong_flags = true;
    faults.discard(Fault::kAttributeFlags);
  }
  fault = kRule.read(a.value, out);
  return true;
}
// The table as code: the functions of the usual types, which stand first in it, are in place.
template <std::size_t... kAt>
[[gnu::always_inline]] inline bool read_known(const RawAttribute& a, PathAttributes& out, AttributeFaults& faults,
                                              Fault& fault, std::index_sequence<kAt...> /*rules*/) {
  return ((a.type == kRules[kAt].type && read_by<kAt>(a, out, faults, fault)) || ...);
}

// One attribute's value, or the attribute as it is when its type is unknown.
Fault read_attribute(const RawAttribute& a, PathAttributes& out, AttributeFaults& faults) {
  Fault fault = Fault::kNone;
  if (!read_known(a, out, faults, fault, std::make_index_sequence<std::size(kRules)>()))
    append_other(out.extra.fill(ExtraColumn::kOther), static_cast<std::uint8_t>(a.type), a.flags, a.value);
  return fault;
}

}  // namespace

const std::bitset<256>& decoded_attributes() {
  static const std::bitset<256> kDecoded = [] {
    std::bitset<256> types;
    for (const Rule& rule : kRules) types.set(static_cast<std::size_t>(rule.type));
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
    const std::size_t before = out.asns.size();
    out.asns.resize(before + count);
    for (std::size_t n = before; n < out.asns.size(); ++n) {
      std::uint16_t short_asn = 0;
      if (width == 4 ? !r.u32(out.asns[n]) : !r.u16(short_asn)) return false;
      if (width != 4) out.asns[n] = short_asn;
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
  // One by one: a chain would read back what it has just written, and wait for it.
  for (Bytes* b : {&communities, &ext_communities, &large_communities, &cluster_list, &mp_reach, &mp_unreach,
                   &link_state, &as_path_value, &as4_path_value, &as4_aggregator_value})
    *b = {};
  extra.clear();
}

void parse_attributes(Bytes field, bool expect_as4, PathAttributes& out, AttributeFaults& faults, bool external,
                      bool width_known) {
  const auto withdraw = [&](Fault f) {
    if (faults.withdraw == Fault::kNone) faults.withdraw = f;
  };
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
    const Fault f = read_attribute(a, out, faults);
    if (is_discardable(f) || (external && is_internal_only(f))) {
      faults.discard(f);
      continue;
    }
    if (f != Fault::kNone) withdraw(f);
    out.present.set(static_cast<std::size_t>(a.type));
    out.all.push_back(a);
  }
  if (!out.has(AttributeType::kAsPath)) return;
  bool is_as4 = expect_as4;
  const bool try_as4 = width_known ? expect_as4 : looks_as4(out);
  if (!parse_either_width(out.as_path_value, try_as4, out, is_as4)) return withdraw(Fault::kAsPath);
  faults.other_as_width = is_as4 != expect_as4 && !out.as_path_value.empty();
  if (!is_as4) apply_as4(out, faults);
}

}  // namespace bmpha::recv
