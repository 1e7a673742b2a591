// Network captures: the classic pcap format and pcapng, in both byte orders. Our own reader: both formats are short
// and do not change, and a library would bring its own capture machinery and a dependency for one debug tool.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bmp-recv/tap/input_file.h"

namespace bmpha::recv {

struct Packet {
  std::int64_t time_us = 0;  // 0: the capture does not say
  std::uint32_t link_type = 0;
  Bytes bytes;  // as captured; valid until the next packet
};

class PacketFile {
 public:
  // By the first four bytes.
  static bool is_capture(Bytes start);

  explicit PacketFile(InputFile& file) : file_(file) {}
  enum class State : std::uint8_t { kPacket, kEnd, kBroken };
  State next(Packet& out);
  // When broken: what is wrong, with the offset.
  const std::string& error() const { return error_; }

 private:
  struct Interface {
    std::uint32_t link_type = 0;
    std::uint32_t snap_length = 0;
    std::uint64_t units_per_second = 1000000;
    std::int64_t offset_seconds = 0;
  };
  State broken(const std::string& why);
  State begin();
  State next_classic(Packet& out);
  State next_block(Packet& out);
  State begin_section();
  bool read_interface(ByteReader body);
  bool read_packet(std::uint32_t type, ByteReader body, Packet& out);
  std::uint16_t fix(std::uint16_t v) const { return little_ ? __builtin_bswap16(v) : v; }
  std::uint32_t fix(std::uint32_t v) const { return little_ ? __builtin_bswap32(v) : v; }
  bool u16(ByteReader& r, std::uint16_t& out) const;
  bool u32(ByteReader& r, std::uint32_t& out) const;

  InputFile& file_;
  bool begun_ = false;
  bool is_ng_ = false;
  bool little_ = false;
  bool nanoseconds_ = false;
  std::uint32_t link_type_ = 0;
  std::vector<Interface> interfaces_;  // of the current section
  std::size_t to_consume_ = 0;         // the packet that was given out last
  std::string error_;
};

}  // namespace bmpha::recv
