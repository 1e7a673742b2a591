#include "bmp-recv/tap/packet_file.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/unit/bmp-recv/tap/packets.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

struct Got {
  std::int64_t time_us = 0;
  std::uint32_t link_type = 0;
  std::string bytes;
  bool operator==(const Got&) const = default;
};
struct Outcome {
  std::vector<Got> packets;
  PacketFile::State end{};
  std::string error;
};

Outcome read(const std::string& capture) {
  const std::unique_ptr<InputFile> file = InputFile::of_bytes("capture", as_bytes(capture));
  PacketFile packets(*file);
  Outcome o;
  Packet p;
  while ((o.end = packets.next(p)) == PacketFile::State::kPacket)
    o.packets.push_back({p.time_us, p.link_type, {reinterpret_cast<const char*>(p.bytes.data()), p.bytes.size()}});
  o.error = packets.error();
  return o;
}

constexpr std::int64_t kSecond = 1700000000;

// Where a capture may end: at these lengths it is whole, at all others it is broken and says where.
void check_truncations(const std::string& capture, const std::vector<std::size_t>& whole) {
  const std::vector<Got> all = read(capture).packets;
  for (std::size_t n = 1; n < capture.size(); ++n) {
    CAPTURE(n);
    const Outcome o = read(capture.substr(0, n));
    const bool is_whole = std::find(whole.begin(), whole.end(), n) != whole.end();
    CHECK((o.end == PacketFile::State::kEnd) == is_whole);
    CHECK(o.error.empty() == is_whole);
    if (!is_whole) CHECK(o.error.starts_with("offset "));
    REQUIRE(o.packets.size() <= all.size());
    CHECK(std::equal(o.packets.begin(), o.packets.end(), all.begin()));
  }
}

}  // namespace

TEST_CASE("the classic format is read in both byte orders and with both fractions of a second") {
  for (const bool little : {false, true})
    for (const bool nanoseconds : {false, true}) {
      const Pcap pcap{little, nanoseconds, 1};
      const std::string capture = pcap.header() + pcap.packet("one", nanoseconds ? 250000 : 250) + pcap.packet("");
      CHECK(PacketFile::is_capture(as_bytes(capture)));
      const Outcome o = read(capture);
      CHECK(o.end == PacketFile::State::kEnd);
      CHECK(o.packets == std::vector<Got>{{kSecond * 1000000 + 250, 1, "one"}, {kSecond * 1000000, 1, ""}});
    }
}

TEST_CASE("pcapng is read in both byte orders, with the clock of each interface") {
  for (const bool little : {false, true}) {
    const PcapNg ng{little};
    const std::string milliseconds(1, '\3'), binary(1, '\x8a');  // 10^-3, 2^-10
    const std::string five = swapped(std::string(7, '\0') + '\5', little);
    const std::string capture = ng.section() + ng.interface(101, {}) + ng.interface(1, {{9, milliseconds}}) +
                                ng.interface(113, {{2, "eth0"}, {9, binary}, {14, five}}) +
                                ng.block(0x7777, "unknown") + ng.packet(0, kSecond * 1000000 + 7, "micros") +
                                ng.packet(1, kSecond * 1000 + 7, "millis") +
                                ng.packet(2, kSecond * 1024 + 512, "binary") + ng.simple("no time");
    CHECK(PacketFile::is_capture(as_bytes(capture)));
    const Outcome o = read(capture);
    CHECK(o.end == PacketFile::State::kEnd);
    CHECK(o.packets == std::vector<Got>{{kSecond * 1000000 + 7, 101, "micros"},
                                        {kSecond * 1000000 + 7000, 1, "millis"},
                                        {(kSecond + 5) * 1000000 + 500000, 113, "binary"},
                                        {0, 101, "no time"}});
  }
}

TEST_CASE("a capture that ends inside a packet is broken there, at every length") {
  const Pcap pcap;
  const std::string head = pcap.header(), one = pcap.packet("first"), two = pcap.packet("second");
  check_truncations(head + one + two, {head.size(), head.size() + one.size()});
  const PcapNg ng;
  const std::string section = ng.section(), interface = ng.interface(1, {{9, "\6"}}), packet = ng.packet(0, 5, "abc");
  const std::size_t start = section.size(), ready = start + interface.size();
  check_truncations(section + interface + packet + ng.simple("x"), {start, ready, ready + packet.size()});
}

TEST_CASE("what no capture can say is told") {
  const Pcap pcap;
  const PcapNg ng;
  const struct {
    std::string capture;
    const char* want;
  } cases[] = {
      {pcap.header() + pcap.n32(0) + pcap.n32(0) + pcap.n32(1U << 30) + pcap.n32(5), "a packet of 1073741824 bytes"},
      {ng.section() + ng.packet(0, 0, "no interface"), "a bad packet block"},
      {ng.section() + ng.n32(6) + ng.n32(11), "a block of 11 bytes"},
      {ng.section() + ng.n32(6) + ng.n32(1U << 31), "a block of 2147483648 bytes"},
      {ng.section() + ng.block(1, "ab"), "a bad interface block"},
      {ng.section() + ng.interface(1, {{9, "\x7f"}}), "a bad interface block"},  // 10^-127 seconds
      {ng.section() + ng.interface(1, {}) + ng.block(6, ng.n32(0) + ng.n32(0) + ng.n32(0) + ng.n32(99) + ng.n32(99)),
       "a bad packet block"},
      {hex("0a0d0d0a 0000001c 11111111") + std::string(16, '\0'), "a section without byte order mark"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.want);
    const Outcome o = read(c.capture);
    CHECK(o.end == PacketFile::State::kBroken);
    CHECK(o.error.find(c.want) != std::string::npos);
  }
  CHECK(!PacketFile::is_capture(as_bytes(hex("03000000"))));
  CHECK(!PacketFile::is_capture(as_bytes("")));
}
