// Network captures made in memory: IP packets of TCP connections in the formats that captures have.
#pragma once

#include <string>
#include <vector>

#include "tests/unit/bmp-recv/builders.h"

namespace bmpha::recv::testing {

inline constexpr std::uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kAck = 0x10;

// From 192.0.2.1 (or 2001:db8::1) port `port` to port 1790.
inline std::string tcp_packet(std::size_t port, std::uint32_t seq, unsigned flags, const std::string& data,
                              bool v6 = false) {
  const std::string tcp = be16(port) + be16(1790) + be32(seq) + be32(1) + hex("50") + static_cast<char>(flags) +
                          hex("ffff 0000 0000") + data;
  if (v6)
    return hex("60000000") + be16(tcp.size()) + hex("06 40") + hex("20010db8000000000000000000000001") +
           hex("20010db8000000000000000000000002") + tcp;
  return hex("4500") + be16(20 + tcp.size()) + hex("0000 0000 40 06 0000 c0000201 c0000202") + tcp;
}

inline std::string swapped(std::string number, bool little) {
  return little ? std::string(number.rbegin(), number.rend()) : number;
}

// The classic format.
struct Pcap {
  bool little = true;
  bool nanoseconds = false;
  std::uint32_t link_type = 101;
  std::string n16(std::size_t v) const { return swapped(be16(v), little); }
  std::string n32(std::size_t v) const { return swapped(be32(v), little); }
  std::string header() const {
    return n32(nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4) + n16(2) + n16(4) + n32(0) + n32(0) + n32(65535) + n32(link_type);
  }
  std::string packet(const std::string& bytes, std::uint32_t fraction = 0) const {
    return n32(1700000000) + n32(fraction) + n32(bytes.size()) + n32(bytes.size()) + bytes;
  }
};

// pcapng.
struct PcapNg {
  bool little = true;
  std::string n16(std::size_t v) const { return swapped(be16(v), little); }
  std::string n32(std::size_t v) const { return swapped(be32(v), little); }
  std::string block(std::uint32_t type, std::string body) const {
    body.resize((body.size() + 3) / 4 * 4);
    return n32(type) + n32(body.size() + 12) + body + n32(body.size() + 12);
  }
  std::string section() const { return block(0x0a0d0d0a, n32(0x1a2b3c4d) + n16(1) + n16(0) + std::string(8, '\xff')); }
  // Options: code and value.
  std::string interface(std::uint32_t link_type,
                        const std::vector<std::pair<std::size_t, std::string>>& options) const {
    std::string body = n16(link_type) + n16(0) + n32(0);
    for (const auto& [code, value] : options) {
      body += n16(code) + n16(value.size()) + value;
      body.resize((body.size() + 3) / 4 * 4);
    }
    return block(1, body + n16(0) + n16(0));
  }
  std::string packet(std::uint32_t interface, std::uint64_t units, const std::string& bytes) const {
    return block(
        6, n32(interface) + n32(units >> 32) + n32(units & 0xffffffff) + n32(bytes.size()) + n32(bytes.size()) + bytes);
  }
  std::string simple(const std::string& bytes) const { return block(3, n32(bytes.size()) + bytes); }
};

}  // namespace bmpha::recv::testing
