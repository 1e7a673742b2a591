// A field of labelled prefixes, of VPN prefixes, or of their multicast forms (SAFI 2, 4, 128, 129); the first byte
// chooses the family and what was agreed on.
#include "bmp-recv/nlri_vpn.h"
#include "tests/fuzz/checks.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bmpha;
  using namespace bmpha::recv;
  using fuzz::require;
  if (size == 0) return 0;
  const Bytes field(data + 1, size - 1);
  static constexpr std::uint8_t kSafis[] = {128, 4, 129, 2};
  NlriContext context;
  context.family = {static_cast<std::uint16_t>(1 + (data[0] & 1)), kSafis[data[0] >> 1 & 3]};
  context.ids = static_cast<PathIds>((data[0] >> 3 & 3) % 3);
  context.many_labels = static_cast<PathIds>((data[0] >> 5 & 3) % 3);
  context.withdrawn = (data[0] & 0x80) != 0;
  static VpnCodec codec;  // reused, as by the decoder
  const NlriResult result = codec.parse(field, context);
  require((codec.size() != 0) == (result != NlriResult::kBad && !field.empty()));
  require(codec.size() <= field.size());
  static TextBuffer text;
  static std::vector<std::uint8_t> key;
  for (std::size_t n = 0; n < std::min<std::size_t>(codec.size(), 8); ++n) {
    key.clear();
    codec.append_key(n, key);
    require(!key.empty());
    unsigned part = 0;
    for (const RowPart row_part : object_info(codec.object(n)).layout) {
      if (row_part != RowPart::kOwn) continue;
      text.clear();
      codec.print(n, part, context.withdrawn, text);
      require(fuzz::is_column(text.view(), true) && fuzz::count_of(text.view(), '\t') == (part == 0 ? 2 : part - 1));
      ++part;
    }
  }
  return 0;
}
