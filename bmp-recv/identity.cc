#include "bmp-recv/identity.h"

#include <algorithm>
#include <cstring>

#include "common/content_hash.h"

namespace bmpha::recv {
namespace {

using Scratch = std::vector<std::uint8_t>;

// What is to be hashed, written into room that has been made for it.
class HashInput {
 public:
  HashInput(Scratch& scratch, std::size_t most) {
    if (scratch.size() < most) scratch.resize(most);
    begin_ = at_ = scratch.data();
  }
  void byte(std::uint8_t v) { *at_++ = v; }
  void u32(std::uint32_t v) {
    for (int shift = 24; shift >= 0; shift -= 8) byte(static_cast<std::uint8_t>(v >> shift));
  }
  void bytes(Bytes b) {
    if (!b.empty()) std::memcpy(at_, b.data(), b.size());
    at_ += b.size();
  }
  Hash128 hash() const { return hash_of({begin_, at_}); }

 private:
  std::uint8_t* begin_;
  std::uint8_t* at_;
};

// Attributes that are carried in another form: by their decoded values, or not at all.
bool is_decoded_apart(AttributeType t) {
  switch (t) {
    case AttributeType::kAsPath:
    case AttributeType::kNextHop:
    case AttributeType::kAggregator:
    case AttributeType::kMpReach:
    case AttributeType::kMpUnreach:
    case AttributeType::kAs4Path:
    case AttributeType::kAs4Aggregator:
      return true;
    default:
      return false;
  }
}

void put_as_path(HashInput& in, const AsPath& path) {
  const std::uint32_t* asn = path.asns.data();
  for (const AsPath::Segment& segment : path.segments) {
    in.byte(static_cast<std::uint8_t>(segment.type));
    in.byte(segment.count);
    for (std::size_t n = 0; n < segment.count; ++n) in.u32(*asn++);
  }
}

// Bytes that attributes_hash() reads at most.
std::size_t hashed_bytes(const PathAttributes& a) {
  std::size_t sum = 32 + 2 * a.as_path.segments.size() + 4 * a.as_path.asns.size();
  for (const RawAttribute& raw : a.all) sum += 6 + raw.value.size();
  return sum;
}

}  // namespace

Hash128 hash_of(Bytes bytes) { return content_hash(bytes); }

Hash128 collector_hash(std::string_view collector_id) { return hash_of(as_bytes(collector_id)); }

RouterId router_hash(std::string_view collector_id, std::string_view router_id) {
  std::string text(collector_id);
  text += '\0';
  text += router_id;
  return hash_of(as_bytes(text));
}

PeerKey peer_key(const PeerHeader& h) {
  PeerKey k;
  k.bytes[0] = h.type;
  std::copy(h.distinguisher.begin(), h.distinguisher.end(), k.bytes.begin() + 1);
  std::copy(h.address.begin(), h.address.end(), k.bytes.begin() + 9);
  return k;
}

std::size_t HashOfPeerKey::operator()(const PeerKey& k) const { return short_hash(k.bytes); }

Hash128 peer_hash(const RouterId& router, const PeerKey& key) {
  std::array<std::uint8_t, 41> b{};
  std::copy(router.bytes.begin(), router.bytes.end(), b.begin());
  std::copy(key.bytes.begin(), key.bytes.end(), b.begin() + 16);
  return hash_of(b);
}

Hash128 route_hash(const Hash128& peer, const Prefix& p, View view) {
  std::array<std::uint8_t, 39> b{};
  std::copy(peer.bytes.begin(), peer.bytes.end(), b.begin());
  std::copy(p.address.begin(), p.address.end(), b.begin() + 16);
  b[32] = p.length;
  b[33] = static_cast<std::uint8_t>(static_cast<unsigned>(view) << 1 | (p.v6 ? 1U : 0U));
  b[34] = 1;  // unicast
  for (std::size_t n = 0; n < 4; ++n) b[35 + n] = static_cast<std::uint8_t>(p.path_id >> (24 - 8 * n));
  return hash_of(b);
}

Hash128 route_hash(const Hash128& peer, const Family& family, View view, std::uint32_t path_id, Scratch& key) {
  key.insert(key.end(), peer.bytes.begin(), peer.bytes.end());
  const auto byte = [&key](std::uint32_t v) { key.push_back(static_cast<std::uint8_t>(v)); };
  byte(family.afi >> 8);
  byte(family.afi);
  byte(family.safi);
  byte(static_cast<std::uint32_t>(view));
  for (int shift = 24; shift >= 0; shift -= 8) byte(path_id >> shift);
  return hash_of(key);
}

Hash128 attributes_hash(const PathAttributes& a, const Address& next_hop, Scratch& scratch) {
  HashInput in(scratch, hashed_bytes(a));
  in.byte(next_hop.size);
  in.bytes(Bytes(next_hop.bytes.data(), next_hop.size));
  put_as_path(in, a.as_path);
  in.byte(a.has_aggregator ? 1 : 0);
  if (a.has_aggregator) {
    in.u32(a.aggregator_asn);
    in.bytes(a.aggregator_id);
  }
  const std::bitset<256>& decoded = decoded_attributes();
  const auto put = [&](const RawAttribute& raw) {
    if (is_decoded_apart(raw.type)) return;
    in.byte(static_cast<std::uint8_t>(raw.type));
    // Rows show the flags of what is not decoded; how the length was written is not one of them.
    if (!decoded[static_cast<std::size_t>(raw.type)]) in.byte(raw.flags & 0xe0);
    in.u32(static_cast<std::uint32_t>(raw.value.size()));
    in.bytes(raw.value);
  };
  const auto by_type = [](const RawAttribute& x, const RawAttribute& y) { return x.type < y.type; };
  if (std::is_sorted(a.all.begin(), a.all.end(), by_type)) {
    for (const RawAttribute& raw : a.all) put(raw);
  } else {  // rare: RFC 4271 5 asks for ascending order
    for (unsigned type = 0; type < 256; ++type)
      for (const RawAttribute& raw : a.all)
        if (static_cast<unsigned>(raw.type) == type) put(raw);
  }
  return in.hash();
}

}  // namespace bmpha::recv
