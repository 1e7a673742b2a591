#include "bmp-recv/nlri_codecs.h"

#include <algorithm>

#include "bmp-recv/nlri_evpn.h"
#include "bmp-recv/nlri_flowspec.h"
#include "bmp-recv/nlri_mdt.h"
#include "bmp-recv/nlri_mvpn.h"
#include "bmp-recv/nlri_rt_constraint.h"
#include "bmp-recv/nlri_sr_policy.h"
#include "bmp-recv/nlri_vpls.h"

namespace bmpha::recv {
namespace {

constexpr std::uint16_t kAfiIpv6 = 2, kAfiL2vpn = 25;
constexpr std::uint8_t kSafiFlowspecVpn = 134, kSafiMcastVpls = 8;

FlowKind flow_kind(std::uint16_t afi) {
  return afi == kAfiL2vpn ? FlowKind::kLayer2 : afi == kAfiIpv6 ? FlowKind::kIpv6 : FlowKind::kIpv4;
}

// parse(field, context, list) appends routes; print(text, route) writes one kOwn part of the object's layout each.
template <class Route>
class RouteListCodec : public FamilyCodec {
 public:
  using Parse = NlriResult (*)(Bytes, const NlriContext&, std::vector<Route>&);
  using Print = void (*)(TextBuffer&, const Route&);
  RouteListCodec(Object object, Parse parser, std::initializer_list<Print> parts)
      : object_(object), parse_(parser), parts_(parts) {}

  NlriResult parse(Bytes field, const NlriContext& context) override {
    routes_.clear();
    return parse_(field, context, routes_);
  }
  std::size_t size() const override { return routes_.size(); }
  // They have a row, but with raw bytes only.
  std::size_t skipped() const override {
    if constexpr (requires(const Route& r) { r.known; })
      return static_cast<std::size_t>(
          std::count_if(routes_.begin(), routes_.end(), [](const Route& r) { return !r.known; }));
    else
      return 0;
  }
  Object object(std::size_t /*n*/) const override { return object_; }
  std::uint32_t path_id(std::size_t n) const override { return routes_[n].path_id; }
  void append_key(std::size_t n, std::vector<std::uint8_t>& out) const override { recv::append_key(out, routes_[n]); }
  void print(std::size_t n, unsigned part, bool /*withdrawn*/, TextBuffer& out) const override {
    parts_[part](out, routes_[n]);
  }

 private:
  Object object_;
  Parse parse_;
  std::vector<Print> parts_;
  std::vector<Route> routes_;
};

}  // namespace

std::unique_ptr<FamilyCodec> make_evpn_codec() {
  return std::make_unique<RouteListCodec<EvpnRoute>>(
      Object::kEvpn,
      [](Bytes field, const NlriContext& c, std::vector<EvpnRoute>& out) { return parse_evpn(field, c.ids, out); },
      std::initializer_list<void (*)(TextBuffer&, const EvpnRoute&)>{append_evpn_columns, append_evpn_extra_columns});
}

std::unique_ptr<FamilyCodec> make_vpls_codec() {
  return std::make_unique<RouteListCodec<VplsRoute>>(
      Object::kVpls,
      [](Bytes field, const NlriContext& c, std::vector<VplsRoute>& out) { return parse_vpls(field, c.ids, out); },
      std::initializer_list<void (*)(TextBuffer&, const VplsRoute&)>{append_vpls_columns});
}

std::unique_ptr<FamilyCodec> make_flowspec_codec() {
  return std::make_unique<RouteListCodec<FlowspecRoute>>(
      Object::kFlowspec,
      [](Bytes field, const NlriContext& c, std::vector<FlowspecRoute>& out) {
        return parse_flowspec(field, flow_kind(c.family.afi), c.family.safi == kSafiFlowspecVpn, c.ids, out);
      },
      std::initializer_list<void (*)(TextBuffer&, const FlowspecRoute&)>{append_flowspec_columns});
}

std::unique_ptr<FamilyCodec> make_sr_policy_codec() {
  return std::make_unique<RouteListCodec<SrPolicyRoute>>(
      Object::kSrPolicy,
      [](Bytes field, const NlriContext& c, std::vector<SrPolicyRoute>& out) {
        return parse_sr_policy(field, c.family.afi == kAfiIpv6, c.ids, out);
      },
      std::initializer_list<void (*)(TextBuffer&, const SrPolicyRoute&)>{append_sr_policy_columns});
}

std::unique_ptr<FamilyCodec> make_rt_constraint_codec() {
  return std::make_unique<RouteListCodec<RtConstraintRoute>>(
      Object::kRtConstraint,
      [](Bytes field, const NlriContext& c, std::vector<RtConstraintRoute>& out) {
        return parse_rt_constraint(field, c.ids, out);
      },
      std::initializer_list<void (*)(TextBuffer&, const RtConstraintRoute&)>{append_rt_constraint_columns});
}

std::unique_ptr<FamilyCodec> make_mvpn_codec() {
  return std::make_unique<RouteListCodec<MvpnRoute>>(
      Object::kMvpn,
      [](Bytes field, const NlriContext& c, std::vector<MvpnRoute>& out) {
        return c.family.safi == kSafiMcastVpls ? parse_mcast_vpls(field, c.ids, out) : parse_mvpn(field, c.ids, out);
      },
      std::initializer_list<void (*)(TextBuffer&, const MvpnRoute&)>{append_mvpn_columns});
}

std::unique_ptr<FamilyCodec> make_mdt_codec() {
  return std::make_unique<RouteListCodec<MdtRoute>>(
      Object::kMdt,
      [](Bytes field, const NlriContext& c, std::vector<MdtRoute>& out) { return parse_mdt(field, c.ids, out); },
      std::initializer_list<void (*)(TextBuffer&, const MdtRoute&)>{append_mdt_columns});
}

}  // namespace bmpha::recv
