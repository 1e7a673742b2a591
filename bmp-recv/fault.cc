#include "bmp-recv/fault.h"

namespace bmpha::recv {

const char* fault_name(Fault f) {
  switch (f) {
    case Fault::kNone:
      return "none";
    case Fault::kPeerHeader:
      return "peer_header";
    case Fault::kInitiation:
      return "initiation";
    case Fault::kTermination:
      return "termination";
    case Fault::kPeerUp:
      return "peer_up";
    case Fault::kPeerUpOpen:
      return "peer_up_open";
    case Fault::kPeerUpTlv:
      return "peer_up_tlv";
    case Fault::kPeerDown:
      return "peer_down";
    case Fault::kPeerDownData:
      return "peer_down_data";
    case Fault::kStatistics:
      return "statistics";
    case Fault::kTooManyPeers:
      return "too_many_peers";
    case Fault::kNoInitiation:
      return "no_initiation";
    case Fault::kBgpHeader:
      return "bgp_header";
    case Fault::kNotUpdate:
      return "not_update";
    case Fault::kUpdateLength:
      return "update_length";
    case Fault::kWithdrawnNlri:
      return "withdrawn_nlri";
    case Fault::kNlri:
      return "nlri";
    case Fault::kMpReach:
      return "mp_reach";
    case Fault::kMpUnreach:
      return "mp_unreach";
    case Fault::kDuplicateMp:
      return "duplicate_mp";
    case Fault::kAmplification:
      return "amplification";
    case Fault::kAttributeLength:
      return "attribute_length";
    case Fault::kOrigin:
      return "origin";
    case Fault::kAsPath:
      return "as_path";
    case Fault::kNextHop:
      return "next_hop";
    case Fault::kMed:
      return "med";
    case Fault::kLocalPref:
      return "local_pref";
    case Fault::kCommunity:
      return "community";
    case Fault::kOriginatorId:
      return "originator_id";
    case Fault::kClusterList:
      return "cluster_list";
    case Fault::kExtCommunity:
      return "ext_community";
    case Fault::kLargeCommunity:
      return "large_community";
    case Fault::kAtomicAggregate:
      return "atomic_aggregate";
    case Fault::kAggregator:
      return "aggregator";
    case Fault::kAs4Path:
      return "as4_path";
    case Fault::kAs4Aggregator:
      return "as4_aggregator";
    case Fault::kDuplicateAttribute:
      return "duplicate_attribute";
    case Fault::kMissingAttribute:
      return "missing_attribute";
    case Fault::kCount:
      break;
  }
  return "unknown";
}

}  // namespace bmpha::recv
