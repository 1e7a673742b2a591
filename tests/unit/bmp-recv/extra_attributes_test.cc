#include "bmp-recv/extra_attributes.h"

#include <doctest/doctest.h>

#include <functional>

#include "bmp-recv/bgp_attributes.h"
#include "bmp-recv/identity.h"
#include "bmp-recv/prefix_sid_text.h"
#include "bmp-recv/tunnel_text.h"
#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

using Append = std::function<bool(TextBuffer&, Bytes)>;
const Append kPrefixSid = [](TextBuffer& t, Bytes v) { return append_prefix_sid(t, v) == PrefixSidResult::kOk; };
const char kMalformed[] = "malformed";

std::string text(const Append& append, const std::string& bytes) {
  TextBuffer out;
  return append(out, as_bytes(bytes)) ? std::string(out.view()) : kMalformed;
}

// Lengths at which a shorter value is well-formed too; all others must not be.
void check_truncations(const Append& append, const std::string& whole, std::vector<std::size_t> good) {
  for (std::size_t n = 0; n < whole.size(); ++n) {
    CAPTURE(n);
    const bool is_good = std::find(good.begin(), good.end(), n) != good.end();
    CHECK((text(append, whole.substr(0, n)) != kMalformed) == is_good);
  }
  CHECK(text(append, whole) != kMalformed);
}

const std::string kSid = "20010db8000000000000000000000001";

}  // namespace

TEST_CASE("PMSI_TUNNEL prints type, flags, label and identifier (RFC 6514 5)") {
  const struct {
    const char* bytes;
    const char* want;
  } cases[] = {
      {"00 06 000100 c0000201", "ingress-replication flags=0 label=16 vni=256 id=192.0.2.1"},
      {"01 03 000000 0a000001 e8000001", "pim-ssm flags=1 label=0 vni=0 id=10.0.0.1,232.0.0.1"},
      {"00 00 000000", "none flags=0 label=0 vni=0 id=0x"},
      {"00 01 000000 c0000201 0000 0005 0000000a", "rsvp-te flags=0 label=0 vni=0 id=192.0.2.1,tunnel=5,p2mp=10"},
      {"00 01 000000 20010db8000000000000000000000001 0000 0005 0000000a",
       "rsvp-te flags=0 label=0 vni=0 id=2001:db8::1,tunnel=5,p2mp=10"},
      {"00 01 000000 c0000201 0000 0005 000000", "rsvp-te flags=0 label=0 vni=0 id=0xc000020100000005000000"},
      {"00 02 000000 06 0001 04 c0000201 0007 01 0004 00000001",
       "mldp-p2mp flags=0 label=0 vni=0 id=0x06000104c0000201000701000400000001"},
      {"00 04 000000 c0000201 ef000001", "pim-sm flags=0 label=0 vni=0 id=192.0.2.1,239.0.0.1"},
      {"00 05 000000 20010db8000000000000000000000001 ff020000000000000000000000000001",
       "pim-bidir flags=0 label=0 vni=0 id=2001:db8::1,ff02::1"},
      {"00 03 000000 0a000001", "pim-ssm flags=0 label=0 vni=0 id=0x0a000001"},
      {"10 0a 000100 c0000201", "assisted-replication flags=16 label=16 vni=256 id=192.0.2.1"},
      {"00 0b 000140 01 0005 c0000201", "bier flags=0 label=20 vni=320 id=192.0.2.1,sub-domain=1,bfr-id=5"},
      {"00 0b 000140 01 0005 c00002", "bier flags=0 label=20 vni=320 id=0x010005c00002"},
      {"00 06 002710 20010db8000000000000000000000001",
       "ingress-replication flags=0 label=625 vni=10000 id=2001:db8::1"},
      {"00 06 000100 c00002", "ingress-replication flags=0 label=16 vni=256 id=0xc00002"},
      {"00 63 000000 ab", "99 flags=0 label=0 vni=0 id=0xab"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.bytes);
    CHECK(text(append_pmsi_tunnel, hex(c.bytes)) == c.want);
  }
  check_truncations(append_pmsi_tunnel, hex("00 06 000100 c0000201"), {5, 6, 7, 8});
}

TEST_CASE("Tunnel Encapsulation prints each tunnel with its sub-TLVs (RFC 9012)") {
  const struct {
    std::string bytes, want;
  } cases[] = {
      {"0008 0000", "vxlan{}"},
      {"0008 000c 06 0a 00000000 0001 c0000201", "vxlan{endpoint=192.0.2.1}"},
      {"0008 0008 06 06 00000000 0000", "vxlan{endpoint=}"},
      {"0008 000e 04 08 030b000000000064 02 02 0800", "vxlan{color=100,protocol=2048}"},
      {"000a 0000 0063 0003 63 01 ff", "mpls{} 99{99=0xff}"},
      {"000d 0007 08 02 19eb 07 01 2e", "mpls-in-udp{udp-port=6635,ds=46}"},
      {"0008 0004 09 02 0001", "vxlan{embedded-label=1}"},
      {"0008 0003 09 01 02", "vxlan{embedded-label=2}"},
      {"0008 000e 01 0c c0 001388 aabbccddeeff 0000", "vxlan{encapsulation=flags:192/vni:5000/mac:aa:bb:cc:dd:ee:ff}"},
      {"0009 000e 01 0c 80 001388 000000000000 0000", "nvgre{encapsulation=flags:128/vni:5000/mac:00:00:00:00:00:00}"},
      {"0008 0006 01 04 c0001388", "vxlan{1=0xc0001388}"},
      {"0002 0006 01 04 00000007", "gre{encapsulation=key:7}"},
      {"000b 0006 01 04 00000007", "mpls-in-gre{encapsulation=key:7}"},
      {"0001 000a 01 08 00000007 01020304", "l2tpv3{encapsulation=session:7/cookie:0x01020304}"},
      {"0001 0006 01 04 00000007", "l2tpv3{encapsulation=session:7}"},
      {"0013 0006 01 04 00000007", "geneve{1=0x00000007}"},
      {"000a 000a 0a 08 00064040 00065140", "mpls{label-stack=100/101}"},
      {"000a 0005 0a 03 000640", "mpls{10=0x000640}"},
      {"000a 000c 0b 0a 01 0007 00 0000 00000005", "mpls{prefix-sid{label-index=5}}"},
      {"000a 0003 0b 01 01", "mpls{11=0x01}"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.bytes);
    CHECK(text(append_tunnel_encapsulation, hex(c.bytes)) == c.want);
  }
  check_truncations(append_tunnel_encapsulation, hex("0008 000c 06 0a 00000000 0001 c0000201  000a 0000"), {16});
}

TEST_CASE("an SR policy prints its preference, SIDs and segment lists (RFC 9830 2.4, RFC 9831 2)") {
  const auto policy = [](const std::string& sub_tlvs) {
    const std::string bytes = hex(sub_tlvs);
    return text(append_tunnel_encapsulation, be16(15) + be16(bytes.size()) + bytes);
  };
  CHECK(policy("0c 06 0000 00000064") == "sr-policy{preference=100}");
  CHECK(policy("0d 02 4000") == "sr-policy{binding-sid=flags:64}");
  CHECK(policy("0d 06 0000 05dc0000") == "sr-policy{binding-sid=flags:0/label:24000}");
  CHECK(policy("0d 12 0000 " + kSid) == "sr-policy{binding-sid=flags:0/sid:2001:db8::1}");
  CHECK(policy("0d 03 000000") == "sr-policy{13=0x000000}");
  CHECK(policy("14 12 0000 " + kSid) == "sr-policy{srv6-binding-sid=flags:0/sid:2001:db8::1}");
  CHECK(policy("14 1a 0000 " + kSid + " 0013 0000 28181000") ==
        "sr-policy{srv6-binding-sid=flags:0/sid:2001:db8::1/behavior:19/structure:40+24+16+0}");
  CHECK(policy("0e 03 0000 02 0f 02 0700") == "sr-policy{enlp=2,priority=7}");
  CHECK(policy("81 0005 00 70617468 82 0004 00 616263") == "sr-policy{path-name=path,policy-name=abc}");
  CHECK(policy("80 0019 00 0906 0000 00000001 0106 0000 03e80000 0106 0000 03e90000") ==
        "sr-policy{segment-list{weight=1,A=flags:0/label:16000,A=flags:0/label:16016}}");
  CHECK(policy("80 0002 00 01") == "sr-policy{128=0x0001}");  // cut inside a segment: the list as it is
  CHECK(policy("80 0001 00") == "sr-policy{segment-list{}}");
}

TEST_CASE("segments of all types print in each of their lengths") {
  const std::string r4 = "c0000201", label = "05dc0000", structure = " 0013 0000 28181000";
  const std::string sid_text = "/sid:2001:db8::1", structure_text = "/behavior:19/structure:40+24+16+0";
  const struct {
    unsigned type;
    std::string bytes, want;
  } cases[] = {
      {1, "80 00" + label, "A=flags:128/label:24000"},
      {13, "00 00" + kSid, "B=flags:0" + sid_text},
      {13, "00 00" + kSid + structure, "B=flags:0" + sid_text + structure_text},
      {3, "40 01" + r4, "C=flags:64/algo:1/node:192.0.2.1"},
      {3, "40 01" + r4 + label, "C=flags:64/algo:1/node:192.0.2.1/label:24000"},
      {4, "00 00" + kSid, "D=flags:0/algo:0/node:2001:db8::1"},
      {4, "00 00" + kSid + label, "D=flags:0/algo:0/node:2001:db8::1/label:24000"},
      {5, "00 00 00000007" + r4, "E=flags:0/local-id:7/local:192.0.2.1"},
      {5, "00 00 00000007" + r4 + label, "E=flags:0/local-id:7/local:192.0.2.1/label:24000"},
      {6, "00 00" + r4 + r4, "F=flags:0/local:192.0.2.1/remote:192.0.2.1"},
      {6, "00 00" + r4 + r4 + label, "F=flags:0/local:192.0.2.1/remote:192.0.2.1/label:24000"},
      {7, "00 00 00000007" + kSid + "00000008" + kSid,
       "G=flags:0/local-id:7/local:2001:db8::1/remote-id:8/remote:2001:db8::1"},
      {8, "00 00" + kSid + kSid + label, "H=flags:0/local:2001:db8::1/remote:2001:db8::1/label:24000"},
      {14, "00 80" + kSid, "I=flags:0/algo:128/node:2001:db8::1"},
      {14, "00 80" + kSid + kSid + structure, "I=flags:0/algo:128/node:2001:db8::1" + sid_text + structure_text},
      {15, "00 00 00000007" + kSid + "00000008" + kSid + kSid,
       "J=flags:0/algo:0/local-id:7/local:2001:db8::1/remote-id:8/remote:2001:db8::1" + sid_text},
      {16, "00 00" + kSid + kSid + kSid + structure,
       "K=flags:0/algo:0/local:2001:db8::1/remote:2001:db8::1" + sid_text + structure_text},
      {1, "80 00", "1=0x8000"},
      {13, "00 00" + r4, "13=0x0000c0000201"},
      {3, "40 01" + r4 + "05dc", "3=0x4001c000020105dc"},
      {99, "ab", "99=0xab"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.want);
    const std::string segment = hex(c.bytes);
    const std::string list =
        std::string(1, '\0') + static_cast<char>(c.type) + static_cast<char>(segment.size()) + segment;
    const std::string sub_tlv = "\x80" + be16(list.size()) + list;
    CHECK(text(append_tunnel_encapsulation, be16(15) + be16(sub_tlv.size()) + sub_tlv) ==
          "sr-policy{segment-list{" + c.want + "}}");
    const bool malformed = c.want[0] < 'A';
    for (std::size_t n = 0; n < segment.size() && !malformed; ++n) {  // cut short it is another form, or hex
      const std::string cut =
          std::string(1, '\0') + static_cast<char>(c.type) + static_cast<char>(n) + segment.substr(0, n);
      const std::string tlv = "\x80" + be16(cut.size()) + cut;
      const std::string all = text(append_tunnel_encapsulation, be16(15) + be16(tlv.size()) + tlv);
      const std::string as_hex = "sr-policy{segment-list{" + std::to_string(c.type) + "=0x";
      CAPTURE(all);
      CHECK((all.starts_with(as_hex) || all.starts_with("sr-policy{segment-list{" + c.want.substr(0, 8))));
      CHECK(all.ends_with("}}"));
    }
  }
}

TEST_CASE("Prefix-SID prints label index, SRGB and SRv6 services (RFC 8669 3, RFC 9252)") {
  CHECK(text(kPrefixSid, hex("01 0007 00 0000 00000005")) == "label-index=5");
  CHECK(text(kPrefixSid, hex("01 0007 00 0000 00000005 03 0008 0000 003e80 001f40")) ==
        "label-index=5 srgb=16000+8000");
  CHECK(text(kPrefixSid, hex("03 000e 0000 003e80 001f40 005dc0 0003e8")) == "srgb=16000+8000,24000+1000");
  CHECK(text(kPrefixSid, hex("63 0002 abcd")) == "99=0xabcd");
  const std::string sid = "01 001e 00 " + kSid + " 00 0013 00 01 0006 28 18 10 00 10 40";
  CHECK(text(kPrefixSid, hex("05 0022 00 " + sid)) ==
        "srv6-l3{sid=2001:db8::1,flags=0,behavior=19,structure=40+24+16+0,transposed=16+64}");
  CHECK(text(kPrefixSid, hex("06 0022 00 " + sid)).starts_with("srv6-l2{sid=2001:db8::1"));
  CHECK(text(kPrefixSid, hex("05 0001 00")) == "srv6-l3{}");
  CHECK(text(kPrefixSid, hex("05 0006 00 63 0002 abcd")) == "srv6-l3{99=0xabcd}");
  const std::string whole = hex("01 0007 00 0000 00000005 05 0022 00 " + sid);
  check_truncations(kPrefixSid, whole, {10});
  // Every length of the service itself, with the lengths in front made to fit.
  const std::string service = hex("00 " + sid);
  for (std::size_t n = 0; n < service.size(); ++n) {
    CAPTURE(n);
    TextBuffer out;
    const std::string cut = hex("05") + be16(n) + service.substr(0, n);
    CHECK((append_prefix_sid(out, as_bytes(cut)) == PrefixSidResult::kBadService) == (n != 1));
  }
}

TEST_CASE("AIGP, OTC and BIER print their numbers") {
  CHECK(text(append_aigp, hex("01 000b 0000000000000064")) == "100");
  CHECK(text(append_aigp, hex("02 0004 ff 01 000b ffffffffffffffff 01 000b 0000000000000001")) ==
        "18446744073709551615");
  check_truncations(append_aigp, hex("01 000b 0000000000000064 02 0004 ff"), {11});
  CHECK(text(append_otc, hex("fa56ea01")) == "4200000001");
  check_truncations(append_otc, hex("fa56ea01"), {});
  CHECK(text(append_bier, hex("0001 0004 01 0005 00")) == "sub-domain=1,bfr-id=5");
  CHECK(text(append_bier, hex("0001 0011 01 0005 00 0002 0004 00100050 0063 0001 ee 0063 0001 ff")) ==
        "sub-domain=1,bfr-id=5,2=0x00100050,99=0xee 99=0xff");
  CHECK(text(append_bier, hex("0001 0006 01 0005 00 abcd")) == kMalformed);  // no whole sub-TLV
  CHECK(text(append_bier, hex("0001 0009 01 0005 00 0002 0002 00")) == kMalformed);
  check_truncations(append_bier, hex("0001 0004 01 0005 00 0063 0001 ff"), {8});
}

TEST_CASE("ATTR_SET prints the customer's attributes (RFC 6368)") {
  CHECK(text(append_attr_set, hex("0000fde9")) == "origin_as=65001");
  const std::string whole =
      hex("0000fde9  40 01 01 00  40 02 10 02 02 0000fdea 0000fdeb 01 01 0000fdec  80 04 04 00000005 "
          "40 05 04 00000064  c0 08 04 fde90001  c0 10 08 0002fde900000001  c0 63 01 ab");
  CHECK(text(append_attr_set, whole) ==
        "origin_as=65001;origin=igp;as_path=65002 65003 { 65004 };med=5;local_pref=100;communities=65001:1;"
        "ext_communities=rt=65001:1;99:c0:ab");
  check_truncations(append_attr_set, whole, {4, 8, 27, 34, 41, 48, 59});
  const std::string more =
      hex("0000fde9  40 06 00  c0 07 08 0000fdea c0000201  80 09 04 c0000202  80 0a 08 c0000203 c0000204"
          "c0 20 0c 000000010000000200000003  40 03 04 c0000205");
  CHECK(text(append_attr_set, more) ==
        "origin_as=65001;atomic_aggregate;aggregator=65002 192.0.2.1;originator_id=192.0.2.2;"
        "cluster_list=192.0.2.3 192.0.2.4;large_communities=1:2:3;next_hop=192.0.2.5");
  check_truncations(append_attr_set, more, {4, 7, 18, 25, 36, 51});
  CHECK(text(append_attr_set, hex("0000fde9 40 06 01 00")) == kMalformed);
  CHECK(text(append_attr_set, hex("0000fde9 c0 07 06 fdea c0000201")) == kMalformed);
  CHECK(text(append_attr_set, hex("0000fde9 80 0a 00")) == kMalformed);
}

TEST_CASE("what is not decoded is kept with type, flags and bytes, in order") {
  PathAttributes a;
  AttributeFaults faults;
  const std::string field = hex("e0 63 02 abcd  d0 27 0001 07  40 01 01 00");
  parse_attributes(as_bytes(field), true, a, faults);
  CHECK(faults.discarded_count == 0);
  CHECK(a.extra.any());
  CHECK(a.extra.column(ExtraColumn::kOther) == "99:e0:abcd next_hop_characteristics:c0:07");
  TextBuffer out;
  a.extra.append_columns(out);
  CHECK(out.view() == "\t\t\t\t\t\t\t\t\t99:e0:abcd next_hop_characteristics:c0:07");
  CHECK(out.size() == a.extra.bytes());
  CHECK(split(out.view(), '\t').size() == 1 + extra_column_names().size());
  a.clear();
  CHECK_FALSE(a.extra.any());
  CHECK(a.extra.column(ExtraColumn::kOther).empty());
}

TEST_CASE("a malformed attribute leaves its column empty, the others stand") {
  PathAttributes a;
  AttributeFaults faults;
  const std::string field = attribute(26, hex("01 0002")) + attribute(35, hex("0000fde9"));
  parse_attributes(as_bytes(field), true, a, faults);
  CHECK(a.extra.column(ExtraColumn::kAigp).empty());
  CHECK(a.extra.column(ExtraColumn::kOtc) == "65001");
}

TEST_CASE("the flags of what is not decoded are part of the attributes' hash, the form of the length is not") {
  const auto hash = [](const std::string& field) {
    PathAttributes a;
    AttributeFaults faults;
    std::vector<std::uint8_t> scratch;
    parse_attributes(as_bytes(field), true, a, faults);
    return attributes_hash(a, a.next_hop, scratch);
  };
  CHECK(hash(hex("c0 63 02 abcd")) == hash(hex("d0 63 0002 abcd")));
  CHECK(hash(hex("c0 63 02 abcd")) != hash(hex("e0 63 02 abcd")));
  CHECK(hash(hex("c0 23 04 0000fde9")) == hash(hex("e0 23 04 0000fde9")));  // decoded: its flags stand nowhere
}
