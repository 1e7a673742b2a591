// One UPDATE into base_attribute rows and the rows of its routes (contract A5.5 to A5.11, objects.h). Attributes are
// printed once per UPDATE and copied into each row.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "bmp-recv/bgp_update.h"
#include "bmp-recv/family_codecs.h"
#include "bmp-recv/identity.h"
#include "bmp-recv/objects.h"
#include "bmp-recv/record_builder.h"
#include "bmp-recv/route_marks.h"
#include "bmp-recv/row_writer.h"

namespace bmpha::recv {

// Which attribute sets have been written in this pass already. A set that is forgotten is only written again.
class AttributesSeen {
 public:
  void next_pass() { ++pass_; }
  // True when the set is new for this peer in this pass; it is known from then on.
  bool insert(const Hash128& attributes, const Hash128& peer);

 private:
  struct Slot {
    std::uint64_t key = 0;
    std::uint64_t pass = 0;
  };
  static constexpr std::size_t kSlots = 8192;
  std::vector<Slot> slots_ = std::vector<Slot>(kSlots);
  std::uint64_t pass_ = 1;
};

// Texts that are reused from UPDATE to UPDATE.
struct RouteScratch {
  TextBuffer attributes;     // columns 14 to 27 of unicast_prefix, which are 10 to 23 of base_attribute
  TextBuffer large;          // column 32
  TextBuffer extra;          // extra_attribute_columns(), each behind its separator; empty without
  TextBuffer ls_attributes;  // RowPart::kLsAttributes
  TextBuffer before;         // columns 4 to 10
  TextBuffer between;        // columns 13 to 27, with the separators around them
  TextBuffer after;          // columns 29 to 32, those of other attributes, and the row's end unless marks follow
  TextBuffer row;            // one row of another family
  TimestampText timestamp;
  std::vector<std::uint8_t> hash;
  std::string openbmp_hash;
  AttributesSeen seen;
  FamilyCodecs codecs;
};

// Where rows of one peer go. full() is called when the rows must become a record first; both are empty or not as the
// caller decides, but base_attribute rows always become records before the routes.
class RouteRows {
 public:
  virtual ~RouteRows() = default;
  virtual Rows& attributes() = 0;
  virtual Rows& routes(Object object) = 0;
  virtual void flush_attributes() = 0;
  virtual void flush_routes(Object object) = 0;
};

class RouteWriter {
 public:
  struct Context {
    const PeerHeader& header;
    const Hash128& peer;
    std::string_view peer_columns;    // "<peer hash>\t<peer ip>\t<peer asn>"
    std::string_view router_columns;  // "<router hash>\t<router ip>"
    Stamp stamp;
    const RouteMarks* marks = nullptr;  // of announced routes; null: none
    bool marks_placed = false;          // else only those of the whole message count
  };
  // Of the routes of families other than unicast.
  struct Written {
    std::size_t routes = 0;
    std::size_t skipped = 0;      // routes of unknown types
    bool known_family = true;     // else nothing was written
    bool readable = true;         // else nothing was written
    bool proportionate = true;    // else nothing was written: the rows would be out of all proportion to the message
    bool other_path_ids = false;  // NLRI was in the form that was not expected
  };
  // With openbmp_hashes rows have the hashes of compat_hash.h, and each UPDATE its base_attribute row.
  explicit RouteWriter(RouteScratch& scratch, bool openbmp_hashes = false)
      : s_(scratch), openbmp_hashes_(openbmp_hashes) {}

  // Writes the withdrawals, then the announcements: a prefix in both counts as announced (RFC 4271 4.3).
  // False: the rows would be out of all proportion to the message; nothing was written. Withdrawals alone, whose rows
  // are short, are always written.
  bool write_unicast(const Update& update, const Context& context, RouteRows& out);

  // Writes the routes of update.reach or of update.unreach. Withdrawals are to be written first.
  Written write_family(const Update& update, const FamilyRoutes& routes, const NlriContext& nlri,
                       const Context& context, RouteRows& out);

  // Largest sum of rows that one UPDATE may turn into: the ring's limit may be exceeded by so much. A full extended
  // message of 64 KiB with 16000 routes and 100 communities stays below.
  static constexpr std::size_t kMaxText = std::size_t{64} * 1024 * 1024;
  std::size_t max_text = kMaxText;  // of the next UPDATE

  std::uint64_t attribute_seq = 0;
  std::array<std::uint64_t, kRouteObjects> route_seq{};

 private:
  std::size_t measure(const Update& update, const Context& context);
  void write_withdrawn(const Update& update, const Context& context, RouteRows& out);
  void write_announced(const Update& update, std::size_t begin, std::size_t end, const Address& next_hop,
                       const Context& context, RouteRows& out);
  void print_attributes(const Update& update, const Address& next_hop);
  void write_attribute_row(const Hash128& hash, const Context& context, RouteRows& out);
  void prepare_before(const Context& context, std::string_view attributes_hash);
  void prepare_after(const Context& context, const RouteMarks* marks);
  void append_extra(TextBuffer& out, const RouteMarks* marks) const;
  void write_rows(const char* action, const Prefix* begin, const Prefix* end, const RouteMarks* marks,
                  const Context& context, RouteRows& out);
  void print_ls_attributes(const Update& update, const Address& next_hop);
  void print_empty_attributes();
  Hash128 write_shared(const Update& update, const Address& next_hop, const Context& context, RouteRows& out);
  void append_head(const ObjectInfo& object, const Hash128& route, std::string_view attributes_hash,
                   const Context& context);
  void print_row(const FamilyCodec& codec, std::size_t n, const NlriContext& nlri, std::string_view attributes_hash,
                 const Context& context);
  void print_part(RowPart part, const FamilyCodec& codec, std::size_t n, const NlriContext& nlri,
                  const Context& context);
  void print_related(const FamilyCodec& codec, std::size_t n, unsigned related, const NlriContext& nlri,
                     const Context& context);

  Hash128 openbmp_attributes_hash(const PathAttributes& a, const Context& context);
  Hash128 openbmp_route_hash(const Prefix& prefix, const Context& context);
  void put_openbmp_hash(const ObjectInfo& object, const Context& context);

  RouteScratch& s_;
  bool openbmp_hashes_;
};

}  // namespace bmpha::recv
