#include "bmp-recv/nlri_vpls.h"

namespace bmpha::recv {
namespace {

constexpr std::size_t kDiscoverySize = 12;
constexpr std::size_t kBlockSize = 17;

Fit read_route(ByteReader& r, VplsRoute& out) {
  std::uint16_t size = 0;
  ByteReader value;
  if (!r.u16(size) || (size != kDiscoverySize && size < kBlockSize) || !r.sub(size, value)) return Fit::kNo;
  if (!value.copy(out.rd.data(), out.rd.size())) return Fit::kNo;
  if (size == kDiscoverySize) return read_rest_address(value, out.pe) ? Fit::kGood : Fit::kNo;
  if (!value.u16(out.ve_id) || !value.u16(out.block_offset) || !value.u16(out.block_size) || !value.u24(out.label_base))
    return Fit::kNo;
  out.tlvs = value.rest();
  return out.tlvs.empty() ? Fit::kGood : Fit::kPoor;
}

}  // namespace

NlriResult parse_vpls(Bytes field, PathIds expected, std::vector<VplsRoute>& out) {
  return parse_routes(field, expected, out, read_route);
}

void append_key(KeyBytes& key, const VplsRoute& route) {
  put_key(key, route.rd);
  put_key(key, route.pe);
  put_key32(key, static_cast<std::uint32_t>(route.ve_id) << 16 | route.block_offset);
}

void append_vpls_columns(TextBuffer& out, const VplsRoute& route) {
  append_rd_columns(out, route.rd);
  if (route.pe.size != 0) {
    out.append("\t\t\t\t\t");
    append_address(out, route.pe);
    return out.append('\t');
  }
  for (const std::uint32_t v : {std::uint32_t{route.ve_id}, std::uint32_t{route.block_offset},
                                std::uint32_t{route.block_size}, route.label_base >> 4}) {
    out.append('\t');
    out.number(v);
  }
  out.append("\t\t");
  append_hex(out, route.tlvs);
}

}  // namespace bmpha::recv
