// Mirror of ByteReader for our own formats: appends big-endian fields to a string that the caller owns.
#pragma once

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/compat/v1/common/byte_reader.h"

namespace bmpha_v1 {

class ByteWriter {
 public:
  explicit ByteWriter(std::string& out) : out_(out) {}

  void u8(std::uint8_t v) { out_.push_back(static_cast<char>(v)); }
  void u16(std::uint16_t v) { integer(v); }
  void u32(std::uint32_t v) { integer(v); }
  void u64(std::uint64_t v) { integer(v); }
  void i64(std::int64_t v) { integer(std::bit_cast<std::uint64_t>(v)); }
  void bytes(Bytes b) { out_.append(reinterpret_cast<const char*>(b.data()), b.size()); }
  // Text with a length prefix; longer text is cut to what the prefix can say.
  void text8(std::string_view s) {
    s = s.substr(0, 0xff);
    u8(static_cast<std::uint8_t>(s.size()));
    out_.append(s);
  }
  void text16(std::string_view s) {
    s = s.substr(0, 0xffff);
    u16(static_cast<std::uint16_t>(s.size()));
    out_.append(s);
  }

 private:
  template <class T>
  void integer(T v) {
    for (int shift = static_cast<int>(sizeof(T)) * 8 - 8; shift >= 0; shift -= 8)
      out_.push_back(static_cast<char>(static_cast<std::uint8_t>(v >> shift)));
  }
  std::string& out_;
};

}  // namespace bmpha_v1
