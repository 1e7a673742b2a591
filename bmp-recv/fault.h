// Why a message, or a part of one, could not be used. A fault costs at most the message in which it stands; it is
// counted by this reason. (Bad framing is not here: it closes the session, see framer.h.)
#pragma once

#include <cstddef>
#include <cstdint>

namespace bmpha::recv {

enum class Fault : std::uint8_t {
  kNone,
  // BMP message bodies: the message is dropped, unless noted.
  kPeerHeader,     // per-peer header cut short
  kInitiation,     // TLV overruns the message; what stood before it is used
  kTermination,    // likewise
  kPeerUp,         // cut short before its OPEN messages
  kPeerUpOpen,     // an OPEN is malformed: the Peer Up counts, its capabilities are unknown
  kPeerUpTlv,      // information TLV overruns the message; what stood before it is used
  kPeerDown,       // no reason code
  kPeerDownData,   // data does not fit the reason: the Peer Down counts
  kStatistics,     // TLV overruns the message
  kMirroring,      // TLV overruns the message; it is passed on as it is all the same
  kMonitoringTlv,  // version 4: TLV overruns the message, or no BGP message in it
  kTooManyPeers,   // limit of peers in one session
  kNoInitiation,   // message before the Initiation while the router's identity depends on it
  // BGP UPDATE: the message is dropped, unless noted.
  kBgpHeader,     // marker, length or type of the BGP message
  kNotUpdate,     // BGP message that is no UPDATE inside Route Monitoring
  kUpdateLength,  // withdrawn or attribute length overruns the message
  kBehindUpdate,  // bytes behind the BGP message that are no whole BGP message: they are left out
  kWithdrawnNlri,
  kNlri,
  kMpReach,        // the attribute's routes are left out; other routes of the message are used
  kMpUnreach,      // likewise
  kDuplicateMp,    // MP_REACH or MP_UNREACH twice (RFC 7606 3.g)
  kAmplification,  // its rows would be out of all proportion to its bytes: what it announces is withdrawn
  // Attributes: the message counts as a withdrawal of its prefixes (RFC 7606 "treat-as-withdraw").
  kAttributeLength,
  kOrigin,
  kAsPath,
  kNextHop,
  kMed,
  kLocalPref,
  kCommunity,
  kOriginatorId,
  kClusterList,
  kExtCommunity,
  kLargeCommunity,
  kIpv6ExtCommunity,
  kPmsiTunnel,
  kTunnelEncapsulation,
  kOtc,
  kAttrSet,
  kSrv6Service,  // in Prefix-SID (RFC 9252 7)
  // Attributes: only the attribute is dropped (RFC 7606 "attribute discard").
  kAtomicAggregate,
  kAggregator,
  kAs4Path,
  kAs4Aggregator,
  kAigp,
  kPrefixSid,
  kBier,
  kLinkState,  // the BGP-LS attribute
  kDuplicateAttribute,
  kAttributeFlags,    // the Optional or Transitive bit is wrong; the attribute is kept, since the router kept it
  kMissingAttribute,  // ORIGIN or AS_PATH is absent; the route is kept, since the router holds it
  kCount,
};
inline constexpr std::size_t kFaultCount = static_cast<std::size_t>(Fault::kCount);

const char* fault_name(Fault f);

}  // namespace bmpha::recv
