R"sql(
CREATE TABLE routers (
  router_id    int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  hash         uuid UNIQUE NOT NULL,
  ip           inet,
  name         text,
  description  text,
  init_data    text,
  bgp_id       inet,
  is_collector bool NOT NULL DEFAULT false,
  first_seen   timestamptz NOT NULL DEFAULT now(),
  init_at      timestamptz,
  stale_at     timestamptz,
  down_at      timestamptz
);
COMMENT ON COLUMN routers.is_collector IS 'the pseudo-router that carries the collector object';
COMMENT ON COLUMN routers.stale_at IS 'no collector has had the router since then';
COMMENT ON COLUMN routers.down_at IS 'given up by the cluster';

CREATE TABLE collectors (
  hash uuid PRIMARY KEY, admin_id text NOT NULL, routers text NOT NULL, router_count int8 NOT NULL,
  action text NOT NULL, at timestamptz NOT NULL
);

CREATE TABLE nodes (
  node_id int2 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name    text UNIQUE NOT NULL
);

CREATE TABLE peers (
  peer_id       int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  hash          uuid UNIQUE NOT NULL,
  router_id     int4 NOT NULL REFERENCES routers,
  topic         text NOT NULL,
  part          int4 NOT NULL,
  addr          inet,
  asn           int8,
  bgp_id        inet,
  rd            text,
  name          text,
  is_l3vpn      bool,
  is_ipv4       bool,
  is_loc_rib    bool NOT NULL DEFAULT false,
  is_filtered   bool,
  table_name    text,
  local_addr    inet,
  local_port    int4,
  local_asn     int8,
  local_bgp_id  inet,
  remote_port   int4,
  hold_time     int4,
  local_hold_time int4,
  sent_capabilities text,
  recv_capabilities text,
  info          text,
  bmp_reason    int2,
  bgp_error     int2,
  bgp_suberror  int2,
  error_text    text,
  epoch         int4 NOT NULL DEFAULT 0,
  live_epoch    int4 NOT NULL DEFAULT 0,
  down_epoch    int4 NOT NULL DEFAULT 0,
  opener        text NOT NULL DEFAULT '',
  opener_offset int8 NOT NULL DEFAULT -1,
  up            bool NOT NULL DEFAULT false,
  incomplete    bool NOT NULL DEFAULT false,
  up_at         timestamptz,
  down_at       timestamptz,
  stale_at      timestamptz,
  synced_at     timestamptz
) WITH (fillfactor = 50);
CREATE INDEX ON peers (topic, part);
COMMENT ON COLUMN peers.epoch IS 'generation that the sink gives its routes; one more with every opener';
COMMENT ON COLUMN peers.live_epoch IS 'routes of older generations are dead';
COMMENT ON COLUMN peers.incomplete IS 'records were lost from the log; healed by the next full dump';

CREATE TABLE peer_event (
  peer_id int4 NOT NULL, epoch int4 NOT NULL, ts timestamptz NOT NULL, rx timestamptz NOT NULL,
  kind int2 NOT NULL, info jsonb NOT NULL
);
CREATE INDEX ON peer_event (peer_id, rx);
CREATE INDEX ON peer_event USING brin (rx);
COMMENT ON COLUMN peer_event.kind IS
  '1 up, 2 down, 3 end of RIB, 4 first seen, 5 synced, 6 not in the dump, 7 router given up, 8 router stale';

CREATE TABLE base_attrs (
  attr_id           uuid PRIMARY KEY,
  first_seen        timestamptz NOT NULL,
  origin_as         int8,
  med               int8,
  local_pref        int8,
  origin            int2,
  atomic_aggregate  bool NOT NULL,
  next_hop          inet,
  originator_id     inet,
  as_path           int8[] NOT NULL,
  as_path_text      text,
  communities       int8[] NOT NULL,
  ext_communities   text[] NOT NULL,
  large_communities text[] NOT NULL,
  cluster_list      text[] NOT NULL,
  aggregator        text
);
COMMENT ON COLUMN base_attrs.attr_id IS 'content hash of all path attributes and the next hop, the same for all peers';
COMMENT ON COLUMN base_attrs.origin IS '0 igp, 1 egp, 2 incomplete';
COMMENT ON COLUMN base_attrs.as_path_text IS 'only where the path has sets';
COMMENT ON COLUMN base_attrs.communities IS 'asn << 16 | value; see community_text()';

CREATE TABLE rib (
  attr_id   uuid,
  origin_as int8,
  path_id   int8 NOT NULL DEFAULT 0,
  ts        timestamptz NOT NULL,
  first_ts  timestamptz NOT NULL,
  peer_id   int4 NOT NULL,
  epoch     int4 NOT NULL,
  view      int2 NOT NULL,
  withdrawn bool NOT NULL,
  prefix    cidr NOT NULL,
  PRIMARY KEY (prefix, peer_id, view, path_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE rib IS 'current state, dead rows included; read rib_live or routes';
COMMENT ON COLUMN rib.view IS '0 Adj-RIB-In pre, 1 Adj-RIB-In post, 2 Adj-RIB-Out pre, 3 Adj-RIB-Out post, 4 Loc-RIB';

CREATE TABLE rib_log (
  attr_id   uuid,
  ts        timestamptz NOT NULL,
  rx        timestamptz NOT NULL,
  origin_as int8,
  path_id   int8 NOT NULL,
  peer_id   int4 NOT NULL,
  epoch     int4 NOT NULL,
  view      int2 NOT NULL,
  withdrawn bool NOT NULL,
  replay    bool NOT NULL,
  node_id   int2,
  prefix    cidr NOT NULL
) PARTITION BY RANGE (rx);
CREATE INDEX ON rib_log (prefix, ts);
CREATE INDEX ON rib_log USING brin (ts);
COMMENT ON TABLE rib_log IS 'every change of a route''s attributes or life; ts by the router''s clock, rx when a collector read it';
COMMENT ON COLUMN rib_log.replay IS 'sent again by a node that took over';

CREATE TABLE stat_report (
  ts timestamptz NOT NULL, rx timestamptz NOT NULL,
  rejected int8 NOT NULL, dup_prefix int8 NOT NULL, dup_withdraw int8 NOT NULL, cluster_loop int8 NOT NULL,
  as_path_loop int8 NOT NULL, originator_loop int8 NOT NULL, confed_loop int8 NOT NULL,
  adj_rib_in int8 NOT NULL, loc_rib int8 NOT NULL,
  peer_id int4 NOT NULL, node_id int2
) PARTITION BY RANGE (rx);
CREATE INDEX ON stat_report (peer_id, rx);

CREATE TABLE ingest_topic (topic text PRIMARY KEY, group_id text NOT NULL, partitions int4 NOT NULL);
COMMENT ON TABLE ingest_topic IS 'what this database is fed from; a sink with other settings refuses to start';
CREATE TABLE ingest_offset (
  group_id text, topic text, part int4, next_offset int8 NOT NULL,
  PRIMARY KEY (group_id, topic, part)
) WITH (fillfactor = 20);
CREATE TABLE ingest_fence (
  topic text, part int4, router_id int4 REFERENCES routers, epoch int8 NOT NULL, settled jsonb NOT NULL,
  runs jsonb NOT NULL, PRIMARY KEY (topic, part, router_id)
) WITH (fillfactor = 50);
COMMENT ON COLUMN ingest_fence.settled IS 'node -> highest settled gen';
COMMENT ON COLUMN ingest_fence.runs IS 'session -> offset of its latest run';
CREATE TABLE ingest_gap (
  topic text NOT NULL, part int4 NOT NULL, from_offset int8 NOT NULL, to_offset int8 NOT NULL,
  at timestamptz NOT NULL DEFAULT now(), healed_at timestamptz
);
CREATE TABLE ingest_rejected (
  topic text NOT NULL, part int4 NOT NULL, record_offset int8 NOT NULL, at timestamptz NOT NULL DEFAULT now(),
  reason text NOT NULL, raw bytea NOT NULL
);
CREATE INDEX ON ingest_rejected (at);
COMMENT ON TABLE ingest_rejected IS 'records and rows that could not be understood; their neighbours were stored';

-- The prefixes that can cover an address: `prefix = ANY(supernets(addr))` is a longest-prefix match by the primary key.
CREATE FUNCTION supernets(a inet) RETURNS cidr[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT array_agg(network(set_masklen(a, n))::cidr) FROM generate_series(0, masklen(a)) AS n $$;

CREATE FUNCTION community_text(c int8[]) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT coalesce(array_agg((v >> 16) || ':' || (v & 65535) ORDER BY n), '{}') FROM unnest(c) WITH ORDINALITY AS t(v, n) $$;

CREATE FUNCTION view_name(v int2) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT (ARRAY['adj-in-pre', 'adj-in-post', 'adj-out-pre', 'adj-out-post', 'loc-rib'])[v + 1] $$;

CREATE VIEW rib_live AS
  SELECT r.* FROM rib r JOIN peers p USING (peer_id) WHERE p.up AND r.epoch >= p.live_epoch AND NOT r.withdrawn;

CREATE VIEW routes AS
  SELECT coalesce(nullif(ro.name, ''), host(ro.ip), ro.hash::text) AS router, ro.ip AS router_ip,
         p.addr AS peer, p.asn AS peer_asn, p.rd AS peer_rd, view_name(r.view) AS view, r.prefix, r.path_id,
         r.origin_as, a.as_path, coalesce(a.as_path_text, array_to_string(a.as_path, ' ')) AS as_path_text,
         a.next_hop, (ARRAY['igp', 'egp', 'incomplete'])[a.origin + 1] AS origin, a.med, a.local_pref,
         community_text(a.communities) AS communities, a.ext_communities, a.large_communities, a.cluster_list,
         a.originator_id, a.aggregator, a.atomic_aggregate, r.ts AS changed_at, r.first_ts AS first_at,
         p.stale_at, p.incomplete, r.peer_id, p.router_id, r.attr_id
  FROM rib r JOIN peers p USING (peer_id) JOIN routers ro USING (router_id) LEFT JOIN base_attrs a USING (attr_id)
  WHERE p.up AND r.epoch >= p.live_epoch AND NOT r.withdrawn;

CREATE VIEW route_history AS
  SELECT coalesce(nullif(ro.name, ''), host(ro.ip), ro.hash::text) AS router, p.addr AS peer, p.asn AS peer_asn,
         p.rd AS peer_rd, view_name(l.view) AS view, l.prefix, l.path_id, NOT l.withdrawn AS announced, l.ts, l.rx,
         l.origin_as, coalesce(a.as_path_text, array_to_string(a.as_path, ' ')) AS as_path_text, a.next_hop, a.med,
         a.local_pref, community_text(a.communities) AS communities, a.ext_communities, a.large_communities,
         l.replay, n.name AS node, l.epoch, l.peer_id, l.attr_id
  FROM rib_log l JOIN peers p USING (peer_id) JOIN routers ro USING (router_id)
       LEFT JOIN base_attrs a USING (attr_id) LEFT JOIN nodes n USING (node_id);

CREATE VIEW peer_status AS
  SELECT coalesce(nullif(ro.name, ''), host(ro.ip), ro.hash::text) AS router, p.addr AS peer, p.asn, p.rd, p.bgp_id,
         p.up, p.incomplete, p.up_at, p.down_at, p.synced_at, p.stale_at, p.bmp_reason, p.error_text, p.is_loc_rib,
         p.epoch, p.live_epoch, p.peer_id, p.router_id
  FROM peers p JOIN routers ro USING (router_id);
)sql"
