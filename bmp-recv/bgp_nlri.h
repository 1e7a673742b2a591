// Unicast prefixes (RFC 4271 4.3, RFC 4760 5), with or without path identifiers (RFC 7911 3).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "common/byte_reader.h"

namespace bmpha::recv {

struct Prefix {
  std::array<std::uint8_t, 16> address{};  // bits beyond the length are zero; IPv4 in the first four bytes
  std::uint32_t path_id = 0;
  std::uint8_t length = 0;
  bool v6 = false;
  bool operator==(const Prefix&) const = default;
};

// RFC 4364 4.2: type, administrator, assigned number. Zero: none.
using RouteDistinguisher = std::array<std::uint8_t, 8>;

// What the OPENs say about path identifiers of this family and direction.
enum class PathIds : std::uint8_t { kUnknown, kNo, kYes };

enum class NlriResult : std::uint8_t {
  kOk,
  kOkOtherForm,  // readable only in (or, by far, more plausible in) the form that was not expected
  kBad,          // nothing was appended
};

// Appends the prefixes of a whole NLRI field. Routers send path identifiers that they did not negotiate, and leave out
// those that they did, message by message; so both forms are judged by what stands in them when the expected one looks
// strange: bits beyond the length, repeated default routes, prefixes that nobody announces, identifiers of 2^24 and
// more. The last are not strange of a peer that is known to use them.
//
// large_ids, in and out: the peer uses such identifiers in this view. Set by a message that cannot be read without
// them.
NlriResult parse_nlri(Bytes field, bool v6, PathIds expected, bool& large_ids, std::vector<Prefix>& out);

}  // namespace bmpha::recv
