// What a Route Monitoring of BMP version 4 says about routes besides their UPDATE: the table that they are in, and the
// status that the router has given their paths (draft-ietf-grow-bmp-path-marking-tlv). A status is of all routes of the
// message, of one, or of a group that a TLV of its own lists (draft-ietf-grow-bmp-tlv). It is printed into columns
// behind all others. Text forms: docs/wire.md.
//
// One RouteMarks is reused for every message. Views in it are borrowed from the frame.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "bmp-recv/text.h"
#include "common/byte_reader.h"

namespace bmpha::recv {

struct PathStatus {
  std::uint16_t index = 0;  // of what it is: 0 all, a route's number from 1, or a group
  std::uint32_t bits = 0;
  std::uint16_t reason = 0;
  bool has_reason = false;
};

// Names of the columns, in order.
std::span<const std::string_view> route_mark_columns();

class RouteMarks {
 public:
  static constexpr std::uint16_t kGroupBit = 0x8000;
  static constexpr std::size_t kMaxBytes = 1024;  // of append_columns()

  void clear();
  // Each false: not of the form that such a TLV has; it is then left out.
  [[nodiscard]] bool add_status(std::uint16_t index, Bytes value);
  [[nodiscard]] bool add_group(std::uint16_t index, Bytes members);
  void set_table(std::string_view name) { table_ = name; }
  // The status bits mean what they did before revision 4 of their document.
  void set_early_bits() { early_bits_ = true; }
  // To be called once all of them are there.
  void resolve();

  bool any() const { return !statuses_.empty() || !table_.empty(); }
  bool is_indexed() const { return indexed_; }
  std::size_t statuses() const { return statuses_.size(); }
  std::size_t groups() const { return groups_.size(); }
  std::string_view table() const { return table_; }
  // The status that counts for a route: its own, else that of its group, else that of all; the last of several.
  // Null: none. `route` is its number in the message, from 1; 0: not known.
  const PathStatus* status_of(std::size_t route) const;
  // All columns, a TAB in front of each.
  void append_columns(TextBuffer& out, std::size_t route) const;

 private:
  struct Group {
    std::uint16_t number = 0;
    Bytes members;
  };
  static bool is_of_group(const PathStatus& s) { return (s.index & kGroupBit) != 0; }
  static std::size_t group_of(const PathStatus& s) { return s.index & ~std::size_t{kGroupBit}; }
  void assign(std::size_t route, std::size_t status);

  std::vector<PathStatus> statuses_;
  std::vector<Group> groups_;
  std::string_view table_;
  std::vector<std::uint16_t> by_group_;  // place in statuses_, from 1; 0: none
  std::vector<std::uint16_t> by_route_;  // place in statuses_, from 1; 0: that of all
  std::size_t of_all_ = 0;               // likewise
  bool indexed_ = false;
  bool early_bits_ = false;
};

}  // namespace bmpha::recv
