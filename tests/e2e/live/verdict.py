"""What became of the generator's changes: lost, wrong, delivered twice; and when a take-over happened."""
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts"))
from demolib.kafka_log import KafkaLog  # noqa: E402

from bmpgen import number_of  # noqa: E402

VIEW = "Adj-RIB-In pre-policy, 0"
RIB = """
SELECT ro.name, host(p.addr), l.prefix::text, l.view, a.large_communities
FROM rib_live l JOIN peers p USING (peer_id) JOIN routers ro USING (router_id) LEFT JOIN base_attrs a USING (attr_id)
"""
NUMBERS = """
SELECT DISTINCT c FROM rib_log l JOIN base_attrs a USING (attr_id), unnest(a.large_communities) c
"""
WITHDRAWALS = """
SELECT ro.name, host(p.addr), l.prefix::text, count(*) FROM rib_log l JOIN peers p USING (peer_id) JOIN routers ro USING (router_id)
WHERE l.withdrawn GROUP BY 1, 2, 3
"""


def topic_ends(brokers, topic):
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "bmpha-e2e-ends", "enable.auto.commit": False})
    try:
        partitions = consumer.list_topics(topic, 10).topics[topic].partitions
        return {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in partitions}
    finally:
        consumer.close()


def read_records(cluster, starts=None):
    log = KafkaLog(cluster.env["KAFKA_BROKERS"], cluster.topic)
    try:
        return log.read(starts or {})
    finally:
        log.close()


def rib_of_database(cluster):
    """{(router, peer, prefix): number}; a row of another view or without a number is its own kind of wrong."""
    out = {}
    for router, peer, prefix, view, communities in cluster.sql(RIB):
        numbers = [n for n in map(number_of, communities or ()) if n is not None]
        key = (router, peer, prefix) if view == 0 else (router, peer, prefix, f"view {view}")
        out[key] = numbers[0] if len(numbers) == 1 else f"numbers {numbers}"
    return out


def wrong_rows(cluster, table):
    found = rib_of_database(cluster)
    keys = set(table) | set(found)
    return sorted((k, f"router {table.get(k)}", f"database {found.get(k)}") for k in keys if table.get(k) != found.get(k))


def lost_changes(cluster, changes):
    """Changes that at least one session carried and the history has not."""
    logged = {number_of(c) for c, in cluster.sql(NUMBERS)}
    lost = [c for c in changes if c.announce and c.carried and c.number not in logged]
    # A withdrawal has no number: their count for each prefix must be reached.
    sent, last = Counter(), {}
    for c in changes:
        key = (c.router, c.peer, c.prefix)
        # Only one that follows an announcement changes anything.
        if not c.announce and c.carried and last.get(key, False):
            sent[key] += 1
        last[key] = c.announce
    have = {(r, p, x): n for r, p, x, n in cluster.sql(WITHDRAWALS)}
    lost += [f"{n - have.get(k, 0)} withdrawals of {k}" for k, n in sent.items() if have.get(k, 0) < n]
    return lost


def numbers_in(record):
    """The numbers of the announced routes of one Kafka record."""
    if record.header.kind != "routes" or b"T: unicast_prefix" not in record.value[:200]:
        return
    for line in record.value.split(b"\n\n", 1)[1].splitlines():
        columns = line.split(b"\t")
        if columns[0] != b"add":
            continue
        for column in columns:
            if column.startswith(b"64500:"):
                for word in column.split():
                    number = number_of(word.decode())
                    if number is not None:
                        yield number


def deliveries(records):
    """{number: how many records announced it}"""
    return Counter(n for r in records for n in set(numbers_in(r)))


def first_run(records, router, after, but_not=None, node=None):
    """The first `run` of that router (hash) by another node than `but_not`, produced after that wall clock."""
    runs = [r for r in records if r.header.kind == "run" and r.header.router == router and r.timestamp_ms >= after * 1000 - 5
            and r.header.node != but_not and node in (None, r.header.node)]
    return min(runs, key=lambda r: (r.timestamp_ms, r.header.epoch)) if runs else None


@dataclass
class Verdict:
    lost: list
    wrong: list
    duplicates: int
    changes: int
    recent: int = 0  # changes that may have been delivered twice
    switch_ms: dict = field(default_factory=dict)  # router: ms
    runs: int = 0

    def line(self, name):
        worst = max(self.switch_ms.values(), default=None)
        return (f"{name}: changes={self.changes} lost={len(self.lost)} wrong={len(self.wrong)} duplicates={self.duplicates} "
                f"(allowed {self.recent}) switches={self.runs} switch_ms={worst}")
