"""Bad input: what a frame or a message that is no good costs, and that it costs nobody else anything."""
import json
import os
import re
import resource
import signal
import socket
import struct
import time

import pytest

from harness import wire
from harness.cluster import Tool, free_port, wait_for

PEER = wire.PeerAddress("10.0.1.1", 65001, "10.255.0.1")


def update(number, prefix="172.16.0.0/24"):
    return wire.announce(prefix, wire.Attributes("192.0.2.1", (PEER.asn, 64999), 0, 100, ((65001, 1),), ((64500, 0, number),)))


class Recv(Tool):
    """One bmp-recv alone."""

    def __init__(self, directory, **settings):
        self.port = free_port()
        super().__init__("bmp-recv", "bmp-recv", directory, {
            "node-name": "n1", "router-id": "sysname", "listen": [f"127.0.0.1:{self.port}"],
            "gate-socket": f"ipc://{directory}/link.sock", "publish-socket": f"ipc://{directory}/records.sock"})
        self.write_config(**settings)
        self.start()
        wait_for("bmp-recv listens", 5, lambda: self.events("listening"))

    def connect(self, name=None):
        return Speaker(self.port, name)

    def has_read(self, speaker):
        """Waits until all that was sent has been read."""
        wait_for("all has been read", 3, lambda: [s["bytes"] for s in self.state()["sessions"] if s["router"] == speaker.name]
                 == [speaker.sent])

    def counters(self):
        return self.state()["counters"]


class Speaker:
    """A session whose bytes the test writes itself; without a name it begins with nothing."""

    def __init__(self, port, name=None):
        self.name = name
        self.socket = socket.create_connection(("127.0.0.1", port), 5)
        self.sent = 0
        if name:
            self.send(wire.initiation(name) + wire.peer_up(PEER, time.time()))

    def send(self, data):
        self.socket.sendall(data)
        self.sent += len(data)

    def route(self, message):
        self.send(wire.route_monitoring(PEER, wire.PRE, time.time(), message))

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
        print(one.tail())
        one.kill()


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
    bad.route(update(1))
    r.has_read(bad)
    offset = bad.sent
    bad.send(BAD_FRAMES[what])
    assert bad.ended(), "the session stays open"
    good.route(update(2))
    r.has_read(good)
    assert not good.ended(0.2)
    line, = r.events("bad frame")
    assert "router=bad " in line and f"offset={offset} " in line and re.search(r"reason=\S", line), line
    assert r.counters()["bad_frames"] == 1


WHOLE = wire.route_monitoring(PEER, wire.PRE, 0, update(7))


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(("have", "need"), [(1, 6), (5, len(WHOLE)), (len(WHOLE) // 2, len(WHOLE)), (len(WHOLE) - 1, len(WHOLE))])
def test_truncated_frame_closes_its_session_with_one_line(recv, have, need, reset):
    r = recv()
    good, bad = r.connect("good"), r.connect("bad")
    r.has_read(bad)
    offset = bad.sent
    bad.send(WHOLE[:have])
    time.sleep(0.2)
    before = r.log()
    if reset:
        bad.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        bad.socket.close()
    else:
        bad.socket.shutdown(socket.SHUT_WR)
        assert bad.ended()
    wait_for("the session's end is logged", 3, lambda: r.log() != before)
    time.sleep(0.1)
    line, = r.log()[len(before):].splitlines()
    for word in (" warning ", 'event="bad frame" router=bad ', f" offset={offset} ", ' reason="connection ended inside a message"',
                 f" have={have} need={need}"):
        assert word in line, (word, line)
    counters = r.counters()
    assert (counters["bad_frames"], counters["prefixes_announced"]) == (1, 0)
    assert not good.ended(0.2)


def test_session_that_ends_between_two_frames_is_no_bad_frame(recv):
    r = recv()
    router = r.connect("r1")
    router.send(WHOLE)
    router.socket.shutdown(socket.SHUT_WR)
    assert router.ended()
    wait_for("the session's end is logged", 3, lambda: r.events("session down"))
    line, = r.events("session down")
    assert " info " in line and f" bytes={router.sent} " in line and 'reason="closed by the router"' in line, line
    counters = r.counters()
    assert (counters["bad_frames"], counters["prefixes_announced"]) == (0, 1)


def bad_updates():
    """What is wrong -> (the update, the reason that is counted)."""
    good = update(5)
    marker, body = good[:19], good[19:]
    return {
        "attribute length beyond the message": (marker + body[:2] + struct.pack("!H", 4000) + body[4:], "update_length"),
        "withdrawn length beyond the message": (marker + struct.pack("!H", 4000) + body[2:], "update_length"),
        "prefix of 77 bits": (wire.bgp_message(2, body[:-4] + bytes([77]) + body[-3:]), "nlri"),
        "no marker": (b"\0" * 16 + good[16:], "bgp_header"),
        "BGP length beyond the frame": (good[:16] + struct.pack("!H", 4000) + good[18:], "bgp_header"),
    }


@pytest.mark.parametrize("what", bad_updates())
def test_bad_update_costs_one_message(recv, what):
    r = recv()
    speaker = r.connect("r1")
    message, reason = bad_updates()[what]
    speaker.route(update(1))
    speaker.route(message)
    speaker.route(update(2, "172.16.9.0/24"))
    r.has_read(speaker)
    assert not speaker.ended(0.2), "the session was closed"
    counters = r.counters()
    assert sum(counters["parse_errors"].values()) == counters["parse_errors"].get(reason) == 1, counters["parse_errors"]
    assert counters["prefixes_announced"] == 2
    line, = r.events("bad message")
    assert "router=r1 " in line and f"reason={reason}" in line


def test_unknown_messages_are_counted(recv):
    r = recv()
    speaker = r.connect("r1")
    speaker.send(wire.bmp(99, b"what is this"))
    speaker.route(update(1))
    r.has_read(speaker)
    counters = r.counters()
    assert counters["messages"]["unknown"] == 1 and counters["prefixes_announced"] == 1


def test_attributes_that_are_not_decoded_are_counted_by_type(recv):
    r = recv()
    speaker = r.connect("r1")
    odd = bytes([0xC0, 99, 2]) + b"??"
    for attributes in (odd, odd + bytes([0xC0, 200, 0]), odd):
        message = update(1)
        size, = struct.unpack("!H", message[21:23])  # after the header and no withdrawn routes
        body = b"\0\0" + struct.pack("!H", size + len(attributes)) + message[23:23 + size] + attributes + message[23 + size:]
        speaker.route(wire.bgp_message(2, body))
    r.has_read(speaker)
    counters = r.counters()
    assert counters["other_attributes"] == {"99": 3, "200": 1}
    assert counters["prefixes_announced"] == 3 and not counters["parse_errors"]


def test_no_descriptors_for_new_connections_is_said_once(recv):
    r = recv()
    first = r.connect("r1")
    r.has_read(first)
    soft, hard = resource.prlimit(r.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(r.pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{r.pid}/fd")), hard))
    second = r.connect("r2")
    wait_for("it is said", 3, lambda: r.events("cannot accept"))
    time.sleep(1.5)
    line, = r.events("cannot accept")
    assert "Too many open files" in line and "hint=" in line and not r.events("accepting again"), r.log()
    resource.prlimit(r.pid, resource.RLIMIT_NOFILE, (soft, hard))
    wait_for("its end is said", 3, lambda: r.events("accepting again"))
    line, = r.events("accepting again")
    assert 1.4 < float(re.search(r" seconds=([\d.]+)", line).group(1)) < 4, line
    wait_for("the second router is served", 3, lambda: len(r.state()["sessions"]) == 2)
    assert len(r.events("cannot accept")) == 1 and not second.ended(0.1) and not first.ended(0.1)


def test_no_sysname_is_refused_and_says_why(recv):
    r = recv()
    one = r.connect()
    one.send(wire.bmp(4, wire.tlv(1, "nameless")))
    assert one.ended()
    line, = r.events("connection closed")
    assert "sysName" in line and "127.0.0.1" in line


def test_address_outside_allow_is_refused(recv):
    r = recv(allow=["192.0.2.0/24"])
    assert r.connect().ended()
    line, = r.events("connection refused")
    assert "allow" in line


def test_silent_connection_is_closed(recv):
    r = recv(handshake_timeout="300ms")
    assert r.connect().ended()
    assert r.counters()["handshake_timeouts"] == 1


def test_signals(recv):
    """HUP changes nothing that runs, TERM ends with 0."""
    r = recv()
    speaker = r.connect("r1")
    r.signal(signal.SIGHUP)
    wait_for("HUP is logged", 3, lambda: r.events("configuration reloaded"))
    speaker.route(update(1))
    r.has_read(speaker)
    assert r.terminate() == 0
    assert speaker.ended()


def test_hup_brings_a_limit_and_takes_it_away(recv):
    r = recv()
    first = r.connect("r1")
    r.has_read(first)

    def reload(**settings):
        before = len(r.events("configuration reloaded"))
        r.write_config(**settings)
        r.signal(signal.SIGHUP)
        wait_for("HUP is logged", 3, lambda: len(r.events("configuration reloaded")) > before)
        return r.events("configuration reloaded")[-1]
    assert " changed=allow,session-limit" in reload(session_limit=1, allow=["127.0.0.1"])
    assert r.connect("r2").ended()
    assert "session-limit" in r.events("connection refused")[-1]
    assert " changed=allow,session-limit" in reload(session_limit=None, allow=["192.0.2.1"])
    time.sleep(1)  # refusals are said once a second
    assert r.connect("r2").ended()
    assert "allow" in r.events("connection refused")[-1], r.log()
    assert " changed=allow" in reload(allow=None)
    second = r.connect("r2")
    wait_for("the second router is served", 3, lambda: len(r.state()["sessions"]) == 2)
    assert not second.ended(0.2) and not first.ended(0.1)


def test_hup_with_a_bad_file_keeps_running(recv):
    r = recv()
    r.config.write_text('listne = "x"\n')
    r.signal(signal.SIGHUP)
    wait_for("the error is logged", 3, lambda: "listne" in r.log())
    assert r.state()["node"] == "n1"


def test_dump_without_file_is_one_line(recv):
    r = recv(dump_file="")

    def lines():
        return [line for line in r.log().splitlines() if line.startswith("{")]
    r.signal(signal.SIGUSR1)
    wait_for("the state on standard output", 3, lines)
    line, = lines()
    assert json.loads(line)["tool"] == "bmp-recv"
