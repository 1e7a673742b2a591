// In steady state the decoder allocates nothing for a message: whatever it needs has grown to its size and is used
// again. The memory of a record is the one exception: it lives on in the ring, and there is one for many messages.
#include <doctest/doctest.h>

#include "bmp-recv/bmp_parser.h"
#include "tests/support/allocations.h"
#include "tests/unit/bmp-recv/captures.h"
#include "tests/unit/bmp-recv/nlri_builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;
using bmpha::testing::allocations;
using bmpha::testing::kCountsAllocations;

namespace {

class CountRecords : public RecordSink {
 public:
  void on_record(const Record& record) override {
    ++records;
    bytes += record.size;
  }
  std::uint64_t records = 0, bytes = 0;
};

// A session that is fed with the same messages again and again, as the server does it.
class Steady {
 public:
  explicit Steady(bool openbmp_hashes = false) {
    SessionDecoder::Settings s;
    s.identity = {router_hash("test", "2001:db8::254"), {7, 1}, collector_hash("test"), openbmp_hashes};
    s.router_ip = "2001:db8:1111:2222:3333:4444:5555:254";
    s.name = "a router with a long name";
    decoder_ = std::make_unique<SessionDecoder>(std::move(s), shared_, sink_);
    decoder_->begin(times());
  }
  void pass(const std::string& stream) {
    decoder_->begin_pass(times());
    BmpFrame frame;
    std::size_t at = 0;
    while (next_frame(as_bytes(stream).subspan(at), frame) == FrameState::kFrame) {
      decoder_->on_frame(frame, at);
      at += frame.size;
    }
    decoder_->end_pass();
    REQUIRE(at == stream.size());
  }
  const Counters& counters() const { return shared_.counters; }

  struct Use {
    std::uint64_t allocations = 0, records = 0, prefixes = 0;
  };
  // Of ten passes, when the buffers have their size.
  Use use_of(const std::string& stream) {
    for (int n = 0; n < 3; ++n) pass(stream);
    const Use before{allocations(), sink_.records, prefixes()};
    for (int n = 0; n < 10; ++n) pass(stream);
    return {allocations() - before.allocations, sink_.records - before.records, prefixes() - before.prefixes};
  }

 private:
  static ReadTimes times() { return {BootTime(Nanos(1)), BootTime(Nanos(1)), 1700000000000000}; }
  std::uint64_t prefixes() const { return counters().prefixes_announced + counters().prefixes_withdrawn; }

  DecoderShared shared_;
  CountRecords sink_;
  std::unique_ptr<SessionDecoder> decoder_;
};

// Of an IPv6 peer, whose address is too long for what a std::string holds in itself.
std::string v6_peer_header(unsigned n, unsigned flags = 0) {
  std::string s{'\0', static_cast<char>(flags | kPeerFlagV6)};
  s += std::string(8, '\0') + hex("20010db8 11112222 33334444 5555") + be16(n);
  return s + be32(4200000000 + n) + hex("c0 00 02 01") + be32(1700000000) + be32(250);
}

// Many times the same kind of message, each with attributes of its own.
template <class Make>
std::string repeated(int times, Make make) {
  std::string out;
  for (int n = 0; n < times; ++n) out += make(static_cast<unsigned>(n));
  return out;
}
std::string usual_attributes(unsigned n) {
  return attribute(1, hex("00")) + attribute(2, hex("02 03") + be32(65001) + be32(4200000001) + be32(n)) +
         attribute(3, hex("c0 00 02 01")) + attribute(4, be32(n)) + attribute(5, be32(100)) +
         attribute(8, be32(0xfde90000 + n) + be32(0xfde90001)) + attribute(16, hex("0002fde900000001")) +
         attribute(32, be32(4200000000) + be32(n) + be32(3));
}
std::string without_next_hop(unsigned n) {
  return attribute(1, hex("00")) + attribute(2, hex("02 01") + be32(65001 + n));
}
std::string v4_prefixes(unsigned from, unsigned count) {
  return repeated(static_cast<int>(count), [&](unsigned n) { return hex("18 0a") + be16(from + n); });
}

std::string packed_message(unsigned n) {
  return monitoring(peer_header(1), update({}, usual_attributes(n), v4_prefixes(300 * n, 300)));
}
std::string single_message(unsigned n) {
  return monitoring(peer_header(1), update({}, usual_attributes(n), v4_prefixes(n, 1)));
}
std::string v6_message(unsigned n) {
  const std::string reach = hex("0002 01 10 20010db8000000000000000000000001 00 30 20010db8") + be16(n);
  return monitoring(v6_peer_header(1), update({}, without_next_hop(n) + attribute(14, reach), {}));
}
std::string withdrawal_message(unsigned n) {
  return monitoring(peer_header(1), update(v4_prefixes(n, 20), {}, {})) +
         monitoring(v6_peer_header(1), update({}, attribute(15, hex("0002 01 30 20010db8") + be16(n)), {}));
}
std::string l3vpn_message(unsigned n) {
  const std::string nlri = hex("70 000011 0000fde800000001 0a") + be16(n);
  const std::string reach = hex("0001 80 0c 0000000000000000c0000201 00") + nlri + nlri;
  return monitoring(peer_header(1), update({}, without_next_hop(n) + attribute(14, reach), {})) +
         monitoring(peer_header(1), update({}, attribute(15, hex("0001 80") + nlri), {}));
}
std::string evpn_message(unsigned n) {
  EvpnRoute mac, prefix, multicast;
  mac.type = EvpnType::kMacIp;
  mac.tag = n;
  mac.ip.size = 16;
  mac.label_count = 2;
  prefix.type = EvpnType::kIpPrefix;
  prefix.prefix.size = prefix.gateway.size = 16;
  prefix.prefix_length = 64;
  prefix.label_count = 1;
  multicast.type = EvpnType::kInclusiveMulticast;
  multicast.originator.size = 4;
  const std::string nlri = write(mac) + write(prefix) + write(multicast);
  const std::string communities = attribute(16, hex("0603001122334455 030c000000000008"));
  return monitoring(
             peer_header(1),
             update({}, without_next_hop(n) + communities + attribute(14, hex("0019 46 04 c0000201 00") + nlri), {})) +
         monitoring(peer_header(1), update({}, attribute(15, hex("0019 46") + nlri), {}));
}
std::string extra_attributes_message(unsigned n) {
  const std::string extra = attribute(22, hex("00 06 000010 c0000201")) +
                            attribute(26, hex("01 000b 0000000000000064")) + attribute(35, be32(n)) +
                            attribute(40, hex("01 0007 00 0000 00000064")) +
                            attribute(128, be32(65009) + attribute(1, hex("00")) + attribute(5, be32(100))) +
                            attribute(99, hex("0102030405"));
  return monitoring(peer_header(1), update({}, usual_attributes(n) + extra, v4_prefixes(n, 2)));
}
std::string statistics_message(unsigned n) {
  const auto statistic = [](unsigned type, const std::string& value) {
    return be16(type) + be16(value.size()) + value;
  };
  return bmp(1, v6_peer_header(1) + be32(4) + statistic(0, be32(n)) + statistic(7, be32(0) + be32(n)) +
                    statistic(9, hex("0001 01") + be32(0) + be32(n)) + statistic(999, hex("0102030405")));
}
// Version 4: routes with table name, groups and path status.
std::string marked_message(unsigned n) {
  const auto tlv = [](unsigned type, unsigned index, const std::string& value) {
    return be16(type) + be16(value.size()) + be16(index) + value;
  };
  std::string message = bmp(0, peer_header(1) + tlv(3, 0, "a table with a long name, all of it") +
                                   tlv(2, 0x8001, be16(2) + be16(3)) + tlv(5, 0x8001, be32(4) + be16(3)) +
                                   tlv(5, 1, be32(2)) + tlv(4, 0, update({}, usual_attributes(n), v4_prefixes(n, 3))));
  message[0] = 4;
  return message;
}
// A wrong flag, an attribute that makes it a withdrawal, and one that is no UPDATE at all.
std::string faulty_message(unsigned n) {
  const std::string wrong_flag = hex("d0 01 0001 00") + usual_attributes(n).substr(5);
  return monitoring(v6_peer_header(1), update({}, wrong_flag, v4_prefixes(n, 1))) +
         monitoring(v6_peer_header(1), update({}, usual_attributes(n) + attribute(10, hex("01")), v4_prefixes(n, 1))) +
         monitoring(v6_peer_header(1), bgp(2, hex("00")));
}
std::string many_peers(unsigned n) {
  return monitoring(v6_peer_header(n), update({}, usual_attributes(n), v4_prefixes(n, 1)));
}

struct Case {
  std::string name;
  std::string messages;
  std::uint64_t prefixes;  // of one pass; 0: no routes
};

}  // namespace

TEST_CASE("allocations are seen" * doctest::skip(!kCountsAllocations)) {
  const std::uint64_t before = allocations();
  std::vector<std::string> some(3, std::string(100, 'x'));
  CHECK(allocations() - before >= 4);
  CHECK(some.size() == 3);
}

TEST_CASE("from frame to record nothing is allocated but the memory of records" * doctest::skip(!kCountsAllocations)) {
  const Case cases[] = {
      {"packed unicast", repeated(20, packed_message), 6000},
      {"one prefix a message", repeated(500, single_message), 500},
      {"IPv6", repeated(500, v6_message), 500},
      {"withdrawals", repeated(100, withdrawal_message), 2100},
      {"l3vpn", repeated(100, l3vpn_message), 300},
      {"evpn", repeated(100, evpn_message), 600},
      {"attributes without a column of their own", repeated(100, extra_attributes_message), 200},
      {"statistics", repeated(100, statistics_message), 0},
      {"version 4 with marks", repeated(100, marked_message), 300},
      {"messages with faults", repeated(100, faulty_message), 200},
      {"many peers in one read", repeated(200, many_peers), 200},
  };
  for (const bool openbmp_hashes : {false, true}) {
    for (const Case& c : cases) {
      CAPTURE(c.name);
      CAPTURE(openbmp_hashes);
      Steady session(openbmp_hashes);
      const Steady::Use use = session.use_of(c.messages);
      CHECK(use.prefixes == 10 * c.prefixes);
      CHECK(use.records != 0);
      CHECK(use.allocations == use.records);
    }
  }
}

TEST_CASE("parsing allocates nothing" * doctest::skip(!kCountsAllocations)) {
  const std::string stream = repeated(10, packed_message) + repeated(10, v6_message) +
                             repeated(10, withdrawal_message) + repeated(10, l3vpn_message) +
                             repeated(10, evpn_message) + repeated(10, extra_attributes_message) +
                             repeated(10, faulty_message);
  Update update;
  std::size_t parsed = 0;
  const auto parse_all = [&] {
    BmpFrame frame;
    for (std::size_t at = 0; next_frame(as_bytes(stream).subspan(at), frame) == FrameState::kFrame; at += frame.size) {
      PeerHeader h;
      ByteReader r(frame.body);
      if (parse_peer_header(r, h) && parse_update(r.rest(), {}, update) == Fault::kNone) ++parsed;
    }
  };
  parse_all();
  const std::uint64_t before = allocations();
  parsed = 0;
  parse_all();
  CHECK(parsed == 110);
  CHECK(allocations() == before);
}
