#include "psql-sink/text_rows.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "common/content_hash.h"
#include "common/utf8.h"

namespace bmpha::sink {
namespace {

bool parse_flag(std::string_view text, bool& out) {
  if (text != "0" && text != "1") return false;
  out = text == "1";
  return true;
}

template <class T>
bool parse_number(std::string_view text, T& out, std::uint64_t max = static_cast<std::uint64_t>(T(-1))) {
  std::uint64_t v = 0;
  if (!parse_u64(text, max, v)) return false;
  out = static_cast<T>(v);
  return true;
}

bool two_digits(const char* p, std::uint32_t& out) {
  if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9') return false;
  out = static_cast<std::uint32_t>((p[0] - '0') * 10 + (p[1] - '0'));
  return true;
}

// Days since 1970-01-01 of a date of the proleptic Gregorian calendar (years counted from March).
std::int64_t days_from_civil(std::int64_t year, std::uint32_t month, std::uint32_t day) {
  year -= month <= 2 ? 1 : 0;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t of_era = year - era * 400;
  const std::int64_t of_year = (153 * (static_cast<std::int64_t>(month) + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

}  // namespace

std::size_t split_columns(std::string_view row, Columns& out) {
  std::size_t count = 0;
  const char* at = row.data();
  const char* const end = at + row.size();
  while (count < kMaxColumns) {
    const void* hit = at == end ? nullptr : std::memchr(at, '\t', static_cast<std::size_t>(end - at));
    const char* stop = hit != nullptr ? static_cast<const char*>(hit) : end;
    out[count++] = std::string_view(at, static_cast<std::size_t>(stop - at));
    if (stop == end) break;
    at = stop + 1;
  }
  return count;
}

bool parse_u64(std::string_view text, std::uint64_t max, std::uint64_t& out) {
  std::uint64_t v = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, v);
  if (error != std::errc() || at != end || text.empty() || v > max) return false;
  out = v;
  return true;
}

bool parse_timestamp(std::string_view text, std::int64_t& out) {
  if (text.size() < 19 || text.size() > 26) return false;
  const char* p = text.data();
  std::uint32_t century = 0, year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, micros = 0;
  const bool digits = two_digits(p, century) && two_digits(p + 2, year) && two_digits(p + 5, month) &&
                      two_digits(p + 8, day) && two_digits(p + 11, hour) && two_digits(p + 14, minute) &&
                      two_digits(p + 17, second);
  if (!digits || p[4] != '-' || p[7] != '-' || p[10] != ' ' || p[13] != ':' || p[16] != ':') return false;
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) return false;
  if (text.size() > 19) {
    if (p[19] != '.' || text.size() == 20) return false;
    std::uint32_t scale = 100000;
    for (const char c : text.substr(20)) {
      if (c < '0' || c > '9') return false;
      micros += static_cast<std::uint32_t>(c - '0') * scale;
      scale /= 10;
    }
  }
  const std::int64_t days = days_from_civil(century * 100 + year, month, day);
  out = ((days * 24 + hour) * 60 + minute) * 60'000'000 + std::int64_t{second} * 1'000'000 + micros;
  return true;
}

bool RowReader::hash(std::string_view text, HashMemo& memo, Hash128& out) {
  if (text != memo.text) {
    Hash128 h;
    if (!from_hex(text, h)) return false;
    memo.text = text;
    memo.value = h;
  }
  if (memo.text.empty()) return false;
  out = memo.value;
  return true;
}

bool RowReader::time(std::string_view text, std::int64_t& out) {
  if (text != time_text_ || text.empty()) {
    if (!parse_timestamp(text, time_value_)) {
      time_text_.clear();
      return false;
    }
    time_text_ = text;
  }
  out = time_value_;
  return true;
}

const char* RowReader::unicast(std::string_view row, UnicastRow& out, Columns& c) {
  const std::size_t count = split_columns(row, c);
  if (count < 31) return "unicast_prefix row with too few columns";
  const bool add = c[0] == "add";
  if (!add && c[0] != "del") return "unknown action";
  UnicastRow r;
  r.withdrawn = !add;
  if (!hash(c[3], router_, r.router)) return "bad router hash";
  if (!hash(c[6], peer_, r.peer)) return "bad peer hash";
  if (!time(c[9], r.timestamp_us)) return "bad timestamp";
  IpAddress address;
  std::uint32_t length = 0;
  if (!parse_ip(c[10], address)) return "bad prefix";
  if (!parse_number(c[11], length) || !make_prefix(address, length, r.prefix)) return "bad prefix length";
  if (!parse_number(c[27], r.path_id)) return "bad path id";
  if (!parse_flag(c[29], r.pre_policy) || !parse_flag(c[30], r.adj_rib_in)) return "bad flag";
  r.labelled = !c[28].empty();
  if (add) {
    if (!hash(c[5], attributes_, r.attributes) || r.attributes.is_zero()) return "bad attribute hash";
    std::uint32_t origin = 0;
    if (!c[16].empty()) {
      if (!parse_number(c[16], origin)) return "bad origin AS";
      r.origin_as = origin;
    }
  }
  out = r;
  for (std::size_t n = count; n < 32; ++n) c[n] = {};
  return nullptr;
}

// Columns 14 to 27 and the large communities.
Hash128 RowReader::hash_attributes(const Columns& c) {
  attribute_text_.clear();
  for (std::size_t n = 13; n < 27; ++n) (attribute_text_ += c[n]) += '\t';
  attribute_text_ += c[31];
  return content_hash(as_bytes(attribute_text_));
}

const char* RowReader::peer(std::string_view row, PeerRow& out) {
  PeerRow r;
  const std::size_t count = split_columns(row, r.columns);
  if (count < 30) return "peer row with too few columns";
  for (std::size_t n = count; n < 31; ++n) r.columns[n] = {};
  if (r.columns[0] == "up")
    r.action = PeerRow::Action::kUp;
  else if (r.columns[0] == "first")
    r.action = PeerRow::Action::kFirst;
  else if (r.columns[0] == "down")
    r.action = PeerRow::Action::kDown;
  else
    return "unknown action";
  if (!hash(r.columns[2], peer_, r.peer)) return "bad peer hash";
  if (!hash(r.columns[3], router_, r.router)) return "bad router hash";
  if (!time(r.columns[7], r.timestamp_us)) return "bad timestamp";
  if (!parse_flag(r.columns[28], r.loc_rib)) return "bad flag";
  out = r;
  return nullptr;
}

const char* RowReader::router(std::string_view row, RouterRow& out) {
  Columns c;
  const std::size_t count = split_columns(row, c);
  if (count < 11) return "router row with too few columns";
  if (c[0] != "init" && c[0] != "first" && c[0] != "term") return "unknown action";
  RouterRow r;
  r.init = c[0] != "term";
  if (!hash(c[3], router_, r.router)) return "bad router hash";
  if (!time(c[10], r.timestamp_us)) return "bad timestamp";
  r.name = c[2];
  r.ip = c[4];
  r.description = c[5];
  r.init_data = c[8];
  if (count > 11) r.bgp_id = c[11];
  out = r;
  return nullptr;
}

const char* RowReader::stat(std::string_view row, StatRow& out) {
  Columns c;
  if (split_columns(row, c) < 17) return "bmp_stat row with too few columns";
  StatRow r;
  if (!hash(c[2], router_, r.router)) return "bad router hash";
  if (!hash(c[4], peer_, r.peer)) return "bad peer hash";
  if (!time(c[7], r.timestamp_us)) return "bad timestamp";
  for (std::size_t n = 0; n < StatRow::kCounters; ++n) {
    std::uint64_t v = 0;
    if (!c[8 + n].empty() && !parse_u64(c[8 + n], UINT64_MAX, v)) return "bad counter";
    r.counters[n] = static_cast<std::int64_t>(std::min<std::uint64_t>(v, INT64_MAX));
  }
  out = r;
  return nullptr;
}

const char* RowReader::eor(std::string_view row, EorRow& out) {
  Columns c;
  if (split_columns(row, c) < 12) return "eor row with too few columns";
  EorRow r;
  if (!hash(c[2], peer_, r.peer)) return "bad peer hash";
  if (!hash(c[3], router_, r.router)) return "bad router hash";
  if (!time(c[7], r.timestamp_us)) return "bad timestamp";
  if (!parse_number(c[8], r.afi) || !parse_number(c[9], r.safi)) return "bad family";
  if (!parse_flag(c[10], r.pre_policy) || !parse_flag(c[11], r.adj_rib_in)) return "bad flag";
  out = r;
  return nullptr;
}

const char* RowReader::collector(std::string_view row, CollectorRow& out) {
  Columns c;
  if (split_columns(row, c) < 7) return "collector row with too few columns";
  CollectorRow r;
  r.action = c[0];
  r.admin_id = c[2];
  r.routers = c[4];
  if (!hash(c[3], router_, r.collector)) return "bad collector hash";
  if (!parse_number(c[5], r.router_count)) return "bad router count";
  if (!time(c[6], r.timestamp_us)) return "bad timestamp";
  out = r;
  return nullptr;
}

std::string clean_text(std::string_view text, std::size_t max) {
  std::string out;
  out.reserve(std::min(text.size(), max));
  while (!text.empty() && out.size() < max) {
    const std::size_t n = text[0] == '\0' ? 0 : utf8_length(text);  // PostgreSQL's text cannot hold a NUL
    if (n == 0) {
      out += '?';
      text.remove_prefix(1);
      continue;
    }
    if (out.size() + n > max) break;
    out.append(text.substr(0, n));
    text.remove_prefix(n);
  }
  return out;
}

}  // namespace bmpha::sink
