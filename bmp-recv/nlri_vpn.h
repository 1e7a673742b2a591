// Prefixes with labels, with a route distinguisher, or both: labelled unicast (SAFI 4, RFC 8277), VPN (SAFI 128,
// RFC 4364, 4659) and their multicast forms (SAFI 2, RFC 4760; SAFI 129, RFC 6514).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "bmp-recv/bgp_nlri.h"
#include "bmp-recv/family_codec.h"

namespace bmpha::recv {

struct VpnPrefix {
  RouteDistinguisher rd{};      // zero without
  Prefix prefix;                // path identifier included
  std::uint32_t labels_at = 0;  // in VpnNlri::labels
  std::uint32_t label_count = 0;
};

struct VpnNlri {
  std::vector<VpnPrefix> prefixes;
  std::vector<std::uint32_t> labels;  // 20-bit values of all prefixes, outermost first; 524288 for "withdrawn"
  void clear() {
    prefixes.clear();
    labels.clear();
  }
};

struct VpnForm {
  bool v6 = false;
  bool has_rd = false;
  bool has_labels = true;
  bool any_rd = false;  // of types that nobody has defined; else these say that the form is another
  // Only labels that cannot well be the first bytes of a distinguisher: the stack ends with its bit, or as a
  // withdrawal's, and does not begin with a label of special purpose (RFC 7274), which a distinguisher of type 0 is.
  bool sure_labels = false;
  // Several labels were agreed on. The bottom-of-stack bit then ends a stack; without, one label is all there is.
  PathIds many_labels = PathIds::kUnknown;
};

// Reads a whole NLRI field, in place of what out had. Where a label stack ends is decided by what fits: a
// bottom-of-stack bit that is missing (0x000000, and 0x800000 of withdrawals, never have it) costs nothing.
NlriResult parse_vpn_nlri(Bytes field, const VpnForm& form, PathIds ids, VpnNlri& out);

// SAFI 2, 4, 128 and 129 of IPv4 and IPv6.
class VpnCodec : public FamilyCodec {
 public:
  NlriResult parse(Bytes field, const NlriContext& context) override;
  std::size_t size() const override { return nlri_.prefixes.size(); }
  Object object(std::size_t n) const override;
  std::uint32_t path_id(std::size_t n) const override { return nlri_.prefixes[n].prefix.path_id; }
  void append_key(std::size_t n, std::vector<std::uint8_t>& out) const override;
  void print(std::size_t n, unsigned part, bool withdrawn, TextBuffer& out) const override;

 private:
  VpnNlri nlri_;
  std::vector<Prefix> plain_;
  Object object_{};
};

}  // namespace bmpha::recv
