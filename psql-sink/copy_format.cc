#include "psql-sink/copy_format.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace bmpha::sink {
namespace {

// Type numbers of PostgreSQL's catalog (pg_type.dat); they never change.
constexpr std::uint32_t kInt8Type = 20;
constexpr std::uint32_t kTextType = 25;
// PostgreSQL's own address families (inet.h).
constexpr std::uint8_t kInet4 = 2;
constexpr std::uint8_t kInet6 = 3;

constexpr std::int64_t kEpoch2000Us = 946684800LL * 1000000;
constexpr std::int64_t kFirstUs = -62135596800LL * 1000000;  // year 1
constexpr std::int64_t kLastUs = 253402300799LL * 1000000;   // year 9999

}  // namespace

template <class T>
void CopyBuffer::put(T v) {
  if constexpr (sizeof(T) == 2) v = static_cast<T>(__builtin_bswap16(static_cast<std::uint16_t>(v)));
  if constexpr (sizeof(T) == 4) v = static_cast<T>(__builtin_bswap32(static_cast<std::uint32_t>(v)));
  if constexpr (sizeof(T) == 8) v = static_cast<T>(__builtin_bswap64(static_cast<std::uint64_t>(v)));
  static_assert(std::endian::native == std::endian::little);
  char bytes[sizeof v];
  std::memcpy(bytes, &v, sizeof v);
  out_.append(bytes, sizeof v);
}

void CopyBuffer::length(std::size_t n) { put(static_cast<std::int32_t>(n)); }

void CopyBuffer::clear() {
  out_.assign("PGCOPY\n\377\r\n\0", 11);
  out_.append(8, '\0');  // no flags, no extension
  rows_ = 0;
}
void CopyBuffer::begin_row(std::int16_t fields) {
  put(fields);
  ++rows_;
}
void CopyBuffer::null() { put(std::int32_t{-1}); }
void CopyBuffer::boolean(bool v) {
  length(1);
  out_.push_back(v ? '\1' : '\0');
}
void CopyBuffer::int2(std::int16_t v) {
  length(2);
  put(v);
}
void CopyBuffer::int4(std::int32_t v) {
  length(4);
  put(v);
}
void CopyBuffer::int8(std::int64_t v) {
  length(8);
  put(v);
}
void CopyBuffer::uuid(const Hash128& v) {
  length(16);
  out_.append(reinterpret_cast<const char*>(v.bytes.data()), 16);
}
void CopyBuffer::timestamp(std::int64_t unix_us) { int8(std::clamp(unix_us, kFirstUs, kLastUs) - kEpoch2000Us); }
void CopyBuffer::text(std::string_view v) {
  length(v.size());
  out_.append(v);
}
void CopyBuffer::bytea(std::string_view v) { text(v); }
void CopyBuffer::jsonb(std::string_view v) {
  length(v.size() + 1);
  out_.push_back('\1');  // version of the format
  out_.append(v);
}
void CopyBuffer::cidr(const IpPrefix& v) {
  length(4 + v.size());
  out_.push_back(static_cast<char>(v.family == 4 ? kInet4 : kInet6));
  out_.push_back(static_cast<char>(v.length));
  out_.push_back('\1');
  out_.push_back(static_cast<char>(v.size()));
  out_.append(reinterpret_cast<const char*>(v.bytes.data()), v.size());
}
void CopyBuffer::inet(const IpAddress& v) {
  length(4 + v.size());
  out_.push_back(static_cast<char>(v.v4 ? kInet4 : kInet6));
  out_.push_back(static_cast<char>(v.size() * 8));
  out_.push_back('\0');
  out_.push_back(static_cast<char>(v.size()));
  out_.append(reinterpret_cast<const char*>(v.bytes.data()), v.size());
}

void CopyBuffer::array_header(std::size_t elements, std::uint32_t element_type) {
  put(std::int32_t{elements == 0 ? 0 : 1});  // dimensions
  put(std::int32_t{0});                      // no nulls
  put(element_type);
  if (elements == 0) return;
  put(static_cast<std::int32_t>(elements));
  put(std::int32_t{1});  // lower bound
}
void CopyBuffer::int8_array(std::span<const std::int64_t> v) {
  length(12 + (v.empty() ? 0 : 8 + v.size() * 12));
  array_header(v.size(), kInt8Type);
  for (const std::int64_t n : v) int8(n);
}
void CopyBuffer::text_array(const std::vector<std::string>& v) {
  std::size_t size = 12 + (v.empty() ? 0 : 8);
  for (const std::string& s : v) size += 4 + s.size();
  length(size);
  array_header(v.size(), kTextType);
  for (const std::string& s : v) text(s);
}

std::string_view CopyBuffer::finish() {
  put(std::int16_t{-1});
  return out_;
}

}  // namespace bmpha::sink
