// Path attributes (RFC 4271 4.3, 5; RFC 1997, 4360, 4456, 6793, 8092, and those of extra_attributes.h). Values that
// need no arithmetic stay raw bytes, borrowed from the UPDATE; numbers are decoded; rare attributes become text at
// once. One PathAttributes is reused for every UPDATE: in steady state nothing is allocated.
#pragma once

#include <algorithm>
#include <array>
#include <bitset>
#include <cstdint>
#include <vector>

#include "bmp-recv/extra_attributes.h"
#include "bmp-recv/fault.h"
#include "common/byte_reader.h"

namespace bmpha::recv {

// IANA BGP Path Attributes; others are data.
enum class AttributeType : std::uint8_t {
  kOrigin = 1,
  kAsPath = 2,
  kNextHop = 3,
  kMed = 4,
  kLocalPref = 5,
  kAtomicAggregate = 6,
  kAggregator = 7,
  kCommunity = 8,
  kOriginatorId = 9,
  kClusterList = 10,
  kMpReach = 14,
  kMpUnreach = 15,
  kExtCommunity = 16,
  kAs4Path = 17,
  kAs4Aggregator = 18,
  kPmsiTunnel = 22,
  kTunnelEncapsulation = 23,
  kIpv6ExtCommunity = 25,
  kAigp = 26,
  kLinkState = 29,
  kLargeCommunity = 32,
  kOtc = 35,
  kPrefixSid = 40,
  kBier = 41,
  kAttrSet = 128,
};

// The types above, by number; others are kept as they are.
const std::bitset<256>& decoded_attributes();

// RFC 4271 4.3 b), RFC 5065 3.
enum class SegmentType : std::uint8_t { kSet = 1, kSequence = 2, kConfedSequence = 3, kConfedSet = 4 };

struct AsPath {
  struct Segment {
    SegmentType type = SegmentType::kSequence;
    std::uint8_t count = 0;
  };
  std::vector<Segment> segments;
  std::vector<std::uint32_t> asns;  // of all segments, one after the other

  void clear() {
    segments.clear();
    asns.clear();
  }
  // RFC 4271 9.1.2.2: a set counts as one, confederation segments do not count.
  std::size_t hops() const;
};

// The value of an AS_PATH whose AS numbers have `width` bytes. False: it does not fit exactly; out is then not to be
// used.
[[nodiscard]] bool parse_as_path(Bytes value, int width, AsPath& out);

// RFC 6793 4.2.3: the path of an old speaker, completed from AS4_PATH. Replaces path. Its segments are those that a new
// speaker would have sent: the AS_SEQUENCE that begins in AS_PATH and ends in AS4_PATH is one.
void merge_as4_path(const AsPath& as4, AsPath& path, AsPath& scratch);

// An address of 0 (absent), 4 or 16 bytes.
struct Address {
  std::array<std::uint8_t, 16> bytes{};
  std::uint8_t size = 0;
};

struct RawAttribute {
  AttributeType type{};
  std::uint8_t flags = 0;
  Bytes value;
};
// Takes one attribute off the cursor. False: it does not fit.
[[nodiscard]] inline bool next_attribute(ByteReader& r, RawAttribute& out) {
  constexpr std::uint8_t kExtendedLength = 0x10;
  std::uint8_t type = 0, short_length = 0;
  std::uint16_t length = 0;
  if (!r.u8(out.flags) || !r.u8(type)) return false;
  if ((out.flags & kExtendedLength) != 0) {
    if (!r.u16(length)) return false;
  } else {
    if (!r.u8(short_length)) return false;
    length = short_length;
  }
  out.type = static_cast<AttributeType>(type);
  return r.bytes(length, out.value);
}

struct PathAttributes {
  std::vector<RawAttribute> all;  // as received, without those that were discarded
  std::bitset<256> present;       // by type, of `all`
  std::uint8_t origin = 0;
  AsPath as_path;    // merged
  Address next_hop;  // NEXT_HOP
  std::uint32_t med = 0;
  std::uint32_t local_pref = 0;
  bool has_aggregator = false;
  std::uint32_t aggregator_asn = 0;
  std::array<std::uint8_t, 4> aggregator_id{};
  std::array<std::uint8_t, 4> originator_id{};
  Bytes communities, ext_communities, large_communities, cluster_list;  // lengths are multiples of their item
  Bytes mp_reach, mp_unreach;
  Bytes link_state;                                           // the BGP-LS attribute, TLVs
  Bytes as_path_value, as4_path_value, as4_aggregator_value;  // as received: they are read together, at the end
  ExtraAttributes extra;
  AsPath as4_path, scratch;

  void clear();
  bool has(AttributeType t) const { return present[static_cast<std::size_t>(t)]; }
};

// What is worth counting besides the fault that decides about the message.
struct AttributeFaults {
  Fault fatal = Fault::kNone;     // the message cannot be used at all
  Fault withdraw = Fault::kNone;  // the first reason to treat the message as a withdrawal
  // Why attributes were dropped, and how many for that reason; there are fewer reasons than places.
  std::array<Fault, 16> discarded{};
  std::array<std::uint16_t, 16> discarded_times{};
  std::size_t discarded_count = 0;
  bool wrong_flags = false;     // kAttributeFlags is among `discarded`, once
  bool other_as_width = false;  // AS_PATH is readable only in the width that was not expected

  void discard(Fault f) {
    std::size_t n = 0;
    while (n < discarded_count && discarded[n] != f) ++n;
    if (n == discarded.size()) return;
    discarded_count = std::max(discarded_count, n + 1);
    discarded[n] = f;
    ++discarded_times[n];
  }
};

// Decodes a whole path attribute field. `expect_as4`: 4-byte AS numbers are tried first. `external`: the peer is in
// another AS, so that LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST have no meaning between it and the router: a malformed
// one is only discarded (RFC 7606 7.5, 7.9, 7.10); one that can be read is what the router says, and is kept.
// Without `width_known`, what only an old speaker sends beside the path has 2-byte numbers tried first.
//
// A malformed attribute has the effect that RFC 7606 7 or the attribute's own RFC gives it. Wrong Optional and
// Transitive bits (RFC 7606 3.c: treat-as-withdraw) are only counted: what is decoded here is the report of a router
// that holds the route, and the type alone says how to read the value.
void parse_attributes(Bytes field, bool expect_as4, PathAttributes& out, AttributeFaults& faults, bool external = false,
                      bool width_known = true);

}  // namespace bmpha::recv
