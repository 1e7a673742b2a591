"""The means of the tests: speaker and cutter against plain sockets; a verdict that can fail."""
import socket
import threading
import time

import pytest

from bmpgen import Generator, announcement, community, number_of
from cluster import wait_for
from cutter import Cutter


class Listener:
    """Takes connections and keeps what they bring."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = self.socket.getsockname()
        self.received = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                one, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._read, args=(one,), daemon=True).start()

    def _read(self, one):
        number = len(self.received)
        self.received.append(b"")
        with one:
            try:
                while data := one.recv(65536):
                    self.received[number] += data
            except OSError:
                pass

    def close(self):
        self.socket.close()


@pytest.fixture
def listener():
    one = Listener()
    yield one
    one.close()


def test_number_in_a_community():
    for number in (1, 65535, 65536, 1 << 40):
        assert number_of(community(number)) == number
    assert number_of("64501:0:1") is None and number_of("64500:1") is None


def test_speaker_dumps_again_after_a_loss(listener):
    cutter = Cutter(listener.address)
    generator = Generator(2, ["A"], {"A": cutter.address}, redial=0.05)
    try:
        generator.start()
        wait_for(lambda: all(s.connected and s.idle() for s in generator.sessions()), 5, "connected")
        generator.churn(0.5, 200)
        began = time.monotonic()
        cutter.set("reset")
        wait_for(lambda: not any(s.connected for s in generator.sessions()), 2, "the reset is noticed")
        router = generator.routers[0]
        peer = next(iter(router.peers.values()))
        generator.change(router, peer, peer.prefixes[0], announce=True)
        assert generator.changes[-1].carried == 0
        cutter.set("pass")
        wait_for(lambda: all(s.connected and s.idle() for s in generator.sessions()), 5, "dialled again")
        assert time.monotonic() - began < 3
        last = announcement(peer.prefixes[0], peer.asn, peer.table[peer.prefixes[0]])
        wait_for(lambda: any(last in data for data in listener.received[2:]), 2, "the dump has the change that nobody carried")
    finally:
        generator.close()
        cutter.close()


def test_blackhole_holds_and_passes_later(listener):
    cutter = Cutter(listener.address)
    try:
        with socket.create_connection(cutter.address) as one:
            one.sendall(b"first")
            wait_for(lambda: listener.received == [b"first"], 2, "passes")
            cutter.set("blackhole")
            one.sendall(b"second")
            time.sleep(0.3)
            assert listener.received == [b"first"]
            cutter.set("delay", 0.4)
            began = time.monotonic()
            wait_for(lambda: listener.received == [b"firstsecond"], 2, "comes after all")
            assert time.monotonic() - began > 0.3
    finally:
        cutter.close()
