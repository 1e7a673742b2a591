#include "bmp-recv/nlri_ls.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "bmp-recv/ls_text.h"
#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

std::string tlv(unsigned type, const std::string& value) { return be16(type) + be16(value.size()) + value; }
std::string tlv_hex(unsigned type, const std::string& value) { return tlv(type, hex(value)); }

// Node descriptors of AS 65000.
std::string node_sub_tlvs(const char* igp_router_id) {
  return tlv_hex(512, "0000fde8") + tlv_hex(513, "0000001f") + tlv_hex(515, igp_router_id);
}
std::string nlri(unsigned type, unsigned protocol, const std::string& descriptors) {
  return tlv(type, std::string(1, static_cast<char>(protocol)) + hex("0000000000000005") + descriptors);
}
std::string isis_node(const char* id) { return nlri(1, 2, tlv(256, node_sub_tlvs(id))); }
std::string isis_link() {
  return nlri(2, 2,
              tlv(256, node_sub_tlvs("000000000001")) + tlv(257, node_sub_tlvs("000000000002")) +
                  tlv_hex(258, "00000007 00000008") + tlv_hex(259, "0a000001") + tlv_hex(260, "0a000002") +
                  tlv_hex(263, "0002"));
}
std::string prefix_v4() {
  return nlri(
      3, 3,
      tlv(256, node_sub_tlvs("c0000201") + tlv_hex(514, "00000001")) + tlv_hex(264, "03") + tlv_hex(265, "18 cb0071"));
}

struct Parsed {
  std::string bytes;
  bool good = false;
  std::vector<LsRoute> routes;
  std::size_t skipped = 0;
};
Parsed parse(const std::string& field, bool has_rd = false, bool ids = false) {
  Parsed p;
  p.bytes = field;
  p.good = parse_ls_nlri(as_bytes(p.bytes), has_rd, ids, p.routes, p.skipped);
  return p;
}

// The own columns of the first route by name, those of all parts.
std::map<std::string, std::string> columns(const std::string& field, const std::string& attribute = {},
                                           bool has_rd = false) {
  const Parsed p = parse(field, has_rd);
  std::map<std::string, std::string> all;
  REQUIRE(p.routes.size() == 1);
  const LsView view{p.routes[0], as_bytes(attribute)};
  for (unsigned part = 0; !ls_columns(view.route.type, part).empty(); ++part) {
    TextBuffer out;
    append_ls_columns(out, view, part);
    const std::vector<std::string> values = split(out.view(), '\t');
    const auto names = ls_columns(view.route.type, part);
    REQUIRE(values.size() == names.size());
    for (std::size_t n = 0; n < names.size(); ++n) all[std::string(names[n].name)] = values[n];
  }
  return all;
}
std::vector<std::uint8_t> key_of(const LsRoute& r) {
  std::vector<std::uint8_t> key;
  append_ls_key(r, key);
  return key;
}

}  // namespace

TEST_CASE("nodes, links, prefixes and SRv6 SIDs are read with their descriptors") {
  const Parsed p = parse(isis_node("000000000001") + isis_link() + prefix_v4());
  REQUIRE(p.good);
  REQUIRE(p.routes.size() == 3);
  CHECK(p.skipped == 0);
  CHECK(p.routes[0].type == LsType::kNode);
  CHECK(p.routes[0].protocol == LsProtocol::kIsisL2);
  CHECK(p.routes[0].identifier == 5);
  CHECK(p.routes[0].local.asn == 65000);
  CHECK(p.routes[0].local.ls_id == 31);
  CHECK(p.routes[1].remote.igp_router_id.back() == 2);
  CHECK(p.routes[2].prefix.length == 24);
  CHECK(p.routes[2].local.has_area);
  CHECK(p.routes[2].local.area == 1);
}

TEST_CASE("NLRI of unknown types and malformed ones are skipped by their length and counted") {
  const Parsed p = parse(tlv(5, "abc") + isis_node("000000000001") + nlri(1, 2, "") + tlv(1, "x") + tlv(65000, "") +
                         nlri(3, 3, tlv(256, node_sub_tlvs("c0000201")) + tlv_hex(265, "21 cb007100ff")) + prefix_v4());
  REQUIRE(p.good);
  CHECK(p.routes.size() == 2);
  CHECK(p.skipped == 5);
}

TEST_CASE("a field that ends inside an NLRI gives nothing, at every length") {
  const std::string one = isis_link(), field = one + prefix_v4();
  for (std::size_t n = 0; n <= field.size(); ++n) {
    CAPTURE(n);
    const Parsed p = parse(field.substr(0, n));
    const bool between = n == 0 || n == one.size() || n == field.size();
    CHECK(p.good == between);
    CHECK(p.routes.size() == (n == field.size() ? 2 : n == one.size() ? 1 : 0));
  }
}

TEST_CASE("an NLRI that is cut inside its own length is skipped, at every length") {
  for (const std::string& whole : {isis_node("000000000001"), isis_link(), prefix_v4()}) {
    const std::string body = whole.substr(4);
    for (std::size_t n = 0; n < body.size(); ++n) {
      CAPTURE(n);
      const Parsed p = parse(whole.substr(0, 2) + be16(n) + body.substr(0, n));
      REQUIRE(p.good);
      CHECK(p.routes.size() + p.skipped == 1);
      // Only a link without its last descriptors is a link still.
      if (whole[1] != 2) CHECK(p.skipped == 1);
    }
  }
}

TEST_CASE("distinguisher and path identifier stand in front of what they belong to") {
  const std::string node = isis_node("000000000001");
  const std::string with_rd = node.substr(0, 2) + be16(node.size() - 4 + 8) + hex("0000fde800000064") + node.substr(4);
  const Parsed p = parse(be32(9) + with_rd, true, true);
  REQUIRE(p.good);
  REQUIRE(p.routes.size() == 1);
  CHECK(p.routes[0].path_id == 9);
  CHECK(columns(with_rd, {}, true)["rd"] == "65000:100");
  CHECK(columns(node)["rd"] == "0:0");
  CHECK(key_of(p.routes[0]) != key_of(parse(node).routes[0]));
}

TEST_CASE("the key of a node is that of its links and prefixes, in any order of descriptors") {
  const Parsed node = parse(isis_node("000000000002")), link = parse(isis_link());
  std::vector<std::uint8_t> key;
  append_ls_node_key(link.routes[0], link.routes[0].remote, key);
  CHECK(key == key_of(node.routes[0]));
  key.clear();
  append_ls_node_key(link.routes[0], link.routes[0].local, key);
  CHECK(key != key_of(node.routes[0]));
  const Parsed turned =
      parse(nlri(1, 2, tlv(256, tlv_hex(515, "000000000002") + tlv_hex(513, "0000001f") + tlv_hex(512, "0000fde8"))));
  CHECK(key_of(turned.routes[0]) == key_of(node.routes[0]));
  CHECK(key_of(parse(nlri(1, 1, tlv(256, node_sub_tlvs("000000000002")))).routes[0]) != key_of(node.routes[0]));
  const std::string nodes = tlv(256, node_sub_tlvs("000000000001")) + tlv(257, node_sub_tlvs("000000000002"));
  const std::string ends[] = {tlv_hex(259, "0a000001"), tlv_hex(260, "0a000002"), tlv_hex(263, "0002")};
  const auto link_key = [&](const std::string& own) { return key_of(parse(nlri(2, 2, nodes + own)).routes[0]); };
  CHECK(link_key(ends[0] + ends[1] + ends[2]) == link_key(ends[0] + ends[2] + ends[1]));
  CHECK(link_key(ends[0] + ends[1] + ends[2]) == link_key(ends[2] + ends[1] + ends[0]));
  CHECK(link_key(ends[0] + ends[1]) != link_key(ends[1]));
}

TEST_CASE("nodes that differ in any descriptor are different nodes") {
  const std::string some = node_sub_tlvs("c0000201");
  const auto key = [&](const std::string& more) { return key_of(parse(nlri(1, 3, tlv(256, some + more))).routes[0]); };
  CHECK(key("") != key(tlv_hex(514, "00000000")));  // the backbone area is an area
  CHECK(key(tlv_hex(1028, "c0000201")) != key(tlv_hex(1028, "c0000202")));
  CHECK(key(tlv(600, std::string(256, 'x'))) != key(tlv(600, std::string(512, 'x'))));
}

TEST_CASE("IGP router ids print by their kind") {
  const struct {
    const char* bytes;
    const char* want;
  } cases[] = {{"0123456789ab", "0123.4567.89AB.0000"},
               {"0123456789ab0c", "0123.4567.89AB.0C00"},
               {"c0000201", "192.0.2.1"},
               {"c00002010a000001", "192.0.2.1[10.0.0.1]"},
               {"", ""},
               {"0102", "0x0102"}};
  for (const auto& c : cases) {
    TextBuffer out;
    append_igp_router_id(out, as_bytes(hex(c.bytes)));
    CHECK(out.view() == c.want);
  }
}

TEST_CASE("a node's columns (RFC 9552 5.3.1, RFC 9085, 9351, 9514)") {
  const std::string attribute =
      tlv_hex(263, "0000 0002") + tlv_hex(266, "010a 0205") + tlv_hex(1024, "c0") + tlv(1026, "core'1") +
      tlv_hex(1027, "490001") + tlv_hex(1028, "c0000201") + tlv_hex(1029, "20010db8000000000000000000000001") +
      tlv_hex(1034, "c0 00 001f40 0489 0003 003e80 0003e8 0489 0004 00007530") + tlv_hex(1035, "00 01 80") +
      tlv_hex(1036, "00 00 0003e8 0489 0003 003a98") + tlv_hex(1037, "80") + tlv_hex(1038, "4000 0000") +
      tlv_hex(1039, "80 00 00 64 0411 0004 00000001") + tlv_hex(1032, "0000000100000002") + tlv_hex(1025, "ab") +
      tlv_hex(1300, "cd");
  auto c = columns(isis_node("000000000001"), attribute);
  CHECK(c["igp_router_id"] == "0000.0000.0001.0000");
  CHECK(c["router_id"] == "192.0.2.1");
  CHECK(c["routing_id"] == "5");
  CHECK(c["ls_id"] == "1f");
  CHECK(c["mt_id"] == "0, 2");
  CHECK(c["ospf_area_id"].empty());
  CHECK(c["isis_area_id"] == "49.0001");
  CHECK(c["protocol"] == "IS-IS_L2");
  CHECK(c["flags"] == "OT");
  CHECK(c["node_name"] == "core`1");
  CHECK(c["sr_capabilities"] == "IV 8000 16000, IV 1000 30000");
  CHECK(c["sr_algorithms"] == "0, 1, 128");
  CHECK(c["sr_local_blocks"] == " 1000 15000");
  CHECK(c["srms_preference"] == "128");
  CHECK(c["msd"] == "1:10,2:5");
  CHECK(c["srv6_capabilities"] == "flags=16384");
  CHECK(c["flex_algos"] == "algo=128,metric-type=0,calc-type=0,priority=100,include-any=0x00000001");
  CHECK(c["router_ids"] == "192.0.2.1, 2001:db8::1");
  CHECK(c["sbfd_discriminators"] == "1, 2");
  CHECK(c["opaque"] == "0xab");
  CHECK(c["other_tlvs"] == "1300=0xcd");
  CHECK(c["node_asn"] == "65000");
  CHECK(columns(isis_node("000000000001"))["router_id"] == "0.0.0.0");
}

TEST_CASE("a link's columns (RFC 9552 5.3.2, RFC 8571, 9085, 9514)") {
  const std::string attribute =
      tlv_hex(1028, "c0000201") + tlv_hex(1030, "c0000202") + tlv_hex(1088, "00000005") + tlv_hex(1089, "4c9502f9") +
      tlv_hex(1090, "4cee6b28") + tlv_hex(1091, "4cee6b28 00000000") + tlv_hex(1092, "00000064") +
      tlv_hex(1093, "0a00") + tlv_hex(1094, "80") + tlv_hex(1095, "00000a") + tlv_hex(1096, "00000001 00000002") +
      tlv(1098, "to core2") + tlv_hex(1099, "30 00 0000 005dc0") + tlv_hex(1099, "60 05 0000 00000007") +
      tlv_hex(1100, "30 00 0000 000000000003 005dc1") +
      tlv_hex(1106, "0005 00 00 00 00 20010db8000000000000000000000001 04e4 0004 28181000") +
      tlv_hex(1107, "0005 00 00 01 00 000000000003 20010db8000000000000000000000001") + tlv_hex(1114, "80000064") +
      tlv_hex(1115, "00000064 000000c8") + tlv_hex(1118, "4cee6b28") + tlv_hex(1122, "04000000 10000000");
  auto c = columns(isis_link(), attribute);
  CHECK(c["igp_router_id"] == "0000.0000.0001.0000");
  CHECK(c["remote_igp_router_id"] == "0000.0000.0002.0000");
  CHECK(c["router_id"] == "192.0.2.1");
  CHECK(c["remote_router_id"] == "192.0.2.2");
  CHECK(c["mt_id"] == "2");
  CHECK(c["local_link_id"] == "7");
  CHECK(c["remote_link_id"] == "8");
  CHECK(c["interface_ip"] == "10.0.0.1");
  CHECK(c["neighbor_ip"] == "10.0.0.2");
  CHECK(c["igp_metric"] == "10");
  CHECK(c["admin_group"] == "5");
  CHECK(c["max_resv_bw"] == "1000000");  // 1 Gbit/s
  CHECK(c["unreserved_bw"] == "1000000, 0");
  CHECK(c["te_default_metric"] == "100");
  CHECK(c["link_protection"] == "unprotected,dedicated-1:1");
  CHECK(c["mpls_proto_mask"] == "LDP");
  CHECK(c["srlg"] == "1, 2");
  CHECK(c["link_name"] == "to core2");
  CHECK(c["adjacency_sids"] == "VL 0 24000, BV 5 7");
  CHECK(c["lan_adjacency_sids"] == "VL 0 000000000003 24001");
  CHECK(c["srv6_end_x_sids"] == "behavior=5,flags=0,algo=0,weight=0,sid=2001:db8::1,structure=40+24+16+0");
  CHECK(c["srv6_lan_end_x_sids"] == "behavior=5,flags=0,algo=0,weight=1,neighbor=000000000003,sid=2001:db8::1");
  CHECK(c["delay"] == "100A");
  CHECK(c["delay_min_max"] == "100..200");
  CHECK(c["residual_bw"] == "1000000");
  CHECK(c["app_attributes"] == "{apps=X}");
  CHECK(c["other_tlvs"].empty());
  CHECK(columns(isis_link(), tlv_hex(1095, "ca"))["igp_metric"] == "10");
  CHECK(columns(isis_link(), tlv_hex(1095, "00ca"))["igp_metric"] == "202");
  // Numbers of a size that they cannot have.
  CHECK(columns(isis_link(), tlv_hex(1095, "000000ca"))["igp_metric"] == "0");
  CHECK(columns(isis_link(), tlv_hex(1092, "ffffffffffffffff"))["te_default_metric"] == "0");
  CHECK(columns(isis_link(), tlv_hex(1088, "01"))["admin_group"] == "0");
  CHECK(columns(isis_link(), tlv_hex(1094, "8000"))["mpls_protocol_mask"].empty());
  auto empty = columns(isis_link());
  CHECK(empty["igp_metric"] == "0");
  CHECK(empty["max_link_bw"] == "0");
  CHECK(empty["residual_bw"].empty());
  CHECK(empty["srlg"].empty());
}

TEST_CASE(
    "attributes for applications and of the members of a bundle print by their parts (RFC 9294, RFC 9085 2.2.3)") {
  const auto attributes = [](unsigned type, const std::string& value) {
    auto c = columns(isis_link(), tlv(type, value));
    return c[type == 1122 ? "app_attributes" : type == 1172 ? "l2_bundle_members" : "ext_admin_group"];
  };
  const std::string te = tlv_hex(1092, "00000014"), colors = tlv_hex(1173, "00000005 80000000");
  CHECK(attributes(1122, hex("04 00 0000 d0000000") + te + colors) ==
        "{apps=RSX;te_default_metric=20;ext_admin_group=0x00000005, 0x80000000}");
  CHECK(attributes(1122, hex("00 00 0000") + tlv_hex(1088, "00000003") + tlv_hex(1114, "80000064")) ==
        "{apps=any;admin_group=3;delay=100A}");
  CHECK(attributes(1122, hex("00 04 0000 40000000") + tlv_hex(1096, "00000001 00000002") + tlv_hex(9, "ab")) ==
        "{apps=;user-apps=0x40000000;srlg=1, 2;9=0xab}");
  CHECK(attributes(1122, hex("04 00 0000 08000000")) == "{apps=0x08000000}");  // a bit without a letter
  CHECK(attributes(1122, hex("08 00 0000 1000000000000001")) == "{apps=0x1000000000000001}");
  CHECK(attributes(1122, hex("04 00 0000 100000")) == "0x04000000100000");
  CHECK(attributes(1122, hex("00 00 0000 0440 0004 00")) == "0x000000000440000400");
  CHECK(attributes(1122, "") == "0x");
  CHECK(attributes(1172, hex("00000007") + tlv_hex(1089, "4cee6b28") + tlv_hex(1099, "30 00 0000 005dc0")) ==
        "{member=7;max_link_bw=1000000;adjacency_sids=VL 0 24000}");
  CHECK(attributes(1172, hex("00000007")) == "{member=7}");
  CHECK(attributes(1172, hex("000007")) == "0x000007");
  CHECK(attributes(1173, hex("00000005")) == "0x00000005");
  CHECK(attributes(1173, hex("00000005 00")) == "0x0000000500");
  // Several of them.
  auto c = columns(isis_link(), tlv(1122, hex("04 00 0000 80000000") + te) + tlv(1122, hex("04 00 0000 10000000")));
  CHECK(c["app_attributes"] == "{apps=R;te_default_metric=20} {apps=X}");
  CHECK(c["te_default_metric"] == "0");  // those inside are no attributes of the link itself
  CHECK(c["other_tlvs"].empty());
}

TEST_CASE("candidate paths of SR policies are read and printed (RFC 9857)") {
  const std::string headend = tlv(256, tlv_hex(512, "0000fde8") + tlv_hex(516, "c0000201") + tlv_hex(1028, "c0000209"));
  const std::string path = "02 00 0000 c0000202 00000064 0000fde9 c0000203 00000005";
  const std::string field = nlri(5, 9, headend + tlv_hex(554, path));
  auto c = columns(field, tlv_hex(1202, "80 00 4840 000000c8") + tlv(1213, "gold") + tlv(1203, "one path") +
                              tlv_hex(1201, "4000 0000 05dc0000 05dc1000"));
  CHECK(c["protocol_id"] == "9");
  CHECK(c["routing_id"] == "5");
  CHECK(c["node_asn"] == "65000");
  CHECK(c["bgp_router_id"] == "192.0.2.1");
  CHECK(c["router_ids"] == "192.0.2.9");
  CHECK(c["igp_router_id"].empty());
  CHECK(c["protocol_origin"] == "2");
  CHECK(c["endpoint"] == "192.0.2.2");
  CHECK(c["color"] == "100");
  CHECK(c["originator_asn"] == "65001");
  CHECK(c["originator"] == "192.0.2.3");
  CHECK(c["discriminator"] == "5");
  CHECK(c["policy_name"] == "gold");
  CHECK(c["path_name"] == "one path");
  CHECK(c["priority"] == "128");
  CHECK(c["preference"] == "200");
  CHECK(c["path_flags"] == "AVT");
  CHECK(c["binding_sids"] == "flags=16384,sid=24000,specified=24001");
  CHECK(c["other_tlvs"].empty());
  CHECK(columns(field)["preference"].empty());
  const std::string six = "20010db8000000000000000000000001";
  const std::string v6 = "03 c0 0000 " + six + " 00000064 00000000 " + six + " 00000001";
  c = columns(nlri(5, 9, headend + tlv_hex(554, v6)));
  CHECK(c["endpoint"] == "2001:db8::1");
  CHECK(c["originator"] == "2001:db8::1");
  // Every part makes another route, the headend's router id among them.
  const auto key = [](const std::string& bytes) { return key_of(parse(bytes).routes.at(0)); };
  const std::string other = tlv(256, tlv_hex(512, "0000fde8") + tlv_hex(516, "c0000201") + tlv_hex(1028, "c0000208"));
  CHECK(key(field) != key(nlri(5, 9, other + tlv_hex(554, path))));
  CHECK(key(field) !=
        key(nlri(5, 9, headend + tlv_hex(554, "02 00 0000 c0000202 00000065 0000fde9 c0000203 00000005"))));
  CHECK(key(field) == key(field));
  // Its descriptor is required, and has the length that its flags say.
  CHECK(parse(nlri(5, 9, headend)).skipped == 1);
  CHECK(parse(nlri(5, 9, tlv_hex(554, path))).skipped == 1);
  for (std::size_t n = 0; n < hex(path).size(); ++n) {
    CAPTURE(n);
    CHECK(parse(nlri(5, 9, headend + tlv(554, hex(path).substr(0, n)))).skipped == 1);
  }
  CHECK(parse(nlri(5, 9, headend + tlv(554, hex(path) + "x"))).skipped == 1);
}

TEST_CASE("binding SIDs and segment lists of candidate paths print by their parts") {
  const std::string field = nlri(
      5, 9,
      tlv_hex(256, "0200 0004 0000fde8") + tlv_hex(554, "02 00 0000 c0000202 00000064 0000fde9 c0000203 00000005"));
  const std::string six = "20010db8000000000000000000000001";
  const auto print = [&](const char* column, unsigned type, const std::string& value) {
    return columns(field, tlv(type, value))[column];
  };
  CHECK(print("binding_sids", 1201, hex("c000 0000 " + six + six)) ==
        "flags=49152,sid=2001:db8::1,specified=2001:db8::1");
  CHECK(print("binding_sids", 1212, hex("8000 0000 " + six + six + "04e4 0004 28181000")) ==
        "flags=32768,sid=2001:db8::1,specified=2001:db8::1,structure=40+24+16+0");
  CHECK(print("binding_sids", 1201, hex("4000 0000 05dc0000 05dc10")) == "0x4000000005dc000005dc10");
  CHECK(print("binding_sids", 1212, hex("8000 0000")) == "0x80000000");
  const std::string head = hex("8000 0000 0002 80 00 00000001");
  CHECK(print("segment_lists", 1205, head) == "{flags=32768,mt=2,algo=128,weight=1}");
  CHECK(print("segment_lists", 1205,
              head + tlv_hex(1206, "01 00 8000 03e80000") + tlv_hex(1206, "02 00 8000" + six) +
                  tlv_hex(1206, "03 00 0000 c0000201 00") + tlv_hex(1207, "0102")) ==
        "{flags=32768,mt=2,algo=128,weight=1,segment=type:1/flags:32768/sid:16000,"
        "segment=type:2/flags:32768/sid:2001:db8::1,segment=type:3/flags:0/descriptor:0xc000020100,1207=0x0102}");
  CHECK(print("segment_lists", 1205, head + tlv_hex(1206, "01 00 8000 03e8")) ==
        "{flags=32768,mt=2,algo=128,weight=1,0x0100800003e8}");
  CHECK(print("segment_lists", 1205, head + hex("04b6 0004 01")) == "0x80000000000280000000000104b6000401");
  for (std::size_t n = 0; n < head.size(); ++n)
    CHECK(print("segment_lists", 1205, head.substr(0, n)).starts_with("0x"));
}

TEST_CASE("links of egress peer engineering have no protocol that consumers know (RFC 9086)") {
  const std::string link = nlri(2, 7,
                                tlv(256, tlv_hex(512, "0000fde8") + tlv_hex(516, "c0000201")) +
                                    tlv(257, tlv_hex(512, "0000fde9") + tlv_hex(516, "c0000202")) +
                                    tlv_hex(261, "20010db8000000000000000000000001"));
  auto c = columns(link, tlv_hex(1101, "c0 00 0000 005dc0") + tlv_hex(1102, "f0 01 0000 005dc1") +
                             tlv_hex(1103, "00 00 0000 00000005") + tlv_hex(1094, "c0"));
  CHECK(c["protocol"].empty());
  CHECK(c["protocol_id"] == "7");
  CHECK(c["router_id"] == "192.0.2.1");
  CHECK(c["remote_router_id"] == "192.0.2.2");
  CHECK(c["local_node_asn"] == "65000");
  CHECK(c["remote_node_asn"] == "65001");
  CHECK(c["igp_router_id"].empty());
  CHECK(c["interface_ip"] == "2001:db8::1");
  CHECK(c["neighbor_ip"] == "::");
  CHECK(c["peer_node_sid"] == "VL 0 24000");
  CHECK(c["peer_adjacency_sids"] == "VLBP 1 24001");
  CHECK(c["peer_set_sids"] == " 0 5");
  CHECK(c["mpls_proto_mask"].empty());  // two names: no consumer knows both at once
  CHECK(c["mpls_protocol_mask"] == "192");
}

TEST_CASE("a prefix's columns (RFC 9552 5.3.3, RFC 9085, 9351, 9514)") {
  const std::string attribute =
      tlv_hex(1152, "c0") + tlv_hex(1153, "00000064 00000065") + tlv_hex(1154, "00000001000000ff") +
      tlv_hex(1155, "0000000a") + tlv_hex(1156, "c0000209") + tlv_hex(1158, "40 00 0000 00000005") +
      tlv_hex(1158, "0c 80 0000 005dc0") + tlv_hex(1159, "80 00 0064 0486 0008 0000 0000 00000001") +
      tlv_hex(1162, "00 80 0000 0000000a") + tlv_hex(1170, "40") + tlv_hex(1171, "c0000201") +
      tlv_hex(1044, "80 00 0000 00000014");
  auto c = columns(prefix_v4(), attribute);
  CHECK(c["protocol"] == "OSPFv2");
  CHECK(c["igp_router_id"] == "192.0.2.1");
  CHECK(c["ospf_area_id"] == "0.0.0.1");
  CHECK(c["ospf_route_type"] == "Ext-1");
  CHECK(c["igp_flags"] == "DN");
  CHECK(c["route_tag"] == "100");
  CHECK(c["route_tags"] == "100, 101");
  CHECK(c["ext_route_tag"] == "4294967551");
  CHECK(c["ospf_fwd_addr"] == "192.0.2.9");
  CHECK(c["igp_metric"] == "10");
  CHECK(c["prefix"] == "203.0.113.0");
  CHECK(c["prefix_len"] == "24");
  CHECK(c["prefix_sids"] == "NP SPF 5, VL 128 24000");
  CHECK(c["sid_ranges"] == "size=100,flags=128,sid= SPF 1");
  CHECK(c["srv6_locators"] == "flags=0,algo=128,metric=10");
  CHECK(c["prefix_attribute_flags"] == "0x40");
  CHECK(c["source_router_id"] == "192.0.2.1");
  CHECK(c["flex_algo_metrics"] == "algo=128,flags=0,metric=20");
  const std::string v6 = nlri(4, 2, tlv(256, node_sub_tlvs("000000000001")) + tlv_hex(265, "21 20010db8ff"));
  CHECK(columns(v6)["prefix"] == "2001:db8:8000::");
  CHECK(columns(v6)["prefix_len"] == "33");
}

TEST_CASE("a SRv6 SID's columns (RFC 9514 6, 7)") {
  const std::string field = nlri(6, 2,
                                 tlv(256, node_sub_tlvs("000000000001")) + tlv_hex(263, "0002") +
                                     tlv_hex(518, "20010db8000000000000000000000001"));
  auto c = columns(field, tlv_hex(1250, "0001 00 80") + tlv_hex(1252, "28181000") +
                              tlv_hex(1251, "80 01 0000 0000fde9 c0000202") + tlv_hex(9, "01"));
  CHECK(c["sid"] == "2001:db8::1");
  CHECK(c["mt_id"] == "2");
  CHECK(c["endpoint_behavior"] == "behavior=1,flags=0,algo=128");
  CHECK(c["sid_structure"] == "40+24+16+0");
  CHECK(c["bgp_peer_sid"] == "flags=128,weight=1,peer-as=65001,peer-id=192.0.2.2");
  CHECK(c["other_tlvs"] == "9=0x01");
}

TEST_CASE("TLVs of the attribute print at every length of their values") {
  const std::string value(40, '\x01');
  for (const std::string& route : {isis_node("000000000001"), isis_link(), prefix_v4()})
    for (unsigned type = 256; type < 1300; ++type)
      for (const unsigned n : {0U, 1U, 2U, 3U, 4U, 5U, 6U, 7U, 8U, 9U, 10U, 12U, 16U, 22U, 28U, 40U}) {
        const std::string attribute = tlv(type, value.substr(0, n));
        const Parsed p = parse(route);
        for (unsigned part = 0; !ls_columns(p.routes[0].type, part).empty(); ++part) {
          TextBuffer out;
          append_ls_columns(out, {p.routes[0], as_bytes(attribute)}, part);
          const auto tabs = static_cast<std::size_t>(std::count(out.view().begin(), out.view().end(), '\t'));
          REQUIRE(tabs + 1 == ls_columns(p.routes[0].type, part).size());
        }
      }
}
