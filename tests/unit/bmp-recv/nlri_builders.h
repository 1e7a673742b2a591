// Writes routes of the NLRI families as a router does, for round trips; and the checks that each parser has to pass.
#pragma once

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "bmp-recv/nlri_evpn.h"
#include "bmp-recv/nlri_flowspec.h"
#include "bmp-recv/nlri_mdt.h"
#include "bmp-recv/nlri_mvpn.h"
#include "bmp-recv/nlri_rt_constraint.h"
#include "bmp-recv/nlri_sr_policy.h"
#include "bmp-recv/nlri_vpls.h"
#include "tests/unit/bmp-recv/builders.h"

namespace bmpha::recv::testing {

inline std::string text_of(Bytes b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }
inline std::string be8(std::size_t v) { return std::string(1, static_cast<char>(v)); }
inline std::string be24(std::size_t v) { return be32(v).substr(1); }
inline std::string address_bytes(const Address& a) { return text_of(Bytes(a.bytes.data(), a.size)); }
inline std::string bits_address(const Address& a) { return be8(std::size_t{8} * a.size) + address_bytes(a); }
inline std::string typed(std::size_t type, const std::string& value) { return be8(type) + be8(value.size()) + value; }

inline std::string write(const EvpnRoute& r) {
  const std::string rd = text_of(r.rd), esi = text_of(r.esi), tag = be32(r.tag);
  const std::string multicast = bits_address(r.source) + bits_address(r.group), end = bits_address(r.originator);
  std::string value, labels;
  for (std::size_t n = 0; n < r.label_count; ++n) labels += be24(r.labels[n]);
  switch (r.type) {
    case EvpnType::kEthernetAd:
      value = rd + esi + tag + labels;
      break;
    case EvpnType::kMacIp:
      value = rd + esi + tag + be8(48) + text_of(r.mac) + bits_address(r.ip) + labels;
      break;
    case EvpnType::kInclusiveMulticast:
      value = rd + tag + end;
      break;
    case EvpnType::kEthernetSegment:
      value = rd + esi + end;
      break;
    case EvpnType::kIpPrefix:
      value = rd + esi + tag + be8(r.prefix_length) + address_bytes(r.prefix) + address_bytes(r.gateway) + labels;
      break;
    case EvpnType::kSelectiveMulticast:
      value = rd + tag + multicast + end + be8(r.flags);
      break;
    case EvpnType::kMembershipSynch:
      value = rd + esi + tag + multicast + end + be8(r.flags);
      break;
    case EvpnType::kLeaveSynch:
      value = rd + esi + tag + multicast + end + be32(0) + be8(r.max_response_time) + be8(r.flags);
      break;
    case EvpnType::kPerRegionIPmsi:
      value = rd + tag + text_of(r.region);
      break;
    case EvpnType::kSPmsi:
      value = rd + tag + multicast + end;
      break;
    case EvpnType::kLeaf:
      value = text_of(r.route_key) + end;
      break;
    default:
      value = text_of(r.raw);
  }
  return typed(static_cast<std::size_t>(r.type), value);
}

inline std::string write(const VplsRoute& r) {
  const std::string value =
      text_of(r.rd) + (r.pe.size != 0 ? address_bytes(r.pe)
                                      : be16(r.ve_id) + be16(r.block_offset) + be16(r.block_size) + be24(r.label_base) +
                                            text_of(r.tlvs));
  return be16(value.size()) + value;
}

inline std::string write(const SrPolicyRoute& r) {
  return be8(64 + r.endpoint.size * 8U) + be32(r.distinguisher) + be32(r.color) + address_bytes(r.endpoint);
}

inline std::string write(const MdtRoute& r) {
  return be8(128) + text_of(r.rd) + address_bytes(r.pe) + address_bytes(r.group);
}

inline std::string write(const RtConstraintRoute& r) {
  if (r.length == 0) return be8(0);
  return be8(r.length) + be32(r.origin_as) + text_of(r.target).substr(0, (r.length - 32U + 7) / 8);
}

inline std::string write(const MvpnRoute& r) {
  const std::string rd = text_of(r.rd), multicast = bits_address(r.source) + bits_address(r.group);
  const std::string end = address_bytes(r.originator);
  std::string value;
  switch (r.type) {
    case MvpnType::kIntraAsIPmsi:
      value = rd + end;
      break;
    case MvpnType::kInterAsIPmsi:
      value = rd + be32(r.source_as);
      break;
    case MvpnType::kSPmsi:
      value = rd + multicast + end;
      break;
    case MvpnType::kLeaf:
      value = text_of(r.route_key) + end;
      break;
    case MvpnType::kSourceActive:
      value = rd + multicast;
      break;
    case MvpnType::kSharedTreeJoin:
    case MvpnType::kSourceTreeJoin:
      value = rd + be32(r.source_as) + multicast;
      break;
    default:
      value = text_of(r.raw);
  }
  return typed(static_cast<std::size_t>(r.type), value);
}

inline std::string write(const FlowspecRoute& r) {
  const std::string value = (r.vpn ? text_of(r.rd) : "") + text_of(r.components);
  return (value.size() < 240 ? be8(value.size()) : be16(0xf000 | value.size())) + value;
}

// Repeatable random fields.
class Dice {
 public:
  std::uint64_t below(std::uint64_t n) { return engine_() % n; }
  template <std::size_t N>
  void fill(std::array<std::uint8_t, N>& out) {
    for (std::uint8_t& b : out) b = static_cast<std::uint8_t>(engine_());
  }
  // Of one of the sizes.
  Address address(std::initializer_list<std::uint8_t> sizes) {
    Address a;
    a.size = std::data(sizes)[below(sizes.size())];
    for (std::size_t n = 0; n < a.size; ++n) a.bytes[n] = static_cast<std::uint8_t>(engine_());
    return a;
  }
  std::string bytes(std::size_t n) {
    std::string s;
    while (s.size() < n) s += static_cast<char>(engine_());
    return s;
  }

 private:
  std::mt19937_64 engine_{20261121};  // NOLINT: repeatable on purpose
};

// Writes lists of routes that make(dice) invents, with and without path identifiers, and reads them back:
// parse(field, expected, list), same(written, read).
template <class Route, class Make, class Parse, class Same>
void check_round_trips(Make make, Parse parse, Same same) {
  Dice dice;
  for (int round = 0; round < 2000; ++round) {
    std::vector<Route> list(1 + dice.below(4)), read;
    const bool ids = dice.below(2) == 1;
    std::string field;
    for (Route& r : list) {
      r = make(dice);
      if (ids) field += be32(r.path_id = static_cast<std::uint32_t>(1 + dice.below(1000)));
      field += write(r);
    }
    CAPTURE(round);
    REQUIRE(parse(as_bytes(field), ids ? PathIds::kYes : PathIds::kNo, read) == NlriResult::kOk);
    REQUIRE(read.size() == list.size());
    std::string again;
    for (std::size_t n = 0; n < read.size(); ++n) {
      REQUIRE(read[n].path_id == list[n].path_id);
      REQUIRE(same(list[n], read[n]));
      again += (ids ? be32(read[n].path_id) : "") + write(read[n]);
    }
    REQUIRE(again == field);
    // The other form is found out, unless the routes leave room for doubt.
    read.clear();
    const NlriResult other = parse(as_bytes(field), ids ? PathIds::kNo : PathIds::kYes, read);
    if (other == NlriResult::kOkOtherForm) REQUIRE(read.size() == list.size());
  }
}

// Every truncation of a field is refused as a whole, whatever is expected, save between two routes.
template <class Route, class Parse>
void check_truncations(const std::string& field, const std::vector<std::size_t>& boundaries, Parse parse) {
  for (std::size_t n = 1; n <= field.size(); ++n) {
    CAPTURE(n);
    std::vector<Route> list(1);
    const NlriResult result = parse(as_bytes(field.substr(0, n)), PathIds::kNo, list);
    const bool whole = std::find(boundaries.begin(), boundaries.end(), n) != boundaries.end();
    CHECK(result == (whole ? NlriResult::kOk : NlriResult::kBad));
    CHECK((list.size() > 1) == whole);
  }
}

template <class Route, class Print>
std::string columns_of(const Route& route, Print print) {
  TextBuffer t;
  print(t, route);
  std::string out(t.view());
  for (char& c : out)
    if (c == '\t') c = '|';
  return out;
}

// With a VPN's usual distinguisher 65000:1.
inline const char* const kRd = "0000 fde8 00000001 ";

}  // namespace bmpha::recv::testing
