#include "bmp-recv/family_codecs.h"

#include <algorithm>

#include "bmp-recv/ls_codec.h"
#include "bmp-recv/nlri_codecs.h"
#include "bmp-recv/nlri_vpn.h"

namespace bmpha::recv {

FamilyCodecs::FamilyCodecs() {
  add(std::make_unique<VpnCodec>(), {{1, 2}, {2, 2}, {1, 4}, {2, 4}, {1, 128}, {2, 128}, {1, 129}, {2, 129}});
  add(make_evpn_codec(), {{25, 70}});
  add(make_vpls_codec(), {{25, 65}});
  add(make_flowspec_codec(), {{1, 133}, {2, 133}, {25, 133}, {1, 134}, {2, 134}, {25, 134}});
  add(make_sr_policy_codec(), {{1, 73}, {2, 73}});
  add(make_rt_constraint_codec(), {{1, 132}});
  add(make_mvpn_codec(), {{1, 5}, {2, 5}, {25, 8}});
  add(make_mdt_codec(), {{1, 66}});
  add(std::make_unique<LsCodec>(), {{16388, 71}, {16388, 72}});
}

void FamilyCodecs::add(std::unique_ptr<FamilyCodec> codec, std::initializer_list<Family> families) {
  for (const Family& family : families) entries_.push_back({family, codec.get()});
  codecs_.push_back(std::move(codec));
}

FamilyCodec* FamilyCodecs::find(const Family& family) const {
  const auto at = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.family == family; });
  return at == entries_.end() ? nullptr : at->codec;
}

}  // namespace bmpha::recv
