"""BMP as it came, through Kafka and back: a recording is sent to a node, its raw messages are read by a reader of this
file's own and relayed by bmp-tap to a second node, and both nodes say the same; bmp-tap shows it at every station."""
import json
import secrets
import socket
import struct
import subprocess
import time

import pytest

from confluent_kafka import Consumer, TopicPartition
from harness import verdict
from harness.cluster import BIN, TREE, wait_for
from harness.kafka_log import decode_header

STREAM = TREE / "tests/data/frr_flap.bmp"
GROUPS = ["other=192.0.2.0/24", "edge=127.0.0.0/8", "wide=0.0.0.0/0"]
pytestmark = [pytest.mark.scenario, pytest.mark.loss]


def tap(*arguments, code=0):
    done = subprocess.run([BIN / "bmp-tap", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    return done.stdout


def obmp(value):
    """The layout of the published form, field by field."""
    magic, major, minor, header, length, flags, kind, seconds, micros = struct.unpack_from("!4sBBHIBBII", value)
    assert (magic, major, minor, kind) == (b"OBMP", 1, 7, 12) and flags == 0x80 and micros < 1000000
    (admin_size,) = struct.unpack_from("!H", value, 38)
    at = 40 + admin_size
    (group_size,) = struct.unpack_from("!H", value, at + 32)
    (rows,) = struct.unpack_from("!I", value, at + 34 + group_size)
    assert header == 78 + admin_size + group_size == at + 38 + group_size and len(value) == header + length and rows == 1
    return {"collector": value[22:38].hex(), "admin": value[40:at].decode(), "router": value[at:at + 16].hex(),
            "ip": value[at + 16:at + 32], "group": value[at + 34:at + 34 + group_size].decode(), "message": value[header:],
            "seconds": seconds}


def read_topic(brokers, topic):
    """[(partition, key, header, value)] of all that is there now."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "e2e-raw", "enable.auto.commit": False})
    try:
        found = []
        for number in consumer.list_topics(topic, 10).topics[topic].partitions:
            partition = TopicPartition(topic, number)
            low, high = consumer.get_watermark_offsets(partition, 10)
            partition.offset = low
            consumer.assign([partition])
            for _ in range(high - low):
                message = consumer.poll(10)
                assert message is not None and message.error() is None
                found.append((number, message.key().decode(), decode_header(dict(message.headers())["bmpha"]), message.value()))
        return found
    finally:
        consumer.close()


def table(rows):
    """What a session's rows say in the end; hashes and sequences belong to the session."""
    live = {}
    for row in rows:
        if row["object"] == "unicast_prefix":
            key = (row["view"], row["peer_ip"], row["prefix"], row["prefix_len"], row["path_id"])
            live.pop(key, None)
            if row["action"] == "add":
                live[key] = (row["as_path"], row["next_hop"], row["med"], tuple(row["communities"]))
    return live


def json_rows(text):
    return [json.loads(line) for line in text.splitlines()]


def raw_settings(topic, **recv):
    return {"bmp-recv": {"bmp-raw": True, "router-group": GROUPS, **recv}, "kafka-gate": {"raw-topic": topic}}


def test_bmp_goes_into_kafka_as_it_came_and_out_again(lab):
    topic = f"e2e-{secrets.token_hex(4)}.bmp_raw"
    first = lab.cluster(("A",), standalone=True, settings=raw_settings(topic, **{"router-id": "ip"}))
    node = first.nodes["A"]
    brokers = ["--kafka-brokers", first.brokers, "--from", "start", "--stop-at-end", "--json"]
    heard_path = lab.directory / "heard"
    with open(heard_path, "wb") as out:  # not a pipe: nobody reads it in time
        listener = subprocess.Popen([BIN / "bmp-tap", "--json", "--subscribe", node.recv.settings["publish-socket"],
                                     "--type", "unicast_prefix", "--type", "bmp_raw"], stdout=out)
    lab.at_end(listener.kill)
    first.start()
    wait_for("A listens, and someone to it", 20, lambda: node.recv.events("listening") and node.recv.state()["subscribers"])
    stream = STREAM.read_bytes()
    with socket.create_connection(node.address, 5) as router:  # no faster than the subscriber can follow
        for at in range(0, len(stream), 2000):
            router.sendall(stream[at:at + 2000])
            time.sleep(0.02)
    expected = table(json_rows(tap("--json", STREAM)))
    assert len(expected) > 20

    def parsed():
        return json_rows(tap(*brokers, "--topic", first.topic))

    wait_for("the recording's routes stand in Kafka", 30, lambda: table(parsed()) == expected, every=0.5)
    # Raw: every byte, in order, in one partition.
    wait_for("so does the recording itself", 20,
             lambda: sum(len(obmp(r[3])["message"]) for r in read_topic(first.brokers, topic) if r[2].kind == "raw") >= len(stream),
             every=0.5)
    records = read_topic(first.brokers, topic)
    raw = [r for r in records if r[2].kind == "raw"]
    read = [obmp(r[3]) for r in raw]
    assert b"".join(m["message"] for m in read) == stream
    assert len({r[0] for r in raw}) == 1 and {r[1] for r in raw} == {read[0]["router"]} == {r[2].router for r in raw}
    assert {(m["admin"], m["group"], m["ip"]) for m in read} == {(first.name, "edge", b"\x7f\0\0\1" + bytes(12))}
    # Control records of the router are in every partition of this topic as well.
    router = read[0]["router"]
    assert {r[0] for r in records if r[2].kind == "run" and r[2].router == router} == set(range(first.partitions))
    assert not any(r.header.kind == "raw" for r in first.log.read())

    # bmp-tap reads the same.
    shown = json_rows(tap(*brokers, "--topic", topic, "--type", "bmp_raw"))
    assert b"".join(bytes.fromhex(row["message"]) for row in shown) == stream
    assert {(row["node"], row["router_group"], row["router_ip"]) for row in shown} == {("A", "edge", "127.0.0.1")}
    assert all(isinstance(row["epoch"], int) for row in shown)
    controls = json_rows(tap(*brokers, "--topic", first.topic, "--type", "run", "--router", router))
    assert len(controls) == first.partitions
    counters = node.recv.state()["counters"]
    assert (counters["raw_messages"], counters["raw_bytes"]) == (len(raw), len(stream))

    # And relays it to another collector.
    second = lab.cluster(("B",), standalone=True).start()
    other = second.nodes["B"]
    wait_for("B listens", 10, lambda: other.recv.events("listening"))
    tap("--relay", f"127.0.0.1:{other.port}", "--kafka-brokers", first.brokers, "--topic", topic, "--from", "start",
        "--stop-at-end", "--hold", "1s")
    wait_for("the second collector has the routes of the first", 30,
             lambda: table(json_rows(tap(*brokers, "--topic", second.topic))) == expected, every=0.5)
    assert other.recv.state()["counters"]["read_bytes"] == len(stream)

    # What the subscriber saw: the routes once more, and the raw messages.
    heard = json_rows(heard_path.read_text())
    assert table(heard) == expected
    assert b"".join(bytes.fromhex(row["message"]) for row in heard if row["object"] == "bmp_raw") == stream


def test_raw_records_without_a_topic_are_told_and_the_others_go_on(lab):
    cluster = lab.cluster(("A",), standalone=True, settings={"bmp-recv": {"bmp-raw": True, "replay": str(STREAM)}}).start()
    gate = cluster.nodes["A"].gate
    expected = table(json_rows(tap("--json", STREAM)))
    wait_for("the routes stand in Kafka", 30, lambda: table(json_rows(
        tap("--json", "--kafka-brokers", cluster.brokers, "--topic", cluster.topic, "--from", "start", "--stop-at-end"))) == expected,
        every=0.5)
    assert gate.log_lines("raw-topic is not set")
    router = next(r for r in gate.state()["routers"] if r["counters"]["skipped"] > 0)
    assert router["counters"]["skipped"] == cluster.nodes["A"].recv.state()["counters"]["raw_messages"]


# ---- hashes of OpenBMP

def attribute(kind, value):
    return struct.pack("!BBH", 0x50, kind, len(value)) + value


def small_session(large):
    """A peer with one prefix for each of `large`, which are alike in all but their large communities."""
    header = bytes(10) + bytes(12) + bytes([192, 0, 2, 1]) + struct.pack("!I4sII", 65001, bytes([192, 0, 2, 1]), 1700000000, 0)
    capability = struct.pack("!BBI", 65, 4, 65000)
    opened = b"\xff" * 16 + struct.pack("!HBBHH4sB", 29 + 2 + len(capability), 1, 4, 65000, 180, bytes([10, 0, 0, 1]), 2 + len(capability)) \
        + struct.pack("!BB", 2, len(capability)) + capability

    def message(kind, body):
        return struct.pack("!BIB", 3, 6 + len(body), kind) + body
    out = message(4, struct.pack("!HH", 2, 2) + b"r1")
    out += message(3, header + bytes(16) + struct.pack("!HH", 179, 40000) + opened + opened)
    for n, value in enumerate(large):
        attributes = attribute(1, b"\0") + attribute(2, struct.pack("!BBI", 2, 1, 65001)) + attribute(3, bytes([192, 0, 2, 1])) \
            + attribute(32, struct.pack("!III", 65001, 1, value))
        body = struct.pack("!HH", 0, len(attributes)) + attributes + bytes([24, 10, 1, n])
        out += message(0, header + b"\xff" * 16 + struct.pack("!HB", 19 + len(body), 2) + body)
    return out


def test_the_tables_are_exact_with_hashes_of_openbmp(lab):
    cluster = lab.cluster(settings={"bmp-recv": {"compat": "openbmp-psql", "router-id": "ip", "collector-id": "c"}}).start()
    sink = cluster.sink()
    recording = lab.directory / "session.bmp"
    recording.write_bytes(small_session(range(1, 21)))
    compat = ["--compat", "openbmp-psql", "--collector-id", "c", "--router-ip", "127.0.0.1", "--json"]
    shown = [row for row in json_rows(tap(*compat, recording)) if row["object"] == "unicast_prefix"]
    wanted = {(f"{row['prefix']}/{row['prefix_len']}", tuple(row["large_communities"])) for row in shown}
    assert len(wanted) == 20 and len({row["base_attr_hash"] for row in shown}) == 1, "one hash for sets that differ"
    relays = []
    for node in cluster.nodes.values():
        wait_for(f"{node.name} listens", 10, lambda node=node: node.recv.events("listening"))
        relays.append(subprocess.Popen([BIN / "bmp-tap", "--relay", f"127.0.0.1:{node.port}", "--hold", "10m", recording]))
        lab.at_end(relays[-1].kill)

    def found():
        return {(prefix, tuple(large)) for prefix, large in
                (sink.database.sql("SELECT prefix::text, large_communities FROM routes") if sink.database.has("routes") else ())}

    wait_for("the tables are the session's", 40, lambda: found() == wanted, every=0.25)
    ((router,),) = sink.database.sql("SELECT replace(hash::text, '-', '') FROM routers WHERE ip IS NOT NULL")
    assert router == shown[0]["router_hash"], "the hash is the same on all nodes"
    owner = next(name for name, node in cluster.nodes.items() if node.owned())
    cluster.nodes[owner].kill()
    other = next(node for name, node in cluster.nodes.items() if name != owner)
    wait_for("the other node has taken over", 20, other.owned)
    wait_for("and its claim stands in Kafka", 10, lambda: any(r.header.kind == "run" and r.header.node == other.name
                                                              and r.header.router == router for r in cluster.log.read()))
    verdict.wait_until_quiet(cluster, [sink])
    assert found() == wanted
