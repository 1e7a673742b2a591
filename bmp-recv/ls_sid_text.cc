#include "bmp-recv/ls_sid_text.h"

#include "bmp-recv/value_text.h"

namespace bmpha::recv {
namespace {

constexpr std::uint16_t kSidLabel = 1161, kPrefixSid = 1158, kSidStructure = 1252;

bool is_ospf(LsProtocol p) { return p == LsProtocol::kOspfV2 || p == LsProtocol::kOspfV3; }

// A label (3 bytes, the lower 20 bits), an index (4 bytes), or an SRv6 SID.
void append_sid(TextBuffer& out, Bytes sid) {
  ByteReader r(sid);
  std::uint32_t v = 0;
  if (sid.size() == 3 && r.u24(v)) return out.number(v & 0xfffff);
  if (sid.size() == 4 && r.u32(v)) return out.number(v);
  append_ip(out, sid);
}

// Prints by `append(reader)`; where that fails, the whole value as hex.
template <class Append>
void or_hex(TextBuffer& out, Bytes value, Append&& append) {
  const std::size_t before = out.size();
  ByteReader r(value);
  if (append(r)) return;
  out.cut(before);
  append_hex(out, value);
}

// ",<number>=0x..." for each TLV of the rest but those of type `known`, which `print` prints.
template <class Print>
bool append_rest(TextBuffer& out, ByteReader& r, std::uint16_t known, Print&& print) {
  while (!r.empty()) {
    Tlv t;
    if (!read_tlv_16_16(r, t)) return false;
    out.append(',');
    if (t.type == known) {
      print(t.value);
    } else {
      out.number(t.type);
      out.append('=');
      append_hex(out, t.value);
    }
  }
  return true;
}
bool append_srv6_rest(TextBuffer& out, ByteReader& r) {
  return append_rest(out, r, kSidStructure, [&](Bytes v) {
    out.append("structure=");
    append_srv6_sid_structure(out, v);
  });
}

bool append_flags_weight(TextBuffer& out, ByteReader& r, std::string_view letters) {
  std::uint8_t flags = 0, weight = 0;
  std::uint16_t reserved = 0;
  if (!r.u8(flags) || !r.u8(weight) || !r.u16(reserved)) return false;
  append_letters(out, flags, letters);
  append_field(out, " ", weight);
  out.append(' ');
  return true;
}
std::string_view adjacency_letters(LsProtocol p) { return is_ospf(p) ? "BVLGP" : "FBVLSP"; }

}  // namespace

void append_letters(TextBuffer& out, std::uint8_t flags, std::string_view letters) {
  for (const char letter : letters) {
    if ((flags & 0x80) != 0 && letter != ' ') out.append(letter);
    flags = static_cast<std::uint8_t>(flags << 1);
  }
}

// RFC 9085 2.1.2, 2.1.4: flags, reserved, then ranges, each with the first SID of it.
void append_sr_capabilities(TextBuffer& out, Bytes value) {
  or_hex(out, value, [&](ByteReader& r) {
    std::uint8_t flags = 0, reserved = 0;
    if (!r.u8(flags) || !r.u8(reserved) || r.empty()) return false;
    for (bool first = true; !r.empty(); first = false) {
      std::uint32_t range = 0;
      Tlv base;
      if (!r.u24(range) || !read_tlv_16_16(r, base) || base.type != kSidLabel) return false;
      if (!first) out.append(", ");
      append_letters(out, flags, "IV");
      append_field(out, " ", range);
      out.append(' ');
      append_sid(out, base.value);
    }
    return true;
  });
}

void append_adjacency_sid(TextBuffer& out, LsProtocol protocol, Bytes value) {  // RFC 9085 2.2.1
  or_hex(out, value, [&](ByteReader& r) {
    if (!append_flags_weight(out, r, adjacency_letters(protocol))) return false;
    append_sid(out, r.rest());
    return true;
  });
}

// RFC 9085 2.2.2: the neighbor is a system id of 6 bytes or a router id of 4; the SID has 3 or 4.
void append_lan_adjacency_sid(TextBuffer& out, LsProtocol protocol, Bytes value) {
  or_hex(out, value, [&](ByteReader& r) {
    Bytes neighbor;
    if (!append_flags_weight(out, r, adjacency_letters(protocol))) return false;
    const std::size_t size = r.remaining() >= 9 ? 6 : 4;
    if (!r.bytes(size, neighbor)) return false;
    if (size == 4) {
      append_ip(out, neighbor);
    } else {
      append_digits(out, neighbor);
    }
    out.append(' ');
    append_sid(out, r.rest());
    return true;
  });
}

void append_peer_sid(TextBuffer& out, Bytes value) {  // RFC 9086 5
  or_hex(out, value, [&](ByteReader& r) {
    if (!append_flags_weight(out, r, "VLBP")) return false;
    append_sid(out, r.rest());
    return true;
  });
}

void append_prefix_sid_tlv(TextBuffer& out, LsProtocol protocol, Bytes value) {  // RFC 9085 2.3.1
  static constexpr CodeName kAlgorithms[] = {{0, "SPF"}, {1, "strict-SPF"}};
  or_hex(out, value, [&](ByteReader& r) {
    std::uint8_t flags = 0, algorithm = 0;
    std::uint16_t reserved = 0;
    if (!r.u8(flags) || !r.u8(algorithm) || !r.u16(reserved)) return false;
    if (is_ospf(protocol)) {
      if ((flags & 0x40) != 0) out.append("NP");
      append_letters(out, static_cast<std::uint8_t>(flags << 2), "MEVL");
    } else {
      append_letters(out, flags, "RNPEVL");
    }
    out.append(' ');
    append_code(out, algorithm, kAlgorithms);
    out.append(' ');
    append_sid(out, r.rest());
    return true;
  });
}

void append_sid_range(TextBuffer& out, LsProtocol protocol, Bytes value) {  // RFC 9085 2.3.5
  or_hex(out, value, [&](ByteReader& r) {
    std::uint8_t flags = 0, reserved = 0;
    std::uint16_t size = 0;
    if (!r.u8(flags) || !r.u8(reserved) || !r.u16(size)) return false;
    append_field(out, "size=", size);
    append_field(out, ",flags=", flags);
    return append_rest(out, r, kPrefixSid, [&](Bytes v) {
      out.append("sid=");
      append_prefix_sid_tlv(out, protocol, v);
    });
  });
}

void append_srv6_capabilities(TextBuffer& out, Bytes value) {  // RFC 9514 3.1
  or_hex(out, value, [&](ByteReader& r) {
    std::uint16_t flags = 0, reserved = 0;
    if (!r.u16(flags) || !r.u16(reserved)) return false;
    append_field(out, "flags=", flags);
    return append_rest(out, r, 0, [](Bytes) {});
  });
}

void append_srv6_end_x(TextBuffer& out, std::size_t neighbor_size, Bytes value) {  // RFC 9514 4.1, 4.2
  or_hex(out, value, [&](ByteReader& r) {
    std::uint16_t behavior = 0;
    std::uint8_t flags = 0, algorithm = 0, weight = 0, reserved = 0;
    Bytes neighbor, sid;
    if (!r.u16(behavior) || !r.u8(flags) || !r.u8(algorithm) || !r.u8(weight) || !r.u8(reserved) ||
        !r.bytes(neighbor_size, neighbor) || !r.bytes(16, sid))
      return false;
    append_field(out, "behavior=", behavior);
    append_field(out, ",flags=", flags);
    append_field(out, ",algo=", algorithm);
    append_field(out, ",weight=", weight);
    if (neighbor_size == 4) {
      out.append(",neighbor=");
      append_ip(out, neighbor);
    } else if (neighbor_size != 0) {
      out.append(",neighbor=");
      append_digits(out, neighbor);
    }
    out.append(",sid=");
    append_ip(out, sid);
    return append_srv6_rest(out, r);
  });
}

void append_srv6_locator(TextBuffer& out, Bytes value) {  // RFC 9514 5.1
  or_hex(out, value, [&](ByteReader& r) {
    std::uint8_t flags = 0, algorithm = 0;
    std::uint16_t reserved = 0;
    std::uint32_t metric = 0;
    if (!r.u8(flags) || !r.u8(algorithm) || !r.u16(reserved) || !r.u32(metric)) return false;
    append_field(out, "flags=", flags);
    append_field(out, ",algo=", algorithm);
    append_field(out, ",metric=", metric);
    return append_rest(out, r, 0, [](Bytes) {});
  });
}

void append_srv6_endpoint(TextBuffer& out, Bytes value) {  // RFC 9514 7.1
  or_hex(out, value, [&](ByteReader& r) {
    std::uint16_t behavior = 0;
    std::uint8_t flags = 0, algorithm = 0;
    if (!r.u16(behavior) || !r.u8(flags) || !r.u8(algorithm) || !r.empty()) return false;
    append_field(out, "behavior=", behavior);
    append_field(out, ",flags=", flags);
    append_field(out, ",algo=", algorithm);
    return true;
  });
}

void append_srv6_peer_sid(TextBuffer& out, Bytes value) {  // RFC 9514 7.2
  or_hex(out, value, [&](ByteReader& r) {
    std::uint8_t flags = 0, weight = 0;
    std::uint16_t reserved = 0;
    std::uint32_t asn = 0;
    Bytes router_id;
    if (!r.u8(flags) || !r.u8(weight) || !r.u16(reserved) || !r.u32(asn) || !r.bytes(4, router_id) || !r.empty())
      return false;
    append_field(out, "flags=", flags);
    append_field(out, ",weight=", weight);
    append_field(out, ",peer-as=", asn);
    out.append(",peer-id=");
    append_ip(out, router_id);
    return true;
  });
}

void append_srv6_sid_structure(TextBuffer& out, Bytes value) {  // RFC 9514 8
  or_hex(out, value, [&](ByteReader& r) {
    std::uint8_t part[4] = {};
    if (!r.copy(part) || !r.empty()) return false;
    for (std::size_t n = 0; n < 4; ++n) append_field(out, n == 0 ? "" : "+", part[n]);
    return true;
  });
}

void append_flex_algo(TextBuffer& out, Bytes value) {  // RFC 9351 3
  static constexpr CodeName kParts[] = {{1040, "exclude-any"}, {1041, "include-any"},  {1042, "include-all"},
                                        {1043, "flags"},       {1045, "exclude-srlg"}, {1046, "unsupported"}};
  or_hex(out, value, [&](ByteReader& r) {
    std::uint8_t algorithm = 0, metric = 0, calculation = 0, priority = 0;
    if (!r.u8(algorithm) || !r.u8(metric) || !r.u8(calculation) || !r.u8(priority)) return false;
    append_field(out, "algo=", algorithm);
    append_field(out, ",metric-type=", metric);
    append_field(out, ",calc-type=", calculation);
    append_field(out, ",priority=", priority);
    while (!r.empty()) {
      Tlv t;
      if (!read_tlv_16_16(r, t)) return false;
      out.append(',');
      append_code(out, t.type, kParts);
      out.append('=');
      append_hex(out, t.value);
    }
    return true;
  });
}

void append_flex_algo_metric(TextBuffer& out, Bytes value) {  // RFC 9351 4
  or_hex(out, value, [&](ByteReader& r) {
    std::uint8_t algorithm = 0, flags = 0;
    std::uint16_t reserved = 0;
    std::uint32_t metric = 0;
    if (!r.u8(algorithm) || !r.u8(flags) || !r.u16(reserved) || !r.u32(metric) || !r.empty()) return false;
    append_field(out, "algo=", algorithm);
    append_field(out, ",flags=", flags);
    append_field(out, ",metric=", metric);
    return true;
  });
}

namespace {

// A label in the upper 20 bits, or a SRv6 SID.
void append_label_or_sid(TextBuffer& out, std::string_view name, Bytes sid) {
  out.append(name);
  ByteReader r(sid);
  std::uint32_t entry = 0;
  if (sid.size() == 4 && r.u32(entry)) return out.number(entry >> 12);
  append_ip(out, sid);
}

// Flags, reserved, the SID in use, the one that was asked for.
bool append_binding(TextBuffer& out, ByteReader& r, std::size_t size) {
  std::uint16_t flags = 0, reserved = 0;
  Bytes sid, specified;
  if (!r.u16(flags) || !r.u16(reserved) || !r.bytes(size, sid) || !r.bytes(size, specified)) return false;
  append_field(out, "flags=", flags);
  append_label_or_sid(out, ",sid=", sid);
  append_label_or_sid(out, ",specified=", specified);
  return true;
}

// Type, reserved, flags, the SID when there is one, what else describes the segment.
bool append_policy_segment(TextBuffer& out, ByteReader r) {
  constexpr std::uint16_t kHasSid = 0x8000;
  std::uint8_t type = 0, reserved = 0;
  std::uint16_t flags = 0;
  if (!r.u8(type) || !r.u8(reserved) || !r.u16(flags)) return false;
  append_field(out, "segment=type:", type);
  append_field(out, "/flags:", flags);
  const bool is_srv6 = type == 2 || type >= 9;
  if (Bytes sid; (flags & kHasSid) != 0) {
    if (!r.bytes(is_srv6 ? 16 : 4, sid)) return false;
    append_label_or_sid(out, "/sid:", sid);
  }
  if (r.empty()) return true;
  out.append("/descriptor:");
  append_hex(out, r.rest());
  return true;
}

}  // namespace

void append_policy_sid(TextBuffer& out, Bytes value) {  // RFC 9857 5.1
  or_hex(out, value, [&](ByteReader& r) {
    const std::size_t size = value.size() == 36 ? 16 : 4;
    return append_binding(out, r, size) && r.empty();
  });
}

void append_srv6_policy_sid(TextBuffer& out, Bytes value) {  // RFC 9857 5.2
  or_hex(out, value, [&](ByteReader& r) { return append_binding(out, r, 16) && append_srv6_rest(out, r); });
}

void append_policy_segments(TextBuffer& out, Bytes value) {  // RFC 9857 5.7, 5.8
  constexpr std::uint16_t kSegment = 1206;
  or_hex(out, value, [&](ByteReader& r) {
    std::uint16_t flags = 0, reserved = 0, topology = 0;
    std::uint8_t algorithm = 0, byte = 0;
    std::uint32_t weight = 0;
    if (!r.u16(flags) || !r.u16(reserved) || !r.u16(topology) || !r.u8(algorithm) || !r.u8(byte) || !r.u32(weight))
      return false;
    append_field(out, "{flags=", flags);
    append_field(out, ",mt=", topology);
    append_field(out, ",algo=", algorithm);
    append_field(out, ",weight=", weight);
    const bool whole = append_rest(out, r, kSegment, [&](Bytes v) {
      or_hex(out, v, [&](ByteReader& segment) { return append_policy_segment(out, segment); });
    });
    out.append('}');
    return whole;
  });
}

void append_msd(TextBuffer& out, Bytes value) {
  or_hex(out, value, [&](ByteReader& r) {
    for (bool first = true; !r.empty(); first = false) {
      std::uint8_t type = 0, depth = 0;
      if (!r.u8(type) || !r.u8(depth)) return false;
      append_field(out, first ? "" : ",", type);
      append_field(out, ":", depth);
    }
    return true;
  });
}

}  // namespace bmpha::recv
