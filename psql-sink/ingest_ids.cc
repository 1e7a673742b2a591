// Ids of routers, peers and nodes by content.
#include "common/log.h"
#include "psql-sink/ingest.h"
#include "psql-sink/sql_text.h"

namespace bmpha::sink {

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

// A peer's row belongs to the partition that orders its life; others only ask for its id, or reserve it (SCHEMA.md).
bool Ingest::resolve_peers(const Partition& partition, const Batch& batch, PartitionState& state) {
  return resolve_peers(partition, batch, state, true) && resolve_peers({"", -1}, batch, state, false);
}

bool Ingest::resolve_peers(const Partition& partition, const Batch& batch, PartitionState& state, bool owned) {
  std::map<Hash128, std::int32_t> wanted;
  for (const BatchPeer& p : batch.peers)
    if (p.detached != owned && state.peers[p.hash].peer_id == 0) wanted[p.hash] = state.routers.at(p.router);
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
  if (owned && !check(pg_.exec("UPDATE peers SET topic = $2, part = $3::int4 WHERE hash = ANY($1::uuid[]) AND part < 0",
                               {list, partition.topic, part}),
                      "take reserved peers"))
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
    moved = moved || (owned && !r.flag(n, 2));
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

}  // namespace bmpha::sink
