// Rows of the OpenBMP message bus (common/text_message.h) as values. Pure; everything is untrusted, and a bad row costs
// itself only. Views point into the message: they live as long as its bytes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/ids.h"
#include "common/text_message.h"
#include "psql-sink/ip_prefix.h"

namespace bmpha::sink {

inline constexpr std::size_t kMaxColumns = 64;
using Columns = std::array<std::string_view, kMaxColumns>;
// Splits at tabs; columns behind kMaxColumns are ignored. Returns how many were found.
std::size_t split_columns(std::string_view row, Columns& out);

// Microseconds since 1970-01-01 UTC of "YYYY-MM-DD HH:MM:SS.uuuuuu" (the fraction may be missing or shorter).
[[nodiscard]] bool parse_timestamp(std::string_view text, std::int64_t& out);
[[nodiscard]] bool parse_u64(std::string_view text, std::uint64_t max, std::uint64_t& out);

struct UnicastRow {
  bool withdrawn = false;
  Hash128 router, peer, attributes;
  std::int64_t timestamp_us = 0;
  IpPrefix prefix;
  std::uint32_t path_id = 0;
  std::optional<std::uint32_t> origin_as;
  bool pre_policy = true;
  bool adj_rib_in = true;
  bool labelled = false;
};

struct PeerRow {
  enum class Action : std::uint8_t { kUp, kFirst, kDown };
  Action action = Action::kUp;
  Hash128 peer, router;
  std::int64_t timestamp_us = 0;
  bool loc_rib = false;
  Columns columns;  // the rest is stored as it came, once cleaned
};

struct RouterRow {
  bool init = true;
  Hash128 router;
  std::int64_t timestamp_us = 0;
  std::string_view name, ip, description, init_data, bgp_id;
};

struct StatRow {
  static constexpr std::size_t kCounters = 9;
  Hash128 router, peer;
  std::int64_t timestamp_us = 0;
  std::array<std::int64_t, kCounters> counters{};
};

struct EorRow {
  Hash128 router, peer;
  std::int64_t timestamp_us = 0;
  std::uint16_t afi = 0;
  std::uint8_t safi = 0;
  bool pre_policy = true;
  bool adj_rib_in = true;
};

struct CollectorRow {
  std::string_view action, admin_id, routers;
  Hash128 collector;
  std::uint32_t router_count = 0;
  std::int64_t timestamp_us = 0;
};

// Decodes rows. One reader per stream of messages: it remembers the last hashes and times, which repeat from row to
// row, so that they are decoded once. Each function returns null, or the reason for which the row is set aside.
class RowReader {
 public:
  // Columns of the row are left in `columns` for parse_attributes.
  const char* unicast(std::string_view row, UnicastRow& out, Columns& columns);
  // Of the attribute columns of an `add` row as they stand there, for messages whose hashes do not tell all.
  Hash128 hash_attributes(const Columns& columns);
  const char* peer(std::string_view row, PeerRow& out);
  const char* router(std::string_view row, RouterRow& out);
  const char* stat(std::string_view row, StatRow& out);
  const char* eor(std::string_view row, EorRow& out);
  const char* collector(std::string_view row, CollectorRow& out);

 private:
  struct HashMemo {
    std::string text;
    Hash128 value;
  };
  static bool hash(std::string_view text, HashMemo& memo, Hash128& out);
  bool time(std::string_view text, std::int64_t& out);

  HashMemo router_, peer_, attributes_;
  std::string attribute_text_;
  std::string time_text_;
  std::int64_t time_value_ = 0;
};

// UTF-8 that PostgreSQL accepts in a text value: NUL and invalid bytes become '?', and it is cut to `max` bytes.
std::string clean_text(std::string_view text, std::size_t max);

}  // namespace bmpha::sink
