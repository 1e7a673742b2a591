// Bytes in, complete BMP messages out (RFC 7854 4.1). Knows the common header only.
//
// The caller owns the bytes. A header that no message of BMP version 3 or 4 can have is an error that ends the session:
// from there on nothing in the stream can be trusted.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/byte_reader.h"

namespace bmpha::recv {

inline constexpr std::uint8_t kBmpVersion = 3;
inline constexpr std::uint8_t kBmpVersionTlv = 4;  // draft-ietf-grow-bmp-tlv: Route Monitoring in TLVs
inline constexpr std::size_t kBmpHeaderSize = 6;
// The largest message that is of use: a Peer Up with two OPENs of the extended size (RFC 8654) and information TLVs.
inline constexpr std::uint32_t kMaxBmpMessage = 256 * 1024;

// RFC 7854 4.1 and the registry. Others are counted by number.
enum class BmpType : std::uint8_t {
  kRouteMonitoring = 0,
  kStatistics = 1,
  kPeerDown = 2,
  kPeerUp = 3,
  kInitiation = 4,
  kTermination = 5,
  kRouteMirroring = 6,
};
inline constexpr std::size_t kBmpTypes = 7;

struct BmpFrame {
  std::uint8_t version = kBmpVersion;
  std::uint8_t type = 0;
  Bytes body;            // behind the common header
  std::size_t size = 0;  // header included
  Bytes whole;           // header included
};

enum class FrameState : std::uint8_t { kFrame, kNeedMore, kBadVersion, kTooShort, kTooLong };

// Looks at the start of data. kFrame fills out; every other state leaves it alone. A bad version or length is found
// as soon as its bytes are there.
FrameState next_frame(Bytes data, BmpFrame& out);

// Why the session ends, for the log. kNeedMore is a reason only when no more can come.
const char* frame_error(FrameState state);
// Bytes of the first message of data, as far as its header is there; not less than a header's.
std::size_t frame_size(Bytes data);

}  // namespace bmpha::recv
