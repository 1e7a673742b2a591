#include "bmp-recv/identity.h"

#include <algorithm>

#include "common/content_hash.h"

namespace bmpha::recv {
namespace {

using Scratch = std::vector<std::uint8_t>;

void put32(Scratch& s, std::uint32_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) s.push_back(static_cast<std::uint8_t>(v >> shift));
}
void put_bytes(Scratch& s, Bytes b) { s.insert(s.end(), b.begin(), b.end()); }

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

void put_as_path(Scratch& s, const AsPath& path) {
  std::size_t at = 0;
  for (const AsPath::Segment& segment : path.segments) {
    s.push_back(static_cast<std::uint8_t>(segment.type));
    s.push_back(segment.count);
    for (std::size_t n = 0; n < segment.count; ++n) put32(s, path.asns[at + n]);
    at += segment.count;
  }
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
  put_bytes(key, peer.bytes);
  key.push_back(static_cast<std::uint8_t>(family.afi >> 8));
  key.push_back(static_cast<std::uint8_t>(family.afi));
  key.push_back(family.safi);
  key.push_back(static_cast<std::uint8_t>(view));
  put32(key, path_id);
  return hash_of(key);
}

Hash128 attributes_hash(const PathAttributes& a, const Address& next_hop, Scratch& s) {
  s.clear();
  s.push_back(next_hop.size);
  put_bytes(s, Bytes(next_hop.bytes.data(), next_hop.size));
  put_as_path(s, a.as_path);
  s.push_back(a.has_aggregator ? 1 : 0);
  if (a.has_aggregator) {
    put32(s, a.aggregator_asn);
    put_bytes(s, a.aggregator_id);
  }
  const std::bitset<256>& decoded = decoded_attributes();
  const auto put = [&](const RawAttribute& raw) {
    if (is_decoded_apart(raw.type)) return;
    s.push_back(static_cast<std::uint8_t>(raw.type));
    // Rows show the flags of what is not decoded; how the length was written is not one of them.
    if (!decoded[static_cast<std::size_t>(raw.type)]) s.push_back(raw.flags & 0xe0);
    put32(s, static_cast<std::uint32_t>(raw.value.size()));
    put_bytes(s, raw.value);
  };
  const auto by_type = [](const RawAttribute& x, const RawAttribute& y) { return x.type < y.type; };
  if (std::is_sorted(a.all.begin(), a.all.end(), by_type)) {
    for (const RawAttribute& raw : a.all) put(raw);
  } else {  // rare: RFC 4271 5 asks for ascending order
    for (unsigned type = 0; type < 256; ++type)
      for (const RawAttribute& raw : a.all)
        if (static_cast<unsigned>(raw.type) == type) put(raw);
  }
  return hash_of(s);
}

}  // namespace bmpha::recv
