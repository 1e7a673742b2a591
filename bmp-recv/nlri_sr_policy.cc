#include "bmp-recv/nlri_sr_policy.h"

namespace bmpha::recv {

NlriResult parse_sr_policy(Bytes field, bool v6, PathIds expected, std::vector<SrPolicyRoute>& out) {
  const std::uint8_t address = v6 ? 16 : 4;
  return parse_routes(field, expected, out, [address](ByteReader& r, SrPolicyRoute& route) {
    std::uint8_t bits = 0;
    route.endpoint.size = address;
    const bool good = r.u8(bits) && bits == 64 + address * 8 && r.u32(route.distinguisher) && r.u32(route.color) &&
                      r.copy(route.endpoint.bytes.data(), address);
    return good ? Fit::kGood : Fit::kNo;
  });
}

void append_key(KeyBytes& key, const SrPolicyRoute& route) {
  put_key32(key, route.distinguisher);
  put_key32(key, route.color);
  put_key(key, route.endpoint);
}

void append_sr_policy_columns(TextBuffer& out, const SrPolicyRoute& route) {
  out.number(route.distinguisher);
  out.append('\t');
  out.number(route.color);
  out.append('\t');
  append_address(out, route.endpoint);
}

}  // namespace bmpha::recv
