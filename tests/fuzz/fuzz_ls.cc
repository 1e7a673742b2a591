// A BGP-LS NLRI field and a BGP-LS attribute: the first byte chooses distinguisher and path identifiers, the next two
// say how long the attribute is. Every row must have its columns, fit to stand in text.
#include "bmp-recv/ls_codec.h"
#include "tests/fuzz/checks.h"

using namespace bmpha;
using namespace bmpha::recv;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader r(Bytes(data, size));
  std::uint8_t form = 0;
  std::uint16_t attribute_size = 0;
  if (size > 60000 || !r.u8(form) || !r.u16(attribute_size)) return 0;
  PathAttributes attributes;
  if (r.bytes(std::min<std::size_t>(attribute_size, r.remaining()), attributes.link_state) &&
      !are_link_state_tlvs(attributes.link_state))
    attributes.link_state = {};
  static LsCodec codec;
  NlriContext context;
  context.family = {16388, static_cast<std::uint8_t>((form & 1) != 0 ? 72 : 71)};
  context.ids = static_cast<PathIds>((form >> 1) % 3);
  if (codec.parse(r.rest(), context) == NlriResult::kBad) {
    require(codec.size() == 0);
    return 0;
  }
  codec.prepare(attributes);
  static TextBuffer text;
  static std::vector<std::uint8_t> key;
  for (std::size_t n = 0; n < std::min<std::size_t>(codec.size(), 8); ++n) {
    key.clear();
    codec.append_key(n, key);
    codec.append_related_key(n, 0, key);
    codec.append_related_key(n, 1, key);
    require(!key.empty());
    std::size_t columns = 0, want = 0;
    text.clear();
    for (const RowPart part : object_info(codec.object(n)).layout)
      if (part == RowPart::kOwn) {
        if (columns != 0) text.append('\t');
        codec.print(n, static_cast<unsigned>(columns++), false, text);
      }
    for (unsigned part = 0; part < columns; ++part) {
      static constexpr LsType kTypes[] = {LsType::kNode, LsType::kLink, LsType::kPrefixV4, LsType::kSrv6Sid};
      want += ls_columns(kTypes[static_cast<std::size_t>(codec.object(n)) - static_cast<std::size_t>(Object::kLsNode)],
                         part)
                  .size();
    }
    const std::string_view row = text.view();
    require(fuzz::count_of(row, '\t') + 1 == want && fuzz::is_column(row, true));
    // What the attribute says may stand in every row: as much as RouteWriter counts with, besides the route's own.
    require(row.size() <= codec.repeated_bytes() + 8 * size + 2048);
  }
  return 0;
}
