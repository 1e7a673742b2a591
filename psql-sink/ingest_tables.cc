// The small tables of a batch: peers, routers, fences, events, statistics, rejected records.
#include <fmt/format.h>

#include <algorithm>

#include "psql-sink/ingest.h"
#include "psql-sink/sql_text.h"

namespace bmpha::sink {
namespace {

PgParam or_null(const std::string& text) { return text.empty() ? PgParam() : PgParam(text); }
PgParam address_or_null(const std::string& text) {
  IpAddress a;
  return parse_ip(text, a) ? PgParam(text) : PgParam();
}

PgParam number_or_null(const std::string& text, std::uint64_t max) {
  std::uint64_t v = 0;
  return parse_u64(text, max, v) ? PgParam(text) : PgParam();
}
PgParam flag_or_null(const std::string& text) { return text == "0" || text == "1" ? PgParam(text) : PgParam(); }

}  // namespace

bool Ingest::update_peers(const Partition& p, const Batch& batch) {
  if (!batch.peer_updates.empty()) {
    using Numbers = std::vector<std::optional<std::int64_t>>;
    Numbers id, epoch, live, down, up, offset, clear, complete, loc_rib;
    std::string opener = "{", times[4] = {"{", "{", "{", "{"};
    for (const auto& [index, u] : batch.peer_updates) {
      id.emplace_back(peer_ids_[index]);
      epoch.emplace_back(u.state.epoch);
      live.emplace_back(u.state.live_epoch);
      down.emplace_back(u.state.down_epoch);
      up.emplace_back(u.state.up ? 1 : 0);
      offset.emplace_back(u.state.opener_offset);
      clear.emplace_back(u.clear_stale ? 1 : 0);
      complete.emplace_back(u.complete ? 1 : 0);
      loc_rib.push_back(u.loc_rib ? std::optional<std::int64_t>(*u.loc_rib ? 1 : 0) : std::nullopt);
      if (opener.size() > 1) opener += ',';
      opener += '"' + session_text(u.state.opener) + '"';
      const std::optional<std::int64_t>* values[4] = {&u.up_at, &u.down_at, &u.synced_at, &u.stale_at};
      for (std::size_t n = 0; n < 4; ++n) {
        if (times[n].size() > 1) times[n] += ',';
        times[n] += *values[n] ? '"' + timestamp_literal(**values[n]) + '"' : std::string("NULL");
      }
    }
    for (std::string* s : {&opener, &times[0], &times[1], &times[2], &times[3]}) *s += '}';
    if (!check(pg_.exec_prepared(
                   "peers", {array_literal(id), array_literal(epoch), array_literal(live), array_literal(down),
                             array_literal(up), opener, array_literal(offset), times[0], times[1], times[2], times[3],
                             array_literal(clear), array_literal(complete), array_literal(loc_rib)}),
               "update peers"))
      return false;
  }
  const bool healed = std::any_of(batch.peer_updates.begin(), batch.peer_updates.end(),
                                  [](const auto& u) { return u.second.complete; });
  if (healed &&
      !check(pg_.exec("UPDATE ingest_gap g SET healed_at = now() WHERE topic = $1 AND part = $2 AND healed_at "
                      "IS NULL AND NOT EXISTS (SELECT FROM peers p WHERE p.topic = g.topic AND p.part = g.part "
                      "AND p.up AND p.incomplete)",
                      {p.topic, std::to_string(p.number)}),
             "heal gap"))
    return false;
  for (const PeerInfo& info : batch.peer_infos) {
    const auto& c = info.columns;
    const std::string id = std::to_string(peer_ids_[info.peer]);
    const PgResult r =
        info.action == PeerRow::Action::kDown
            ? pg_.exec_prepared("peer_down", {id, number_or_null(c[8], UINT32_MAX), address_or_null(c[9]),
                                              number_or_null(c[21], INT16_MAX), number_or_null(c[22], INT16_MAX),
                                              number_or_null(c[23], INT16_MAX), or_null(c[24])})
            : pg_.exec_prepared("peer_up", {id,
                                            or_null(c[4]),
                                            address_or_null(c[5]),
                                            number_or_null(c[8], UINT32_MAX),
                                            address_or_null(c[9]),
                                            or_null(c[10]),
                                            number_or_null(c[11], UINT16_MAX),
                                            number_or_null(c[12], UINT32_MAX),
                                            address_or_null(c[13]),
                                            number_or_null(c[14], UINT16_MAX),
                                            address_or_null(c[15]),
                                            or_null(c[16]),
                                            or_null(c[17]),
                                            or_null(c[18]),
                                            number_or_null(c[19], UINT16_MAX),
                                            number_or_null(c[20], UINT16_MAX),
                                            flag_or_null(c[25]),
                                            flag_or_null(c[27]),
                                            flag_or_null(c[29]),
                                            or_null(c[30])});
    if (!check(r, "update peer")) return false;
  }
  return true;
}

bool Ingest::update_routers(const Batch& batch, const PartitionState& state) {
  const auto id_of = [&](const RouterId& r) { return std::to_string(state.routers.at(r)); };
  for (const auto& [router, i] : batch.routers)
    if (!check(pg_.exec_prepared("router", {id_of(router), i.name, or_null(i.ip), or_null(i.description),
                                            or_null(i.init_data), or_null(i.bgp_id), timestamp_literal(i.at_us)}),
               "update router"))
      return false;
  for (const auto& [hash, c] : batch.collectors) {
    if (!check(pg_.exec("UPDATE routers SET is_collector = true, name = $2 WHERE router_id = $1 AND NOT is_collector",
                        {id_of(hash), c.admin_id}),
               "update router"))
      return false;
    if (!check(pg_.exec("INSERT INTO collectors (hash, admin_id, routers, router_count, action, at) VALUES "
                        "($1, $2, $3, $4, $5, $6) ON CONFLICT (hash) DO UPDATE SET admin_id = $2, routers = $3, "
                        "router_count = $4, action = $5, at = $6",
                        {to_hex(hash), c.admin_id, c.routers, std::to_string(c.router_count), c.action,
                         timestamp_literal(c.at_us)}),
               "update collector"))
      return false;
  }
  // Every partition has a copy of these: the statements are the same and change nothing twice, and one that comes late
  // says nothing about a router that has been back since.
  for (const auto& [router, at] : batch.routers_stale)
    if (!check(pg_.exec("UPDATE routers SET stale_at = $2 WHERE router_id = $1 AND stale_at IS NULL "
                        "AND (init_at IS NULL OR init_at < $2)",
                        {id_of(router), timestamp_literal(at)}),
               "update router"))
      return false;
  for (const auto& [router, at] : batch.routers_down)
    if (!check(pg_.exec("UPDATE routers SET down_at = $2 WHERE router_id = $1 AND down_at IS NULL "
                        "AND (init_at IS NULL OR init_at < $2)",
                        {id_of(router), timestamp_literal(at)}),
               "update router"))
      return false;
  return true;
}

bool Ingest::update_fences(const Partition& p, const Batch& batch, const PartitionState& state) {
  for (const auto& [router, fence] : batch.fences) {
    std::string settled = "{", runs = "{";
    for (const auto& [node, gen] : fence.settled)
      settled += fmt::format("{}{}:{}", settled.size() > 1 ? "," : "", json_text(node), gen);
    for (const auto& [session, offset] : fence.runs)
      runs += fmt::format("{}\"{}\":{}", runs.size() > 1 ? "," : "", session_text(session), offset);
    if (!check(pg_.exec_prepared("fence", {p.topic, std::to_string(p.number), std::to_string(state.routers.at(router)),
                                           std::to_string(fence.epoch), settled + "}", runs + "}"}),
               "update fence"))
      return false;
  }
  return true;
}

bool Ingest::copy_events(const Batch& batch) {
  if (batch.events.empty()) return true;
  copy_.clear();
  for (const PeerEvent& e : batch.events) {
    copy_.begin_row(6);
    copy_.int4(peer_ids_[e.peer]);
    copy_.int4(e.epoch);
    copy_.timestamp(e.ts_us);
    copy_.timestamp(e.rx_us);
    copy_.int2(static_cast<std::int16_t>(e.kind));
    copy_.jsonb(e.info);
  }
  return check(
      pg_.copy_in("COPY peer_event (peer_id, epoch, ts, rx, kind, info) FROM STDIN (FORMAT binary)", copy_.finish()),
      "copy peer events");
}

bool Ingest::copy_stats(const Batch& batch) {
  if (batch.stats.empty()) return true;
  copy_.clear();
  for (const StatReport& s : batch.stats) {
    copy_.begin_row(13);
    copy_.timestamp(s.ts_us);
    copy_.timestamp(s.rx_us);
    for (const std::int64_t v : s.counters) copy_.int8(v);
    copy_.int4(peer_ids_[s.peer]);
    copy_.int2(node_ids_[s.node]);
  }
  return check(pg_.copy_in("COPY stat_report FROM STDIN (FORMAT binary)", copy_.finish()), "copy statistics");
}

bool Ingest::copy_rejected(const Partition& p, const Batch& batch) {
  if (!batch.rejected.empty()) {
    copy_.clear();
    for (const Rejected& r : batch.rejected) {
      copy_.begin_row(5);
      copy_.text(p.topic);
      copy_.int4(p.number);
      copy_.int8(r.offset);
      copy_.text(r.reason);
      copy_.bytea(r.raw);
    }
    if (!check(pg_.copy_in("COPY ingest_rejected (topic, part, record_offset, reason, raw) FROM STDIN (FORMAT binary)",
                           copy_.finish()),
               "copy rejected records"))
      return false;
  }
  for (const Hole& h : batch.holes)
    if (!check(pg_.exec("INSERT INTO ingest_gap (topic, part, from_offset, to_offset) VALUES ($1, $2, $3, $4)",
                        {p.topic, std::to_string(p.number), std::to_string(h.from), std::to_string(h.to)}),
               "record gap") ||
        !check(pg_.exec("UPDATE peers SET incomplete = true WHERE topic = $1 AND part = $2",
                        {p.topic, std::to_string(p.number)}),
               "record gap"))
      return false;
  return true;
}

}  // namespace bmpha::sink
