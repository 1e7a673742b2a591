// How fast bmp-recv's core is, on one core and without sockets: the same bytes walked, parsed, and made into records.
//
//   bench_parse FILE.bmp [--rounds N]
//
// Prints one JSON object: the best of N rounds for each stage, all measured in this run so that ratios hold.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <new>
#include <string>
#include <vector>

#include "bmp-recv/bgp_update.h"
#include "bmp-recv/bmp_parser.h"
#include "bmp-recv/session_decoder.h"

namespace {
std::atomic<std::uint64_t> g_allocations{0};
}
// Counts allocations, to show that parsing needs none in steady state.
void* operator new(std::size_t n) {
  g_allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* p = std::malloc(n)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace {

using namespace bmpha;
using namespace bmpha::recv;
using Clock = std::chrono::steady_clock;

struct Timing {
  double seconds = 1e9;
  std::uint64_t count = 0;
};
template <class F>
Timing best_of(int rounds, F&& f) {
  Timing best;
  for (int n = 0; n < rounds; ++n) {
    const auto begin = Clock::now();
    const std::uint64_t count = f();
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    if (seconds < best.seconds) best = {seconds, count};
  }
  return best;
}

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

std::uint64_t walk(Bytes stream) {
  std::uint64_t sum = 0;
  const std::uint64_t bytes = each_frame(stream, [&](const BmpFrame& f) { sum += f.type + f.body.size(); });
  return sum == 1 ? 0 : bytes;  // uses sum
}

std::uint64_t parse(Bytes stream, Update& update) {
  std::uint64_t prefixes = 0;
  UpdateContext context;
  each_frame(stream, [&](const BmpFrame& f) {
    PeerHeader h;
    ByteReader r(f.body);
    if (f.type != 0 || !parse_peer_header(r, h)) return;
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
    if (in_pass < 256 * 1024) return;
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
  const int rounds = argc == 4 ? std::atoi(argv[3]) : 5;
  std::ifstream in(argv[1], std::ios::binary);
  const std::string file{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (file.empty() || rounds < 1) {
    std::fprintf(stderr, "bench_parse: cannot read %s\n", argv[1]);
    return 111;
  }
  const Bytes stream = as_bytes(file);
  std::string copy(file.size(), '\0');
  const Timing memory = best_of(rounds, [&] {
    std::memcpy(copy.data(), file.data(), file.size());
    return static_cast<std::uint64_t>(file.size()) + (copy[file.size() / 2] == 'x' ? 0U : 0U);
  });
  const Timing walked = best_of(rounds, [&] { return walk(stream); });
  Update update;
  parse(stream, update);  // its buffers have their size now
  const std::uint64_t before = g_allocations.load();
  const Timing parsed = best_of(rounds, [&] { return parse(stream, update); });
  const std::uint64_t parse_allocations = g_allocations.load() - before;
  DecoderShared shared;
  Count sink;
  const Timing encoded = best_of(rounds, [&] {
    sink = {};
    return encode(stream, shared, sink);
  });
  const auto rate = [](const Timing& r) { return static_cast<double>(r.count) / r.seconds; };
  std::printf(
      "{\"bytes\": %zu, \"prefixes\": %llu, \"rounds\": %d, \"memcpy_bytes_per_s\": %.0f, "
      "\"walk_bytes_per_s\": %.0f, \"parse_prefixes_per_s\": %.0f, \"encode_prefixes_per_s\": %.0f, "
      "\"record_bytes\": %llu, \"records\": %llu, \"parse_allocations\": %llu}\n",
      file.size(), static_cast<unsigned long long>(parsed.count), rounds, rate(memory), rate(walked), rate(parsed),
      rate(encoded), static_cast<unsigned long long>(sink.bytes), static_cast<unsigned long long>(sink.records),
      static_cast<unsigned long long>(parse_allocations));
  return 0;
}
