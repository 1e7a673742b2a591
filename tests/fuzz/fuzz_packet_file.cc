// A network capture, and the BMP sessions in it. A first byte of 0 puts the rest as one TCP segment after the other
// into a capture, so that the sessions are reached; otherwise the input is the capture.
#include "bmp-recv/tap/tcp_streams.h"
#include "tests/fuzz/checks.h"

namespace {
using namespace bmpha;
using namespace bmpha::recv;
using fuzz::require;

struct Outcome {
  std::uint64_t open = 0, last = 0;
};

TcpStreams::Events events_of(Outcome& o) {
  TcpStreams::Events e;
  e.open = [&o](std::uint64_t stream, const std::string& source) {
    require(stream == ++o.last && !source.empty());
    ++o.open;
  };
  e.data = [&o](std::uint64_t stream, Bytes bytes, std::int64_t) { require(stream <= o.last && !bytes.empty()); };
  e.gap = [&o](std::uint64_t stream) { require(stream <= o.last); };
  e.close = [&o](std::uint64_t) { require(o.open-- > 0); };
  return e;
}

// Segments of two connections: two bytes of flags and sequence, one of the length, data.
void segments(ByteReader r, TcpStreams& tcp) {
  std::uint8_t what = 0, seq = 0, length = 0;
  Packet packet;
  packet.link_type = 101;  // raw IP
  std::vector<std::uint8_t> bytes;
  while (r.u8(what) && r.u8(seq) && r.u8(length)) {
    Bytes data;
    if (!r.bytes(std::min<std::size_t>(length, r.remaining()), data)) break;
    const auto total = static_cast<std::uint8_t>(std::min<std::size_t>(40 + data.size(), 255));
    bytes = {0x45,
             0,
             0,
             total,
             0,
             0,
             0,
             0,
             64,
             6,
             0,
             0,
             192,
             0,
             2,
             1,
             192,
             0,
             2,
             2,
             static_cast<std::uint8_t>(what >> 7),
             9,
             6,
             0xfe,
             0,
             0,
             0,
             seq,
             0,
             0,
             0,
             0,
             0x50,
             static_cast<std::uint8_t>(what & 0x1f),
             0,
             0,
             0,
             0,
             0,
             0};
    bytes.insert(bytes.end(), data.begin(), data.end());
    packet.bytes = bytes;
    tcp.on_packet(packet);
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  Outcome outcome;
  TcpStreams tcp(events_of(outcome));
  if (data[0] == 0) {
    segments(ByteReader(Bytes(data + 1, size - 1)), tcp);
  } else {
    const std::unique_ptr<InputFile> file = InputFile::of_bytes("input", Bytes(data, size));
    PacketFile packets(*file);
    Packet packet;
    std::size_t bytes = 0;
    PacketFile::State state = PacketFile::State::kPacket;
    while ((state = packets.next(packet)) == PacketFile::State::kPacket) {
      bytes += packet.bytes.size();
      tcp.on_packet(packet);
    }
    require(bytes <= size && (state == PacketFile::State::kBroken) == !packets.error().empty());
  }
  tcp.finish();
  require(outcome.open == 0 && tcp.counters().streams == outcome.last);
  return 0;
}
