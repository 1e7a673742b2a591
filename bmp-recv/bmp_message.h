// BMP messages as decoded (RFC 7854, 8671, 9069, 9736). Text and byte views are borrowed from the frame: they are
// valid until the next read of that session.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "bmp-recv/bgp_open.h"
#include "bmp-recv/route_marks.h"
#include "common/byte_reader.h"

namespace bmpha::recv {

// RFC 7854 4.2, RFC 9069 4.1.
enum class PeerType : std::uint8_t { kGlobal = 0, kRdInstance = 1, kLocalInstance = 2, kLocRib = 3 };

inline constexpr std::uint8_t kPeerFlagV6 = 0x80;          // V; of a Loc-RIB peer: F, filtered
inline constexpr std::uint8_t kPeerFlagPostPolicy = 0x40;  // L
inline constexpr std::uint8_t kPeerFlagAs2 = 0x20;         // A: AS_PATH in the 2-byte form
inline constexpr std::uint8_t kPeerFlagAdjOut = 0x10;      // O, RFC 8671

struct PeerHeader {
  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  std::array<std::uint8_t, 8> distinguisher{};
  std::array<std::uint8_t, 16> address{};
  std::uint32_t asn = 0;
  std::array<std::uint8_t, 4> bgp_id{};
  std::uint32_t seconds = 0;
  std::uint32_t micros = 0;

  bool is_loc_rib() const { return type == static_cast<std::uint8_t>(PeerType::kLocRib); }
  bool is_v6() const { return !is_loc_rib() && (flags & kPeerFlagV6) != 0; }
  // A Loc-RIB peer's address prints as "::" and counts as not IPv4.
  bool prints_v4() const { return !is_loc_rib() && (flags & kPeerFlagV6) == 0; }
  bool is_loc_rib_filtered() const { return is_loc_rib() && (flags & kPeerFlagV6) != 0; }
  bool is_adj_in() const { return !is_loc_rib() && (flags & kPeerFlagAdjOut) == 0; }
  bool is_pre_policy() const { return !is_loc_rib() && (flags & kPeerFlagPostPolicy) == 0; }
};

// Which RIB of a peer a route belongs to. The numbers are ours, for tables only.
enum class View : std::uint8_t { kInPre = 0, kInPost = 1, kOutPre = 2, kOutPost = 3, kLocRib = 4 };
inline constexpr std::size_t kViews = 5;
inline View view_of(const PeerHeader& h) {
  if (h.is_loc_rib()) return View::kLocRib;
  return static_cast<View>((h.is_pre_policy() ? 0 : 1) + (h.is_adj_in() ? 0 : 2));
}

// TLVs of types that are not decoded are skipped and counted.
struct Initiation {
  std::string_view sys_descr;  // TLV 1
  std::string_view sys_name;   // TLV 2
  std::string_view text;       // TLV 0, the last one
  std::uint32_t unknown = 0;
};

struct Termination {
  std::uint16_t reason = 0;
  std::string_view text;
  std::uint32_t unknown = 0;
};

// Information TLVs of Peer Up (RFC 9736) and Peer Down (RFC 9069 5.3).
struct PeerInfo {
  std::string_view info;         // TLV 0, the last one
  std::string_view table_name;   // TLV 3: VRF or table
  std::string_view admin_label;  // TLV 4
  std::uint32_t unknown = 0;
};

struct PeerUp : PeerInfo {
  std::array<std::uint8_t, 16> local_address{};
  std::uint16_t local_port = 0;
  std::uint16_t remote_port = 0;
  Bytes sent_open;  // BGP message with header; empty when malformed
  Bytes received_open;
};

// RFC 7854 4.9, RFC 9069 5.3.
enum class DownReason : std::uint8_t {
  kLocalNotification = 1,   // with the NOTIFICATION that was sent
  kLocalEvent = 2,          // with an FSM event
  kRemoteNotification = 3,  // with the NOTIFICATION that was received
  kRemoteNoData = 4,
  kDeconfigured = 5,
  kLocalTlvs = 6,  // with information TLVs
};

struct PeerDown : PeerInfo {
  std::uint8_t reason = 0;
  std::uint16_t fsm_event = 0;
  std::uint8_t error_code = 0;  // of the NOTIFICATION
  std::uint8_t error_subcode = 0;
  Bytes error_data;
  bool is(DownReason r) const { return reason == static_cast<std::uint8_t>(r); }
};

// One statistic as it came. Which types there are: statistics.h.
struct Statistic {
  std::uint16_t type = 0;
  bool has_value = false;   // its length is that of a counter or a gauge
  bool has_family = false;  // a gauge per AFI and SAFI
  Family family;
  std::uint64_t value = 0;
  Bytes raw;
};
struct Statistics {
  std::vector<Statistic> all;
  std::uint32_t unknown = 0;  // TLVs of version 4 beside the statistics
};

// RFC 7854 4.7: the BGP messages themselves are passed on as they are.
struct Mirroring {
  std::uint32_t messages = 0;
  std::uint32_t errored = 0;  // marks: the router took the message for malformed
  std::uint32_t lost = 0;     // marks: the router has lost messages
  std::uint32_t unknown = 0;
};

// Route Monitoring of BMP version 4 (draft-ietf-grow-bmp-tlv): what its TLVs say. One is reused for every message.
struct MonitoringTlvs {
  Bytes update;           // the BGP message
  bool as4 = false;       // said to have 4-byte AS numbers
  FamilySet ids;          // said to have path identifiers
  FamilySet many_labels;  // said to have label stacks
  RouteMarks marks;
  std::uint32_t unknown = 0;

  void clear();
};

}  // namespace bmpha::recv
