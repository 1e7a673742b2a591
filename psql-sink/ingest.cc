#include "psql-sink/ingest.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "common/log.h"
#include "common/rules.h"
#include "psql-sink/ingest_sql.h"

namespace bmpha::sink {
namespace {

constexpr std::int64_t kDayUs = 86'400'000'000;

std::string hash_text(const Hash128& h) { return to_hex(h); }

// PostgreSQL prints a uuid with dashes.
bool parse_uuid(std::string_view text, Hash128& out) {
  std::string hex;
  for (const char c : text)
    if (c != '-') hex += c;
  return from_hex(hex, out);
}

std::string json_text(std::string_view s) {
  std::string out = "\"";
  for (const char c : s) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (u < 0x20) {
      out += fmt::format("\\u{:04x}", u);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string session_text(const SessionId& s) {
  return s.is_none() ? std::string() : fmt::format("{:016x}:{}", s.recv_inc, s.number);
}
SessionId parse_session(std::string_view text) {
  SessionId s;
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return s;
  std::from_chars(text.data(), text.data() + colon, s.recv_inc, 16);
  std::from_chars(text.data() + colon + 1, text.data() + text.size(), s.number);
  return s;
}

std::string uuid_array(const std::vector<Hash128>& hashes) {
  std::string out = "{";
  for (const Hash128& h : hashes) {
    if (out.size() > 1) out += ',';
    out += hash_text(h);
  }
  return out + "}";
}

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

const char* const kPrepared[][2] = {
    {"take", kTakeOffset},
    {"peers", kUpdatePeers},
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

// S3: times are data. The test build can let an older time lose, to show what that breaks.
std::string apply_statement() {
  std::string sql = kApply;
  constexpr std::string_view kMark = "(s.last AND r.ctid IS NOT NULL";
  if (!rule_on("S3-times")) sql.insert(sql.find(kMark) + kMark.size(), " AND s.ts >= r.ts");
  return sql;
}

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
  if (const PgResult r = pg_.prepare("apply", apply_statement()); !r)
    return Status::error(fmt::format("apply: {}", r.error()));
  return Status::ok();
}

bool Ingest::check(const PgResult& r, const char* what) {
  if (r) return true;
  result_.outcome = pg_.usable() ? Outcome::kRefused : Outcome::kUnreachable;
  result_.message = fmt::format("{}: {}", what, r.error());
  result_.sqlstate = r.sqlstate();
  return false;
}

Result<LoadedPartition> Ingest::load(const Partition& p) {
  using R = Result<LoadedPartition>;
  LoadedPartition out;
  const auto failed = [this](const PgResult& r) {
    if (pg_.usable()) pg_.exec("ROLLBACK");
    return R::failure(r.error());
  };
  const std::vector<PgParam> where = {p.topic, std::to_string(p.number)};
  // One snapshot: offset, peers and fences belong together.
  if (const PgResult r = pg_.exec("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); !r) return failed(r);
  const PgResult offset =
      pg_.exec("SELECT next_offset FROM ingest_offset WHERE topic = $1 AND part = $2 AND group_id = $3",
               {where[0], where[1], group_});
  if (!offset) return failed(offset);
  if (offset.rows() == 1) out.next_offset = offset.number(0, 0);
  const PgResult peers = pg_.exec(
      "SELECT p.peer_id, p.hash, r.hash, p.epoch, p.live_epoch, p.down_epoch, p.up, p.opener, p.opener_offset, "
      "p.is_loc_rib, p.router_id FROM peers p JOIN routers r USING (router_id) WHERE p.topic = $1 AND p.part = $2",
      where);
  if (!peers) return failed(peers);
  for (int n = 0; n < peers.rows(); ++n) {
    PeerHash hash;
    PeerState s;
    if (!parse_uuid(peers.text(n, 1), hash) || !parse_uuid(peers.text(n, 2), s.router)) continue;
    s.epoch = static_cast<std::int32_t>(peers.number(n, 3));
    s.live_epoch = static_cast<std::int32_t>(peers.number(n, 4));
    s.down_epoch = static_cast<std::int32_t>(peers.number(n, 5));
    s.up = peers.flag(n, 6);
    s.opener = parse_session(peers.text(n, 7));
    s.opener_offset = peers.number(n, 8);
    out.state.generations.load_peer(hash, s);
    out.state.peers[hash] = {static_cast<std::int32_t>(peers.number(n, 0)), peers.flag(n, 9)};
    out.state.routers[s.router] = static_cast<std::int32_t>(peers.number(n, 10));
  }
  std::map<RouterId, RouterFence> fences;
  const PgResult rows = pg_.exec(
      "SELECT r.hash, f.epoch, r.router_id, '' AS what, '' AS key, '' AS value FROM ingest_fence f "
      "JOIN routers r USING (router_id) WHERE f.topic = $1 AND f.part = $2 "
      "UNION ALL SELECT r.hash, f.epoch, r.router_id, 's', e.key, e.value FROM ingest_fence f JOIN routers r USING "
      "(router_id), LATERAL jsonb_each_text(f.settled) e WHERE f.topic = $1 AND f.part = $2 "
      "UNION ALL SELECT r.hash, f.epoch, r.router_id, 'r', e.key, e.value FROM ingest_fence f JOIN routers r USING "
      "(router_id), LATERAL jsonb_each_text(f.runs) e WHERE f.topic = $1 AND f.part = $2",
      where);
  if (!rows) return failed(rows);
  for (int n = 0; n < rows.rows(); ++n) {
    RouterId router;
    if (!parse_uuid(rows.text(n, 0), router)) continue;
    RouterFence& f = fences[router];
    f.epoch = static_cast<std::uint64_t>(rows.number(n, 1));
    out.state.routers[router] = static_cast<std::int32_t>(rows.number(n, 2));
    std::uint64_t value = 0;
    const bool is_number = parse_u64(rows.text(n, 5), UINT64_MAX, value);
    if (rows.text(n, 3) == "s" && is_number) f.settled[std::string(rows.text(n, 4))] = value;
    if (rows.text(n, 3) == "r" && is_number) f.runs[parse_session(rows.text(n, 4))] = static_cast<std::int64_t>(value);
  }
  for (auto& [router, fence] : fences) out.state.generations.load_fence(router, std::move(fence));
  if (const PgResult r = pg_.exec("COMMIT"); !r) return failed(r);
  return R(std::move(out));
}

Status Ingest::begin_partition(const Partition& p, std::int64_t offset) {
  const PgResult r = pg_.exec(
      "INSERT INTO ingest_offset (group_id, topic, part, next_offset) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
      {group_, p.topic, std::to_string(p.number), std::to_string(offset)});
  return r ? Status::ok() : Status::error(r.error());
}

Status Ingest::jump(const Partition& p, std::int64_t from, std::int64_t to, bool replaced) {
  const std::vector<PgParam> key = {p.topic, std::to_string(p.number)};
  const auto run = [&](const char* sql, const std::vector<PgParam>& params) { return pg_.exec(sql, params); };
  PgResult r = pg_.exec("BEGIN");
  if (r)
    r = run("INSERT INTO ingest_gap (topic, part, from_offset, to_offset) VALUES ($1, $2, $3, $4)",
            {key[0], key[1], std::to_string(from), std::to_string(to)});
  if (r) r = run("UPDATE peers SET incomplete = true WHERE topic = $1 AND part = $2", key);
  if (r && replaced) {
    r = run("UPDATE peers SET opener_offset = -1 WHERE topic = $1 AND part = $2", key);
    if (r) r = run("UPDATE ingest_fence SET runs = '{}' WHERE topic = $1 AND part = $2", key);
  }
  if (r)
    r =
        run("INSERT INTO ingest_offset (group_id, topic, part, next_offset) VALUES ($3, $1, $2, $4) "
            "ON CONFLICT (group_id, topic, part) DO UPDATE SET next_offset = $4",
            {key[0], key[1], group_, std::to_string(to)});
  if (r) r = pg_.exec("COMMIT");
  if (r) return Status::ok();
  if (pg_.usable()) pg_.exec("ROLLBACK");
  return Status::error(r.error());
}

FlushResult Ingest::flush(const Partition& partition, Batch& batch, PartitionState& state) {
  result_ = {};
  const bool written = resolve_ids(partition, batch, state) && ensure_days(batch) && store_attributes(batch) &&
                       write(partition, batch, state);
  if (!written && pg_.usable()) pg_.exec("ROLLBACK");
  return result_;
}

bool Ingest::resolve_ids(const Partition& partition, Batch& batch, PartitionState& state) {
  if (!resolve_routers(batch, state) || !resolve_peers(partition, batch, state) || !resolve_nodes(batch)) return false;
  peer_ids_.clear();
  for (const BatchPeer& p : batch.peers) peer_ids_.push_back(state.peers[p.hash].peer_id);
  node_ids_.clear();
  for (const std::string& n : batch.nodes) node_ids_.push_back(nodes_[n]);
  return true;
}

// Ids come from autocommitted inserts by content: a crash leaves an empty row at most.
bool Ingest::resolve_routers(const Batch& batch, PartitionState& state) {
  std::set<RouterId> wanted;
  const auto want = [&](const RouterId& r) {
    if (!state.routers.contains(r)) wanted.insert(r);
  };
  for (const BatchPeer& p : batch.peers) want(p.router);
  for (const auto& [id, fence] : batch.fences) want(id);
  for (const auto& [id, info] : batch.routers) want(id);
  for (const auto& [id, info] : batch.collectors) want(id);
  for (const auto& [id, at] : batch.routers_down) want(id);
  for (const auto& [id, at] : batch.routers_stale) want(id);
  if (wanted.empty()) return true;
  const std::string list = uuid_array({wanted.begin(), wanted.end()});  // sorted: no deadlocks between writers
  if (!check(pg_.exec("INSERT INTO routers (hash) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING", {list}),
             "insert routers"))
    return false;
  const PgResult r = pg_.exec("SELECT hash, router_id FROM routers WHERE hash = ANY($1::uuid[])", {list});
  if (!check(r, "read routers")) return false;
  for (int n = 0; n < r.rows(); ++n) {
    Hash128 hash;
    if (parse_uuid(r.text(n, 0), hash)) state.routers[hash] = static_cast<std::int32_t>(r.number(n, 1));
  }
  return true;
}

bool Ingest::resolve_peers(const Partition& partition, const Batch& batch, PartitionState& state) {
  std::map<Hash128, std::int32_t> wanted;
  for (const BatchPeer& p : batch.peers)
    if (state.peers[p.hash].peer_id == 0) wanted[p.hash] = state.routers.at(p.router);
  if (wanted.empty()) return true;
  std::vector<Hash128> hashes;
  std::vector<std::optional<std::int64_t>> routers;
  for (const auto& [hash, router] : wanted) {
    hashes.push_back(hash);
    routers.emplace_back(router);
  }
  const std::string list = uuid_array(hashes);
  const std::string part = std::to_string(partition.number);
  if (!check(pg_.exec("INSERT INTO peers (hash, router_id, topic, part) SELECT h, r, $3, $4::int4 FROM "
                      "unnest($1::uuid[], $2::int4[]) AS t(h, r) ON CONFLICT (hash) DO NOTHING",
                      {list, array_literal(routers), partition.topic, part}),
             "insert peers"))
    return false;
  const PgResult r =
      pg_.exec("SELECT hash, peer_id, topic = $2 AND part = $3::int4 FROM peers WHERE hash = ANY($1::uuid[])",
               {list, partition.topic, part});
  if (!check(r, "read peers")) return false;
  bool moved = false;
  for (int n = 0; n < r.rows(); ++n) {
    Hash128 hash;
    if (!parse_uuid(r.text(n, 0), hash)) continue;
    state.peers[hash].peer_id = static_cast<std::int32_t>(r.number(n, 1));
    moved = moved || !r.flag(n, 2);
  }
  if (!moved) return true;
  // Its generations are stored but were not loaded with this partition: take it over and begin again from the stored
  // state.
  log_warn("peers moved to another partition", kv("topic", partition.topic), kv("partition", partition.number));
  if (!check(pg_.exec("UPDATE peers SET topic = $2, part = $3::int4, opener_offset = -1 WHERE hash = ANY($1::uuid[])",
                      {list, partition.topic, part}),
             "move peers"))
    return false;
  result_.outcome = Outcome::kFenced;
  result_.message = "peers moved here from another partition";
  return false;
}

bool Ingest::resolve_nodes(const Batch& batch) {
  for (const std::string& name : batch.nodes) {
    if (nodes_.contains(name)) continue;
    if (!check(pg_.exec("INSERT INTO nodes (name) SELECT $1 WHERE NOT EXISTS (SELECT FROM nodes WHERE name = $1) "
                        "ON CONFLICT DO NOTHING",
                        {name}),
               "insert node"))
      return false;
    const PgResult r = pg_.exec("SELECT node_id FROM nodes WHERE name = $1", {name});
    if (!check(r, "read node")) return false;
    if (r.rows() == 1) nodes_[name] = static_cast<std::int16_t>(r.number(0, 0));
  }
  return true;
}

// Not to_regclass(): that answers from the session's cache, which does not see what another one has just committed.
constexpr const char* kTableExists =
    "SELECT EXISTS (SELECT FROM pg_class WHERE relname = $1 AND relnamespace = current_schema()::regnamespace)";

Status create_day(PgConnection& pg, std::int64_t day) {
  const std::string from = timestamp_literal(day * kDayUs);
  const std::string to = timestamp_literal((day + 1) * kDayUs);
  const std::string name = from.substr(0, 4) + from.substr(5, 2) + from.substr(8, 2);
  // ATTACH takes a weaker lock than CREATE ... PARTITION OF, so it does not wait for other writers.
  for (const char* table : {"rib_log", "stat_report"}) {
    const std::string part = fmt::format("{}_{}", table, name);
    PgResult r = pg.exec(kTableExists, {part});
    if (!r) return Status::error(r.error());
    if (r.flag(0, 0)) continue;
    r = pg.exec("BEGIN; SELECT pg_advisory_xact_lock(7240511002)");
    if (r) r = pg.exec(kTableExists, {part});
    const bool exists = r && r.flag(0, 0);
    if (r && !exists)
      r =
          pg.exec(fmt::format("CREATE TABLE {0} (LIKE {1} INCLUDING ALL);"
                              "ALTER TABLE {1} ATTACH PARTITION {0} FOR VALUES FROM ('{2}') TO ('{3}')",
                              part, table, from, to));
    if (r) r = pg.exec("COMMIT");
    if (!r) {
      if (pg.usable()) pg.exec("ROLLBACK");
      return Status::error(fmt::format("create {}: {}", part, r.error()));
    }
  }
  return Status::ok();
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
  if (taken.affected() != 1) {
    result_.outcome = Outcome::kFenced;
    result_.message = fmt::format("the stored offset is no longer {}", batch.old_offset);
    return false;
  }
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
                        {hash_text(hash), c.admin_id, c.routers, std::to_string(c.router_count), c.action,
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

std::int64_t Ingest::sweep(const std::vector<std::pair<Partition, std::int64_t>>& partitions,
                           std::int64_t down_before_us, std::size_t limit) {
  if (partitions.empty()) return 0;
  PgResult r = pg_.exec("BEGIN; SET LOCAL enable_hashjoin = on");
  std::string topics = "{", parts = "{";
  for (const auto& [p, next_offset] : partitions) {
    if (!r) break;
    // The writers of these rows hold this lock; with another offset than ours we are not one of them any more.
    r = pg_.exec("SELECT next_offset FROM ingest_offset WHERE group_id = $1 AND topic = $2 AND part = $3 FOR UPDATE",
                 {group_, p.topic, std::to_string(p.number)});
    if (!r || r.rows() != 1 || r.number(0, 0) != next_offset) continue;
    topics += fmt::format("{}{}", topics.size() > 1 ? "," : "", json_text(p.topic));
    parts += fmt::format("{}{}", parts.size() > 1 ? "," : "", p.number);
  }
  // An absent row and a withdrawn or outlived one mean the same to the ingest statement. The rows of a peer that is
  // down are still what its history compares with, should records come without an opener.
  if (r)
    r = pg_.exec(
        "DELETE FROM rib WHERE ctid = ANY(ARRAY(SELECT r.ctid FROM rib r JOIN peers p USING (peer_id) "
        "JOIN unnest($1::text[], $2::int4[]) AS x(topic, part) USING (topic, part) "
        "WHERE r.withdrawn OR r.epoch < p.live_epoch OR (NOT p.up AND p.down_at < $4::timestamptz) LIMIT $3::int8))",
        {topics + "}", parts + "}", std::to_string(limit), timestamp_literal(down_before_us)});
  const std::int64_t deleted = r.affected();
  if (r) r = pg_.exec("COMMIT");
  if (r) return deleted;
  if (pg_.usable()) pg_.exec("ROLLBACK");
  return -1;
}

}  // namespace bmpha::sink
