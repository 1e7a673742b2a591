// What each essential condition of the sink's SQL is for, by name, and how the statement reads without it
// (common/text_rules.h). Of use to tests only.
#pragma once

#include "common/text_rules.h"

namespace bmpha::sink {

inline constexpr TextRule kSqlRules[] = {
    // S1
    {"SQL-offset", "AND part = $3 AND next_offset = $4", "AND part = $3 AND $4::int8 >= 0"},
    // S2, S4: what a restart takes back
    {"SQL-fence", "DO UPDATE SET epoch = $4, settled = $5, runs = $6", "DO NOTHING"},
    {"SQL-settled", "settled = $5, runs = $6", "runs = $6"},
    {"SQL-runs", "settled = $5, runs = $6", "settled = $5"},
    {"SQL-opener", "opener = x.opener, opener_offset = x.opener_offset,", ""},
    {"SQL-live-epoch", "live_epoch = x.live_epoch, down_epoch", "down_epoch"},
    {"SQL-up", "up = x.up::bool,", ""},
    // S3
    {"S3-times", "(s.last AND r.ctid IS NOT NULL", "(s.last AND r.ctid IS NOT NULL AND s.ts >= r.ts"},
    // S4: a row is alive iff its peer is up, its epoch is not below the peer's live_epoch, and it is not withdrawn
    {"SQL-alive", "NOT r.withdrawn AND r.epoch >= s.live_epoch) AS alive", "NOT r.withdrawn) AS alive"},
    {"SQL-view-up", "SELECT r.* FROM rib r JOIN peers p USING (peer_id) WHERE p.up AND",
     "SELECT r.* FROM rib r JOIN peers p USING (peer_id) WHERE"},
    {"SQL-view-live", "WHERE p.up AND r.epoch >= p.live_epoch AND", "WHERE p.up AND"},
    {"SQL-view-withdrawn", "r.epoch >= p.live_epoch AND NOT r.withdrawn", "r.epoch >= p.live_epoch"},
    {"SQL-routes-view",
     "LEFT JOIN base_attrs a USING (attr_id)\n  WHERE p.up AND r.epoch >= p.live_epoch AND NOT r.withdrawn",
     "LEFT JOIN base_attrs a USING (attr_id)"},
    // One row for each key
    {"SQL-key-peer", "ON r.prefix = s.prefix AND r.peer_id = s.peer_id", "ON r.prefix = s.prefix"},
    {"SQL-key-view", "r.peer_id = s.peer_id AND r.view = s.view", "r.peer_id = s.peer_id"},
    {"SQL-key-path", "r.view = s.view AND r.path_id = s.path_id", "r.view = s.view"},
    {"SQL-last-update", "(s.last AND r.ctid IS NOT NULL", "(r.ctid IS NOT NULL"},
    {"SQL-last-insert", "FROM j WHERE last AND rtid IS NULL", "FROM j WHERE rtid IS NULL"},
    // What changes a row
    {"SQL-changed", "s.attr_id IS DISTINCT FROM r.attr_id))) AS due", "false))) AS due"},
    {"SQL-died", "(NOT s.first OR s.withdrawn <> r.withdrawn OR", "(NOT s.first OR"},
    {"SQL-renewed", "OR s.row_epoch <> r.epoch", ""},
    {"SQL-several", "(NOT s.first OR s.withdrawn", "(s.withdrawn"},
    {"SQL-ts", "THEN j.r_ts ELSE j.ts END", "THEN j.ts ELSE j.ts END"},
    {"SQL-first-ts", "WHEN j.alive OR (j.first AND j.withdrawn) THEN j.r_first", ""},
    {"SQL-last-words", "attr_id = CASE WHEN j.attr_id IS NULL THEN j.r_attr ELSE j.attr_id END", "attr_id = j.attr_id"},
    // S5
    {"SQL-log-change", "(alive AND NOT withdrawn AND attr_id IS DISTINCT FROM r_attr)", "(alive AND NOT withdrawn)"},
    {"SQL-log-life", "WHEN first THEN alive = withdrawn OR (alive", "WHEN first THEN (alive"},
    {"SQL-log-folded", "             ELSE log END", "             ELSE true END"},
    {"SQL-log-before", "SELECT CASE WHEN attr_id IS NULL THEN r_attr ELSE attr_id END, ts, rx,",
     "SELECT attr_id, ts, rx,"},
    {"SQL-replay", "path_id, peer_id, epoch, view, withdrawn, replay,\n         node_id, prefix\n  FROM j",
     "path_id, peer_id, epoch, view, withdrawn, false,\n         node_id, prefix\n  FROM j"},
    {"SQL-leftover-new", "AND r.epoch < x.new_live AND NOT r.withdrawn", "AND NOT r.withdrawn"},
    {"SQL-leftover-old", "AND r.epoch >= x.old_live AND", "AND"},
    {"SQL-leftover-withdrawn", "r.epoch < x.new_live AND NOT r.withdrawn", "r.epoch < x.new_live"},
    {"SQL-leftover-peer", "WHERE r.peer_id = x.peer_id AND r.epoch >=", "WHERE r.epoch >="},
    {"SQL-leftover-row", "SET withdrawn = true, ts = $4", "SET ts = $4"},
    // What is deleted, and what a gap leaves behind
    {"SQL-sweep", "WHERE r.withdrawn OR r.epoch < p.live_epoch OR", "WHERE r.withdrawn OR r.epoch <= p.live_epoch OR"},
    {"SQL-sweep-down", "(NOT p.up AND p.down_at < $4::timestamptz)", "(NOT p.up AND now() > $4::timestamptz)"},
    {"SQL-sweep-partition", "JOIN unnest($1::text[], $2::int4[]) AS x(topic, part) USING (topic, part)",
     "LEFT JOIN unnest($1::text[], $2::int4[]) AS x(topic, part) USING (topic, part)"},
    {"SQL-gap", "UPDATE peers SET incomplete = true WHERE topic = $1 AND part = $2",
     "UPDATE peers SET incomplete = incomplete WHERE topic = $1 AND part = $2"},
    {"SQL-replaced", "UPDATE peers SET opener_offset = -1 WHERE topic",
     "UPDATE peers SET opener_offset = opener_offset WHERE topic"},
};

}  // namespace bmpha::sink
