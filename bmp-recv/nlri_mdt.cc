#include "bmp-recv/nlri_mdt.h"

namespace bmpha::recv {
namespace {

constexpr std::uint8_t kBits = 64 + 32 + 32;

Fit read_route(ByteReader& r, MdtRoute& out) {
  std::uint8_t bits = 0;
  out.pe.size = out.group.size = 4;
  const bool good = r.u8(bits) && bits == kBits && r.copy(out.rd.data(), out.rd.size()) &&
                    r.copy(out.pe.bytes.data(), 4) && r.copy(out.group.bytes.data(), 4);
  return good ? Fit::kGood : Fit::kNo;
}

}  // namespace

NlriResult parse_mdt(Bytes field, PathIds expected, std::vector<MdtRoute>& out) {
  return parse_routes(field, expected, out, read_route);
}

void append_key(KeyBytes& key, const MdtRoute& route) {
  put_key(key, route.rd);
  put_key(key, route.pe);
  put_key(key, route.group);
}

void append_mdt_columns(TextBuffer& out, const MdtRoute& route) {
  append_rd_columns(out, route.rd);
  out.append('\t');
  append_address(out, route.pe);
  out.append('\t');
  append_address(out, route.group);
}

}  // namespace bmpha::recv
