// Batch::stamp(): order by key, fold what changes nothing, decide what is history.
#include <algorithm>
#include <tuple>

#include "common/rules.h"
#include "psql-sink/batch.h"

namespace bmpha::sink {
namespace {

auto key_of(const RouteEvent& e) { return std::tie(e.prefix, e.peer, e.view, e.path_id); }
bool key_less(const RouteEvent& a, const RouteEvent& b) { return key_of(a) < key_of(b); }

bool same_state(const RouteEvent& a, const RouteEvent& b) {
  return a.withdrawn == b.withdrawn && (a.withdrawn || a.attributes == b.attributes);
}

// One key's events in offset order: [from, to) of `in`; appends what is left of them to `out`.
void stamp_key(std::vector<RouteEvent>& in, std::size_t from, std::size_t to, std::vector<RouteEvent>& out) {
  const std::size_t first = out.size();
  const std::int32_t first_live = in[from].live_epoch;
  std::optional<std::int64_t> alive_since;  // where it came alive within the batch, if it did behind the first event
  out.push_back(in[from]);
  out.back().row_epoch = in[from].epoch;
  for (std::size_t n = from + 1; n < to; ++n) {
    RouteEvent e = in[n];
    RouteEvent& before = out.back();
    const bool was_alive = !before.withdrawn && before.row_epoch >= e.live_epoch;
    if (same_state(before, e) && (was_alive || e.withdrawn) && rule_on("S5-change")) {
      before.row_epoch = e.epoch;  // a refresh or a repetition: no change of attributes or life
      continue;
    }
    e.row_epoch = e.epoch;
    if (e.withdrawn) {  // a withdrawn row keeps the attributes it had
      e.has_attributes = before.has_attributes;
      e.attributes = before.attributes;
      e.has_origin_as = before.has_origin_as;
      e.origin_as = before.origin_as;
    }
    if (!was_alive && !e.withdrawn) alive_since = e.ts_us;
    e.log = was_alive || !e.withdrawn;
    out.push_back(e);
  }
  for (std::size_t n = first; n < out.size(); ++n) out[n].live_epoch = first_live;
  out[first].first = true;
  out.back().last = true;
  out.back().risen = alive_since.has_value();
  out.back().first_ts_us = alive_since.value_or(in[from].ts_us);
}

}  // namespace

void Batch::stamp() {
  if (!std::is_sorted(routes.begin(), routes.end(), key_less)) std::stable_sort(routes.begin(), routes.end(), key_less);
  std::vector<RouteEvent> out;
  out.reserve(routes.size());
  for (std::size_t from = 0; from < routes.size();) {
    std::size_t to = from + 1;
    while (to < routes.size() && key_of(routes[to]) == key_of(routes[from])) ++to;
    stamp_key(routes, from, to, out);
    from = to;
  }
  routes = std::move(out);
}

}  // namespace bmpha::sink
