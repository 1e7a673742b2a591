// What is stored of a partition: loaded, begun, moved over a gap, swept.
#include <fmt/format.h>

#include "psql-sink/ingest.h"
#include "psql-sink/sql_text.h"

namespace bmpha::sink {

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
