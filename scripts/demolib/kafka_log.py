"""What stands in Kafka: records with their `bmpha` header (common/KAFKA_HEADER.md) and their route rows."""
import struct
import time
from collections import Counter
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicPartition

KINDS = {3: "router", 4: "peer", 5: "attributes", 6: "routes", 7: "stat", 8: "eor", 9: "raw", 10: "synced", 11: "run",
         12: "stale", 13: "down", 14: "collector"}
# Columns of unicast_prefix rows, from 0: what one change of a route is. Not the time, the sequence or the node.
IDENTITY = (0, 5, 6, 10, 11, 27, 29, 30)  # action, attributes, peer, prefix, length, path id, pre-policy, adj-in


@dataclass(frozen=True)
class Header:
    kind: str
    solo: bool
    replay: bool
    epoch: int
    gen: int
    router: str
    sequence: int
    read_us: int  # wall clock of the receipt
    node: str


@dataclass(frozen=True)
class Record:
    partition: int
    offset: int
    timestamp_ms: int  # wall clock of the producer
    header: Header
    value: bytes

    def route_identities(self):
        """One tuple per row of a unicast_prefix record."""
        if self.header.kind != "routes" or b"T: unicast_prefix" not in self.value[:200]:
            return
        for line in self.value.split(b"\n\n", 1)[1].splitlines():
            columns = line.split(b"\t")
            yield tuple(columns[c] for c in IDENTITY)


def decode_header(data):
    version, kind, flags, epoch, gen = struct.unpack_from("!BBBQQ", data)
    if version != 1:
        raise ValueError(f"bmpha header of version {version}")
    router = data[19:35].hex()
    sequence, read_us = struct.unpack_from("!Qq", data, 51)
    length = data[67]
    return Header(KINDS.get(kind, str(kind)), bool(flags & 1), bool(flags & 2), epoch, gen, router, sequence, read_us,
                  data[68:68 + length].decode())


class KafkaLog:
    """Reads a whole topic without joining a group."""

    def __init__(self, brokers, topic):
        self._topic = topic
        self._consumer = Consumer({"bootstrap.servers": brokers, "group.id": "bmpha-demo", "enable.auto.commit": False,
                                   "auto.offset.reset": "earliest", "enable.partition.eof": True})
        self._partitions = sorted(self._consumer.list_topics(topic, 10).topics[topic].partitions)

    def ends(self):
        """The next offset of every partition."""
        return {p: self._end(p) for p in self._partitions}

    def _end(self, partition):
        deadline = time.monotonic() + 10
        while True:
            try:
                return self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=10)[1]
            except KafkaException:  # a topic that was just created may have no leader yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def read(self, starts):
        """All records from these offsets up to now, in partition order."""
        todo = {p: end for p, end in self.ends().items() if end > starts.get(p, 0)}
        self._consumer.assign([TopicPartition(self._topic, p, starts.get(p, 0)) for p in todo])
        records = []
        while todo:
            message = self._consumer.poll(10)
            if message is None:
                raise TimeoutError(f"topic {self._topic}: no answer from partitions {sorted(todo)} within 10 s")
            if message.error():
                todo.pop(message.partition(), None)  # the end was reached
                continue
            raw = dict(message.headers() or ()).get("bmpha")
            if raw is not None:
                records.append(Record(message.partition(), message.offset(), message.timestamp()[1], decode_header(raw),
                                      message.value() or b""))
            if message.offset() + 1 >= todo.get(message.partition(), 0):
                todo.pop(message.partition(), None)
        self._consumer.unassign()
        return records

    def close(self):
        self._consumer.close()


@dataclass(frozen=True)
class Switch:
    """What a take-over looks like in Kafka."""

    run_ms: int  # wall clock of the successor's first record
    epoch: int
    duplicates: int  # changes of routes that the successor replayed although the old owner had delivered them
    oldest_ms: int  # how long before its death the old owner had read the oldest of them
    window_ms: int  # how far duplicates may reach back: margin and lag
    allowed: int  # changes that the old owner delivered in that window


def judge_switch(records, router, old_node, killed_at, margin_ms):
    """`killed_at`: seconds; `margin_ms`: how far before the last published progress the successor starts, and how old
    that may be. What Kafka adds to it is measured. None without a successor."""
    killed_ms = killed_at * 1000
    runs = [r for r in records if r.header.kind == "run" and r.header.router == router and r.header.node != old_node
            and r.timestamp_ms >= killed_ms - 5]
    if not runs:
        return None
    first = min(runs, key=lambda r: r.timestamp_ms)
    delivered, replayed = Counter(), Counter()
    read_ms, delay_ms = {}, 0.0
    old = [r for r in records if r.header.router == router and r.header.node == old_node and r.header.epoch < first.header.epoch]
    for record in old:
        read = record.header.read_us / 1000
        for identity in record.route_identities():
            delivered[identity] += 1
            read_ms[identity] = read
        if read > killed_ms - 5000 and not record.header.replay:
            delay_ms = max(delay_ms, record.timestamp_ms - read)
    window_ms = margin_ms + round(delay_ms)
    allowed = sum(1 for r in old if r.header.read_us / 1000 >= killed_ms - window_ms for _ in r.route_identities())
    for record in records:
        header = record.header
        if header.router == router and header.replay and header.node != old_node and header.epoch >= first.header.epoch:
            replayed.update(record.route_identities())
    duplicates = delivered & replayed
    oldest = min((read_ms[identity] for identity in duplicates), default=killed_ms)
    return Switch(first.timestamp_ms, first.header.epoch, duplicates.total(), round(killed_ms - oldest), window_ms, allowed)
