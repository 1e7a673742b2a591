"""The harness itself: a speaker that plays against plain sockets, the cutter, the verdicts."""
import contextlib
import dataclasses
import socket
import struct
import threading
import time
from types import SimpleNamespace

import psycopg2
import pytest
import redis
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from harness import figures, verdict, wire
from harness.bmpgen import Generator
from harness.cluster import wait_for
from harness.cutter import Cutter, KafkaCutter
from harness.kafka_log import Header, Record
from harness.stage import Stage, with_slack
from harness.verdict import Owners, number_of


class TcpSink:
    """Accepts connections and keeps what they carry."""

    def __init__(self):
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(50)
        self.address = self._socket.getsockname()
        self.streams = []
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            data = bytearray()
            self.streams.append(data)
            self.connections.append(connection)
            threading.Thread(target=self._read, args=(connection, data), daemon=True).start()

    @staticmethod
    def _read(connection, data):
        try:
            while chunk := connection.recv(65536):
                data += chunk
        except OSError:
            pass

    def close(self):
        self._socket.close()
        for connection in self.connections:
            connection.close()


def messages(stream):
    """(type, body) of every whole message."""
    found, at = [], 0
    while at + 6 <= len(stream):
        version, length, kind = struct.unpack_from("!BIB", stream, at)
        assert version == 3 and length >= 6
        if at + length > len(stream):
            break
        found.append((kind, bytes(stream[at + 6:at + length])))
        at += length
    return found


def table_of(stream):
    """Replays the route monitoring of a stream: (peer address, post-policy, prefix) -> number. A decoder apart from the
    encoder's own code, for the generator's few attributes only."""
    table, eors = {}, 0
    for kind, body in messages(stream):
        if kind == 2:
            table = {k: v for k, v in table.items() if k[0] != body[10:26]}
        if kind != 0:
            continue
        peer, post, bgp = body[10:26], bool(body[1] & 0x40), body[42 + 19:]
        lost, = struct.unpack_from("!H", bgp)
        withdrawn, rest = bgp[2:2 + lost], bgp[2 + lost:]
        size, = struct.unpack_from("!H", rest)
        attributes, announced = rest[2:2 + size], rest[2 + size:]
        number, at = None, 0
        v6_announced = v6_withdrawn = b""
        while at < len(attributes):
            flags, code = attributes[at], attributes[at + 1]
            if flags & 0x10:
                length, head = struct.unpack_from("!H", attributes, at + 2)[0], 4
            else:
                length, head = attributes[at + 2], 3
            value = attributes[at + head:at + head + length]
            at += head + length
            if code == 32:
                number = struct.unpack_from("!III", value)[2]
            if code == 14:
                v6_announced = value[5 + value[3]:]
            if code == 15:
                v6_withdrawn = value[3:]
        if not (withdrawn or announced or v6_announced or v6_withdrawn):
            eors += 1
        for part in (announced, v6_announced):
            if part:
                table[peer, post, part] = number
        for part in (withdrawn, v6_withdrawn):
            if part:
                table.pop((peer, post, part), None)
    return table, eors


def truth(generator):
    return {(wire.sixteen(peer), bool(view), wire.nlri(prefix)): a.large[0][2]
            for (_router, peer, view, prefix), a in generator.expected().items()}


@pytest.fixture
def sinks():
    made = {"A": TcpSink(), "B": TcpSink()}
    yield made
    for sink in made.values():
        sink.close()


@pytest.fixture
def play(sinks):
    made = []

    def playing(routers=1, **settings):
        generator = Generator(routers, {n: s.address for n, s in sinks.items()}, **settings)
        made.append(generator)
        return generator
    yield playing
    for generator in made:
        generator.close()


def dial(generator):
    for node in "AB":
        generator.start(node)
    deadline = time.monotonic() + 5
    while generator.up("A") + generator.up("B") < 2 * len(generator.routers) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)


def arrived(generator, *streams):
    """Waits until each of these (sink, number of its stream) has told the generator's whole RIB."""
    wait_for("the streams tell the RIB", 15, lambda: all(
        len(sink.streams) > n and table_of(sink.streams[n])[0] == truth(generator) for sink, n in streams))


def test_both_sessions_of_a_router_carry_its_dump_then_every_change(play, sinks):
    generator = play()
    dial(generator)
    generator.churn(400)
    time.sleep(1)
    generator.stop_churn()
    generator.settle_all()
    arrived(generator, (sinks["A"], 0), (sinks["B"], 0))
    time.sleep(0.3)
    for sink in sinks.values():
        table, eors = table_of(sink.streams[0])
        assert table == truth(generator)
        assert eors == 6  # one peer with one view, one with two, two families
        assert [k for k, _ in messages(sink.streams[0])][:3] == [4, 3, 3]
    assert sinks["A"].streams[0] == sinks["B"].streams[0] or len(sinks["A"].streams[0]) == len(sinks["B"].streams[0])
    # Whatever was announced while both were up was carried; states that were replaced before anybody dialled were not.
    assert len(generator.carried()) == sum(bool(c.carried) for c in generator.changes.values()) > 100


def test_a_broken_session_dials_again_and_dumps_the_present_state(play, sinks):
    generator = play()
    generator.configure("A", redial=0.3)
    dial(generator)
    generator.reset("A")
    time.sleep(0.1)
    generator.change("r00", 0, 0, present=False)
    generator.change("r00", 1, 1)
    arrived(generator, (sinks["A"], 1), (sinks["B"], 0))
    assert len(sinks["A"].streams) == 2
    assert table_of(sinks["A"].streams[1])[0] == truth(generator) == table_of(sinks["B"].streams[0])[0]
    assert generator.sessions_of("A") == 2 and generator.sessions_of("B") == 1


def test_a_coalescing_session_sees_final_states_only_and_they_are_known(play, sinks):
    generator = play()
    generator.configure("B", coalesce=0.3)
    dial(generator)
    generator.burst(300)
    arrived(generator, (sinks["A"], 0), (sinks["B"], 0))
    fast, slow = (messages(sinks[n].streams[0]) for n in "AB")
    assert len(slow) < len(fast) / 2
    assert table_of(sinks["A"].streams[0])[0] == table_of(sinks["B"].streams[0])[0] == truth(generator)
    assert 0 < sum(c.coalesced for c in generator.changes.values()) < len(generator.changes)


def test_a_walk_does_not_tell_of_changes_ahead_of_it(play, sinks):
    generator = play()
    generator.configure("B", dump_rate=100)
    dial(generator)
    generator.pause_walk("B")
    # Peer 1 comes last in the walk, so its routes are ahead.
    generator.change("r00", 1, 0, present=False)
    time.sleep(0.2)
    withdrawals = [b for k, b in messages(sinks["B"].streams[0]) if k == 0 and b[42 + 19:42 + 21] != b"\0\0"]
    assert not withdrawals and generator.walking("B") == ["r00"]
    generator.pause_walk("B", paused=False)
    wait_for("the walk ends", 15, lambda: not generator.walking("B"))
    arrived(generator, (sinks["B"], 0))
    assert table_of(sinks["B"].streams[0])[0] == truth(generator)


def test_numbers_that_died_with_their_session_are_not_expected(play):
    generator = play()
    dial(generator)
    generator.stop("B")
    generator.change("r00", 0, 0)
    number = generator.number
    assert number in generator.carried()
    generator.stop("A", how="rst")
    assert number not in generator.carried()


def test_a_reboot_with_one_peer_fewer_leaves_it_out_of_the_dump(play, sinks):
    generator = play()
    dial(generator)
    generator.reboot(remove_peer=0)
    arrived(generator, (sinks["A"], 1))
    table, _ = table_of(sinks["A"].streams[1])
    assert table == truth(generator) and all(peer == wire.sixteen("2001:db8:1::2") for peer, _, _ in table)


def test_the_number_of_a_change_is_found_among_other_communities():
    assert number_of(["1:2:3", "4200000001:7:99"]) == 99
    assert number_of(["1:2:3"]) is None and number_of(None) is None


# --- the cutter ---
@pytest.fixture
def path(sinks):
    cutter = Cutter(sinks["A"].address)
    yield cutter, sinks["A"]
    cutter.close()


def connect(cutter):
    s = socket.create_connection(cutter.address, 5)
    s.settimeout(2)
    return s


def wait_bytes(sink, count, seconds=2):
    deadline = time.monotonic() + seconds
    while sum(map(len, sink.streams)) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return sum(map(len, sink.streams))


def test_the_cutter_passes_bytes_and_the_end(path):
    cutter, sink = path
    with connect(cutter) as s:
        s.sendall(b"x" * 100000)
        assert wait_bytes(sink, 100000) == 100000
        s.shutdown(socket.SHUT_WR)
        sink.connections[0].sendall(b"answer")
        assert s.recv(100) == b"answer"


@pytest.mark.parametrize(("mode", "seconds"), [("pass", 0), ("delay", 0.3)])
def test_a_blackhole_keeps_the_connection_and_the_bytes_until_it_is_healed(path, mode, seconds):
    cutter, sink = path
    with connect(cutter) as s:
        s.sendall(b"a")
        assert wait_bytes(sink, 1) == 1
        cutter.set("blackhole")
        s.sendall(b"b" * 10)
        assert wait_bytes(sink, 2, 0.3) == 1
        with connect(cutter) as later:
            later.sendall(b"c")
            assert wait_bytes(sink, 2, 0.3) == 1
            began = time.monotonic()
            cutter.set(mode, seconds)
            assert wait_bytes(sink, 12) == 12
            assert time.monotonic() - began >= seconds


def test_a_reset_ends_connections_and_refuses_new_ones(path):
    cutter, sink = path
    with connect(cutter) as s:
        s.sendall(b"a")
        assert wait_bytes(sink, 1) == 1
        cutter.set("reset")
        with pytest.raises(ConnectionResetError):
            s.recv(1)
    with pytest.raises(OSError), connect(cutter) as s:
        s.sendall(b"a")
        if s.recv(1) == b"":
            raise ConnectionResetError
    cutter.set("refuse")
    with pytest.raises(ConnectionRefusedError):
        connect(cutter)
    cutter.heal()
    with connect(cutter) as s:
        s.sendall(b"again")
        assert wait_bytes(sink, 6) == 6


def test_a_change_that_no_session_carried_comes_with_the_next_dump(path):
    cutter, sink = path
    generator = Generator(1, {"A": cutter.address})
    try:
        generator.configure("A", redial=0.05)
        generator.start("A")
        wait_for("dialled", 5, lambda: generator.up("A"))
        generator.churn(200)
        time.sleep(0.5)
        generator.stop_churn()
        cutter.set("refuse")
        wait_for("the reset is noticed", 2, lambda: not generator.up("A"))
        generator.change("r00", 0, 0)
        assert generator.number not in generator.carried() and not generator.changes[generator.number].carried
        cutter.heal()
        wait_for("dialled again", 3, lambda: generator.up("A"))
        arrived(generator, (sink, 1))
    finally:
        generator.close()


def test_delay_and_throttle_keep_order_and_pace(path):
    cutter, sink = path
    cutter.set("delay", seconds=0.3)
    with connect(cutter) as s:
        began = time.monotonic()
        s.sendall(b"first")
        time.sleep(0.1)
        s.sendall(b"second")
        assert wait_bytes(sink, 11) == 11 and bytes(sink.streams[0]) == b"firstsecond"
        assert time.monotonic() - began > 0.35
        cutter.set("throttle", rate=100000)
        began = time.monotonic()
        s.sendall(b"x" * 50000)
        assert wait_bytes(sink, 50011) == 50011
        assert time.monotonic() - began > 0.4


def test_a_dropped_path_answers_neither_probes_nor_new_connections_and_sends_again_when_it_is_healed(path):
    cutter, sink = path
    with connect(cutter) as s, connect(cutter) as watched:
        s.sendall(b"a")
        assert wait_bytes(sink, 1) == 1
        for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 2)):
            watched.setsockopt(socket.IPPROTO_TCP, option, value)
        watched.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        watched.settimeout(10)
        cutter.set("drop")
        with pytest.raises(TimeoutError), socket.create_connection(cutter.address, 0.3):
            pass
        with pytest.raises(TimeoutError, match="timed out"):  # the kernel's ETIMEDOUT: its probes went unanswered
            watched.recv(1)
        s.sendall(b"b" * 10)
        assert wait_bytes(sink, 2, 0.3) == 1
        cutter.heal()
        assert wait_bytes(sink, 11, 10) == 11
        with connect(cutter) as later:
            later.sendall(b"c")
            assert wait_bytes(sink, 12) == 12


def retransmitted(connection):
    """tcpi_total_retrans: how many segments TCP has sent again."""
    return struct.unpack_from("I", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 100)[0]


def test_a_lossy_path_loses_packets_and_tcp_mends_it(path):
    """Behind a lost packet TCP gathers what follows, so how many packets there are is up to chance: it goes on until enough are lost."""
    cutter, sink = path
    cutter.set("pass", loss=0.3)
    sent = bytearray()
    with connect(cutter) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = time.monotonic() + 20
        while len(sent) < 25000 or (retransmitted(s) < 5 and time.monotonic() < end):
            sent += bytes([len(sent) // 100 % 250]) * 100
            s.sendall(sent[-100:])
            time.sleep(0.001)
        assert wait_bytes(sink, len(sent), 20) == len(sent)
        assert bytes(sink.streams[-1]) == sent
        assert retransmitted(s) >= 5


# --- every mode on every path that a scenario can cut ---
def over_router(lab, path):
    """A router's session; the answer is that the table arrives."""
    sink = TcpSink()
    lab.at_end(sink.close)
    cutter = path(f"{sink.address[0]}:{sink.address[1]}")[0]

    def ask():
        generator = Generator(1, {"A": cutter.address}, table=2, churn=0)
        try:
            generator.start("A")
            wait_for("the table arrives", 1.5, lambda: any(table_of(s)[0] == truth(generator) for s in sink.streams), every=0.02)
        finally:
            generator.close()
            sink.streams.clear()
    return cutter, ask


def over_redis(lab, path):
    cutter, url = path(lab.servers.redis_url)

    def ask():
        with contextlib.closing(redis.Redis.from_url(url, socket_timeout=1.5, socket_connect_timeout=1.5)) as r:
            assert r.ping()
    return cutter, ask


def over_postgres(lab, path):
    cutter, url = path(lab.servers.database_url)

    def ask():
        connection = psycopg2.connect(url, connect_timeout=2)
        connection.close()
    return cutter, ask


def over_kafka(lab, _path):
    host, port = lab.servers.brokers.split(",")[0].rsplit(":", 1)
    cutter = lab.kafka_cutter((host, int(port)))

    def ask():
        client = AdminClient({"bootstrap.servers": f"127.0.0.1:{cutter.port}", "log_level": 0})
        brokers = client.list_topics("no-such-topic", timeout=1.5).brokers
        assert [b.port for b in brokers.values()] == [cutter.port]
    return cutter, ask


@pytest.mark.scenario
@pytest.mark.parametrize("over", [over_router, over_redis, over_postgres, over_kafka])
def test_every_mode_cuts_every_path(lab, over):
    cutter, ask = over(lab, lab.path)

    def took():
        began = time.monotonic()
        ask()
        return time.monotonic() - began
    ask()
    for mode in ("blackhole", "drop", "reset", "refuse"):
        cutter.set(mode)
        with pytest.raises((AssertionError, OSError, redis.RedisError, psycopg2.Error, KafkaException)):
            ask()
        cutter.heal()
        ask()
    cutter.set("delay", seconds=0.15)
    assert took() >= 0.15
    cutter.set("throttle", rate=3000)
    before = cutter.forwarded
    assert took() >= (cutter.forwarded - before) / 2 / 3000 > 0.002
    cutter.heal()
    ask()


def test_held_bytes_arrive_when_the_path_is_healed_though_their_sender_is_gone(path):
    cutter, sink = path
    with connect(cutter) as s:
        s.sendall(b"a")
        assert wait_bytes(sink, 1) == 1
        cutter.set("hold")
        s.sendall(b"b" * 200000)
        time.sleep(0.1)
    assert wait_bytes(sink, 2, 0.3) == 1
    cutter.heal()
    assert wait_bytes(sink, 200001) == 200001


def test_the_kafka_cutter_puts_its_port_into_metadata_answers():
    broker = TcpSink()
    cutter = KafkaCutter(broker.address)
    try:
        with connect(cutter) as client:
            request = struct.pack("!hhih", 3, 4, 77, -1) + b"\0\0\0\0\0"
            client.sendall((struct.pack("!i", len(request)) + request)[:9])
            time.sleep(0.05)
            client.sendall((struct.pack("!i", len(request)) + request)[9:])
            assert wait_bytes(broker, 4 + len(request)) == 4 + len(request)

            def answer(port):
                body = struct.pack("!iiiih9si", 77, 0, 1, 1, 9, b"127.0.0.1", port) + b"\xff\xffrest"
                return struct.pack("!i", len(body)) + body
            broker.connections[0].sendall(answer(broker.address[1]))
            got = b""
            while len(got) < len(answer(0)):
                got += client.recv(1000)
            assert got == answer(cutter.port)
            # The same bytes as the answer to something else pass unchanged.
            broker.connections[0].sendall(answer(broker.address[1]))
            assert client.recv(1000) == answer(broker.address[1])
    finally:
        cutter.close()
        broker.close()


# --- the verdicts see what is wrong ---
def record(partition, offset, kind, node, epoch, router="r", session=(1, 1), rows=(), **flags):
    header = Header(kind, *(flags.get(f, False) for f in ("solo", "replay", "in_dump", "opener")), False, epoch, 1, router, session,
                    offset, 0, node, ())
    value = "V: 1.7\nT: unicast_prefix\n\n" + "".join("\t".join(row) + "\n" for row in rows) if rows else ""
    return Record(partition, offset, float(offset), router, header, value.encode())


def route(number):
    row = ["add"] + [""] * 31
    row[31] = f"4200000001:0:{number}"
    return row


class StoredHistory:
    """Stands for a database that has these numbers."""

    def __init__(self, numbers, withdrawn=()):
        self.rows = [("r00", "p", 0, "x", False, False, "A", [f"4200000001:0:{n}"]) for n in numbers]
        self.rows += [(*key, True, False, "A", None) for key in withdrawn]

    def sql(self, _query):
        return self.rows


def test_a_number_that_is_not_stored_is_lost(play):
    generator = play()
    dial(generator)
    carried = sorted(generator.carried())
    assert not verdict.lost_numbers(generator, StoredHistory(carried))
    assert list(verdict.lost_numbers(generator, StoredHistory(carried[:-1]))) == carried[-1:]


def test_a_withdrawal_that_is_not_stored_is_lost(play):
    generator = play()
    dial(generator)
    generator.change("r00", 0, 0, present=False)
    key, = generator.withdrawals()
    assert verdict.lost_withdrawals(generator, StoredHistory([])) == 1
    assert verdict.lost_withdrawals(generator, StoredHistory([], [key])) == 0


def test_duplicates_and_late_records_are_counted():
    records = [record(0, 0, "run", "A", 1), record(0, 1, "routes", "A", 1, rows=[route(1), route(2)]), record(0, 2, "run", "B", 2),
               record(0, 3, "routes", "B", 2, rows=[route(2), route(3)]), record(0, 4, "routes", "A", 1, rows=[route(4)])]
    assert verdict.duplicates(records) == 1
    assert [r.offset for r in verdict.late_records(records)] == [4]
    assert not verdict.order_violations(records)


def test_a_record_of_a_session_that_no_run_names_is_a_violation():
    records = [record(0, 0, "run", "A", 1), record(0, 1, "routes", "A", 1, session=(1, 2), rows=[route(1)]),
               record(1, 0, "routes", "A", 1, rows=[route(2)])]
    assert len(verdict.order_violations(records)) == 2


def test_a_claim_by_the_same_node_is_no_switch():
    records = [record(0, 0, "run", "A", 1), record(0, 5, "run", "A", 2), record(0, 6, "run", "B", 3)]
    moved, again = verdict.switches(records, 1)
    assert moved == {"r": ("B", 5.0)} and again == {"r": ("A", 4.0)}


def test_a_router_without_exactly_one_owner_is_wrong():
    gates = {"one": ["A"], "two": ["A", "B"], "other": ["A"], "unnamed": ["B"]}
    owners = Owners(gates, {"one": "A", "two": "A", "other": "B", "none": "A"})
    names = ("one", "two", "none", "other", "unnamed")
    assert owners.wrong(names) == {"two": "on A and B", "none": "nobody owns it", "other": "on A, Redis names B",
                                   "unnamed": "on B, Redis names None"}
    assert set(Owners(gates, None).wrong(names)) == {"two", "none"}


@pytest.mark.scenario
def test_an_owner_that_redis_does_not_name_and_rows_that_were_invisible_are_seen(lab):
    """Real tools; what is wrong is put into Redis and into the database by hand."""
    s = Stage(lab, routers=2, nodes=("A",)).settle(churn=False, seconds=0)
    assert verdict.wrong_owners(s.cluster, s.generator) == {}

    def claimed_by_nobody():
        """Until the arbiter's next tick."""
        with contextlib.closing(s.cluster.redis()) as r:
            key = s.cluster.redis_key("own")
            r.hset(key, mapping=dict.fromkeys(r.hkeys(key), "Z 1"))
        return len(verdict.wrong_owners(s.cluster, s.generator, seconds=0)) == 2
    wait_for("both routers have a wrong owner", 10, claimed_by_nobody)
    verdict.wait_for_owners(s.cluster, s.generator)

    database, steady = s.sink.database, s.generator.steady()
    s.watch(every=0.02)
    polls = s.watching.polls
    wait_for("some polls", 5, lambda: s.watching.polls > polls + 5)
    assert s.blanked() == []
    # A peer of the first router is hidden for a moment: its rows, and no others, were invisible.
    hidden = {key for key in steady if key[:2] == ("r00", "198.18.0.1")}
    peer = "(SELECT peer_id FROM peers JOIN routers USING (router_id) WHERE routers.name = 'r00' AND addr = '198.18.0.1')"
    database.sql(f"UPDATE peers SET up = false WHERE peer_id = {peer}")
    polls = s.watching.polls
    wait_for("some polls", 5, lambda: s.watching.polls > polls + 5)
    database.sql(f"UPDATE peers SET up = true WHERE peer_id = {peer}")
    assert hidden and set(s.blanked()) == hidden and s.blanked(hidden=["r00"]) == []
    # What nobody saw stands in the history.
    s.watch()
    row = ("SELECT peer_id, prefix FROM rib_live JOIN peers USING (peer_id) JOIN routers USING (router_id) "
           "WHERE routers.name = 'r01' LIMIT 1")
    database.sql("INSERT INTO rib_log SELECT attr_id, ts, rx, origin_as, path_id, peer_id, epoch, view, true, replay, node_id, "
                 f"prefix FROM rib_log WHERE (peer_id, prefix) IN ({row}) LIMIT 1")
    assert len(s.blanked()) == 1
    s.watch()
    database.sql(f"INSERT INTO peer_event SELECT peer_id, 1, now(), now(), 2, '{{}}' FROM peers WHERE peer_id = {peer}")
    assert set(s.blanked()) == hidden
    # Routes that a script has touched may be invisible.
    s.generator.peer_flap("r00", 0)
    assert s.blanked() == []


@pytest.mark.scenario
def test_judging_fails_when_a_row_was_invisible_or_an_owner_is_wrong(lab):
    s = Stage(lab, routers=1, nodes=("A",)).settle(churn=False, seconds=0)
    s.judge(quiet=0.5)
    assert {name: lab.figures[name] for name in ("lost", "wrong", "duplicates", "owners_wrong", "blanked")} == dict.fromkeys(
        ("lost", "wrong", "duplicates", "owners_wrong", "blanked"), 0)
    s.sink.database.sql("UPDATE peers SET up = false WHERE addr = '198.18.0.1'")
    time.sleep(0.5)
    s.sink.database.sql("UPDATE peers SET up = true WHERE addr = '198.18.0.1'")
    with pytest.raises(AssertionError, match="20 rows were invisible"):
        s.judge(quiet=0.5)
    assert lab.figures["blanked"] == 20 and lab.figures["owners_wrong"] == 0
    s.generator.stop("A")
    with pytest.raises(AssertionError, match="nobody owns it"):
        s.node("A").arbiter.kill()
        s.judge(quiet=0.5, owners_within=0.5)
    assert lab.figures["owners_wrong"] == 1


@pytest.mark.scenario
def test_judging_a_row_of_the_matrix_fails_when_something_stands_twice_without_a_claim(lab):
    s = Stage(lab, routers=1, nodes=("A",)).settle(churn=False, seconds=0)
    lab.row = 0
    s.judge(quiet=0.5)
    assert lab.bounded
    producer = Producer({"bootstrap.servers": s.cluster.brokers})
    consumer = Consumer({"bootstrap.servers": s.cluster.brokers, "group.id": "bmpha-e2e-again"})
    lab.at_end(consumer.close)
    routes = next(r for r in s.kinds("routes") if r.routes())
    consumer.assign([TopicPartition(s.cluster.topic, routes.partition, routes.offset)])
    message = wait_for("the record", 10, lambda: consumer.poll(1))
    producer.produce(s.cluster.topic, message.value(), message.key(), message.partition(), headers=message.headers())
    producer.flush(10)
    with pytest.raises(AssertionError, match=f"^{len(routes.routes())} duplicates, 0 are allowed"):
        s.judge(quiet=0.5)
    lab.row = None


def test_what_a_later_claim_may_repeat():
    """The seconds before it, or before the last word; the table only where it is said."""
    s = Stage.__new__(Stage)
    now = time.monotonic()
    s.generator = SimpleNamespace(made=lambda: {"r": [now - 20.0, now - 19.5, now - 19.0, now - 1.0]})
    s.home, s.table = {"r": "A"}, {"r": 100}
    wall, first = time.time(), record(0, 0, "run", "A", 1)
    claims = [first]
    s.records = lambda: claims
    assert s.claimed_again(2, dumps=True) == 0, "a router's first claim repeats nothing"
    claims = [first, dataclasses.replace(record(0, 2, "run", "B", 2), time=wall - 10)]
    assert s.claimed_again(0.6, dumps=False) == with_slack(2) and s.claimed_again(2, dumps=True) == with_slack(103)
    claims = [first, dataclasses.replace(record(0, 2, "run", "B", 2), time=wall)]
    assert s.claimed_again(2, dumps=False) == with_slack(1)


# --- the table of a run ---
def test_entries_fold_into_a_line_for_each_row():
    def entry(test, seed, outcome="passed", **measured):
        return figures.entry(test, seed, {"lost": 0, "wrong": 0, "duplicates": 0, "owners_wrong": 0, "blanked": 0, **measured},
                             outcome, 30.04)
    entries = [entry("test_07_a_node_dies[seed1]", 1, duplicates=40, switch_ms=2100),
               entry("test_07_a_node_dies[seed2]", 2, duplicates=30, switch_ms=2700, lost=1, blanked=2),
               figures.entry("test_07_a_node_dies[AB-seed3]", 3, {}, "failed", 1), entry("test_00_nothing[seed1-ABC]", 1),
               entry("test_04_x", 1, "skipped")]
    assert entries[0] == {"row": 7, "seed": 1, "lost": 0, "wrong": 0, "duplicates": 40, "owners_wrong": 0, "blanked": 0,
                          "switch_ms": 2100, "scenario": "a_node_dies", "outcome": "passed", "seconds": 30.0}
    assert [e["scenario"] for e in entries[2:4]] == ["a_node_dies[AB]", "nothing[ABC]"] and entries[2]["lost"] is None
    assert [line.split() for line in figures.text_table(entries)] == [
        ["row", "fault", "passed", "lost", "wrong", "duplicates", "owners_wrong", "blanked", "switch_ms"],
        ["0", "none:", "churn", "1/1", "0", "0", "0", "0", "0", "-"],
        ["4", "psql-sink", "killed", "0/0", "(1", "skipped)", "-", "-", "-", "-", "-", "-"],
        ["7", "node", "dies", "2/3", "1", "0", "40", "0", "2", "2700"]]


def test_a_run_is_published_between_the_marks_of_the_document(tmp_path):
    matrix, document = tmp_path / "matrix.json", tmp_path / "matrix.md"
    rows = [figures.entry(f"test_{row:02d}_x", 3, {"lost": 0, "switch_ms": 2000}, "passed", 1) for row in figures.ROWS]
    figures.write_json(matrix, rows)
    document.write_text(f"before\n{figures.BEGIN}\nold\n{figures.END}\nafter\n")
    for _ in range(2):
        figures.publish(matrix, document)
        text = document.read_text()
        assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
        assert "seeds 3; 37 runs, 37 passed, 0 failed, 0 skipped" in text
        assert "| 7 | node dies | 1/1 | 0 | - | - | - | - | 2000 |" in text
    skipped, failed = ({**rows[7], "outcome": outcome} for outcome in ("skipped", "failed"))
    for run, why in (([*rows[:7], skipped, *rows[8:]], "rows missing: 7 HINT"), (rows[1:-1], "rows missing: 0, 36 HINT"),
                     ([*rows, failed], "scenarios failed: 7 x seed 3 HINT")):
        figures.write_json(matrix, run)
        with pytest.raises(SystemExit, match=why):
            figures.publish(matrix, document)
        assert document.read_text() == text, "nothing is written"
    figures.write_json(matrix, rows)
    document.write_text("no place for it")
    with pytest.raises(SystemExit, match="expected one line"):
        figures.publish(matrix, document)
