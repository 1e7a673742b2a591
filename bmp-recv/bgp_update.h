// BGP UPDATE as it stands in Route Monitoring: withdrawn and announced unicast prefixes with their attributes, and the
// routes of other families as they are (family_codec.h decodes them).
//
// One Update is reused for every message. Views in it are borrowed from the frame.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "bmp-recv/bgp_attributes.h"
#include "bmp-recv/bgp_nlri.h"
#include "bmp-recv/bgp_open.h"
#include "bmp-recv/fault.h"
#include "common/byte_reader.h"

namespace bmpha::recv {

// How this message is likely to be encoded; from the OPENs and the per-peer flags.
struct UpdateContext {
  bool expect_as4 = true;
  bool as_width_known = true;  // else expect_as4 is only likely, and other attributes may say otherwise
  PathIds ids_v4 = PathIds::kUnknown;
  PathIds ids_v6 = PathIds::kUnknown;
  bool large_ids = false;  // path identifiers of 2^24 and more have been seen in this view of the peer
  bool external = false;   // the peer is known to be in another AS
};

// MP_REACH_NLRI or MP_UNREACH_NLRI (RFC 4760) of a family other than unicast.
struct FamilyRoutes {
  Family family;
  Address next_hop;  // of MP_REACH; none when it has no bytes, or a form that nobody has defined
  Bytes nlri;
};

struct Update {
  std::vector<Prefix> withdrawn;
  std::vector<Prefix> announced;  // classic ones first
  std::size_t classic_count = 0;  // of announced: these have attributes.next_hop, the others mp_next_hop
  Address mp_next_hop;
  PathAttributes attributes;
  AttributeFaults faults;  // faults.fatal is set exactly when parse_update() returns it
  std::optional<Family> end_of_rib;
  // With faults.withdraw set, the routes of `reach` are withdrawals as well.
  std::optional<FamilyRoutes> reach, unreach;
  // MP_REACH or MP_UNREACH that cannot be read: the message goes without it.
  Fault reach_fault = Fault::kNone, unreach_fault = Fault::kNone;
  bool other_path_ids = false;  // NLRI was in the form that was not expected
  bool large_ids = false;       // as in the context, or shown by this message

  void clear();
};

// Moves the announced unicast prefixes to the withdrawn ones.
void treat_as_withdraw(Update& out);

// A BGP message; bytes behind it are left alone. kNone: out is complete; a message that is to be treated as a
// withdrawal has its announced prefixes moved to `withdrawn` and faults.withdraw set. Any other fault: the message is
// not to be used.
//
// RFC 7606 3.j, 5.3, 7.11 ask for the end of the session, or of the family in it, when NLRI cannot be read. A collector
// has neither to end, so the fault costs as much as cannot be told apart: with one in the classic fields, whose ends
// rest on each other, the whole message; with one in MP_REACH or MP_UNREACH, which has a length of its own, that
// attribute. A next hop of unexpected length leaves NLRI that may still be read: it is
// withdrawn.
Fault parse_update(Bytes message, const UpdateContext& context, Update& out);

}  // namespace bmpha::recv
