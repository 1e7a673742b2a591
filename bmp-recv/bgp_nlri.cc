#include "bmp-recv/bgp_nlri.h"

#include <cstring>

namespace bmpha::recv {
namespace {

constexpr std::uint32_t kLargeId = 1U << 24;
constexpr unsigned kStrangePrefix = 2;
constexpr unsigned kStrangeIds = 1;

bool parse_prefix(ByteReader& r, bool v6, Prefix& p, unsigned& strange) {
  p.v6 = v6;
  if (!r.u8(p.length) || p.length > (v6 ? 128 : 32)) return false;
  if (p.length == 0) return true;
  const std::size_t n = (std::size_t{p.length} + 7) / 8;
  Bytes bytes;
  if (!r.bytes(n, bytes)) return false;
  if (n >= 2 && n <= 4) {  // what most prefixes have: two halves that may overlap, without a call
    std::memcpy(p.address.data(), bytes.data(), 2);
    std::memcpy(&p.address[n - 2], &bytes[n - 2], 2);
  } else {
    std::memcpy(p.address.data(), bytes.data(), n);
  }
  std::uint8_t& last = p.address[n - 1];
  const auto kept = static_cast<std::uint8_t>(last & (0xff << (n * 8 - p.length)));
  // 0.0.0.0/8 and ::/8 hold nothing that is announced but 64:ff9b::/96.
  if (kept != last || (p.address[0] == 0 && !(v6 && p.address[1] == 0x64))) strange += kStrangePrefix;
  last = kept;
  return true;
}

struct Form {
  bool fits = false;
  bool large_ids = false;
  bool repeats_default = false;  // small identifiers read as prefixes are rows of default routes
  unsigned strange = 0;
};

// All or nothing.
Form parse_form(Bytes field, bool v6, bool ids, bool large_is_strange, std::vector<Prefix>& out) {
  const std::size_t before = out.size();
  Form form;
  unsigned defaults = 0;
  ByteReader r(field);
  while (!r.empty()) {
    Prefix& p = out.emplace_back();
    if ((ids && !r.u32(p.path_id)) || !parse_prefix(r, v6, p, form.strange)) {
      out.resize(before);
      return {};
    }
    if (p.path_id >= kLargeId) form.large_ids = true;
    if (p.length == 0) ++defaults;
  }
  form.repeats_default = !ids && defaults > 1;
  if (form.repeats_default) form.strange += kStrangePrefix;
  if (form.large_ids && large_is_strange) form.strange += kStrangeIds;
  form.fits = true;
  return form;
}

}  // namespace

NlriResult parse_nlri(Bytes field, bool v6, PathIds expected, bool& large_ids, std::vector<Prefix>& out) {
  const std::size_t before = out.size();
  const bool ids = expected == PathIds::kYes;
  const auto read = [&](bool with_ids) {
    out.resize(before);
    return parse_form(field, v6, with_ids, !large_ids, out);
  };
  const Form first = read(ids);
  if (first.fits && first.strange == 0) return NlriResult::kOk;
  const Form other = read(!ids);
  bool other_is_better = other.fits && !other.repeats_default && (!first.fits || other.strange < first.strange);
  // Where the OPENs exclude identifiers, only such as no misread prefix can give are believed.
  if (expected == PathIds::kNo && other.strange != 0) other_is_better = false;
  if (other_is_better) return NlriResult::kOkOtherForm;
  if (!first.fits) {
    out.resize(before);
    return NlriResult::kBad;
  }
  if (ids && first.large_ids && !other.fits) large_ids = true;
  return read(ids).fits ? NlriResult::kOk : NlriResult::kBad;
}

}  // namespace bmpha::recv
