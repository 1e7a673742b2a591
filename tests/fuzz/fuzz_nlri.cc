// A field of plain prefixes; the first byte chooses the address family and whether large identifiers are known.
#include "bmp-recv/bgp_nlri.h"
#include "tests/fuzz/checks.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bmpha;
  using namespace bmpha::recv;
  using fuzz::require;
  if (size == 0) return 0;
  const Bytes field(data + 1, size - 1);
  const bool v6 = (data[0] & 1) != 0;
  static std::vector<Prefix> list;  // reused, as by the decoder
  for (const PathIds expected : {PathIds::kUnknown, PathIds::kNo, PathIds::kYes}) {
    list.assign(1, Prefix{});
    bool large_ids = (data[0] & 2) != 0;
    const NlriResult result = parse_nlri(field, v6, expected, large_ids, list);
    require((list.size() > 1) == (result != NlriResult::kBad && !field.empty()));
    require(large_ids || (data[0] & 2) == 0);
    const bool ids = (expected == PathIds::kYes) == (result == NlriResult::kOk);
    std::size_t bytes = 0;
    for (std::size_t n = 1; n < list.size(); ++n) {
      const Prefix& p = list[n];
      require(p.v6 == v6 && p.length <= (v6 ? 128 : 32) && (ids || p.path_id == 0));
      for (unsigned bit = p.length; bit < 128; ++bit) require((p.address[bit / 8] >> (7 - bit % 8) & 1) == 0);
      bytes += (ids ? 5U : 1U) + (p.length + 7U) / 8;
    }
    require(result == NlriResult::kBad || bytes == field.size());
  }
  return 0;
}
