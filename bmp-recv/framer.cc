#include "bmp-recv/framer.h"

#include <algorithm>

namespace bmpha::recv {

FrameState next_frame(Bytes data, BmpFrame& out) {
  ByteReader r(data);
  std::uint8_t version = 0, type = 0;
  std::uint32_t length = 0;
  if (!r.u8(version)) return FrameState::kNeedMore;
  if (version != kBmpVersion && version != kBmpVersionTlv) return FrameState::kBadVersion;
  if (!r.u32(length)) return FrameState::kNeedMore;
  if (length < kBmpHeaderSize) return FrameState::kTooShort;
  if (length > kMaxBmpMessage) return FrameState::kTooLong;
  Bytes body;
  if (!r.u8(type) || !r.bytes(length - kBmpHeaderSize, body)) return FrameState::kNeedMore;
  out = BmpFrame{version, type, body, length, data.first(length)};
  return FrameState::kFrame;
}

const char* frame_error(FrameState state) {
  switch (state) {
    case FrameState::kFrame:
      break;
    case FrameState::kNeedMore:
      return "connection ended inside a message";
    case FrameState::kBadVersion:
      return "BMP version is neither 3 nor 4";
    case FrameState::kTooShort:
      return "BMP message length is below 6";
    case FrameState::kTooLong:
      return "BMP message length is above 262144";
  }
  return "none";
}

std::size_t frame_size(Bytes data) {
  ByteReader r(data);
  std::uint8_t version = 0;
  std::uint32_t length = 0;
  return r.u8(version) && r.u32(length) ? std::max<std::size_t>(length, kBmpHeaderSize) : kBmpHeaderSize;
}

}  // namespace bmpha::recv
