#include "bmp-recv/ext_community_text.h"

#include <doctest/doctest.h>

#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {
std::string text(const std::string& bytes) {
  TextBuffer out;
  append_ext_communities(out, as_bytes(bytes));
  return std::string(out.view());
}
std::string text6(const std::string& bytes) {
  TextBuffer out;
  append_ipv6_ext_communities(out, as_bytes(bytes));
  return std::string(out.view());
}
}  // namespace

TEST_CASE("extended communities print as the contract and docs/wire.md say") {
  const struct {
    const char* bytes;
    const char* want;
  } cases[] = {
      {"0002fde900000001", "rt=65001:1"},
      {"0003fde90000ffff", "soo=65001:65535"},
      {"0102c00002010005", "rt=192.0.2.1:5"},
      {"0202fa56ea010007", "rt=4200000001:7"},
      {"0005fde900000001", "ospf-did=65001:1"},
      {"0107c00002010000", "ospf-rid=192.0.2.1:0"},
      {"0008fde900000001", "colc=65001:1"},
      {"0009fde900000000", "sas=65001:0"},
      {"0209fa56ea010000", "sas=4200000001:0"},
      {"000afde90000abcd", "vpn-id=65001:0x0000abcd"},
      {"010bc00002010007", "import=192.0.2.1:7"},
      {"0112c00002010000", "p2mp-nh=192.0.2.1:0"},
      {"4004fde94bbebc20", "link-bw=65001:25000000"},  // 200 Mbit/s
      {"0004fde94bbebc20", "link-bw=65001:25000000"},
      {"4004fde9ffc00000", "0x4004fde9ffc00000"},  // not a number
      {"4004fde9c0000000", "0x4004fde9c0000000"},  // negative
      {"4002fde900000001", "0x4002fde900000001"},  // not transitive: the token would hide that
      {"0301800100000064", "cost=abs:1:100"},
      {"4301810200000064", "cost=igp:2:100"},
      {"0301820300000064", "cost=ext:3:100"},
      {"0301830400000064", "cost=bgp_id:4:100"},
      {"0301020400000064", "0x0301020400000064"},
      {"0303000000000000", "cp-orf"},
      {"0306000000010500", "ospf-rt=area-1:E:0"},
      {"0306000000000200", "ospf-rt=area-0:O:0"},
      {"0306000000000301", "ospf-rt=area-0:IA:1"},
      {"0306000000000700", "ospf-rt=area-0:N:0"},
      {"030b000000000064", "color=100"},
      {"030b400000000064", "color=100:co=1"},
      {"030c000000000008", "encap=8"},
      {"030d000000000000", "default-gw"},
      {"4300000000000000", "validation=valid"},
      {"4300000000000002", "validation=invalid"},
      {"0600010000000009", "mac_mob_flags=1 mac_mob_seq_num=9"},
      {"0600000000000000", "mac_mob_flags=0 mac_mob_seq_num=0"},
      {"0601010000000064", "esi_label_flags=1 esi_label=100"},
      {"0602aabbccddeeff", "es_import=aa:bb:cc:dd:ee:ff"},
      {"0603aabbccddeeff", "router_mac=aa:bb:cc:dd:ee:ff"},
      {"0604000205dc0000", "l2_attr_flags=2 l2_attr_mtu=1500"},
      {"0605010000000064", "etree_flags=1 etree_label=100"},
      {"0606024000007fff", "df_alg=2 df_capabilities=16384 df_preference=32767"},
      {"0608020000000000", "arp_nd_flags=2"},
      {"0609000300000000", "mcast_flags=3"},
      {"060afde900000005", "evi-rt=65001:5"},
      {"060bc00002010005", "evi-rt=192.0.2.1:5"},
      {"060cfa56ea010007", "evi-rt=4200000001:7"},
      {"060dfa56ea010007", "0x060dfa56ea010007"},
      {"06ff000000000000", "0x06ff000000000000"},
      {"8006fde949742400", "flow-rate=65001:1000000"},
      {"800cfde900000000", "flow-rate-packets=65001:0"},
      {"8007000000000003", "flow-act=ST"},
      {"8007000000000001", "flow-act=T"},
      {"8008fde900000001", "flow-redir=65001:1"},
      {"8108c00002010001", "flow-redir=192.0.2.1:1"},
      {"8208fa56ea010001", "flow-redir=4200000001:1"},
      {"010cc00002010001", "flow-redir-ip=192.0.2.1:1"},
      {"000cfde900000001", "0x000cfde900000001"},
      {"0800000000000001", "flow-redir-nh=1"},
      {"0800000000000000", "flow-redir-nh=0"},
      {"0801000000000000", "0x0801000000000000"},
      {"800900000000002e", "flow-remark=46"},
      {"800a130005dc0064", "l2info=19:0:1500:100"},
      {"00fffde900000001", "0x00fffde900000001"},
      {"8800000000000001", "0x8800000000000001"},
      {"ffffffffffffffff", "0xffffffffffffffff"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.bytes);
    CHECK(text(hex(c.bytes)) == c.want);
  }
  CHECK(text(hex("0002fde900000001 030b000000000064")) == "rt=65001:1 color=100");
  CHECK(text(hex("0002fde900000001 030b0000")) == "rt=65001:1");  // whole ones only
}

TEST_CASE("every type and subtype has a text without white space at its ends, of at most 50 bytes a token") {
  for (unsigned type = 0; type < 256; ++type)
    for (unsigned subtype = 0; subtype < 256; ++subtype) {
      for (const char* rest : {"000000000000", "ffffffffffff", "80037fffffff"}) {
        std::string bytes{static_cast<char>(type), static_cast<char>(subtype)};
        const std::string all = text(bytes + hex(rest));
        REQUIRE_FALSE(all.empty());
        for (const std::string& token : split(all, ' ')) {
          CAPTURE(all);
          REQUIRE_FALSE(token.empty());
          REQUIRE(token.size() <= 50);
        }
      }
    }
}

TEST_CASE("IPv6 extended communities print their address in brackets") {
  const std::string address = "20010db8000000000000000000000001";
  CHECK(text6(hex("0002" + address + "0005")) == "rt=[2001:db8::1]:5");
  CHECK(text6(hex("0003" + address + "ffff 000b" + address + "0007")) ==
        "soo=[2001:db8::1]:65535 import=[2001:db8::1]:7");
  CHECK(text6(hex("000c" + address + "0001 000d" + address + "0064")) ==
        "flow-redir-ip=[2001:db8::1]:1 flow-redir=[2001:db8::1]:100");
  CHECK(text6(hex("4002" + address + "0005")) == "0x4002" + address + "0005");
  CHECK(text6(hex("00ff" + address + "0005")) == "0x00ff" + address + "0005");
}
