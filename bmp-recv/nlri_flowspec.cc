#include "bmp-recv/nlri_flowspec.h"

#include <charconv>

namespace bmpha::recv {
namespace {

// Operator octets (RFC 8955 4.2.1).
constexpr std::uint8_t kEnd = 0x80;
constexpr std::uint8_t kAnd = 0x40;
constexpr unsigned kSizeShift = 4;  // two bits: the value has 1, 2, 4 or 8 bytes
constexpr std::uint8_t kNot = 2;    // of bit masks
constexpr std::uint8_t kMatch = 1;

constexpr const char* kNames[] = {
    "",          "dst",    "src",  "proto",    "port",       "dport",      "sport",         "icmp-type", "icmp-code",
    "tcp-flags", "length", "dscp", "fragment", "flow-label", "ethertype",  "src-mac",       "dst-mac",   "dsap",
    "ssap",      "llc",    "snap", "vlan",     "vlan-cos",   "inner-vlan", "inner-vlan-cos"};
constexpr const char* kComparisons[] = {"false", "=", ">", ">=", "<", "<=", "!=", "true"};
constexpr const char* kMaskTests[] = {"", "=", "!", "!="};

void append_hex_number(TextBuffer& out, std::uint64_t v) {
  out.append("0x");
  char* p = out.room(16);
  out.commit(std::to_chars(p, p + 16, v, 16).ptr);
}

// The reader of a rule: checks it, and prints it where there is a place to.
class RuleReader {
 public:
  RuleReader(const FlowspecRoute& route, TextBuffer* text)
      : r_(route.components), kind_(route.kind), inner_ids_(route.inner_ids), text_(text) {}

  Fit read() {
    Fit fit = r_.empty() ? Fit::kPoor : Fit::kGood;
    std::uint8_t type = 0, last = 0;
    while (r_.u8(type)) {
      if (last != 0) put("; ");
      if (!is_known(type)) {
        known_ = false;
        put_unknown(type);
        return Fit::kPoor;
      }
      put(kNames[type]);
      put(" ");
      if (!read_component(static_cast<FlowComponent>(type))) return Fit::kNo;
      if (type <= last) fit = Fit::kPoor;  // RFC 8955 4.2: each once, in ascending order
      last = type;
    }
    return fit;
  }
  bool known() const { return known_; }

 private:
  bool is_known(std::uint8_t type) const {
    const auto c = static_cast<FlowComponent>(type);
    switch (kind_) {
      case FlowKind::kIpv4:
        return c >= FlowComponent::kDestination && c <= FlowComponent::kFragment;
      case FlowKind::kIpv6:
        return c >= FlowComponent::kDestination && c <= FlowComponent::kFlowLabel;
      case FlowKind::kLayer2:  // prefixes do not tell whether they are IPv4 or IPv6
        return c >= FlowComponent::kProtocol && c <= FlowComponent::kInnerVlanCos;
    }
    return false;
  }
  bool read_component(FlowComponent type) {
    switch (type) {
      case FlowComponent::kDestination:
      case FlowComponent::kSource:
        return kind_ == FlowKind::kIpv6 ? read_prefix6() : read_prefix4();
      case FlowComponent::kSourceMac:
      case FlowComponent::kDestinationMac:
        return read_mac();
      case FlowComponent::kTcpFlags:
      case FlowComponent::kFragment:
        return read_tests(true);
      default:
        return read_tests(false);
    }
  }

  bool read_prefix4() {
    std::uint8_t length = 0;
    std::uint32_t id = 0;
    Address a;
    a.size = 4;
    if (inner_ids_ && !r_.u32(id)) return false;
    if (!r_.u8(length) || length > 32 || !read_pattern(a, 0, length)) return false;
    put_prefix(a, 0, length);
    return true;
  }
  // RFC 8956 3.1: bits from `offset` to `length`, which begin at the first bit of the pattern.
  bool read_prefix6() {
    std::uint8_t length = 0, offset = 0;
    Address a;
    a.size = 16;
    if (!r_.u8(length) || !r_.u8(offset) || length > 128 || (offset >= length && (offset | length) != 0)) return false;
    if (!read_pattern(a, offset, length)) return false;
    put_prefix(a, offset, length);
    return true;
  }
  // A length, then so much of an address. Older revisions of the draft count bytes, newer ones bits.
  bool read_mac() {
    constexpr std::uint8_t kMacBytes = 6, kMacBits = 48;
    std::uint8_t length = 0;
    Bytes part;
    if (!r_.u8(length)) return false;
    if (length == kMacBytes) length = kMacBits;
    if (length > kMacBits || !r_.bytes((std::size_t{length} + 7) / 8, part)) return false;
    if (text_ == nullptr) return true;
    for (std::size_t n = 0; n < kMacBytes; ++n) {
      const std::uint8_t byte = n < part.size() ? part[n] : 0;
      if (n != 0) text_->append(':');
      append_hex(*text_, Bytes(&byte, 1));
    }
    if (length == kMacBits) return true;
    text_->append('/');
    text_->number(length);
    return true;
  }
  bool read_pattern(Address& a, unsigned offset, unsigned length) {
    Bytes pattern;
    const unsigned bits = length - offset;
    if (!r_.bytes((bits + 7) / 8, pattern)) return false;
    for (unsigned n = 0; n < bits; ++n) {
      const unsigned bit = (pattern[n / 8] >> (7 - n % 8)) & 1U, at = offset + n;
      a.bytes[at / 8] = static_cast<std::uint8_t>(a.bytes[at / 8] | bit << (7 - at % 8));
    }
    return true;
  }

  bool read_value(std::size_t size, std::uint64_t& out) {
    std::uint8_t a = 0;
    std::uint16_t b = 0;
    std::uint32_t c = 0;
    switch (size) {
      case 1:
        if (!r_.u8(a)) return false;
        out = a;
        return true;
      case 2:
        if (!r_.u16(b)) return false;
        out = b;
        return true;
      case 4:
        if (!r_.u32(c)) return false;
        out = c;
        return true;
      default:
        return r_.u64(out);
    }
  }
  // Pairs of operator and value; an AND binds to the test before it.
  bool read_tests(bool masks) {
    std::uint8_t op = 0;
    for (bool first = true; r_.u8(op); first = false) {
      std::uint64_t value = 0;
      if (!read_value(std::size_t{1} << ((op >> kSizeShift) & 3), value)) return false;
      if (!first) put((op & kAnd) != 0 ? "&" : "|");
      if (text_ != nullptr) put_test(op, value, masks);
      if ((op & kEnd) != 0) return true;
    }
    return false;
  }

  void put(const char* s) {
    if (text_ != nullptr) text_->append(s);
  }
  void put_test(std::uint8_t op, std::uint64_t value, bool masks) {
    if (masks) {
      text_->append(kMaskTests[op & (kNot | kMatch)]);
      append_hex_number(*text_, value);
      return;
    }
    const unsigned comparison = op & 7;
    text_->append(kComparisons[comparison]);
    if (comparison != 0 && comparison != 7) text_->number(value);  // those two look at no value
  }
  void put_prefix(const Address& a, unsigned offset, unsigned length) {
    if (text_ == nullptr) return;
    append_address(*text_, a);
    text_->append('/');
    if (offset != 0) {
      text_->number(offset);
      text_->append('-');
    }
    text_->number(length);
  }
  void put_unknown(std::uint8_t type) {
    if (text_ == nullptr) return;
    text_->append("type");
    text_->number(type);
    text_->append(" 0x");
    append_hex(*text_, r_.rest());
  }

  ByteReader r_;
  FlowKind kind_;
  bool inner_ids_;
  bool known_ = true;
  TextBuffer* text_;
};

Fit read_rule(FlowspecRoute& route) {
  RuleReader rule(route, nullptr);
  const Fit fit = rule.read();
  route.known = rule.known();
  if (fit == Fit::kGood || route.kind != FlowKind::kIpv4) return fit;
  route.inner_ids = true;
  if (RuleReader(route, nullptr).read() == Fit::kGood) {
    route.known = true;
    return Fit::kGood;
  }
  route.inner_ids = false;
  return fit;
}

// RFC 8955 4.1: one octet, or two of which twelve bits count.
bool read_length(ByteReader& r, std::size_t& out) {
  std::uint8_t first = 0, second = 0;
  if (!r.u8(first)) return false;
  out = first;
  if (first < 0xf0) return true;
  if (!r.u8(second)) return false;
  out = (first & 0x0fU) << 8 | second;
  return true;
}

}  // namespace

NlriResult parse_flowspec(Bytes field, FlowKind kind, bool vpn, PathIds expected, std::vector<FlowspecRoute>& out) {
  return parse_routes(field, expected, out, [kind, vpn](ByteReader& r, FlowspecRoute& route) {
    std::size_t size = 0;
    ByteReader value;
    route.kind = kind;
    route.vpn = vpn;
    if (!read_length(r, size) || !r.sub(size, value)) return Fit::kNo;
    if (vpn && !value.copy(route.rd.data(), route.rd.size())) return Fit::kNo;
    route.components = value.rest();
    return read_rule(route);
  });
}

void append_key(KeyBytes& key, const FlowspecRoute& route) {
  put_key(key, route.rd);
  put_key(key, route.components);
}

void append_flow_rule(TextBuffer& out, const FlowspecRoute& route) { (void)RuleReader(route, &out).read(); }

void append_flowspec_columns(TextBuffer& out, const FlowspecRoute& route) {
  if (route.vpn) {
    append_rd_columns(out, route.rd);
  } else {
    out.append('\t');
  }
  out.append('\t');
  append_flow_rule(out, route);
}

}  // namespace bmpha::recv
