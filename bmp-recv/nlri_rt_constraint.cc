#include "bmp-recv/nlri_rt_constraint.h"

namespace bmpha::recv {
namespace {

constexpr std::uint8_t kAsBits = 32;
constexpr std::uint8_t kAllBits = 96;

Fit read_route(ByteReader& r, RtConstraintRoute& out) {
  if (!r.u8(out.length)) return Fit::kNo;
  if (out.length == 0) return Fit::kPoor;  // small path identifiers begin so, too
  if (out.length < kAsBits || out.length > kAllBits) return Fit::kNo;
  const std::size_t bits = out.length - kAsBits;
  const std::size_t bytes = (bits + 7) / 8;
  if (!r.u32(out.origin_as) || !r.copy(out.target.data(), bytes)) return Fit::kNo;
  if (bits % 8 != 0) out.target[bytes - 1] = static_cast<std::uint8_t>(out.target[bytes - 1] & (0xff00 >> bits % 8));
  return Fit::kGood;
}

}  // namespace

NlriResult parse_rt_constraint(Bytes field, PathIds expected, std::vector<RtConstraintRoute>& out) {
  return parse_routes(field, expected, out, read_route);
}

void append_key(KeyBytes& key, const RtConstraintRoute& route) {
  put_key(key, route.length);
  put_key32(key, route.origin_as);
  put_key(key, route.target);
}

void append_rt_constraint_columns(TextBuffer& out, const RtConstraintRoute& route) {
  out.number(route.length);
  out.append('\t');
  if (route.length != 0) out.number(route.origin_as);
  out.append('\t');
  if (route.length == kAllBits) return append_ext_communities(out, route.target);
  if (route.length <= kAsBits) return;
  const std::size_t bits = route.length - kAsBits;
  out.append("0x");
  append_hex(out, Bytes(route.target).first((bits + 7) / 8));
  out.append('/');
  out.number(bits);
}

}  // namespace bmpha::recv
