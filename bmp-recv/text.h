// Text of TSV rows. The put_* functions write at `p` and return the end; the caller has made room (TextBuffer::room),
// for which each says how much it needs at most.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "common/byte_reader.h"
#include "common/ids.h"

namespace bmpha::recv {

inline constexpr std::size_t kMaxNumberText = 20;

// A growing buffer without initialisation: rows are written straight into it.
class TextBuffer {
 public:
  // A place for at least n more bytes, and for what put_number() writes behind its digits. Give the end of what was
  // written to commit().
  char* room(std::size_t n) {
    if (capacity_ - size_ < n + kMaxNumberText) grow(n + kMaxNumberText);
    return data_.get() + size_;
  }
  void commit(const char* end) { size_ = static_cast<std::size_t>(end - data_.get()); }
  void append(std::string_view s) {
    if (s.empty()) return;  // its data may be null
    char* p = room(s.size());
    std::memcpy(p, s.data(), s.size());
    size_ += s.size();
  }
  void append(char c) {
    *room(1) = c;
    ++size_;
  }
  void number(std::uint64_t v);
  void clear() { size_ = 0; }
  // Takes back what was appended behind `size` bytes.
  void cut(std::size_t size) { size_ = size; }
  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  std::string_view view() const { return {data_.get(), size_}; }

 private:
  void grow(std::size_t n);
  std::unique_ptr<char[]> data_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

inline constexpr std::size_t kMaxIpText = 46;
inline constexpr std::size_t kHexText = 32;
inline constexpr std::size_t kTimestampText = 26;

char* put_number(char* p, std::uint64_t v);         // 20, however few digits v has
char* put_hex(char* p, Bytes bytes);                // 2 per byte, lower case
char* put_hash(char* p, const Hash128& h);          // 32
char* put_ipv4(char* p, const std::uint8_t* four);  // 15
// The form of inet_ntop(3).
char* put_ipv6(char* p, const std::uint8_t* sixteen);  // 46
inline char* put_text(char* p, std::string_view s) {
  if (s.empty()) return p;
  std::memcpy(p, s.data(), s.size());
  return p + s.size();
}

// "YYYY-MM-DD HH:MM:SS.uuuuuu" in UTC. The date is kept from call to call, since stamps rise slowly.
class TimestampText {
 public:
  char* put(char* p, std::int64_t seconds, std::uint32_t micros);  // 26
 private:
  std::int64_t cached_seconds_ = -1;
  char text_[20] = {};
};

// Appends router-supplied text so that it can stand in a column and in any consumer's SQL: valid UTF-8 without control
// characters, TAB, line ends, NUL or apostrophe, and at most `limit` bytes (contract P1, P8, P9).
void append_clean(TextBuffer& out, std::string_view text, std::size_t limit);
std::string clean(std::string_view text, std::size_t limit);

}  // namespace bmpha::recv
