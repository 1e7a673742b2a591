#include "bmp-recv/compat_hash.h"

#include <algorithm>
#include <charconv>

#include "bmp-recv/md5.h"

namespace bmpha::recv::compat {
namespace {

constexpr std::size_t kOspfTypeSize = 32;

class Sum {
 public:
  explicit Sum(std::string& scratch) : s_(scratch) { s_.clear(); }
  Sum& text(std::string_view t) {
    s_.append(t);
    return *this;
  }
  Sum& bytes(Bytes b) { return text({reinterpret_cast<const char*>(b.data()), b.size()}); }
  Sum& byte(std::uint8_t v) {
    s_.push_back(static_cast<char>(v));
    return *this;
  }
  Sum& u32(std::uint32_t v) { return little(v, 4); }
  Sum& u64(std::uint64_t v) { return little(v, 8); }
  // Path identifier, label mark and RIB view of a route.
  Sum& path_id(std::uint32_t v) { return v != 0 ? u32(v) : *this; }
  Sum& view(View v) {
    switch (v) {
      case View::kInPre:
        return *this;
      case View::kInPost:
        return byte(0x02);
      case View::kOutPre:
        return byte(0x01);
      case View::kOutPost:
      case View::kLocRib:
        return byte(0x03);
    }
    return *this;
  }
  Hash128 md5() const { return md5_of(as_bytes(s_)); }

 private:
  Sum& little(std::uint64_t v, int size) {
    for (int n = 0; n < size; ++n) byte(static_cast<std::uint8_t>(v >> (8 * n)));
    return *this;
  }
  std::string& s_;
};

}  // namespace

Hash128 collector_hash(std::string_view admin_id) { return md5_of(as_bytes(admin_id)); }

Hash128 router_hash(std::string_view id, std::string_view collector_hex) {
  std::string s;
  return Sum(s).text(id).text(collector_hex).md5();
}

Hash128 peer_hash(std::string_view address, std::string_view rd, std::string_view router_hex, bool is_loc_rib) {
  std::string s;
  Sum sum(s);
  sum.text(address).text(rd).text(router_hex);
  if (is_loc_rib) sum.byte(0x80);
  return sum.md5();
}

Hash128 attributes_hash(const AttributeTexts& a, std::string_view peer_hex, std::string& scratch) {
  Sum sum(scratch);
  sum.text(a.as_path).text(a.next_hop).text(a.aggregator).text(a.origin).u32(a.med).u32(a.local_pref);
  return sum.text(a.communities).text(a.ext_communities).text(peer_hex).md5();
}

Hash128 route_hash(const RouteTexts& r, std::string& scratch) {
  Sum sum(scratch);
  sum.text(r.prefix).byte(r.length).text(r.rd_admin).text(r.rd_number).text(r.peer_hex).path_id(r.path_id);
  if (r.labelled) sum.byte(0x01);
  return sum.view(r.view).md5();
}

Hash128 evpn_hash(const EvpnTexts& e, std::string& scratch) {
  Sum sum(scratch);
  sum.text(e.peer_hex).text(e.mac).text(e.ip).byte(e.ip_length).text(e.esi).text(e.rd_admin).text(e.rd_number);
  return sum.path_id(e.path_id).view(e.view).md5();
}

namespace {

// The columns of a row that have these names; empty where there is none.
class RowColumns {
 public:
  RowColumns(const ObjectInfo& object, std::string_view row) : object_(object), row_(row) {}
  std::string_view operator[](std::string_view name) const {
    const auto at = std::find(object_.columns.begin(), object_.columns.end(), name);
    if (at == object_.columns.end()) return {};
    std::string_view rest = row_;
    for (auto n = at - object_.columns.begin(); n > 0; --n) {
      const std::size_t tab = rest.find('\t');
      if (tab == std::string_view::npos) return {};
      rest.remove_prefix(tab + 1);
    }
    return rest.substr(0, rest.find_first_of("\t\n"));
  }
  std::uint32_t number(std::string_view name) const {
    const std::string_view text = (*this)[name];
    std::uint32_t v = 0;
    std::from_chars(text.data(), text.data() + text.size(), v);
    return v;
  }

 private:
  const ObjectInfo& object_;
  std::string_view row_;
};

}  // namespace

bool row_hash(const ObjectInfo& object, std::string_view row, View view, std::string& scratch, Hash128& out) {
  const RowColumns c(object, row);
  const std::string_view rd = c["rd"];
  const std::size_t colon = std::min(rd.rfind(':'), rd.size());
  const std::string_view admin = rd.substr(0, colon), number = rd.substr(std::min(colon + 1, rd.size()));
  constexpr std::uint32_t kLastEvpnType = 4;  // of those that the contract knows; its formula has no field of others
  if (object.topic == TopicSelector::kEvpn) {
    if (c.number("route_type") > kLastEvpnType) return false;
    const auto ip_length = static_cast<std::uint8_t>(c.number("ip_len"));
    out = evpn_hash({c["peer_hash"], c["mac"], c["ip"], ip_length, c["esi"], admin, number, c.number("path_id"), view},
                    scratch);
    return true;
  }
  if (object.topic != TopicSelector::kUnicastPrefix && object.topic != TopicSelector::kL3vpn) return false;
  const auto length = static_cast<std::uint8_t>(c.number("prefix_len"));
  out = route_hash(
      {c["prefix"], length, admin, number, c["peer_hash"], c.number("path_id"), !c["labels"].empty(), view}, scratch);
  return true;
}

Hash128 ls_node_hash(const LsNodeKey& n, std::string& scratch) {
  return Sum(scratch).bytes(n.igp_router_id).u32(n.bgp_ls_id).u32(n.asn).bytes(n.ospf_area).md5();
}

Hash128 ls_link_hash(const LsLinkKey& l, std::string& scratch) {
  Sum sum(scratch);
  sum.bytes(l.interface_address).bytes(l.neighbor_address).u64(l.routing_id);
  sum.bytes(l.local_node.bytes).bytes(l.remote_node.bytes).u32(l.local_link_id).u32(l.remote_link_id);
  return sum.text(l.peer_hex).u32(l.mt_id).md5();
}

Hash128 ls_prefix_hash(const LsPrefixKey& p, std::string& scratch) {
  Sum sum(scratch);
  sum.bytes(p.prefix).byte(p.length).u64(p.routing_id).bytes(p.local_node.bytes);
  const std::string_view type = p.ospf_route_type.substr(0, kOspfTypeSize);
  sum.text(type);
  for (std::size_t n = type.size(); n < kOspfTypeSize; ++n) sum.byte(0);
  return sum.u32(p.mt_id).md5();
}

}  // namespace bmpha::recv::compat
