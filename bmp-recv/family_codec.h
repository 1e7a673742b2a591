// One group of address families: its NLRI in, the own columns of its rows out. What bgp_update.h leaves as raw bytes
// goes through one of these; RouteWriter adds the columns that all objects share.
//
// A codec keeps what it has parsed in buffers that it reuses: nothing is allocated in steady state. Views that it keeps
// into the message are valid until the next parse.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bmp-recv/bgp_attributes.h"
#include "bmp-recv/bgp_nlri.h"
#include "bmp-recv/bgp_open.h"
#include "bmp-recv/objects.h"
#include "bmp-recv/text.h"
#include "common/ids.h"

namespace bmpha::recv {

// How the NLRI of this message is likely to be encoded.
struct NlriContext {
  Family family;
  PathIds ids = PathIds::kUnknown;
  PathIds many_labels = PathIds::kUnknown;  // RFC 8277 2.1: several labels a prefix were agreed on
  bool withdrawn = false;                   // MP_UNREACH
};

class FamilyCodec {
 public:
  virtual ~FamilyCodec() = default;

  // Decodes a whole NLRI field, in place of what was decoded before. kBad: there is nothing then.
  virtual NlriResult parse(Bytes field, const NlriContext& context) = 0;
  // Called after parse(), before rows of an announcement are printed: for what the attributes add to own columns.
  virtual void prepare(const PathAttributes& /*attributes*/) {}
  // Bytes of own columns that print() repeats in every row of an announcement.
  virtual std::size_t repeated_bytes() const { return 0; }

  // Routes that were decoded; and routes of types that are unknown: skipped by their length, to be counted.
  virtual std::size_t size() const = 0;
  virtual std::size_t skipped() const { return 0; }

  // Of route n.
  virtual Object object(std::size_t n) const = 0;
  virtual std::uint32_t path_id(std::size_t n) const = 0;
  // Appends what makes the route, as bytes that do not depend on how it was encoded; family, view and path identifier
  // are not part of it, and nothing that may differ between announcement and withdrawal (labels).
  virtual void append_key(std::size_t n, std::vector<std::uint8_t>& out) const = 0;
  // Appends the key of another route of the same family that this one names: for RowPart::kRelated, the first, second,
  // ... of the object's layout.
  virtual void append_related_key(std::size_t /*n*/, unsigned /*related*/, std::vector<std::uint8_t>& /*out*/) const {}
  // The hashes of OpenBMP (compat_hash.h) of a route and of one that it names, where they are not made of the columns
  // of the route's row. False: there is none.
  virtual bool openbmp_hash(std::size_t /*n*/, std::string_view /*peer_hex*/, std::string& /*scratch*/,
                            Hash128& /*out*/) const {
    return false;
  }
  virtual bool openbmp_related_hash(std::size_t /*n*/, unsigned /*related*/, std::string& /*scratch*/,
                                    Hash128& /*out*/) const {
    return false;
  }
  // Appends one kOwn part of the object's layout: its columns, TAB between them, none around.
  virtual void print(std::size_t n, unsigned part, bool withdrawn, TextBuffer& out) const = 0;
};

// The form of a field whose parser is strict enough to tell: the expected one first. `parse(ids)` reads all or nothing.
template <class Parse>
NlriResult parse_either_form(PathIds expected, Parse&& parse) {
  const bool ids = expected == PathIds::kYes;
  if (parse(ids)) return NlriResult::kOk;
  return parse(!ids) ? NlriResult::kOkOtherForm : NlriResult::kBad;
}

}  // namespace bmpha::recv
