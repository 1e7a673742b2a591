#include "bmp-recv/text.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>

#include "common/utf8.h"

namespace bmpha::recv {
namespace {

struct ByteText {
  char text[4];  // digits, then their number
};
constexpr std::array<ByteText, 256> make_byte_texts() {
  std::array<ByteText, 256> t{};
  for (unsigned v = 0; v < 256; ++v) {
    char* c = t[v].text;
    std::size_t n = 0;
    if (v >= 100) c[n++] = static_cast<char>('0' + v / 100);
    if (v >= 10) c[n++] = static_cast<char>('0' + v / 10 % 10);
    c[n++] = static_cast<char>('0' + v % 10);
    c[3] = static_cast<char>(n);
  }
  return t;
}
constexpr std::array<ByteText, 256> kByteText = make_byte_texts();

constexpr std::array<std::array<char, 2>, 256> make_hex_texts() {
  constexpr char kDigits[] = "0123456789abcdef";
  std::array<std::array<char, 2>, 256> t{};
  for (std::size_t v = 0; v < 256; ++v) t[v] = {kDigits[v >> 4], kDigits[v & 15]};
  return t;
}
constexpr std::array<std::array<char, 2>, 256> kHexByteText = make_hex_texts();

char* put_byte(char* p, std::uint8_t v) {
  const char* t = kByteText[v].text;
  std::memcpy(p, t, 3);
  return p + t[3];
}

char* put_two(char* p, unsigned v) {
  p[0] = static_cast<char>('0' + v / 10);
  p[1] = static_cast<char>('0' + v % 10);
  return p + 2;
}

// The decimal digits of v < 10^8, one a byte, the first in the lowest byte: halves, then pairs, then digits of all four
// pairs are divided side by side in one word. A division by 100 or 10 is a multiplication that is exact in its range.
constexpr std::uint64_t eight_digits(std::uint32_t v) {
  const std::uint64_t halves = v / 10000 | std::uint64_t{v % 10000} << 32;
  const std::uint64_t hundreds = halves * 10486 >> 20 & 0x0000007f0000007fULL;
  const std::uint64_t pairs = hundreds | (halves - 100 * hundreds) << 16;
  const std::uint64_t tens = pairs * 103 >> 10 & 0x000f000f000f000fULL;
  return tens | (pairs - 10 * tens) << 8;
}
static_assert(eight_digits(12345678) == 0x0807060504030201ULL && eight_digits(99999999) == 0x0909090909090909ULL);

struct Civil {
  std::int64_t year;
  unsigned month, day;
};
// Days since 1970-01-01 to a date of the proleptic Gregorian calendar, by 400-year eras that begin in March.
Civil civil_from_days(std::int64_t days) {
  days += 719468;
  const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const auto day_of_era = static_cast<unsigned>(days - era * 146097);
  const unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const unsigned shifted = (5 * day_of_year + 2) / 153;
  const unsigned month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {era * 400 + year_of_era + (month <= 2 ? 1 : 0), month, day_of_year - (153 * shifted + 2) / 5 + 1};
}

}  // namespace

void TextBuffer::grow(std::size_t n) {
  const std::size_t capacity = std::max(size_ + n, std::max<std::size_t>(4096, capacity_ * 2));
  std::unique_ptr<char[]> bigger(new char[capacity]);  // not make_unique: that would clear it
  if (size_ != 0) std::memcpy(bigger.get(), data_.get(), size_);
  data_ = std::move(bigger);
  capacity_ = capacity;
}

void TextBuffer::number(std::uint64_t v) { commit(put_number(room(kMaxNumberText), v)); }

// Eight digits are made at once, and then moved so that the first one that counts is in front: numbers of any length
// take the same way, where a loop over digits would be guessed wrong by the processor again and again.
char* put_number(char* p, std::uint64_t v) {
  if (std::endian::native != std::endian::little || v >= 100000000) return std::to_chars(p, p + kMaxNumberText, v).ptr;
  const std::uint64_t digits = eight_digits(static_cast<std::uint32_t>(v));
  constexpr std::uint64_t kLastDigit = std::uint64_t{1} << 56;  // is there even of zero
  const int unused = std::countr_zero(digits | kLastDigit) / 8;
  const std::uint64_t text = (digits | 0x3030303030303030ULL) >> (8 * unused);
  std::memcpy(p, &text, sizeof text);
  return p + (8 - unused);
}

char* put_hex(char* p, Bytes bytes) {
  for (const std::uint8_t b : bytes) {
    std::memcpy(p, kHexByteText[b].data(), 2);
    p += 2;
  }
  return p;
}

// All digits side by side.
char* put_hash(char* p, const Hash128& h) {
  using Digits [[gnu::vector_size(16)]] = std::uint8_t;
  const auto text_of = [](Digits v) {
    const auto is_letter = v > 9;  // all bits where it is
    return v + '0' + (reinterpret_cast<const Digits&>(is_letter) & ('a' - '9' - 1));
  };
  Digits bytes;
  std::memcpy(&bytes, h.bytes.data(), sizeof bytes);
  const Digits high = text_of(bytes >> 4), low = text_of(bytes & 15);
  const Digits first = __builtin_shufflevector(high, low, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const Digits last = __builtin_shufflevector(high, low, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  std::memcpy(p, &first, sizeof first);
  std::memcpy(p + sizeof first, &last, sizeof last);
  return p + kHexText;
}

char* put_ipv4(char* p, const std::uint8_t* four) {
  p = put_byte(p, four[0]);
  for (std::size_t n = 1; n < 4; ++n) {
    *p++ = '.';
    p = put_byte(p, four[n]);
  }
  return p;
}

char* put_ipv6(char* p, const std::uint8_t* sixteen) {
  std::array<std::uint16_t, 8> word{};
  for (std::size_t n = 0; n < 8; ++n) word[n] = static_cast<std::uint16_t>(sixteen[2 * n] << 8 | sixteen[2 * n + 1]);
  // The longest run of at least two zero words, the first of equals.
  std::size_t run_at = 8, run = 1;
  for (std::size_t n = 0; n < 8;) {
    std::size_t end = n;
    while (end < 8 && word[end] == 0) ++end;
    if (end - n > run) {
      run_at = n;
      run = end - n;
    }
    n = std::max(end, n + 1);
  }
  if (run_at == 8) run = 0;
  // IPv4-compatible and IPv4-mapped addresses end in the IPv4 form.
  const bool mapped = run_at == 0 && (run == 6 || (run == 5 && word[5] == 0xffff));
  const std::size_t words = mapped ? 6 : 8;
  for (std::size_t n = 0; n < words; ++n) {
    if (n >= run_at && n < run_at + run) {
      if (n == run_at) *p++ = ':';
      continue;
    }
    if (n != 0) *p++ = ':';
    p = std::to_chars(p, p + 4, word[n], 16).ptr;
  }
  if (mapped) {
    *p++ = ':';
    return put_ipv4(p, sixteen + 12);
  }
  if (run_at + run == 8 && run != 0) *p++ = ':';
  return p;
}

char* TimestampText::put(char* p, std::int64_t seconds, std::uint32_t micros) {
  if (seconds != cached_seconds_) {
    cached_seconds_ = seconds;
    const std::int64_t days = seconds / 86400;
    const auto second_of_day = static_cast<unsigned>(seconds % 86400);
    const Civil c = civil_from_days(days);
    char* t = put_two(text_, static_cast<unsigned>(c.year / 100));
    t = put_two(t, static_cast<unsigned>(c.year % 100));
    *t++ = '-';
    t = put_two(t, c.month);
    *t++ = '-';
    t = put_two(t, c.day);
    *t++ = ' ';
    t = put_two(t, second_of_day / 3600);
    *t++ = ':';
    t = put_two(t, second_of_day / 60 % 60);
    *t++ = ':';
    t = put_two(t, second_of_day % 60);
    *t = '.';
  }
  std::memcpy(p, text_, 20);
  p += 20;
  micros %= 1000000;
  p = put_two(p, micros / 10000);
  p = put_two(p, micros / 100 % 100);
  return put_two(p, micros % 100);
}

void append_clean(TextBuffer& out, std::string_view text, std::size_t limit) {
  std::size_t left = limit;
  while (!text.empty()) {
    const std::size_t n = utf8_length(text);
    if (left < std::max<std::size_t>(n, 1)) return;
    const auto first = static_cast<std::uint8_t>(text[0]);
    if (n == 0) {
      out.append('?');
    } else if (first < 0x20 || first == 0x7f) {
      out.append(' ');
    } else if (first == '\'') {
      out.append('`');
    } else {
      out.append(text.substr(0, n));
    }
    left -= std::max<std::size_t>(n, 1);
    text.remove_prefix(std::max<std::size_t>(n, 1));
  }
}

std::string clean(std::string_view text, std::size_t limit) {
  TextBuffer b;
  append_clean(b, text, limit);
  return std::string(b.view());
}

}  // namespace bmpha::recv
