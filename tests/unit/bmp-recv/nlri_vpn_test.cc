#include "bmp-recv/nlri_vpn.h"

#include <doctest/doctest.h>

#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

constexpr Family kVpn4{1, 128};
constexpr Family kVpn6{2, 128};
constexpr Family kLabelled4{1, 4};
constexpr Family kMulticast4{1, 2};
constexpr Family kVpnMulticast4{1, 129};
constexpr Family kVpnMulticast6{2, 129};

std::string print(const VpnCodec& codec) {
  TextBuffer out;
  for (std::size_t n = 0; n < codec.size(); ++n) {
    if (n != 0) out.append(' ');
    codec.print(n, 2, false, out);
    out.append(' ');
    codec.print(n, 0, false, out);
    out.append(" [");
    codec.print(n, 1, false, out);
    out.append(']');
    if (codec.path_id(n) != 0) {
      out.append('#');
      out.number(codec.path_id(n));
    }
  }
  std::string text(out.view());
  for (char& c : text)
    if (c == '\t') c = '/';
  return text;
}

}  // namespace

TEST_CASE("prefixes with distinguishers and labels are read in the form that fits") {
  using enum NlriResult;
  const struct {
    const char* bytes;
    Family family;
    PathIds ids;
    PathIds many;
    NlriResult result;
    const char* want;
  } cases[] = {
      // One label with its bottom-of-stack bit: 24 + 64 + 24 bits.
      {"70 000641 0000fde900000064 0a0102", kVpn4, PathIds::kNo, PathIds::kNo, kOk, "65001:100/0 10.1.2.0/24/1 [100]"},
      // As FRR sends it: label zero, no bottom-of-stack bit.
      {"70 000000 0000fde900000064 0a0102", kVpn4, PathIds::kNo, PathIds::kUnknown, kOk,
       "65001:100/0 10.1.2.0/24/1 [0]"},
      {"70 800000 0000fde900000064 0a0102", kVpn4, PathIds::kNo, PathIds::kUnknown, kOk,
       "65001:100/0 10.1.2.0/24/1 [524288]"},
      // A label that lacks the bit, and what follows has it by chance: the distinguisher tells.
      {"70 000640 0000fd e900000064 0a0102", kVpn4, PathIds::kNo, PathIds::kUnknown, kOk,
       "65001:100/0 10.1.2.0/24/1 [100]"},
      // Two labels, agreed on or not.
      {"88 000640 000651 0000fde900000064 0a0102", kVpn4, PathIds::kNo, PathIds::kYes, kOk,
       "65001:100/0 10.1.2.0/24/1 [100,101]"},
      {"88 000640 000651 0000fde900000064 0a0102", kVpn4, PathIds::kNo, PathIds::kNo, kOk,
       "65001:100/0 10.1.2.0/24/1 [100,101]"},
      // Explicit null on top of another label.
      {"88 000000 000651 0000fde900000064 0a0102", kVpn4, PathIds::kNo, PathIds::kYes, kOk,
       "65001:100/0 10.1.2.0/24/1 [0,101]"},
      {"48 000000 000651 0a0102", kLabelled4, PathIds::kNo, PathIds::kYes, kOk, "0:0/0 10.1.2.0/24/1 [0,101]"},
      // RD types 1 and 2; no bits of prefix; several prefixes.
      {"58 000641 0001c00002010007  5b 000641 0002000186a00009 e0", kVpn4, PathIds::kNo, PathIds::kNo, kOk,
       "192.0.2.1:7/1 0.0.0.0/0/1 [100] 100000:9/2 224.0.0.0/3/1 [100]"},
      {"78 000641 0000fde900000064 20010db8", kVpn6, PathIds::kNo, PathIds::kNo, kOk,
       "65001:100/0 2001:db8::/32/0 [100]"},
      // Path identifiers, agreed or not, there or not.
      {"00000007 70 000641 0000fde900000064 0a0102", kVpn4, PathIds::kYes, PathIds::kNo, kOk,
       "65001:100/0 10.1.2.0/24/1 [100]#7"},
      {"00000007 70 000641 0000fde900000064 0a0102", kVpn4, PathIds::kNo, PathIds::kNo, kOkOtherForm,
       "65001:100/0 10.1.2.0/24/1 [100]#7"},
      {"70 000641 0000fde900000064 0a0102", kVpn4, PathIds::kYes, PathIds::kNo, kOkOtherForm,
       "65001:100/0 10.1.2.0/24/1 [100]"},
      // A distinguisher of a type that nobody has defined, when nothing else fits.
      {"70 000641 0007fde900000064 0a0102", kVpn4, PathIds::kNo, PathIds::kNo, kOk, "65001:100/7 10.1.2.0/24/1 [100]"},
      {"70 000641 0102fde900000064 0a0102", kVpn4, PathIds::kNo, PathIds::kNo, kOk,
       "65001:100/258 10.1.2.0/24/1 [100]"},
      // Labelled unicast: no distinguisher to tell, so what was agreed on decides.
      {"30 000641 0a0102", kLabelled4, PathIds::kNo, PathIds::kNo, kOk, "0:0/0 10.1.2.0/24/1 [100]"},
      {"30 000640 0a0103", kLabelled4, PathIds::kNo, PathIds::kNo, kOk, "0:0/0 10.1.3.0/24/1 [100]"},
      {"30 000640 000651", kLabelled4, PathIds::kNo, PathIds::kYes, kOk, "0:0/0 0.0.0.0/0/1 [100,101]"},
      {"00000001 30 000641 0a0102", kLabelled4, PathIds::kNo, PathIds::kNo, kOkOtherForm,
       "0:0/0 10.1.2.0/24/1 [100]#1"},
      // Multicast: a plain prefix; with a distinguisher, labels or none.
      {"18 e00001 08 0a", kMulticast4, PathIds::kNo, PathIds::kNo, kOk,
       "0:0/0 224.0.1.0/24/1 [] 0:0/0 10.0.0.0/8/1 []"},
      {"58 0000fde900000064 e00001", kVpnMulticast4, PathIds::kNo, PathIds::kNo, kOk, "65001:100/0 224.0.1.0/24/1 []"},
      {"70 000641 0000fde900000064 e00001", kVpnMulticast4, PathIds::kNo, PathIds::kNo, kOk,
       "65001:100/0 224.0.1.0/24/1 [100]"},
      // Where both fit somehow: a distinguisher of a type that nobody has defined, and one of type 1 that is none.
      {"98 186a01 0000fde800000064 20010db800010000", kVpnMulticast6, PathIds::kNo, PathIds::kNo, kOk,
       "65000:100/0 2001:db8:1::/64/0 [100000]"},
      {"98 800000 0000fde800000064 20010db800010000", kVpnMulticast6, PathIds::kNo, PathIds::kNo, kOk,
       "65000:100/0 2001:db8:1::/64/0 [524288]"},
      {"00000007 98 186a01 0000fde800000064 20010db800010000", kVpnMulticast6, PathIds::kYes, PathIds::kNo, kOk,
       "65000:100/0 2001:db8:1::/64/0 [100000]#7"},
      {"60 000101 0000fde800000064 0a", kVpnMulticast4, PathIds::kNo, PathIds::kNo, kOk,
       "65000:100/0 10.0.0.0/8/1 [16]"},
      {"80 0000fde800000064 20010db800010000", kVpnMulticast6, PathIds::kNo, PathIds::kNo, kOk,
       "65000:100/0 2001:db8:1::/64/0 []"},
      // What could be a label of special purpose is a distinguisher; so is what nobody has defined, at last.
      {"58 0000010000010064 0a0102", kVpnMulticast4, PathIds::kNo, PathIds::kNo, kOk, "256:65636/0 10.1.2.0/24/1 []"},
      {"80 0007fde800000064 20010db800010000", kVpnMulticast6, PathIds::kNo, PathIds::kNo, kOk,
       "65000:100/7 2001:db8:1::/64/0 []"},
      // Nothing fits.
      {"70 000641 0000fde900000064 0a01", kVpn4, PathIds::kNo, PathIds::kNo, kBad, ""},
      {"79 000641 0000fde900000064 0a01020304", kVpn4, PathIds::kNo, PathIds::kNo, kBad, ""},
      {"17 000641", kLabelled4, PathIds::kNo, PathIds::kNo, kBad, ""},
  };
  VpnCodec codec;
  for (const auto& c : cases) {
    CAPTURE(c.bytes);
    NlriContext context;
    context.family = c.family;
    context.ids = c.ids;
    context.many_labels = c.many;
    CHECK(codec.parse(as_bytes(hex(c.bytes)), context) == c.result);
    CHECK(print(codec) == c.want);
  }
}

TEST_CASE("a truncated field is never read as something else") {
  const std::string whole = hex("70 000641 0000fde900000064 0a0102 88 000640 000651 0001c00002010007 0a0103");
  NlriContext context;
  context.family = kVpn4;
  context.ids = PathIds::kNo;
  VpnCodec codec;
  for (std::size_t n = 1; n < whole.size(); ++n) {
    const NlriResult result = codec.parse(as_bytes(std::string_view(whole).substr(0, n)), context);
    CHECK(result == (n == 15 ? NlriResult::kOk : NlriResult::kBad));
    CHECK(codec.size() == (n == 15 ? 1 : 0));
  }
}

TEST_CASE("a route is the same with any label, and another with any distinguisher or length") {
  NlriContext context;
  context.family = kVpn4;
  VpnCodec codec;
  const auto key = [&](const char* bytes) {
    std::vector<std::uint8_t> out;
    REQUIRE(codec.parse(as_bytes(hex(bytes)), context) == NlriResult::kOk);
    codec.append_key(0, out);
    return out;
  };
  const auto one = key("70 000641 0000fde900000064 0a0102");
  CHECK(key("70 800000 0000fde900000064 0a0102") == one);
  CHECK(key("70 000641 0000fde900000065 0a0102") != one);
  CHECK(key("6f 000641 0000fde900000064 0a0102") != one);
}
