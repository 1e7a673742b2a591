// A stream cut into two reads at a place that its first byte chooses must frame as in one read.
#include <cstdlib>
#include <vector>

#include "bmp-recv/framer.h"

namespace {

using namespace bmpha;
using namespace bmpha::recv;

struct Outcome {
  std::vector<std::size_t> sizes;
  FrameState end = FrameState::kNeedMore;
  bool operator==(const Outcome&) const = default;
};

std::size_t consume(Bytes stream, Outcome& out) {
  std::size_t at = 0;
  BmpFrame f;
  while ((out.end = next_frame(stream.subspan(at), f)) == FrameState::kFrame) {
    if (f.size < kBmpHeaderSize || f.size > kMaxBmpMessage || f.body.size() + kBmpHeaderSize != f.size) std::abort();
    out.sizes.push_back(f.size);
    at += f.size;
  }
  return at;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes stream(data + 1, size - 1);
  Outcome whole, parts;
  consume(stream, whole);
  const std::size_t used = consume(stream.first(stream.size() * data[0] / 255), parts);
  if (parts.end == FrameState::kNeedMore) consume(stream.subspan(used), parts);
  if (!(whole == parts)) std::abort();
  return 0;
}
