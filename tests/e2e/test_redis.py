"""Redis that is slow, refuses to write, or whose name takes long to resolve: the arbiter's own work goes on."""
import os
import secrets
import socket
import struct
import subprocess
import threading
import time

import pytest

from harness import verdict
from harness.cluster import wait_for
from harness.roles_tap import RolesTap
from harness.stage import Stage

pytestmark = [pytest.mark.scenario, pytest.mark.loss]

LEASE = 1.5  # the gate stops sending when it has heard nothing for this long


def tap_of(lab, node):
    tap = RolesTap(node.arbiter.settings["roles-socket"])
    lab.at_end(tap.end)
    wait_for("tables of roles", 5, lambda: tap.times)
    return tap


def solo(stage):
    return [n.arbiter.state()["solo"] for n in stage.cluster.nodes.values()]


@pytest.mark.long
def test_a_slow_redis_never_delays_the_roles(lab):
    redis = lab.private_redis()
    path, url = lab.path(redis.url)
    s = Stage(lab, routers=4, nodes=("A",), redis_url=redis.url, node_settings={"A": {"ha-arbiter": {"redis-url": url}}})
    s.settle(seconds=1)
    tap = tap_of(lab, s.node("A"))
    for mode, more in (("delay", {"seconds": 0.3}), ("delay", {"seconds": 1.0}), ("throttle", {"rate": 2000}), ("blackhole", {}),
                       ("refuse", {}), ("reset", {})):
        since = time.monotonic()
        path.set(mode, **more)
        time.sleep(4)
        path.heal()
        gap = tap.longest_gap(since)
        lab.note(f"{mode} {more}: longest_gap_ms={gap * 1000:.0f} solo={solo(s)}")
        assert gap < LEASE, mode
    wait_for("Redis is reachable again", 10, lambda: not any(solo(s)), every=0.2)
    s.silence()
    s.judge(quiet=4)


class NameServer(threading.Thread):
    """Answers every name with 127.0.0.1, or nothing at all."""

    def __init__(self):
        super().__init__(daemon=True, name="name-server")
        self.silent, self.asked = False, 0
        self.address = f"127.53.{secrets.randbelow(254) + 1}.{secrets.randbelow(254) + 1}"
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self.address, 53))
        self.start()

    def run(self):
        while True:
            try:
                query, peer = self._socket.recvfrom(4096)
            except OSError:
                return
            self.asked += 1
            if not self.silent:
                self._socket.sendto(self.answer(query), peer)

    @staticmethod
    def answer(query):
        end = query.index(b"\0", 12) + 5  # behind the name, its type and class
        found = query[end - 4:end - 2] == b"\0\x01"
        head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, int(found), 0, 0)
        record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + bytes([127, 0, 0, 1]) if found else b""
        return head + query[12:end] + record

    def end(self):
        self._socket.close()


@pytest.mark.long
def test_a_slow_name_server_never_delays_the_roles(lab):
    """The arbiter in a mount namespace in which only that server resolves names."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], capture_output=True, timeout=10).returncode != 0:
        pytest.skip("needs root, for a name server of its own in a mount namespace")
    names = NameServer()
    lab.at_end(names.end)
    resolver = lab.directory / "resolv.conf"
    resolver.write_text(f"nameserver {names.address}\noptions timeout:3 attempts:1\n")
    redis = lab.private_redis()
    url = f"redis://redis.bmp-ha.test:{redis.port}/0"
    s = Stage(lab, routers=4, nodes=("A",), redis_url=redis.url, start=False,
              node_settings={"A": {"ha-arbiter": {"redis-url": url}}})
    arbiter = s.node("A").arbiter
    arbiter.argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                    f'mount --bind {resolver} /etc/resolv.conf && exec "$@"', "sh", *arbiter.argv]
    s.cluster.start()
    s.settle(seconds=1)
    assert names.asked
    tap = tap_of(lab, s.node("A"))

    # What is known serves on.
    names.silent, since = True, time.monotonic()
    redis.client().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    time.sleep(4)
    assert arbiter.state()["redis"] == "ok" and not any(solo(s))
    assert tap.longest_gap(since) < LEASE

    # Nothing is known: as without Redis.
    arbiter.kill()
    arbiter.start()
    count = len(tap.times)
    wait_for("tables of roles", 5, lambda: len(tap.times) > count)
    since = time.monotonic()
    wait_for("solo", 10, lambda: all(solo(s)), every=0.2)
    time.sleep(5)
    gap = tap.longest_gap(since)
    assert "resolv" in arbiter.state()["redis"], arbiter.state()["redis"]
    lab.note(f"longest_gap_ms={gap * 1000:.0f}")
    assert gap < LEASE
    names.silent = False
    wait_for("Redis is reachable again", 15, lambda: not any(solo(s)), every=0.2)
    s.silence()
    s.judge(quiet=4)


@pytest.mark.long
def test_a_redis_without_memory_counts_as_unreachable(lab):
    """Both nodes go solo; when it takes writes again, one owner each, in silence."""
    redis = lab.private_redis()
    s = Stage(lab, redis_url=redis.url).settle()
    before = s.cluster.owners()
    s.fault(lambda: redis.client().config_set("maxmemory", "1mb"))
    wait_for("both nodes go solo", 10, lambda: all(solo(s)), every=0.1)
    for node in s.cluster.nodes.values():
        assert "OOM" in node.arbiter.state()["redis"]
        assert any("HINT" in line for line in node.arbiter.events("redis unreachable"))
    time.sleep(2)
    s.silence()
    redis.client().config_set("maxmemory", "0")
    verdict.wait_for_owners(s.cluster, s.generator, seconds=20)
    v = s.judge(quiet=5)
    after = s.cluster.owners()
    assert after.keys() == before.keys() and all(after[k][1] > before[k][1] for k in before), "epochs must rise"
    assert v.duplicates > 0  # both have sent
