#include "psql-sink/ingest.h"

#include <fmt/format.h>

#include "common/rules.h"
#include "psql-sink/day_tables.h"
#include "psql-sink/ingest_sql.h"

namespace bmpha::sink {
namespace {

const char* const kPrepared[][2] = {
    {"take", kTakeOffset},
    {"peers", kUpdatePeers},
    {"apply", kApply},
    {"fence",
     "INSERT INTO ingest_fence (topic, part, router_id, epoch, settled, runs) VALUES ($1, $2, $3, $4, $5, $6) "
     "ON CONFLICT (topic, part, router_id) DO UPDATE SET epoch = $4, settled = $5, runs = $6"},
    {"peer_up",
     "UPDATE peers SET name = $2, bgp_id = $3, asn = $4, addr = $5, rd = $6, remote_port = coalesce($7, remote_port), "
     "local_asn = coalesce($8, local_asn), local_addr = coalesce($9, local_addr), local_port = coalesce($10, "
     "local_port), local_bgp_id = coalesce($11, local_bgp_id), info = coalesce($12, info), "
     "sent_capabilities = coalesce($13, sent_capabilities), recv_capabilities = coalesce($14, recv_capabilities), "
     "hold_time = coalesce($15, hold_time), local_hold_time = coalesce($16, local_hold_time), is_l3vpn = $17, "
     "is_ipv4 = $18, is_filtered = $19, table_name = coalesce($20, table_name) WHERE peer_id = $1"},
    {"peer_down",
     "UPDATE peers SET asn = coalesce(asn, $2), addr = coalesce(addr, $3), bmp_reason = $4, bgp_error = $5, "
     "bgp_suberror = $6, error_text = $7 WHERE peer_id = $1"},
    {"router",
     "UPDATE routers SET name = $2, ip = $3, description = $4, init_data = $5, bgp_id = $6, init_at = $7, "
     "stale_at = NULL, down_at = NULL WHERE router_id = $1"},
};

}  // namespace

Ingest::Ingest(std::string conninfo, std::string group) : pg_(std::move(conninfo)), group_(std::move(group)) {}

Status Ingest::open() {
  nodes_.clear();
  days_.clear();
  if (Status s = pg_.connect(); !s) return s;
  if (const PgResult r = pg_.exec(kSession); !r) return Status::error("session settings: " + r.error());
  if (const PgResult r = pg_.exec(kStaging); !r) return Status::error("staging tables: " + r.error());
  for (const auto& [name, sql] : kPrepared)
    if (const PgResult r = pg_.prepare(name, sql); !r) return Status::error(fmt::format("{}: {}", name, r.error()));
  return Status::ok();
}

bool Ingest::check(const PgResult& r, const char* what) {
  if (r) return true;
  result_.outcome = pg_.usable() ? Outcome::kRefused : Outcome::kUnreachable;
  result_.message = fmt::format("{}: {}", what, r.error());
  result_.sqlstate = r.sqlstate();
  return false;
}

FlushResult Ingest::flush(const Partition& partition, Batch& batch, PartitionState& state) {
  result_ = {};
  const bool written = resolve_ids(partition, batch, state) && ensure_days(batch) && store_attributes(batch) &&
                       write(partition, batch, state);
  if (!written && pg_.usable()) pg_.exec("ROLLBACK");
  return result_;
}

bool Ingest::ensure_days(const Batch& batch) {
  std::set<std::int64_t> wanted;
  std::int64_t last = -1;
  const auto want = [&](std::int64_t rx_us) {
    const std::int64_t day = rx_us / kDayUs;
    if (day != last && !days_.contains(day)) wanted.insert(day);
    last = day;
  };
  for (const RouteEvent& e : batch.routes) want(e.rx_us);
  for (const StatReport& s : batch.stats) want(s.rx_us);
  if (!batch.leftovers.empty()) want(batch.leftovers_at_us);
  for (const std::int64_t day : wanted) {
    if (const Status s = create_day(pg_, day); !s) {
      result_.outcome = pg_.usable() ? Outcome::kRefused : Outcome::kUnreachable;
      result_.message = s.message();
      return false;
    }
    days_.insert(day);
  }
  return true;
}

// Committed before the rows that refer to them: a live route is never visible without its attributes. The order keeps
// writers that insert the same sets from deadlocking.
bool Ingest::store_attributes(const Batch& batch) {
  if (batch.attributes.empty()) return true;
  const auto number = [this](const std::optional<std::int64_t>& v) { v ? copy_.int8(*v) : copy_.null(); };
  const auto address = [this](const std::optional<IpAddress>& v) { v ? copy_.inet(*v) : copy_.null(); };
  const auto text = [this](const std::string& v) { v.empty() ? copy_.null() : copy_.text(v); };
  const std::int64_t now = wall_us();
  copy_.clear();
  for (const AttributeSet& a : batch.attributes) {
    copy_.begin_row(16);
    copy_.uuid(a.id);
    copy_.timestamp(now);
    number(a.origin_as);
    number(a.med);
    number(a.local_pref);
    a.origin ? copy_.int2(*a.origin) : copy_.null();
    copy_.boolean(a.atomic_aggregate);
    address(a.next_hop);
    address(a.originator);
    copy_.int8_array(a.as_path);
    text(a.as_path_text);
    copy_.int8_array(a.communities);
    copy_.text_array(a.ext_communities);
    copy_.text_array(a.large_communities);
    copy_.text_array(a.cluster_list);
    text(a.aggregator);
  }
  return check(pg_.exec("BEGIN"), "begin") &&
         check(pg_.copy_in("COPY stg_attrs FROM STDIN (FORMAT binary)", copy_.finish()), "copy attributes") &&
         check(pg_.exec("INSERT INTO base_attrs SELECT * FROM stg_attrs ORDER BY attr_id ON CONFLICT DO NOTHING"),
               "insert attributes") &&
         check(pg_.exec("COMMIT"), "commit attributes");
}

bool Ingest::write(const Partition& p, Batch& batch, PartitionState& state) {
  if (!check(pg_.exec("BEGIN"), "begin")) return false;
  const PgResult taken = pg_.exec_prepared(
      "take",
      {group_, p.topic, std::to_string(p.number), std::to_string(batch.old_offset), std::to_string(batch.new_offset)});
  if (!check(taken, "take offset")) return false;
  if (taken.affected() != 1 && rule_on("S1-offset")) {
    result_.outcome = Outcome::kFenced;
    result_.message = fmt::format("the stored offset is no longer {}", batch.old_offset);
    return false;
  }
  if (!rule_on("S1-transaction") && !check(pg_.exec("COMMIT; BEGIN"), "commit")) return false;
  const bool done = apply_routes(batch) && sweep_leftovers(batch) && update_routers(batch, state) &&
                    update_peers(p, batch) && update_fences(p, batch, state) && copy_events(batch) &&
                    copy_stats(batch) && copy_rejected(p, batch);
  if (!done) return false;
  if (before_commit && !before_commit()) {
    result_.outcome = Outcome::kRefused;
    result_.message = "not committed";
    return false;
  }
  return check(pg_.exec("COMMIT"), "commit");
}

bool Ingest::apply_routes(const Batch& batch) {
  if (batch.routes.empty()) return true;
  copy_.clear();
  for (const RouteEvent& e : batch.routes) {
    copy_.begin_row(kStagingFields);
    e.has_attributes ? copy_.uuid(e.attributes) : copy_.null();
    e.has_origin_as ? copy_.int8(e.origin_as) : copy_.null();
    copy_.int8(e.path_id);
    copy_.timestamp(e.ts_us);
    copy_.timestamp(e.rx_us);
    copy_.timestamp(e.first_ts_us);
    copy_.int4(peer_ids_[e.peer]);
    copy_.int4(e.epoch);
    copy_.int4(e.row_epoch);
    copy_.int4(e.live_epoch);
    copy_.int2(node_ids_[e.node]);
    copy_.int2(e.view);
    copy_.boolean(e.withdrawn);
    copy_.boolean(e.replay);
    copy_.boolean(e.first);
    copy_.boolean(e.last);
    copy_.boolean(e.log);
    copy_.boolean(e.risen);
    copy_.cidr(e.prefix);
  }
  if (!check(pg_.copy_in(kCopyStaging, copy_.finish()), "copy routes")) return false;
  const PgResult r = pg_.exec_prepared("apply", {});
  if (!check(r, "apply routes")) return false;
  // An UPDATE by ctid skips a row that moved meanwhile without a word.
  if (r.number(0, 0) != r.number(0, 1)) {
    result_.outcome = Outcome::kRefused;
    result_.message =
        fmt::format("{} rows were to be updated, {} were: somebody else writes to rib", r.number(0, 0), r.number(0, 1));
    return false;
  }
  result_.history_rows += static_cast<std::uint64_t>(r.number(0, 2));
  return true;
}

bool Ingest::sweep_leftovers(const Batch& batch) {
  if (batch.leftovers.empty()) return true;
  std::vector<std::optional<std::int64_t>> peers, from, to;
  for (const Leftover& l : batch.leftovers) {
    peers.emplace_back(peer_ids_[l.peer]);
    from.emplace_back(l.old_live);
    to.emplace_back(l.new_live);
  }
  if (!check(pg_.exec("SET LOCAL enable_hashjoin = on"), "sweep settings")) return false;
  const PgResult r =
      pg_.exec(kSweepLeftovers,
               {array_literal(peers), array_literal(from), array_literal(to), timestamp_literal(batch.leftovers_at_us),
                std::to_string(nodes_[batch.leftovers_node]), std::string(batch.leftovers_replay ? "t" : "f")});
  if (!check(r, "sweep leftovers")) return false;
  result_.history_rows += static_cast<std::uint64_t>(r.affected());
  return check(pg_.exec("SET LOCAL enable_hashjoin = off"), "sweep settings");
}

}  // namespace bmpha::sink
