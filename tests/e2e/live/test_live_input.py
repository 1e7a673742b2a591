"""Bad input: what a frame or a message that is no good costs, and that it costs nobody else anything."""
import json
import re
import signal
import socket
import struct

import pytest

import bmpgen
from cluster import Process, wait_for


class Recv:
    """One bmp-recv alone."""

    def __init__(self, directory, **settings):
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        values = {"node-name": "n1", "router-id": "sysname", "listen": f"127.0.0.1:{self.port}",
                  "gate-socket": f"ipc://{directory}/link.sock", "publish-socket": f"ipc://{directory}/records.sock",
                  "dump-file": f"{directory}/bmp-recv.json", **settings}
        (directory / "bmp-recv.toml").write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in values.items()))
        self.process = Process("bmp-recv", directory).start()
        wait_for(lambda: "event=listening" in self.log(), 5, "bmp-recv listens")

    def log(self):
        return self.process.log()

    def lines(self, event):
        quoted = f'event="{event}"' if " " in event else f"event={event}"
        return [line for line in self.log().splitlines() if quoted in line]

    def connect(self, name, mode="now"):
        return Speaker(self.port, name, mode)

    def session(self, name):
        return next((s for s in self.process.dump()["sessions"] if s["router"] == name), None)

    def counters(self):
        return self.process.dump()["counters"]


class Speaker:
    """A session whose bytes the test writes itself."""

    def __init__(self, port, name, mode):
        self.router = bmpgen.Router(name, 1, prefixes=3, clock_mode=mode)
        self.peer = next(iter(self.router.peers.values()))
        self.socket = socket.create_connection(("127.0.0.1", port), 5)
        self.sent = 0
        self.send(bmpgen.initiation(name) + self.peer.up_message(self.router.clock))

    def send(self, data):
        self.socket.sendall(data)
        self.sent += len(data)

    def route(self, update):
        self.send(self.peer.route_message(self.router.clock, update))

    def announce(self, number, prefix="172.16.0.0/24"):
        self.route(bmpgen.announcement(prefix, self.peer.asn, number))

    def ended(self, seconds=3):
        """True when the other side has closed."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


@pytest.fixture
def recv(tmp_path):
    made = []

    def make(**settings):
        made.append(Recv(tmp_path, **settings))
        return made[-1]
    yield make
    for one in made:
        print(one.process.tail())
        one.process.close()


BAD_FRAMES = {
    "oversized": struct.pack("!BIB", 3, 0x7FFFFFFF, 0),
    "length below the header's": struct.pack("!BIB", 3, 5, 0),
    "another version": struct.pack("!BIB", 9, 64, 0) + b"\0" * 58,
    "another protocol": b"GET / HTTP/1.1\r\nHost: collector\r\n\r\n",
}


@pytest.mark.parametrize("what", BAD_FRAMES)
def test_bad_frame_closes_only_its_session(recv, what):
    r = recv()
    good, bad = r.connect("good"), r.connect("bad")
    bad.announce(1)
    wait_for(lambda: (r.session("bad") or {}).get("bytes") == bad.sent, 3, "what came before has been read")
    offset = bad.sent
    bad.send(BAD_FRAMES[what])
    assert bad.ended(), "the session stays open"
    good.announce(2)
    wait_for(lambda: r.session("good")["bytes"] == good.sent, 3, "the other session goes on")
    assert not good.ended(0.2)
    line, = r.lines("bad frame")
    assert "router=bad " in line and f"offset={offset} " in line and re.search(r"reason=\S", line), line
    assert r.counters()["bad_frames"] == 1


def test_truncated_frame_ends_with_its_session(recv):
    r = recv()
    bad = r.connect("bad")
    whole = bad.peer.route_message(bad.router.clock, bmpgen.announcement("172.16.0.0/24", 65001, 7))
    bad.send(whole[:len(whole) // 2])
    bad.socket.shutdown(socket.SHUT_WR)
    assert bad.ended()
    wait_for(lambda: r.lines("session down"), 3, "the session's end is logged")
    line, = r.lines("session down")
    assert "router=bad " in line and "reason=" in line and str(bad.sent) in line, line
    assert r.counters()["prefixes_announced"] == 0


def bad_updates(asn):
    good = bmpgen.announcement("172.16.0.0/24", asn, 5)
    marker, body = good[:19], good[19:]
    yield "attribute length beyond the message", marker + body[:2] + struct.pack("!H", 4000) + body[4:], "update_length"
    yield "withdrawn length beyond the message", marker + struct.pack("!H", 4000) + body[2:], "update_length"
    yield "prefix of 77 bits", bmpgen.bgp(2, body[:-4] + bytes([77]) + body[-3:]), "nlri"
    yield "no marker", b"\0" * 16 + good[16:], "bgp_header"
    yield "BGP length beyond the frame", good[:16] + struct.pack("!H", 4000) + good[18:], "bgp_header"


@pytest.mark.parametrize("number", range(5), ids=[what for what, _, _ in bad_updates(65001)])
def test_bad_update_costs_one_message(recv, number):
    r = recv()
    speaker = r.connect("r1")
    what, update, reason = list(bad_updates(speaker.peer.asn))[number]
    speaker.announce(1)
    speaker.route(update)
    speaker.announce(2, "172.16.9.0/24")
    wait_for(lambda: (r.session("r1") or {}).get("bytes") == speaker.sent, 3, "all has been read")
    assert not speaker.ended(0.2), "the session was closed"
    counters = r.counters()
    assert sum(counters["parse_errors"].values()) == 1, (what, counters["parse_errors"])
    assert counters["parse_errors"].get(reason) == 1, counters["parse_errors"]
    assert counters["prefixes_announced"] == 2
    line, = r.lines("bad message")
    assert "router=r1 " in line and f"reason={reason}" in line


def test_unknown_messages_are_counted(recv):
    r = recv()
    speaker = r.connect("r1")
    speaker.send(bmpgen.bmp(99, b"what is this"))
    speaker.announce(1)
    wait_for(lambda: (r.session("r1") or {}).get("bytes") == speaker.sent, 3, "all has been read")
    counters = r.counters()
    assert counters["messages"]["unknown"] == 1 and counters["prefixes_announced"] == 1


def test_no_sysname_is_refused_and_says_why(recv):
    r = recv()
    with socket.create_connection(("127.0.0.1", r.port), 5) as one:
        one.sendall(bmpgen.bmp(bmpgen.INITIATION, bmpgen.tlv(1, b"nameless")))
        one.settimeout(3)
        assert one.recv(1) == b""
    line, = r.lines("connection closed")
    assert "sysName" in line and "127.0.0.1" in line


def test_address_outside_allow_is_refused(recv):
    r = recv(allow=["192.0.2.0/24"])
    with socket.create_connection(("127.0.0.1", r.port), 5) as one:
        one.settimeout(3)
        assert one.recv(1) == b""
    line, = r.lines("connection refused")
    assert "allow" in line


def test_silent_connection_is_closed(recv):
    r = recv(**{"handshake-timeout": "300ms"})
    with socket.create_connection(("127.0.0.1", r.port), 5) as one:
        one.settimeout(3)
        assert one.recv(1) == b""
    assert r.counters()["handshake_timeouts"] == 1


def test_signals(recv):
    """USR1 writes JSON, HUP changes nothing that runs, TERM ends with 0."""
    r = recv()
    speaker = r.connect("r1")
    r.process.signal(signal.SIGHUP)
    wait_for(lambda: r.lines("configuration reloaded"), 3, "HUP is logged")
    speaker.announce(1)
    wait_for(lambda: r.session("r1")["bytes"] == speaker.sent, 3, "the session lives on")
    assert r.process.terminate() == 0
    assert speaker.ended()


def test_hup_with_a_bad_file_keeps_running(recv):
    r = recv()
    r.process.config.write_text('listne = "x"\n')
    r.process.signal(signal.SIGHUP)
    wait_for(lambda: "listne" in r.log(), 3, "the error is logged")
    assert r.process.running() and r.process.dump()["node"] == "n1"


def test_dump_without_file_is_one_line(recv, tmp_path):
    r = recv(**{"dump-file": ""})
    r.process.signal(signal.SIGUSR1)
    wait_for(lambda: any(line.startswith("{") for line in r.log().splitlines()), 3, "the state on standard output")
    line, = [line for line in r.log().splitlines() if line.startswith("{")]
    assert json.loads(line)["tool"] == "bmp-recv"
