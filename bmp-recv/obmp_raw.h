// The binary form of a BMP message on the bus ("OBMP" 1.7, contract A8.2): what goes to the topic bmp_raw. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bmp-recv/tcp.h"
#include "bmp-recv/text.h"
#include "common/byte_reader.h"
#include "common/ids.h"

namespace bmpha::recv {

struct RawMessage {
  std::int64_t receipt_us = 0;  // UTC
  Hash128 collector;
  std::string_view admin_id;
  RouterId router;
  IpAddress router_ip{};
  std::string_view router_group;
  Bytes message;  // a whole BMP message
};

// Bytes in front of the message: 78 and the two texts. Texts are cut to this length.
inline constexpr std::size_t kMaxObmpText = 255;
inline constexpr std::size_t kMaxObmpHeader = 78 + 2 * kMaxObmpText;

// Appends header and message. `scratch` is reused.
void append_obmp_raw(TextBuffer& out, const RawMessage& raw, std::string& scratch);
// False: not such a record. Views point into bytes.
[[nodiscard]] bool parse_obmp_raw(Bytes bytes, RawMessage& out);

}  // namespace bmpha::recv
