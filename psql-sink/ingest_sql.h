// The statements of the ingest path. Their plans are held by the hand (SCHEMA.md), and a test looks at them.
#pragma once

namespace bmpha::sink {

// Nested loops over the key's index only; every key column comes from stg, never a constant: with one, on a table that
// was empty when the statement was planned, the planner once materialised the whole table for each row.
inline constexpr const char* kSession =
    "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET jit = off; "
    "SET TimeZone = 'UTC'; SET plan_cache_mode = force_generic_plan; SET max_parallel_workers_per_gather = 0; "
    "SET idle_in_transaction_session_timeout = '60s'";

inline constexpr const char* kStaging =
    "CREATE TEMP TABLE IF NOT EXISTS stg (attr_id uuid, origin_as int8, path_id int8 NOT NULL, ts timestamptz NOT NULL,"
    " rx timestamptz NOT NULL, first_ts timestamptz NOT NULL, peer_id int4 NOT NULL, epoch int4 NOT NULL,"
    " row_epoch int4 NOT NULL, live_epoch int4 NOT NULL, node_id int2, view int2 NOT NULL, withdrawn bool NOT NULL, "
    "replay bool NOT NULL,"
    " first bool NOT NULL, last bool NOT NULL, log bool NOT NULL, risen bool NOT NULL, prefix cidr NOT NULL)"
    " ON COMMIT DELETE ROWS;"
    "CREATE TEMP TABLE IF NOT EXISTS stg_attrs (LIKE base_attrs INCLUDING DEFAULTS) ON COMMIT DELETE ROWS";
inline constexpr int kStagingFields = 19;
inline constexpr const char* kCopyStaging = "COPY stg FROM STDIN (FORMAT binary)";

// One statement for state and history. Returns: rows to update, rows updated, history rows.
// due: the row changes. alive: the row was visible to its peer's generation before the key's first event of this batch.
inline constexpr const char* kApply = R"sql(
WITH j AS MATERIALIZED (
  SELECT s.*, r.ctid AS rtid, r.attr_id AS r_attr, r.origin_as AS r_origin, r.withdrawn AS r_wd, r.epoch AS r_epoch,
         r.ts AS r_ts, r.first_ts AS r_first,
         (r.ctid IS NOT NULL AND NOT r.withdrawn AND r.epoch >= s.live_epoch) AS alive,
         (s.last AND r.ctid IS NOT NULL AND (NOT s.first OR s.withdrawn <> r.withdrawn OR s.row_epoch <> r.epoch
           OR (NOT s.withdrawn AND s.attr_id IS DISTINCT FROM r.attr_id))) AS due
  FROM stg s LEFT JOIN rib r
    ON r.prefix = s.prefix AND r.peer_id = s.peer_id AND r.view = s.view AND r.path_id = s.path_id),
u AS (
  UPDATE rib r SET
    attr_id = CASE WHEN j.attr_id IS NULL THEN j.r_attr ELSE j.attr_id END,
    origin_as = CASE WHEN j.attr_id IS NULL THEN j.r_origin ELSE j.origin_as END,
    ts = CASE WHEN j.first AND ((j.withdrawn AND j.r_wd)
                             OR (j.alive AND NOT j.withdrawn AND j.attr_id IS NOT DISTINCT FROM j.r_attr))
              THEN j.r_ts ELSE j.ts END,
    first_ts = CASE WHEN j.risen THEN j.first_ts WHEN j.alive OR (j.first AND j.withdrawn) THEN j.r_first
                    ELSE j.first_ts END,
    epoch = j.row_epoch, withdrawn = j.withdrawn
  FROM j WHERE r.ctid = j.rtid AND j.due RETURNING 1),
i AS (
  INSERT INTO rib (attr_id, origin_as, path_id, ts, first_ts, peer_id, epoch, view, withdrawn, prefix)
  SELECT attr_id, origin_as, path_id, ts, first_ts, peer_id, row_epoch, view, withdrawn, prefix
  FROM j WHERE last AND rtid IS NULL),
l AS (
  INSERT INTO rib_log (attr_id, ts, rx, origin_as, path_id, peer_id, epoch, view, withdrawn, replay, node_id, prefix)
  SELECT CASE WHEN attr_id IS NULL THEN r_attr ELSE attr_id END, ts, rx,
         CASE WHEN attr_id IS NULL THEN r_origin ELSE origin_as END, path_id, peer_id, epoch, view, withdrawn, replay,
         node_id, prefix
  FROM j
  WHERE CASE WHEN first THEN alive = withdrawn OR (alive AND NOT withdrawn AND attr_id IS DISTINCT FROM r_attr)
             ELSE log END
  RETURNING 1)
SELECT (SELECT count(*) FROM j WHERE due), (SELECT count(*) FROM u), (SELECT count(*) FROM l)
)sql";

// $1 peers, $2 old live epochs, $3 new live epochs, $4 time, $5 node, $6 replay. Rows of a refreshed generation that
// the dump did not repeat: withdrawn, in table and history. A scan of the table; hash join allowed for it.
inline constexpr const char* kSweepLeftovers = R"sql(
WITH g AS (
  UPDATE rib r SET withdrawn = true, ts = $4::timestamptz
  FROM unnest($1::int4[], $2::int4[], $3::int4[]) AS x(peer_id, old_live, new_live)
  WHERE r.peer_id = x.peer_id AND r.epoch >= x.old_live AND r.epoch < x.new_live AND NOT r.withdrawn
  RETURNING r.attr_id, r.origin_as, r.path_id, r.peer_id, r.epoch, r.view, r.prefix)
INSERT INTO rib_log (attr_id, ts, rx, origin_as, path_id, peer_id, epoch, view, withdrawn, replay, node_id, prefix)
SELECT attr_id, $4::timestamptz, $4::timestamptz, origin_as, path_id, peer_id, epoch, view, true, $6::bool, $5::int2,
       prefix
FROM g
)sql";

inline constexpr const char* kTakeOffset =
    "UPDATE ingest_offset SET next_offset = $5 WHERE group_id = $1 AND topic = $2 AND part = $3 AND next_offset = $4";

inline constexpr const char* kUpdatePeers = R"sql(
UPDATE peers p SET epoch = x.epoch, live_epoch = x.live_epoch, down_epoch = x.down_epoch, up = x.up::bool,
  opener = x.opener, opener_offset = x.opener_offset,
  up_at = coalesce(x.up_at, p.up_at), down_at = coalesce(x.down_at, p.down_at),
  synced_at = coalesce(x.synced_at, p.synced_at),
  stale_at = CASE WHEN x.clear_stale = 1 THEN NULL ELSE coalesce(x.stale_at, p.stale_at) END,
  incomplete = CASE WHEN x.complete = 1 THEN false ELSE p.incomplete END,
  is_loc_rib = coalesce(x.loc_rib::bool, p.is_loc_rib)
FROM unnest($1::int4[], $2::int4[], $3::int4[], $4::int4[], $5::int4[], $6::text[], $7::int8[], $8::timestamptz[],
            $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::int4[], $13::int4[], $14::int4[])
  AS x(peer_id, epoch, live_epoch, down_epoch, up, opener, opener_offset, up_at, down_at, synced_at, stale_at,
       clear_stale, complete, loc_rib)
WHERE p.peer_id = x.peer_id
)sql";

}  // namespace bmpha::sink
