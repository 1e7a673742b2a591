// Hashes of everything that has an identity (XXH128, big-endian form). None depends on the node, so all nodes of a
// cluster say the same. Those of other software: compat_hash.h.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bmp-recv/bgp_attributes.h"
#include "bmp-recv/bgp_nlri.h"
#include "bmp-recv/bgp_open.h"
#include "bmp-recv/bmp_message.h"
#include "common/ids.h"

namespace bmpha::recv {

Hash128 hash_of(Bytes bytes);
Hash128 collector_hash(std::string_view collector_id);
RouterId router_hash(std::string_view collector_id, std::string_view router_id);

// What makes a peer of a router: not the flags, which differ between the messages of one peer.
struct PeerKey {
  std::array<std::uint8_t, 25> bytes{};  // type, distinguisher, address
  bool operator==(const PeerKey&) const = default;
};
PeerKey peer_key(const PeerHeader& h);
struct HashOfPeerKey {
  std::size_t operator()(const PeerKey& k) const;
};
Hash128 peer_hash(const RouterId& router, const PeerKey& key);

// Of a route in one view of one peer.
Hash128 route_hash(const Hash128& peer, const Prefix& p, View view);
// Of a route of another family; `key` is what FamilyCodec::append_key gives, and is used as scratch.
Hash128 route_hash(const Hash128& peer, const Family& family, View view, std::uint32_t path_id,
                   std::vector<std::uint8_t>& key);

// Content hash of all path attributes and the next hop: independent of the peer, the node, the order and the width in
// which the attributes were sent. `scratch` is reused.
Hash128 attributes_hash(const PathAttributes& a, const Address& next_hop, std::vector<std::uint8_t>& scratch);

}  // namespace bmpha::recv
