#include "bmp-recv/tap/tcp_streams.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>

#include "tests/unit/bmp-recv/tap/packets.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

// What came out, by stream: data, "|" where bytes are missing, "$" at the end.
struct Sessions {
  TcpStreams tcp{TcpStreams::Events{[this](std::uint64_t n, const std::string& source) { sources[n] = source; },
                                    [this](std::uint64_t n, Bytes data, std::int64_t) {
                                      text[n].append(reinterpret_cast<const char*>(data.data()), data.size());
                                    },
                                    [this](std::uint64_t n) { text[n] += '|'; },
                                    [this](std::uint64_t n) { text[n] += '$'; }}};
  std::map<std::uint64_t, std::string> sources, text;
  Sessions() = default;
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;

  void packet(const std::string& bytes, std::uint32_t link_type = 101) {
    Packet p;
    p.link_type = link_type;
    p.bytes = as_bytes(bytes);
    tcp.on_packet(p);
  }
};

std::string stream(std::size_t messages) {
  std::string out = initiation("r1");
  for (unsigned n = 1; n <= messages; ++n) out += peer_down(peer_header(n));
  return out;
}

constexpr std::uint32_t kStart = 0xfffffff0;  // sequence numbers wrap

}  // namespace

TEST_CASE("a connection in pieces of any size is the stream that was sent") {
  const std::string whole = stream(5);
  for (std::size_t piece = 1; piece <= whole.size(); ++piece) {
    CAPTURE(piece);
    Sessions s;
    s.packet(tcp_packet(40000, kStart - 1, kSyn, ""));
    for (std::size_t at = 0; at < whole.size(); at += piece)
      s.packet(tcp_packet(40000, static_cast<std::uint32_t>(kStart + at), kAck, whole.substr(at, piece)));
    s.packet(tcp_packet(40000, static_cast<std::uint32_t>(kStart + whole.size()), kFin | kAck, ""));
    s.tcp.finish();
    REQUIRE(s.text.size() == 1);
    CHECK(s.text[1] == whole + '$');
    CHECK(s.sources[1] == "192.0.2.1");
    CHECK(s.tcp.counters().gaps == 0);
  }
}

TEST_CASE("segments that overlap, come again and come early are put in order") {
  const std::string whole = stream(20);
  std::mt19937 random(7);  // NOLINT: repeatable on purpose
  for (int round = 0; round < 200; ++round) {
    CAPTURE(round);
    std::vector<std::pair<std::size_t, std::size_t>> pieces;  // offset, size
    for (std::size_t at = 0; at < whole.size();) {
      const std::size_t size = std::min<std::size_t>(1 + random() % 200, whole.size() - at);
      const std::size_t back = std::min<std::size_t>(at, random() % 3 == 0 ? random() % 40 : 0);
      pieces.emplace_back(at - back, size + back);
      if (random() % 5 == 0) pieces.emplace_back(at, size);
      at += size;
    }
    std::shuffle(pieces.begin(), pieces.end(), random);
    Sessions s;
    s.packet(tcp_packet(40000, kStart - 1, kSyn, ""));
    for (const auto& [at, size] : pieces)
      s.packet(tcp_packet(40000, static_cast<std::uint32_t>(kStart + at), kAck, whole.substr(at, size)));
    s.tcp.finish();
    REQUIRE(s.text.size() == 1);
    CHECK(s.text[1] == whole + '$');
    CHECK(s.tcp.counters().missing_bytes == 0);
  }
}

TEST_CASE("where a segment is missing the stream goes on at the next with messages, and what is missing is counted") {
  const std::string first = stream(2), lost = peer_down(peer_header(3)), rest = stream(3);
  Sessions s;
  s.packet(tcp_packet(40000, 99, kSyn, ""));
  s.packet(tcp_packet(40000, 100, kAck, first));
  s.packet(tcp_packet(40000, static_cast<std::uint32_t>(100 + first.size() + lost.size()), kAck, rest));
  CHECK(s.text[1] == first);
  s.tcp.finish();
  CHECK(s.text[1] == first + '|' + rest + '$');
  CHECK(s.tcp.counters().gaps == 1);
  CHECK(s.tcp.counters().missing_bytes == lost.size());
}

TEST_CASE("a capture that begins inside a connection starts at a message") {
  const std::string whole = stream(8);
  const std::size_t cut = 30;
  Sessions s;
  s.packet(tcp_packet(40000, 500, kAck, whole.substr(cut)));
  s.packet(tcp_packet(40000, static_cast<std::uint32_t>(500 + whole.size() - cut), kRst, ""));
  REQUIRE(s.text.size() == 1);
  const std::string begin = whole.substr(initiation("r1").size());
  CHECK(s.text[1] == begin.substr(begin.size() - (s.text[1].size() - 1)) + '$');
  CHECK(s.text[1].size() > begin.size() / 2);
}

TEST_CASE("other protocols, other services and malformed headers are left alone and counted") {
  Sessions s;
  s.packet(tcp_packet(40000, 99, kSyn, ""));
  s.packet(tcp_packet(40000, 100, kAck, "GET / HTTP/1.1\r\n"));
  std::string udp = tcp_packet(40001, 1, kAck, stream(1));
  udp[9] = 17;
  s.packet(udp);
  std::string fragment = tcp_packet(40001, 1, kAck, stream(1));
  fragment[6] = 0x20;
  s.packet(fragment);
  s.packet(tcp_packet(40001, 1, kAck, stream(1)), 9999);
  s.tcp.finish();
  CHECK(s.text.empty());
  CHECK(s.tcp.counters().not_tcp == 2);
  CHECK(s.tcp.counters().fragments == 1);
  CHECK(s.tcp.counters().packets == 5);
}

TEST_CASE("a packet cut at any length by the capture harms nobody") {
  const std::string whole = stream(3);
  for (const bool v6 : {false, true}) {
    const std::string packet = tcp_packet(40000, 100, kAck, whole, v6);
    for (std::size_t n = 0; n < packet.size(); ++n) {
      CAPTURE(n);
      Sessions s;
      s.packet(tcp_packet(40000, 99, kSyn, "", v6));
      s.packet(packet.substr(0, n));
      s.tcp.finish();
      const std::size_t head = packet.size() - whole.size();
      const std::string got = s.text.empty() ? "" : s.text[1];
      CHECK(got == (n < head + 6 ? "" : whole.substr(0, n - head) + '$'));
      if (n < head) CHECK(s.tcp.counters().malformed == 1);
      if (!got.empty()) CHECK(s.sources[1] == (v6 ? "2001:db8::1" : "192.0.2.1"));
    }
  }
}

TEST_CASE("IP is found behind the headers of all link types") {
  const std::string ip4 = tcp_packet(40000, 100, kAck, stream(2)), ip6 = tcp_packet(40000, 100, kAck, stream(2), true);
  const std::string macs(12, '\1');
  const struct {
    std::uint32_t link_type;
    std::string packet;
  } cases[] = {
      {0, hex("02000000") + ip4},
      {1, macs + hex("0800") + ip4},
      {1, macs + hex("86dd") + ip6},
      {1, macs + hex("8100 0005 0800") + ip4},
      {1, macs + hex("88a8 0005 8100 0006 86dd") + ip6},
      {12, ip4},
      {101, ip6},
      {108, hex("00000018") + ip6},
      {113, std::string(14, '\0') + hex("0800") + ip4},
      {228, ip4},
      {229, ip6},
      {276, hex("86dd") + std::string(18, '\0') + ip6},
  };
  for (const auto& c : cases) {
    CAPTURE(c.link_type);
    Sessions s;
    s.packet(c.packet, c.link_type);
    s.tcp.finish();
    REQUIRE(s.text.size() == 1);
    CHECK(s.text[1] == stream(2) + '$');
  }
}
