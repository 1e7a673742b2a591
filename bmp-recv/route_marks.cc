#include "bmp-recv/route_marks.h"

#include <algorithm>

#include "bmp-recv/value_text.h"

namespace bmpha::recv {
namespace {

constexpr std::string_view kColumns[] = {"path_status", "path_status_reason", "table_name"};
constexpr std::size_t kTableLimit = 255;

// By bit, from the lowest.
constexpr std::string_view kBits[] = {"invalid",     "best",          "non-selected",  "primary",
                                      "backup",      "non-installed", "best-external", "add-path",
                                      "filtered-in", "filtered-out",  "stale",         "suppressed"};
constexpr std::string_view kEarlyBits[] = {
    "invalid",  "best",        "non-selected", "primary",     "backup", "non-installed", "best-external",
    "add-path", "filtered-in", "filtered-out", "invalid-rov", "stale",  "suppressed"};
constexpr CodeName kReasons[] = {{1, "as-loop"},    {2, "unresolvable-next-hop"},
                                 {3, "local-pref"}, {4, "as-path-length"},
                                 {5, "origin"},     {6, "med"},
                                 {7, "peer-type"},  {8, "igp-cost"},
                                 {9, "router-id"},  {10, "peer-address"},
                                 {11, "aigp"}};

void append_bits(TextBuffer& out, std::uint32_t bits, std::span<const std::string_view> names) {
  const std::size_t before = out.size();
  const auto next = [&] {
    if (out.size() != before) out.append(',');
  };
  for (std::size_t n = 0; n < names.size(); ++n)
    if ((bits >> n & 1) != 0) next(), out.append(names[n]);
  const std::uint32_t others = bits >> names.size() << names.size();
  if (others == 0) return;
  const std::uint8_t bytes[] = {static_cast<std::uint8_t>(others >> 24), static_cast<std::uint8_t>(others >> 16),
                                static_cast<std::uint8_t>(others >> 8), static_cast<std::uint8_t>(others)};
  next();
  append_hex(out, bytes);
}

}  // namespace

std::span<const std::string_view> route_mark_columns() { return kColumns; }

void RouteMarks::clear() {
  for (const PathStatus& s : statuses_)
    if (is_of_group(s) && group_of(s) < by_group_.size()) by_group_[group_of(s)] = 0;
  statuses_.clear();
  groups_.clear();
  by_route_.clear();
  table_ = {};
  of_all_ = 0;
  indexed_ = early_bits_ = false;
}

bool RouteMarks::add_status(std::uint16_t index, Bytes value) {
  ByteReader r(value);
  PathStatus s;
  s.index = index;
  if (!r.u32(s.bits)) return false;
  s.has_reason = r.u16(s.reason);
  if (!r.empty()) return false;
  statuses_.push_back(s);
  return true;
}

bool RouteMarks::add_group(std::uint16_t index, Bytes members) {
  if ((index & kGroupBit) == 0 || members.empty() || members.size() % 2 != 0) return false;
  groups_.push_back({static_cast<std::uint16_t>(index & ~kGroupBit), members});
  return true;
}

void RouteMarks::assign(std::size_t route, std::size_t status) {
  if (by_route_.size() <= route) by_route_.resize(route + 1);
  by_route_[route] = static_cast<std::uint16_t>(status + 1);
}

void RouteMarks::resolve() {
  for (std::size_t n = 0; n < statuses_.size(); ++n) {
    if (!is_of_group(statuses_[n])) continue;
    const std::size_t group = group_of(statuses_[n]);
    if (by_group_.size() <= group) by_group_.resize(group + 1);
    by_group_[group] = static_cast<std::uint16_t>(n + 1);
  }
  for (const Group& g : groups_) {
    const std::size_t place = g.number < by_group_.size() ? by_group_[g.number] : 0;
    if (place == 0) continue;
    indexed_ = true;
    ByteReader r(g.members);
    for (std::uint16_t route = 0; r.u16(route);)
      if (route != 0 && (route & kGroupBit) == 0) assign(route, place - 1);
  }
  for (std::size_t n = 0; n < statuses_.size(); ++n) {
    const std::uint16_t index = statuses_[n].index;
    if (index == 0) of_all_ = n + 1;
    if (index == 0 || is_of_group(statuses_[n])) continue;
    indexed_ = true;
    assign(index, n);
  }
}

const PathStatus* RouteMarks::status_of(std::size_t route) const {
  std::size_t place = route < by_route_.size() ? by_route_[route] : 0;
  if (place == 0) place = of_all_;
  return place == 0 ? nullptr : &statuses_[place - 1];
}

void RouteMarks::append_columns(TextBuffer& out, std::size_t route) const {
  const PathStatus* s = status_of(route);
  out.append('\t');
  if (s != nullptr) {
    if (s->bits == 0) out.append("unknown");
    if (early_bits_) {
      append_bits(out, s->bits, kEarlyBits);
    } else {
      append_bits(out, s->bits, kBits);
    }
  }
  out.append('\t');
  if (s != nullptr && s->has_reason) append_code(out, s->reason, kReasons);
  out.append('\t');
  append_clean(out, table_, kTableLimit);
}

}  // namespace bmpha::recv
