// Records as lines: JSON objects or text, one line a row, by the table of objects. Pure.
//
// JSON: `object`, `action`, `view` (objects that have one), `epoch` and `node` (null unless the record came from Kafka
// with our header), then the row's columns by name. Lists are arrays of strings, numbers are numbers, flags true or
// false, everything else is a string; an empty column is [], null, null or "".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bmp-recv/objects.h"
#include "bmp-recv/tcp.h"
#include "common/byte_reader.h"
#include "common/record.h"

namespace bmpha::recv {

// What to print; empty: everything. A filter leaves out rows that do not have what it asks for.
struct RowFilter {
  std::vector<std::string> routers;  // address, hash, or name (once its `router` row was seen)
  std::vector<std::string> peers;    // address, hash, or AS number as "AS65001"
  std::vector<std::string> types;    // objects
  std::vector<IpPrefix> prefixes;    // these and what lies in them
};

// Where a record comes from.
struct RecordOrigin {
  RecordKind kind = RecordKind::kRoutes;
  RouterId router;
  std::optional<std::uint64_t> epoch;
  std::string_view node;  // empty: unknown
};

class RowPrinter {
 public:
  enum class Form : std::uint8_t { kText, kJson };
  RowPrinter(Form form, RowFilter filter) : form_(form), filter_(std::move(filter)) {}

  // Appends the lines of one record to out. Null, or why the payload cannot be read; what was read before is there.
  const char* print(const RecordOrigin& origin, std::string_view payload, std::string& out);
  // Rows printed so far.
  std::uint64_t rows() const { return rows_; }
  // Stop after that many rows.
  void set_limit(std::uint64_t limit) { limit_ = limit; }
  bool is_done() const { return limit_ != 0 && rows_ >= limit_; }

 private:
  static constexpr std::size_t kNone = SIZE_MAX;
  // How rows of one object are printed; places are indices of columns.
  struct Plan {
    std::string object;
    std::vector<Column> columns;
    std::size_t pre = kNone, in = kNone, router_hash = kNone, router_ip = kNone, router_name = kNone, peer_hash = kNone,
                peer_ip = kNone, peer_asn = kNone, prefix = kNone, prefix_length = kNone;
  };
  using Row = std::vector<std::string_view>;

  const Plan& plan_of(std::string_view object);
  const char* print_rows(const RecordOrigin& origin, std::string_view payload, std::string& out);
  void print_mark(const RecordOrigin& origin, std::string_view payload, std::string& out);
  void print_raw(const RecordOrigin& origin, std::string_view payload, std::string& out);
  bool wanted(const Plan& plan, const Row& row) const;
  bool type_wanted(std::string_view object) const;
  bool router_wanted(std::string_view hash, std::string_view ip) const;
  bool prefix_wanted(const Plan& plan, const Row& row) const;
  void print_row(const Plan& plan, const Row& row, const RecordOrigin& origin, std::string& out);
  void print_json(const Plan& plan, const Row& row, const RecordOrigin& origin, std::string& out) const;
  void print_text(const Plan& plan, const Row& row, const RecordOrigin& origin, std::string& out) const;

  Form form_;
  RowFilter filter_;
  std::uint64_t rows_ = 0, limit_ = 0;
  std::map<std::string, Plan, std::less<>> plans_;
  std::set<std::string, std::less<>> named_routers_;  // hashes whose name is in the filter
  Row row_;
};

}  // namespace bmpha::recv
