#include "bmp-recv/nlri_vpn.h"

#include "bmp-recv/attribute_text.h"

namespace bmpha::recv {
namespace {

constexpr unsigned kLabelBits = 24;
constexpr unsigned kRdBits = 64;
// RFC 8277 2.4; before, RFC 3107 3. Both stand for a stack of their own, whatever their lowest bit says.
constexpr std::uint32_t kWithdrawLabel = 0x800000;
constexpr std::uint32_t kZeroLabel = 0;

// How a label stack may be read.
struct Stack {
  std::size_t most;
  bool zero_ends;  // else it is an explicit null label that stands on others (RFC 4182)
};

bool is_bottom(std::uint32_t label, bool zero_ends) {
  return (label & 1) != 0 || label == kWithdrawLabel || (zero_ends && label == kZeroLabel);
}

bool is_plausible_rd(const RouteDistinguisher& rd) { return rd[0] == 0 && rd[1] <= 2; }

// What stands behind the labels, `bits` of it. False: it is no such prefix.
bool parse_rest(ByteReader r, unsigned bits, const VpnForm& form, VpnPrefix& out) {
  if (form.has_rd) {
    if (bits < kRdBits || !r.copy(out.rd.data(), out.rd.size())) return false;
    if (!form.any_rd && !is_plausible_rd(out.rd)) return false;
    bits -= kRdBits;
  }
  if (bits > (form.v6 ? 128U : 32U)) return false;
  Prefix& p = out.prefix;
  p.v6 = form.v6;
  p.length = static_cast<std::uint8_t>(bits);
  p.address = {};
  const std::size_t bytes = (bits + 7) / 8;
  if (!r.copy(p.address.data(), bytes) || !r.empty()) return false;
  if (const unsigned spare = bits % 8; spare != 0)
    p.address[bytes - 1] = static_cast<std::uint8_t>(p.address[bytes - 1] & (0xff << (8 - spare)));
  return true;
}

// Labels up to the bottom of the stack. False: it does not end.
bool parse_labels(ByteReader& r, const Stack& stack, std::vector<std::uint32_t>& labels) {
  for (std::size_t n = 0; n < stack.most; ++n) {
    std::uint32_t label = 0;
    if (!r.u24(label)) return false;
    labels.push_back(label >> 4);
    if (is_bottom(label, stack.zero_ends)) return true;
  }
  return stack.most == 1;  // RFC 8277 2.2: the bit of a single label says nothing
}

bool parse_with_labels(ByteReader r, unsigned bits, const Stack& stack, const VpnForm& form, VpnNlri& out) {
  VpnPrefix& p = out.prefixes.back();
  const std::size_t whole = r.remaining();
  out.labels.resize(p.labels_at);
  if (!parse_labels(r, stack, out.labels)) return false;
  const auto label_bits = static_cast<unsigned>(8 * (whole - r.remaining()));
  p.label_count = static_cast<std::uint32_t>(out.labels.size() - p.labels_at);
  return label_bits <= bits && parse_rest(r, bits - label_bits, form, p);
}

// One prefix behind its length. A stack of several labels or a single one: what was agreed on is tried first.
bool parse_prefix(ByteReader value, unsigned bits, const VpnForm& form, VpnNlri& out) {
  VpnPrefix& p = out.prefixes.back();
  p.labels_at = static_cast<std::uint32_t>(out.labels.size());
  if (!form.has_labels) return parse_rest(value, bits, form, p);
  constexpr std::size_t kMost = 10;
  constexpr std::uint32_t kFirstOrdinaryLabel = 16;
  if (bits < kLabelBits) return false;
  const bool single_first = form.many_labels == PathIds::kNo;
  constexpr Stack kUsual{kMost, true}, kSingle{1, true}, kNullOnTop{kMost, false};
  if (form.sure_labels)
    return parse_with_labels(value, bits, kNullOnTop, form, out) && out.labels[p.labels_at] >= kFirstOrdinaryLabel;
  return parse_with_labels(value, bits, single_first ? kSingle : kUsual, form, out) ||
         parse_with_labels(value, bits, single_first ? kUsual : kSingle, form, out) ||
         parse_with_labels(value, bits, kNullOnTop, form, out);
}

bool parse_form(Bytes field, const VpnForm& form, bool ids, VpnNlri& out) {
  out.clear();
  ByteReader r(field);
  while (!r.empty()) {
    std::uint8_t bits = 0;
    ByteReader value;
    VpnPrefix& p = out.prefixes.emplace_back();
    if ((!ids || r.u32(p.prefix.path_id)) && r.u8(bits) && r.sub((std::size_t{bits} + 7) / 8, value) &&
        parse_prefix(value, bits, form, out))
      continue;
    out.clear();
    return false;
  }
  return true;
}

Object object_of(std::uint8_t safi) {
  switch (safi) {
    case 2:
      return Object::kMulticastPrefix;
    case 4:
      return Object::kUnicastPrefix;
    case 128:
      return Object::kL3vpn;
    default:
      return Object::kL3vpnMulticast;
  }
}

NlriResult parse_strict(Bytes field, const VpnForm& form, PathIds ids, VpnNlri& out) {
  return parse_either_form(ids, [&](bool with_ids) { return parse_form(field, form, with_ids, out); });
}

// With distinguishers of any type, which fit nearly everything: in the form that was agreed on only.
NlriResult parse_any_rd(Bytes field, VpnForm form, PathIds ids, VpnNlri& out) {
  form.any_rd = true;
  return parse_form(field, form, ids == PathIds::kYes, out) ? NlriResult::kOk : NlriResult::kBad;
}

// SAFI 129: speakers differ, with labels or (more of them) without. Labels that are beyond doubt come first, because
// a label of 16 to 31 and what follows it can be read as a distinguisher of type 1.
NlriResult parse_vpn_multicast(Bytes field, VpnForm form, PathIds ids, VpnNlri& out) {
  struct Reading {
    bool has_labels, sure_labels;
  };
  constexpr Reading kReadings[] = {{true, true}, {false, false}, {true, false}};
  const auto read = [&](const Reading& reading, auto parse) {
    form.has_labels = reading.has_labels;
    form.sure_labels = reading.sure_labels;
    return parse(field, form, ids, out);
  };
  for (const Reading& reading : kReadings)
    if (read(reading, parse_strict) == NlriResult::kOk) return NlriResult::kOk;
  for (const Reading& reading : kReadings)
    if (read(reading, parse_strict) == NlriResult::kOkOtherForm) return NlriResult::kOkOtherForm;
  // No distinguisher tells anything now, and three bytes of it may look like a label: the usual form first.
  for (const Reading& reading : {kReadings[1], kReadings[2]})
    if (read(reading, parse_any_rd) == NlriResult::kOk) return NlriResult::kOk;
  return NlriResult::kBad;
}

}  // namespace

NlriResult parse_vpn_nlri(Bytes field, const VpnForm& form, PathIds ids, VpnNlri& out) {
  const NlriResult strict = parse_strict(field, form, ids, out);
  return strict == NlriResult::kBad && form.has_rd ? parse_any_rd(field, form, ids, out) : strict;
}

NlriResult VpnCodec::parse(Bytes field, const NlriContext& c) {
  constexpr std::uint8_t kMulticast = 2, kVpn = 128, kVpnMulticast = 129;
  object_ = object_of(c.family.safi);
  nlri_.clear();
  const bool v6 = c.family.afi == 2;
  if (c.family.safi == kMulticast) {
    plain_.clear();
    bool large_ids = false;
    const NlriResult result = parse_nlri(field, v6, c.ids, large_ids, plain_);
    for (const Prefix& p : plain_) nlri_.prefixes.push_back({{}, p, 0, 0});
    return result;
  }
  VpnForm form;
  form.v6 = v6;
  form.has_rd = c.family.safi == kVpn || c.family.safi == kVpnMulticast;
  form.many_labels = c.many_labels;
  return c.family.safi == kVpnMulticast ? parse_vpn_multicast(field, form, c.ids, nlri_)
                                        : parse_vpn_nlri(field, form, c.ids, nlri_);
}

Object VpnCodec::object(std::size_t /*n*/) const { return object_; }

void VpnCodec::append_key(std::size_t n, std::vector<std::uint8_t>& out) const {
  const VpnPrefix& p = nlri_.prefixes[n];
  out.insert(out.end(), p.rd.begin(), p.rd.end());
  out.push_back(p.prefix.length);
  out.insert(out.end(), p.prefix.address.begin(), p.prefix.address.end());
}

void VpnCodec::print(std::size_t n, unsigned part, bool /*withdrawn*/, TextBuffer& out) const {
  const VpnPrefix& p = nlri_.prefixes[n];
  if (part == 0) {  // prefix, length, isIPv4
    char* t = out.room(kMaxIpText + 8);
    t = p.prefix.v6 ? put_ipv6(t, p.prefix.address.data()) : put_ipv4(t, p.prefix.address.data());
    *t++ = '\t';
    t = put_number(t, p.prefix.length);
    out.commit(put_text(t, p.prefix.v6 ? "\t0" : "\t1"));
  } else if (part == 1) {  // labels
    for (std::uint32_t k = 0; k < p.label_count; ++k) {
      if (k != 0) out.append(',');
      out.number(nlri_.labels[p.labels_at + k]);
    }
  } else {  // RD, its type
    append_rd_columns(out, p.rd);
  }
}

}  // namespace bmpha::recv
