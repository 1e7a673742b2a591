"""A recorded stream of FRR through the whole pipeline, against FRR's own tables of that moment."""
import gzip
import ipaddress
import json
import socket
import time

import pytest

from harness import verdict
from harness.cluster import TREE, wait_for

DATA = TREE / "tests/data"
STREAM_BYTES = 328016
FOUND = """SELECT host(p.addr), CASE family(l.prefix) WHEN 4 THEN 'ipv4' ELSE 'ipv6' END, l.prefix::text
           FROM rib_live l JOIN peers p USING (peer_id) WHERE l.view = 0"""


def truth():
    """{(peer, family): prefixes}, pre-policy."""
    tables = json.load(gzip.open(DATA / "frr_truth.json.gz"))
    assert tables["at_bytes"] == STREAM_BYTES
    return {(peer, family): {str(ipaddress.ip_network(p)) for p in routes}
            for peer, families in tables["pre"].items() for family, routes in families.items()}


def found(database):
    out = {}
    for peer, family, prefix in database.sql(FOUND) if database.has("rib_live") else ():
        out.setdefault((peer, family), set()).add(str(ipaddress.ip_network(prefix)))
    return out


def differences(wanted, now):
    return [(k, f"missing {sorted(v - now.get(k, set()))[:3]}", f"too many {sorted(now.get(k, set()) - v)[:3]}")
            for k, v in wanted.items() if now.get(k, set()) != v]


@pytest.mark.scenario
@pytest.mark.loss
def test_a_recorded_session_of_frr_gives_its_tables(lab):
    stream = (DATA / "frr_ha_b2.bmp").read_bytes()[:STREAM_BYTES]
    assert len(stream) == STREAM_BYTES
    cluster = lab.cluster(settings={"bmp-recv": {"router-id": "ip"}}).start()
    sink = cluster.sink()
    wanted = truth()
    assert sum(map(len, wanted.values())) > 1000
    for node in cluster.nodes.values():
        wait_for(f"{node.name} listens", 10, lambda node=node: node.recv.events("listening"))
    routers = [socket.create_connection(node.address, 5) for node in cluster.nodes.values()]
    try:
        began = time.monotonic()
        for router in routers:
            router.sendall(stream)
        wait_for("the tables are FRR's", 40, lambda: not differences(wanted, found(sink.database)), every=0.25)
        lab.figures.update(prefixes=sum(map(len, wanted.values())), right_after_s=round(time.monotonic() - began, 1))
        verdict.wait_until_quiet(cluster, [sink])
        now = found(sink.database)
        assert not differences(wanted, now), differences(wanted, now)
        assert set(now) <= set(wanted), f"peers or families that the router has not: {set(now) - set(wanted)}"
    finally:
        for router in routers:
            router.close()
