// Parsers at every length of their input, beyond what stands with each of them: nothing that is cut is taken for
// something else, and what is refused leaves nothing behind.
#include <doctest/doctest.h>

#include <algorithm>

#include "bmp-recv/bgp_attributes.h"
#include "bmp-recv/bgp_nlri.h"
#include "bmp-recv/bmp_parser.h"
#include "bmp-recv/nlri_vpn.h"
#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

std::string tlv(std::size_t type, const std::string& value) { return be16(type) + be16(value.size()) + value; }

using Lengths = std::vector<std::size_t>;
bool is_in(const Lengths& lengths, std::size_t n) {
  return std::find(lengths.begin(), lengths.end(), n) != lengths.end();
}

Fault fault_of(const std::string& value, unsigned type, PathAttributes& a) {
  const std::string field = attribute(type, value);
  AttributeFaults faults;
  a.clear();
  parse_attributes(as_bytes(field), true, a, faults);
  CHECK(faults.fatal == Fault::kNone);
  if (faults.withdraw != Fault::kNone) return faults.withdraw;
  return faults.discarded_count == 0 ? Fault::kNone : faults.discarded[0];
}

}  // namespace

TEST_CASE("Initiation, Termination and Route Mirroring are whole only between TLVs") {
  const std::string texts = tlv(1, "descr") + tlv(2, "name"), reason = tlv(0, "bye") + tlv(1, be16(3));
  const std::string mirrored = tlv(0, "PDU") + tlv(1, be16(0)) + tlv(5, "");
  const auto check = [](const std::string& body, const Lengths& whole, Fault torn, auto parse) {
    for (std::size_t n = 0; n <= body.size(); ++n) {
      CAPTURE(n);
      const std::string cut = body.substr(0, n);
      CHECK(parse(ByteReader(as_bytes(cut))) == (is_in(whole, n) ? Fault::kNone : torn));
    }
  };
  check(texts, {0, 9, 17}, Fault::kInitiation, [](ByteReader r) {
    Initiation i;
    return parse_initiation(r, i);
  });
  check(reason, {0, 7, 13}, Fault::kTermination, [](ByteReader r) {
    Termination t;
    return parse_termination(r, t);
  });
  check(mirrored, {0, 7, 13, 17}, Fault::kMirroring, [](ByteReader r) {
    Mirroring m;
    return parse_mirroring(r, m);
  });
}

TEST_CASE("a field of plain prefixes that is cut is read up to a prefix or not at all") {
  const std::string four = hex("18 0a0102 20 c0000201 00 09 0a80"),
                    six = hex("20 20010db8 00 80 20010db8000000000000000000000001");
  const std::string with_ids = hex("00000001 18 0a0102 00000002 10 0a01");
  const struct {
    const std::string& field;
    bool v6;
    PathIds ids;
    Lengths whole;
  } cases[] = {{four, false, PathIds::kNo, {4, 9, 10, 13}},
               {six, true, PathIds::kNo, {5, 6, 23}},
               {with_ids, false, PathIds::kYes, {8, 15}}};
  for (const auto& c : cases)
    for (std::size_t n = 1; n <= c.field.size(); ++n) {
      CAPTURE(n);
      std::vector<Prefix> list(1);
      bool large_ids = false;
      const std::string cut = c.field.substr(0, n);
      const NlriResult result = parse_nlri(as_bytes(cut), c.v6, c.ids, large_ids, list);
      if (is_in(c.whole, n)) CHECK(result == NlriResult::kOk);
      // Four zero bytes and one more are default routes as well, where identifiers were expected.
      if (!is_in(c.whole, n)) CHECK((result == NlriResult::kBad || result == NlriResult::kOkOtherForm));
      CHECK((list.size() == 1) == (result == NlriResult::kBad));
      if (result == NlriResult::kOkOtherForm) CHECK(c.ids == PathIds::kYes);
    }
}

TEST_CASE("labelled, VPN and multicast prefixes that are cut are read up to a prefix or not at all") {
  const std::string rd = "0000fde900000064";
  const struct {
    std::string field;
    Family family;
    Lengths whole;
  } cases[] = {{hex("30 000641 0a0102 38 000651 0a010203"), {1, 4}, {7, 15}},
               {hex("38 000641 20010db8 18 800000"), {2, 4}, {8, 12}},
               {hex("18 e00001 20 e0000201"), {1, 2}, {4, 9}},
               {hex("20 ff3e0000"), {2, 2}, {5}},
               {hex("70 000641 " + rd + "0a0102 60 000651 " + rd + "0a"), {1, 128}, {15, 28}},
               {hex("78 000641 " + rd + "20010db8"), {2, 128}, {16}},
               {hex("58 " + rd + "e00001 70 000641 " + rd + "e00001"), {1, 129}, {12, 27}},
               {hex("60 " + rd + "ff3e0000"), {2, 129}, {13}}};
  VpnCodec codec;
  for (const auto& c : cases) {
    CAPTURE(c.family.safi);
    NlriContext context;
    context.family = c.family;
    context.ids = context.many_labels = PathIds::kNo;
    for (std::size_t n = 1; n <= c.field.size(); ++n) {
      CAPTURE(n);
      const std::string cut = c.field.substr(0, n);
      const bool whole = is_in(c.whole, n);
      const NlriResult result = codec.parse(as_bytes(cut), context);
      CHECK((codec.size() == 0) == (result == NlriResult::kBad));
      if (whole) CHECK(result == NlriResult::kOk);
      if (whole) continue;
      // Without a distinguisher hardly anything tells that the first bytes are no path identifier.
      CHECK((result == NlriResult::kBad || (c.family.safi < 128 && result == NlriResult::kOkOtherForm)));
    }
  }
}

TEST_CASE("the value of an attribute at every length has the effect that its RFC gives it") {
  const std::string path = hex("02 02 0000fde9 0000fdea 01 01 0000fdeb");
  const struct {
    unsigned type;
    std::string value;
    Lengths good;  // lengths at which it is well-formed
    Fault bad;
  } cases[] = {
      {1, hex("02"), {1}, Fault::kOrigin},
      {2, path, {0, 10, 16}, Fault::kAsPath},
      {3, hex("c0000201"), {4}, Fault::kNextHop},
      {4, hex("00000005"), {4}, Fault::kMed},
      {5, hex("00000064"), {4}, Fault::kLocalPref},
      {7, hex("0000fde9 c0000201"), {6, 8}, Fault::kAggregator},
      {8, hex("fde90001 fde90002"), {4, 8}, Fault::kCommunity},
      {9, hex("c0000201"), {4}, Fault::kOriginatorId},
      {10, hex("c0000201 c0000202"), {4, 8}, Fault::kClusterList},
      {16, hex("0002fde900000001 0003fde900000002"), {8, 16}, Fault::kExtCommunity},
      {25, hex("0002 20010db8000000000000000000000001 0005"), {20}, Fault::kIpv6ExtCommunity},
      {26, hex("01 000b 0000000000000064"), {11}, Fault::kAigp},
      {32, hex("0000fde9 00000001 00000002 0000fde9 00000003 00000004"), {12, 24}, Fault::kLargeCommunity},
      {35, hex("0000fde9"), {4}, Fault::kOtc},
  };
  PathAttributes a;
  for (const auto& c : cases)
    for (std::size_t n = 0; n <= c.value.size(); ++n) {
      CAPTURE(c.type);
      CAPTURE(n);
      CHECK(fault_of(c.value.substr(0, n), c.type, a) == (is_in(c.good, n) ? Fault::kNone : c.bad));
    }
}
