// BGP UPDATE as it stands in Route Monitoring: withdrawn and announced unicast prefixes with their attributes.
//
// One Update is reused for every message. Views in it are borrowed from the frame.
#pragma once

#include <array>
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
  PathIds ids_v4 = PathIds::kUnknown;
  PathIds ids_v6 = PathIds::kUnknown;
};

struct Update {
  std::vector<Prefix> withdrawn;
  std::vector<Prefix> announced;  // classic ones first
  std::size_t classic_count = 0;  // of announced: these have attributes.next_hop, the others mp_next_hop
  Address mp_next_hop;
  PathAttributes attributes;
  AttributeFaults faults;  // faults.fatal is set exactly when parse_update() returns it
  std::optional<Family> end_of_rib;
  std::array<Family, 2> other{};  // families that are not decoded, in MP_REACH and MP_UNREACH
  std::size_t other_count = 0;
  bool other_path_ids = false;  // NLRI was in the form that was not expected

  void clear();
};

// A whole BGP message. kNone: out is complete; a message that is to be treated as a withdrawal has its announced
// prefixes moved to `withdrawn` and faults.withdraw set. Any other fault: the message is not to be used.
Fault parse_update(Bytes message, const UpdateContext& context, Update& out);

}  // namespace bmpha::recv
