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

// What the OPENs say about path identifiers of this family and direction.
enum class PathIds : std::uint8_t { kUnknown, kNo, kYes };

enum class NlriResult : std::uint8_t {
  kOk,
  kOkOtherForm,  // readable only in (or, by far, more plausible in) the form that was not expected
  kBad,          // nothing was appended
};

// Appends the prefixes of a whole NLRI field. Routers send path identifiers that they did not negotiate, and leave out
// those that they did, message by message; so the expected form is tried first and must fit exactly.
NlriResult parse_nlri(Bytes field, bool v6, PathIds expected, std::vector<Prefix>& out);

}  // namespace bmpha::recv
