"""layout = per-object: each object has a topic of its own, and the database is as right as with one topic for all."""
import json
import subprocess

import pytest

from harness import verdict
from harness.cluster import BIN, wait_for
from harness.kafka_log import CONTROL, KafkaLog
from harness.stage import CRASH, Stage

pytestmark = [pytest.mark.scenario, pytest.mark.loss]


def objects(records):
    """Names in the `T` headers; copies and control records have an empty value."""
    return {r.value.split(b"T: ", 1)[1].split(b"\n", 1)[0].decode() for r in records if r.value}


def tap(cluster, *arguments):
    done = subprocess.run([BIN / "bmp-tap", "--json", "--kafka-brokers", cluster.brokers, "--from", "start", "--stop-at-end",
                           *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_owner_dies_and_every_object_is_in_its_topic(lab):
    s = Stage(lab, layout="per-object").settle()
    s.fault(s.node("A").kill).silence()
    s.wait_owner("B")
    v = s.judge()
    s.switched(CRASH, "B", s.of("A"))
    assert v.duplicates <= s.replayed(s.of("A"))
    s.no_order_violations()
    cluster = s.cluster
    rows = s.sink.database
    assert rows.one("SELECT count(*) FROM peers WHERE NOT up OR topic <> %s", f"{cluster.topic}.unicast_prefix") == 0
    assert rows.one("SELECT count(DISTINCT topic) FROM ingest_fence") == 4
    assert rows.one("SELECT count(*) FROM ingest_rejected") == 0
    assert set(r[0] for r in rows.sql("SELECT name FROM routers WHERE NOT is_collector")) == set(s.home)

    def log_of(name):
        log = KafkaLog(cluster.brokers, f"{cluster.topic}.{name}")
        try:
            return log.read()
        finally:
            log.close()

    routes, peers, others = (log_of(n) for n in ("unicast_prefix", "peer", "l3vpn"))
    assert objects(routes) == {"unicast_prefix"} and objects(peers) == {"peer"} and objects(others) == set()
    assert all(r.header.detached for r in peers if r.header.kind not in CONTROL)
    assert not any(r.header.detached for r in routes)
    # What peers live through stands in each topic of routes, and every control record in each partition of each topic.
    def life(records):
        return sorted((r.header.node, r.header.epoch, r.header.session, r.header.sequence)
                      for r in records if r.header.kind == "peer")

    assert life(routes) == life(others) == life(peers) and len(life(peers)) > len(s.home)
    runs = [{(r.partition, r.header.router, r.header.epoch, r.header.session) for r in log if r.header.kind == "run"}
            for log in (routes, peers, others)]
    assert runs[0] == runs[1] == runs[2] and {p for p, *_ in runs[0]} == set(range(cluster.partitions))

    # bmp-tap reads them all, and each record once.
    shown = tap(cluster, "--layout", "per-object", "--topic-root", cluster.name)
    kinds = {row["object"] for row in shown}
    assert {"collector", "router", "peer", "base_attribute", "unicast_prefix", "run", "synced"} <= kinds, kinds
    assert sum(row["object"] == "peer" for row in shown) == sum(len(r.rows()) for r in peers)
    assert sum(row["object"] == "run" for row in shown) == len([r for r in routes if r.header.kind == "run"])


def test_a_database_of_layout_single_goes_on_with_per_object(lab):
    """As docs/operations.md says: gates away, the rest of the old topic stored, then all with the new layout."""
    s = Stage(lab, layout="single").settle(seconds=1).silence()
    s.judge()
    cluster = s.cluster
    for node in cluster.nodes.values():
        node.arbiter.terminate()
        node.gate.terminate()
    verdict.wait_until_quiet(cluster, [s.sink], 1)
    s.sink.terminate()
    known = s.sink.database.one("SELECT count(*) FROM peers WHERE up")
    new = {"layout": "per-object", "topic-root": cluster.name}
    for node in cluster.nodes.values():
        node.gate.write_config(**new)
    subprocess.run([*cluster.node("A").gate.argv, "--create-topics"], check=True, timeout=30)
    s.sink.write_config(**new)
    s.sink.start()
    wait_for("peers are the new topic's", 20, lambda: s.sink.database.one(
        "SELECT count(*) FROM peers WHERE up AND topic = %s", f"{cluster.topic}.unicast_prefix") == known)
    assert not verdict.diff(s.generator.expected(), s.sink.database), "nothing vanishes in between"
    s.fault()
    for node in cluster.nodes.values():
        node.gate.start()
        node.arbiter.start()
    cluster.per_object()
    verdict.wait_for_owners(cluster, s.generator)
    s.generator.churn(s.rate)
    wait_for("routes come in the new topics", 20, lambda: s.sink.database.one(
        "SELECT count(*) FROM ingest_fence WHERE topic LIKE %s", "%unicast_prefix") > 0)
    s.silence()
    s.judge_state()
