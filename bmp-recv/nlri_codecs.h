// The codecs of the families whose parser gives a list of routes.
#pragma once

#include <memory>

#include "bmp-recv/family_codec.h"

namespace bmpha::recv {

std::unique_ptr<FamilyCodec> make_evpn_codec();           // 25/70
std::unique_ptr<FamilyCodec> make_vpls_codec();           // 25/65
std::unique_ptr<FamilyCodec> make_flowspec_codec();       // 1, 2 and 25 with 133 and 134
std::unique_ptr<FamilyCodec> make_sr_policy_codec();      // 1 and 2 with 73
std::unique_ptr<FamilyCodec> make_rt_constraint_codec();  // 1/132
std::unique_ptr<FamilyCodec> make_mvpn_codec();           // 1 and 2 with 5, 25 with 8
std::unique_ptr<FamilyCodec> make_mdt_codec();            // 1/66

}  // namespace bmpha::recv
