#include "bmp-recv/bgp_nlri.h"

#include <algorithm>

namespace bmpha::recv {
namespace {

bool parse_prefix(ByteReader& r, bool v6, Prefix& p) {
  p.v6 = v6;
  if (!r.u8(p.length) || p.length > (v6 ? 128 : 32)) return false;
  const std::size_t n = (std::size_t{p.length} + 7) / 8;
  if (!r.copy(p.address.data(), n)) return false;
  if (const unsigned spare = p.length % 8; spare != 0)
    p.address[n - 1] = static_cast<std::uint8_t>(p.address[n - 1] & (0xff << (8 - spare)));
  return true;
}

// All or nothing.
bool parse_form(Bytes field, bool v6, bool ids, std::vector<Prefix>& out) {
  const std::size_t before = out.size();
  ByteReader r(field);
  while (!r.empty()) {
    Prefix& p = out.emplace_back();
    if ((ids && !r.u32(p.path_id)) || !parse_prefix(r, v6, p)) {
      out.resize(before);
      return false;
    }
  }
  return true;
}

// An identifier whose first byte is zero: prefixes read as identifiers begin with their length instead, which is zero
// for a default route only.
bool plausible_ids(const std::vector<Prefix>& list, std::size_t from) {
  return std::all_of(list.begin() + static_cast<std::ptrdiff_t>(from), list.end(),
                     [](const Prefix& p) { return p.path_id < (1U << 24); });
}

// Path identifiers read as prefixes: small numbers begin with zero bytes, each a default route.
bool repeats_default(const std::vector<Prefix>& list, std::size_t from) {
  return std::count_if(list.begin() + static_cast<std::ptrdiff_t>(from), list.end(),
                       [](const Prefix& p) { return p.length == 0; }) > 1;
}

}  // namespace

NlriResult parse_nlri(Bytes field, bool v6, PathIds expected, std::vector<Prefix>& out) {
  const std::size_t before = out.size();
  const auto again = [&](bool ids) {
    out.resize(before);
    return parse_form(field, v6, ids, out);
  };
  if (expected != PathIds::kYes) {
    const bool without = parse_form(field, v6, false, out);
    if (without && !repeats_default(out, before)) return NlriResult::kOk;
    // Where the OPENs exclude identifiers, only such as no misread prefix can give are believed.
    const bool with = again(true);
    if (with && (plausible_ids(out, before) || (expected == PathIds::kUnknown && !without)))
      return NlriResult::kOkOtherForm;
    if (without && again(false)) return NlriResult::kOk;
    out.resize(before);
    return NlriResult::kBad;
  }
  const bool with = parse_form(field, v6, true, out);
  if (with && plausible_ids(out, before)) return NlriResult::kOk;
  if (again(false) && !repeats_default(out, before)) return NlriResult::kOkOtherForm;
  if (with && again(true)) return NlriResult::kOk;
  out.resize(before);
  return NlriResult::kBad;
}

}  // namespace bmpha::recv
