// The one checked cursor. All bounds checks and byte order conversions of untrusted bytes live here.
//
// A ByteReader borrows the bytes it walks: they must outlive it and every view taken from it. All integers are
// big-endian. A read that does not fit fails, and leaves both the cursor and the output untouched. A sub-reader
// keeps the absolute offset, so that an error can name the byte of the frame, not of the TLV.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace bmpha_v1 {

using Bytes = std::span<const std::uint8_t>;

class ByteReader {
 public:
  ByteReader() = default;
  explicit ByteReader(Bytes bytes, std::size_t base_offset = 0) : bytes_(bytes), base_(base_offset) {}

  std::size_t remaining() const { return bytes_.size() - pos_; }
  bool empty() const { return pos_ == bytes_.size(); }
  // Offset of the next byte from the start of the outermost reader.
  std::size_t offset() const { return base_ + pos_; }
  // What is left, without consuming it.
  Bytes rest() const { return bytes_.subspan(pos_); }

  [[nodiscard]] bool u8(std::uint8_t& out) {
    if (remaining() < 1) return false;
    out = bytes_[pos_++];
    return true;
  }
  [[nodiscard]] bool u16(std::uint16_t& out) { return integer(out); }
  [[nodiscard]] bool u32(std::uint32_t& out) { return integer(out); }
  [[nodiscard]] bool u64(std::uint64_t& out) { return integer(out); }
  [[nodiscard]] bool i64(std::int64_t& out) {
    std::uint64_t v = 0;
    if (!integer(v)) return false;
    out = std::bit_cast<std::int64_t>(v);
    return true;
  }
  // 24-bit integer (MPLS label fields).
  [[nodiscard]] bool u24(std::uint32_t& out) {
    if (remaining() < 3) return false;
    out = (std::uint32_t{bytes_[pos_]} << 16) | (std::uint32_t{bytes_[pos_ + 1]} << 8) | bytes_[pos_ + 2];
    pos_ += 3;
    return true;
  }
  // The next n bytes as a borrowed view.
  [[nodiscard]] bool bytes(std::size_t n, Bytes& out) {
    if (remaining() < n) return false;
    out = bytes_.subspan(pos_, n);
    pos_ += n;
    return true;
  }
  template <std::size_t N>
  [[nodiscard]] bool copy(std::uint8_t (&out)[N]) {
    return copy(out, N);
  }
  [[nodiscard]] bool copy(std::uint8_t* out, std::size_t n) {
    if (remaining() < n) return false;
    if (n != 0) std::memcpy(out, bytes_.data() + pos_, n);
    pos_ += n;
    return true;
  }
  // A reader over exactly the next n bytes; the callee must leave it empty.
  [[nodiscard]] bool sub(std::size_t n, ByteReader& out) {
    if (remaining() < n) return false;
    out = ByteReader(bytes_.subspan(pos_, n), offset());
    pos_ += n;
    return true;
  }
  [[nodiscard]] bool skip(std::size_t n) {
    if (remaining() < n) return false;
    pos_ += n;
    return true;
  }
  // Length-prefixed text (u8 or u16 length) of our own formats.
  [[nodiscard]] bool text8(std::string_view& out) {
    ByteReader saved = *this;
    std::uint8_t n = 0;
    if (!u8(n) || !text(n, out)) {
      *this = saved;
      return false;
    }
    return true;
  }
  [[nodiscard]] bool text16(std::string_view& out) {
    ByteReader saved = *this;
    std::uint16_t n = 0;
    if (!u16(n) || !text(n, out)) {
      *this = saved;
      return false;
    }
    return true;
  }

 private:
  template <class T>
  bool integer(T& out) {
    if (remaining() < sizeof(T)) return false;
    T v = 0;
    std::memcpy(&v, bytes_.data() + pos_, sizeof(T));
    if constexpr (std::endian::native == std::endian::little) {
      if constexpr (sizeof(T) == 2) v = __builtin_bswap16(v);
      if constexpr (sizeof(T) == 4) v = __builtin_bswap32(v);
      if constexpr (sizeof(T) == 8) v = __builtin_bswap64(v);
    }
    out = v;
    pos_ += sizeof(T);
    return true;
  }
  bool text(std::size_t n, std::string_view& out) {
    Bytes b;
    if (!bytes(n, b)) return false;
    out = std::string_view(reinterpret_cast<const char*>(b.data()), b.size());
    return true;
  }

  Bytes bytes_;
  std::size_t base_ = 0;
  std::size_t pos_ = 0;
};

inline Bytes as_bytes(std::string_view s) { return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()}; }

}  // namespace bmpha_v1
