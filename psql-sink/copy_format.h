// PostgreSQL's COPY BINARY format: rows of length-prefixed fields, big-endian.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/ids.h"
#include "psql-sink/ip_prefix.h"

namespace bmpha::sink {

class CopyBuffer {
 public:
  CopyBuffer() { clear(); }
  void clear();
  void begin_row(std::int16_t fields);
  void null();
  void boolean(bool v);
  void int2(std::int16_t v);
  void int4(std::int32_t v);
  void int8(std::int64_t v);
  void uuid(const Hash128& v);
  void timestamp(std::int64_t unix_us);  // timestamptz; out of range is clamped
  void text(std::string_view v);         // must be valid UTF-8 without NUL
  void bytea(std::string_view v);
  void jsonb(std::string_view v);  // must be valid JSON
  void cidr(const IpPrefix& v);
  void inet(const IpAddress& v);
  void int8_array(std::span<const std::int64_t> v);
  void text_array(const std::vector<std::string>& v);
  // Ends the data. The view lives until the next change.
  std::string_view finish();
  bool empty() const { return rows_ == 0; }

 private:
  void length(std::size_t n);
  template <class T>
  void put(T v);
  void array_header(std::size_t elements, std::uint32_t element_type);

  std::string out_;
  std::size_t rows_ = 0;
};

}  // namespace bmpha::sink
