// BGP OPEN (RFC 4271 4.2) and its capabilities (RFC 5492), as they stand in a Peer Up; and what two of them agree on.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "common/byte_reader.h"

namespace bmpha::recv {

struct Family {
  std::uint16_t afi = 0;
  std::uint8_t safi = 0;
  auto operator<=>(const Family&) const = default;  // NOLINT(modernize-use-nullptr): false alarm of version 14
};
inline constexpr Family kIpv4Unicast{1, 1};
inline constexpr Family kIpv6Unicast{2, 1};

// A set of those families that routers exchange (IANA SAFI registry); others are never in it.
class FamilySet {
 public:
  void insert(const Family& f);
  bool contains(const Family& f) const;

 private:
  std::uint64_t bits_ = 0;
};

// IANA capability codes that are decoded; all others are data.
enum class Capability : std::uint8_t {
  kMultiprotocol = 1,
  kRouteRefresh = 2,
  kOutboundFilter = 3,
  kMultipleLabels = 8,
  kGracefulRestart = 64,
  kAs4 = 65,
  kMultiSession = 68,
  kAddPath = 69,
  kEnhancedRouteRefresh = 70,
  kRouteRefreshOld = 128,
};

struct RawCapability {
  std::uint8_t code = 0;
  Bytes value;  // borrowed from the message
};

// RFC 7911 4: what the sender of the OPEN can do.
struct AddPath {
  Family family;
  std::uint8_t mode = 0;  // 1 receive, 2 send, 3 both
  bool receives() const { return (mode & 1) != 0 && mode <= 3; }
  bool sends() const { return (mode & 2) != 0 && mode <= 3; }
};

struct Open {
  std::uint8_t version = 0;
  std::uint32_t asn = 0;  // of the 4-octet capability when there is one
  std::uint16_t hold_time = 0;
  std::array<std::uint8_t, 4> bgp_id{};
  bool as4 = false;
  std::vector<Family> families;  // IPv4 unicast when no multiprotocol capability is there
  std::vector<AddPath> add_path;
  std::vector<Family> many_labels;  // RFC 8277 2.1
  std::vector<RawCapability> capabilities;
};

// The whole BGP message, header included. False: malformed; out is then not to be used.
[[nodiscard]] bool parse_open(Bytes message, Open& out);

// How UPDATEs of a peer are encoded, learnt from both OPENs of its Peer Up.
struct PeerContext {
  bool known = false;     // false: no Peer Up with readable OPENs
  bool as4 = true;        // both sides have the 4-octet capability
  bool external = false;  // the two are in different ASes; within a confederation, too
  // RFC 7911, per direction: path identifiers towards the router (Adj-RIB-In) and from it (Adj-RIB-Out); for a Loc-RIB,
  // whose OPENs are made up (RFC 9069 4.2), those that either of them names.
  FamilySet ids_in, ids_out, ids_named;
  FamilySet many_labels;         // both sides may send several labels a prefix
  std::vector<Family> families;  // that both sides have
};
// `sent` by the monitored router, `received` from its peer.
PeerContext negotiate(const Open& sent, const Open& received);

}  // namespace bmpha::recv
