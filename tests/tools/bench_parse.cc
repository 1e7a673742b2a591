// How fast bmp-recv's core is, on one core and without sockets: the same bytes copied, walked, parsed, and made into
// records.
//
//   bench_parse FILE.bmp [--rounds N]
//
// Prints one JSON object: the best of N rounds for each stage. The stages take turns, so that what disturbs the machine
// meets all of them, and ratios hold.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "bmp-recv/bgp_update.h"
#include "bmp-recv/bmp_parser.h"
#include "bmp-recv/session_decoder.h"

namespace {

using namespace bmpha;
using namespace bmpha::recv;
using Clock = std::chrono::steady_clock;

class Best {
 public:
  template <class F>
  void measure(F&& f) {
    const auto begin = Clock::now();
    count_ = f();
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    if (seconds < seconds_) seconds_ = seconds;
  }
  // What every round counted.
  std::uint64_t count() const { return count_; }
  double rate() const { return static_cast<double>(count_) / seconds_; }

 private:
  double seconds_ = 1e9;
  std::uint64_t count_ = 0;
};

template <class F>
std::uint64_t each_frame(Bytes stream, F&& f) {
  BmpFrame frame;
  std::size_t at = 0;
  while (next_frame(stream.subspan(at), frame) == FrameState::kFrame) {
    f(frame);
    at += frame.size;
  }
  return at;
}

// From header to header; nothing behind a header is looked at.
std::uint64_t walk(Bytes stream) {
  std::uint64_t sum = 0;
  const std::uint64_t bytes = each_frame(stream, [&](const BmpFrame& f) { sum += f.type + f.body.size(); });
  return sum == 1 ? 0 : bytes;  // uses sum
}

std::uint64_t copy(Bytes stream, std::string& to) {
  std::memcpy(to.data(), stream.data(), stream.size());
  asm volatile("" : : "r"(to.data()) : "memory");  // the copy is wanted, though nobody reads it
  return stream.size();
}

std::uint64_t parse(Bytes stream, Update& update) {
  std::uint64_t prefixes = 0;
  UpdateContext context;
  each_frame(stream, [&](const BmpFrame& f) {
    PeerHeader h;
    ByteReader r(f.body);
    if (f.type != 0 || !parse_peer_header(r, h)) return;
    context.expect_as4 = (h.flags & kPeerFlagAs2) == 0;
    if (parse_update(r.rest(), context, update) == Fault::kNone)
      prefixes += update.announced.size() + update.withdrawn.size();
  });
  return prefixes;
}

class Count : public RecordSink {
 public:
  void on_record(const Record& record) override {
    bytes += record.size;
    ++records;
  }
  std::uint64_t bytes = 0, records = 0;
};

// In passes as large as a read of a socket.
std::uint64_t encode(Bytes stream, DecoderShared& shared, Count& sink) {
  SessionDecoder::Settings s;
  s.identity = {router_hash("bench", "192.0.2.1"), {1, 1}, collector_hash("bench")};
  s.router_ip = "192.0.2.1";
  s.name = "bench";
  SessionDecoder decoder(std::move(s), shared, sink);
  const ReadTimes times{BootTime(Nanos(1)), BootTime(Nanos(1)), 1700000000000000};
  shared.counters = {};
  decoder.begin(times);
  decoder.begin_pass(times);
  std::size_t in_pass = 0;
  each_frame(stream, [&](const BmpFrame& f) {
    decoder.on_frame(f, 0);
    in_pass += f.size;
    if (in_pass < std::size_t{256} * 1024) return;
    decoder.end_pass();
    decoder.begin_pass(times);
    in_pass = 0;
  });
  decoder.end_pass();
  return shared.counters.prefixes_announced + shared.counters.prefixes_withdrawn;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && !(argc == 4 && std::strcmp(argv[2], "--rounds") == 0)) {
    std::fprintf(stderr, "usage: bench_parse FILE.bmp [--rounds N]\n");
    return 100;
  }
  const int rounds = argc == 4 ? std::atoi(argv[3]) : 20;
  std::ifstream in(argv[1], std::ios::binary);
  const std::string file{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (file.empty() || rounds < 1) {
    std::fprintf(stderr, "bench_parse: cannot read %s\n", argv[1]);
    return 111;
  }
  const Bytes stream = as_bytes(file);
  std::uint64_t messages = 0;
  each_frame(stream, [&](const BmpFrame&) { ++messages; });
  std::string to(file.size(), '\0');
  Update update;
  DecoderShared shared;
  Count sink;
  Best copied, walked, parsed, encoded;
  for (int n = 0; n < rounds; ++n) {
    copied.measure([&] { return copy(stream, to); });
    walked.measure([&] { return walk(stream); });
    parsed.measure([&] { return parse(stream, update); });
    sink = {};
    encoded.measure([&] { return encode(stream, shared, sink); });
  }
  const auto number = [](std::uint64_t v) { return static_cast<unsigned long long>(v); };
  std::printf(
      "{\"bytes\": %zu, \"messages\": %llu, \"prefixes\": %llu, \"rounds\": %d, \"memcpy_bytes_per_s\": %.0f, "
      "\"walk_bytes_per_s\": %.0f, \"parse_prefixes_per_s\": %.0f, \"encode_prefixes_per_s\": %.0f, "
      "\"record_bytes\": %llu, \"records\": %llu}\n",
      file.size(), number(messages), number(encoded.count()), rounds, copied.rate(), walked.rate(), parsed.rate(),
      encoded.rate(), number(sink.bytes), number(sink.records));
  return 0;
}
