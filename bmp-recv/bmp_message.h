// BMP messages as decoded (RFC 7854, 8671, 9069, 9736). Text and byte views are borrowed from the frame: they are
// valid until the next read of that session.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

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
inline View view_of(const PeerHeader& h) {
  if (h.is_loc_rib()) return View::kLocRib;
  return static_cast<View>((h.is_pre_policy() ? 0 : 1) + (h.is_adj_in() ? 0 : 2));
}

struct Initiation {
  std::string_view sys_descr;  // TLV 1
  std::string_view sys_name;   // TLV 2
  std::string_view text;       // TLV 0, the last one
};

struct Termination {
  std::uint16_t reason = 0;
  std::string_view text;
};

struct PeerUp {
  std::array<std::uint8_t, 16> local_address{};
  std::uint16_t local_port = 0;
  std::uint16_t remote_port = 0;
  Bytes sent_open;  // BGP message with header; empty when malformed
  Bytes received_open;
  std::string_view info;        // TLV 0
  std::string_view table_name;  // TLV 3
};

struct PeerDown {
  std::uint8_t reason = 0;
  std::uint16_t fsm_event = 0;  // reason 2
  std::uint8_t error_code = 0;  // reasons 1 and 3
  std::uint8_t error_subcode = 0;
  Bytes error_data;
};

// Counters and gauges by BMP statistics type; 0 to 8 are the ones that a bmp_stat row can say.
inline constexpr std::size_t kStatTypes = 18;
struct Statistics {
  std::array<std::uint64_t, kStatTypes> value{};
  std::uint32_t known = 0;    // bit per type that was present
  std::uint32_t unknown = 0;  // TLVs of other types, or of an unexpected length
};

}  // namespace bmpha::recv
