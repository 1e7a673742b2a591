"""A recorded stream of FRR through the whole pipeline, against FRR's own tables of that moment."""
import gzip
import ipaddress
import json
import socket
import time

from cluster import TREE, wait_for

DATA = TREE / "tests/data"
STREAM_BYTES = 328016
PRE_POLICY = 0


def truth():
    """{(peer, family): prefixes}, pre-policy."""
    tables = json.load(gzip.open(DATA / "frr_truth.json.gz"))
    assert tables["at_bytes"] == STREAM_BYTES
    return {(peer, family): {str(ipaddress.ip_network(p)) for p in routes}
            for peer, families in tables["pre"].items() for family, routes in families.items()}


def found(cluster):
    rows = cluster.sql("""SELECT host(p.addr), CASE family(l.prefix) WHEN 4 THEN 'ipv4' ELSE 'ipv6' END, l.prefix::text
                          FROM rib_live l JOIN peers p USING (peer_id) WHERE l.view = %s""", (PRE_POLICY,))
    out = {}
    for peer, family, prefix in rows:
        out.setdefault((peer, family), set()).add(str(ipaddress.ip_network(prefix)))
    return out


def test_recorded_frr_session_gives_its_tables(clusters, judged, say):
    stream = (DATA / "frr_ha_b2.bmp").read_bytes()[:STREAM_BYTES]
    assert len(stream) == STREAM_BYTES
    cluster = clusters(settings=["bmp-recv.router-id=ip"]).start()
    wanted = truth()
    assert sum(map(len, wanted.values())) > 1000
    routers = [socket.create_connection(node.address, 5) for node in cluster.nodes.values()]
    try:
        began = time.monotonic()
        for router in routers:
            router.sendall(stream)

        def same():
            now = found(cluster) if cluster.tables_exist() else {}
            return all(now.get(k, set()) == v for k, v in wanted.items())
        wait_for(same, 40, lambda: f"prefix sets: {differences(wanted, found(cluster))}", 0.25)
        took = time.monotonic() - began
        cluster.settle(3.0)
        now = found(cluster)
        assert not differences(wanted, now)
        assert set(now) <= set(wanted), f"peers or families that the router has not: {set(now) - set(wanted)}"
        say(f"golden: {sum(map(len, wanted.values()))} prefixes of {len({p for p, _ in wanted})} peers, right after {took:.1f} s")
    finally:
        for router in routers:
            router.close()


def differences(wanted, now):
    return [(k, f"missing {sorted(v - now.get(k, set()))[:3]}", f"too many {sorted(now.get(k, set()) - v)[:3]}")
            for k, v in wanted.items() if now.get(k, set()) != v]
