"""What stands in Kafka: every record with its `bmpha` header (common/KAFKA_HEADER.md) and its route rows."""
import struct
import time
from dataclasses import dataclass

from confluent_kafka import Consumer, TopicPartition

KINDS = {3: "router", 4: "peer", 5: "attributes", 6: "routes", 7: "stat", 8: "eor", 9: "raw", 10: "synced", 11: "run",
         12: "stale", 13: "down", 14: "collector"}
CONTROL = ("run", "synced", "stale", "down")
TOPIC = 10000  # between the numbers of two topics' partitions
# Columns of unicast_prefix rows, from 0.
ACTION, PEER, PREFIX, LENGTH, PATH_ID, PRE_POLICY, ADJ_IN, LARGE = 0, 6, 10, 11, 27, 29, 30, 31


@dataclass(frozen=True)
class Header:
    kind: str
    solo: bool
    replay: bool
    in_dump: bool
    opener: bool
    detached: bool  # layout per-object: in a topic that does not order what peers live through
    epoch: int
    gen: int
    router: str
    session: tuple  # receiver incarnation, number
    sequence: int
    read_us: int  # wall clock of the receipt
    node: str
    settled: tuple  # of (node, gen)


def decode_header(data):
    version, kind, flags, epoch, gen = struct.unpack_from("!BBBQQ", data)
    if version != 1:
        raise ValueError(f"bmpha header of version {version}")
    incarnation, number, sequence, read_us, length = struct.unpack_from("!QQQqB", data, 35)
    at = 68 + length
    node = data[68:at].decode()
    settled = []
    count = data[at]
    at += 1
    for _ in range(count):
        n = data[at]
        settled.append((data[at + 1:at + 1 + n].decode(), struct.unpack_from("!Q", data, at + 1 + n)[0]))
        at += 1 + n + 8
    return Header(KINDS.get(kind, str(kind)), bool(flags & 1), bool(flags & 2), bool(flags & 4), bool(flags & 8),
                  bool(flags & 16), epoch, gen,
                  data[19:35].hex(), (incarnation, number), sequence, read_us, node, tuple(settled))


@dataclass(frozen=True)
class Record:
    partition: int
    offset: int
    time: float  # the producer's wall clock, seconds
    key: str
    header: Header
    value: bytes

    def rows(self):
        """Columns of the record's rows, as text."""
        parts = self.value.decode().split("\n\n", 1)
        return [line.split("\t") for line in parts[1].splitlines()] if len(parts) == 2 else []

    def routes(self):
        return self.rows() if self.header.kind == "routes" and b"T: unicast_prefix" in self.value[:200] else []


class KafkaLog:
    """Reads whole topics without joining a group. Everything that was read is kept in `records`, partition by
    partition in offset order; foreign records (without header) are only counted. The partitions of a second topic are
    numbered from 10000 on, and so on."""

    def __init__(self, brokers, *topics):
        self._topics = topics
        self._consumer = Consumer({"bootstrap.servers": brokers, "group.id": "bmpha-e2e-log", "enable.auto.commit": False,
                                   "auto.offset.reset": "earliest", "enable.partition.eof": True,
                                   "fetch.wait.max.ms": 20})
        self.partitions = self._find_partitions()
        self.records = {p: [] for p in self.partitions}
        self.foreign = 0
        self._next = dict.fromkeys(self.partitions, 0)

    def _find_partitions(self, seconds=10):
        """A topic that was just created is not known everywhere at once."""
        deadline = time.monotonic() + seconds
        found = []
        for topic in self._topics:
            while True:
                metadata = self._consumer.list_topics(topic, 10).topics[topic]
                if metadata.error is None and metadata.partitions:
                    break
                assert time.monotonic() < deadline, metadata.error
                time.sleep(0.05)
            found += [self.number(topic, p) for p in sorted(metadata.partitions)]
        return found

    def number(self, topic, partition):
        return self._topics.index(topic) * TOPIC + partition

    def _place(self, number, *offset):
        return TopicPartition(self._topics[number // TOPIC], number % TOPIC, *offset)

    def ends(self):
        return {p: self._consumer.get_watermark_offsets(self._place(p), timeout=10)[1]
                for p in self.partitions}

    def read(self):
        """Reads on to the present end; returns all records so far, partition after partition."""
        todo = {p: end for p, end in self.ends().items() if end > self._next[p]}
        self._consumer.assign([self._place(p, self._next[p]) for p in todo])
        while todo:
            message = self._consumer.poll(10)
            if message is None:
                raise TimeoutError(f"topics {self._topics}: no answer from partitions {sorted(todo)} within 10 s")
            p = self.number(message.topic(), message.partition())
            if message.error():
                todo.pop(p, None)  # the end was reached
                continue
            self._keep(message, p)
            self._next[p] = message.offset() + 1
            if message.offset() + 1 >= todo.get(p, 0):
                todo.pop(p, None)
        self._consumer.unassign()
        return [r for p in self.partitions for r in self.records[p]]

    def _keep(self, message, number):
        raw = dict(message.headers() or ()).get("bmpha")
        if raw is None:
            self.foreign += 1
            return
        self.records[number].append(
            Record(number, message.offset(), message.timestamp()[1] / 1000, (message.key() or b"").decode(),
                   decode_header(raw), message.value() or b""))

    def close(self):
        self._consumer.close()
