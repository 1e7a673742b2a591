#include "bmp-recv/ls_codec.h"

namespace bmpha::recv {

constexpr std::uint8_t kVpnSafi = 72;

// Path identifiers read as NLRI are short NLRI of unknown types: a form in which nothing is known is not believed.
bool LsCodec::parse_form(Bytes field, bool has_rd, bool path_ids) {
  routes_.clear();
  skipped_ = 0;
  return parse_ls_nlri(field, has_rd, path_ids, routes_, skipped_) && (!routes_.empty() || skipped_ == 0);
}

NlriResult LsCodec::parse(Bytes field, const NlriContext& context) {
  attribute_ = {};
  const bool has_rd = context.family.safi == kVpnSafi;
  const NlriResult result = parse_either_form(context.ids, [&](bool ids) { return parse_form(field, has_rd, ids); });
  if (result != NlriResult::kBad) return result;
  routes_.clear();
  skipped_ = 0;
  return parse_ls_nlri(field, has_rd, context.ids == PathIds::kYes, routes_, skipped_) ? NlriResult::kOk
                                                                                       : NlriResult::kBad;
}

Object LsCodec::object(std::size_t n) const {
  switch (routes_[n].type) {
    case LsType::kNode:
      return Object::kLsNode;
    case LsType::kLink:
      return Object::kLsLink;
    case LsType::kPrefixV4:
    case LsType::kPrefixV6:
      return Object::kLsPrefix;
    case LsType::kSrv6Sid:
      break;
  }
  return Object::kLsSrv6Sid;
}

// Of a link the remote node, then the local one; else the local one.
void LsCodec::append_related_key(std::size_t n, unsigned related, std::vector<std::uint8_t>& out) const {
  const LsRoute& route = routes_[n];
  append_ls_node_key(route, route.type == LsType::kLink && related == 0 ? route.remote : route.local, out);
}

void LsCodec::print(std::size_t n, unsigned part, bool /*withdrawn*/, TextBuffer& out) const {
  append_ls_columns(out, {routes_[n], attribute_}, part);
}

}  // namespace bmpha::recv
