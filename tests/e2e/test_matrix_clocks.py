"""Rows of the failure matrix: wall clocks that jump by an hour, on a node and on the host of Redis.

The clocks are faked by tests/preload/wall_clock.cc, for the processes of that host alone, and jump while these run. Only wall
clocks do: CLOCK_BOOTTIME and CLOCK_MONOTONIC go on, as they do on a real host.
"""
import re
import struct
import time
from datetime import datetime, timezone

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource

from harness import verdict
from harness.cluster import BIN, wait_for
from harness.stage import CRASH, PLANNED, REPLAY, RETAIN, Stage

pytestmark = [pytest.mark.scenario, pytest.mark.loss]

HOUR = 3600
# Skew in milliseconds, as ha-arbiter tells it.
SKEW = re.compile(r"milliseconds=(-?\d+)")


class HostClock:
    """The wall clock of the processes that are started with `env`."""

    def __init__(self, lab, name):
        library = BIN.parent / "lib/wall_clock.so"
        assert library.exists(), f"{library} is missing HINT: make programs"
        self._file = lab.directory / f"clock.{name}"
        self._file.write_bytes(bytes(8))
        self.env = {"LD_PRELOAD": str(library), "BMPHA_CLOCK_FILE": str(self._file)}

    def jump(self, seconds):
        """It is that far from the true time from now on."""
        with open(self._file, "r+b", buffering=0) as file:
            file.write(struct.pack("q", seconds * 10**9))


def clock_of(process):
    """How far the clock of a tool is from ours, by the stamp of a line that it writes now."""
    begin = len(process.log())
    before = time.time()
    process.signal(1)  # SIGHUP: every tool says something
    line = wait_for("a log line", 5, lambda: process.log()[begin:].splitlines())[0]
    stamp = datetime.strptime(line.split()[0], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    return stamp.timestamp() - before


def claims(s):
    """(router, epoch) of all claims, the collector object's left out."""
    records = s.records()
    hashes = verdict.router_hashes(records)
    return {c for c in verdict.claims(records) if c[0] in {hashes[r] for r in s.home}}


def changes_of_owner(s, before):
    """Claims since then by router: at most one each is needless but allowed."""
    new = sorted(router for router, _ in claims(s) - before)
    assert len(new) == len(set(new)), new
    s.lab.note(f"needless switches={len(new)}")
    return new


def epochs(s):
    return {router: epoch for router, (_node, epoch) in s.cluster.owners().items()}


@pytest.mark.long
@pytest.mark.parametrize("jump", [pytest.param(+HOUR, id="forward"), pytest.param(-HOUR, id="back")])
def test_17_the_clock_of_a_node_jumps(lab, jump):
    """Of all its processes; and back again later."""
    clock = HostClock(lab, "A")
    s = Stage(lab, node_env={"A": clock.env}).settle()
    before = claims(s)
    for step in (jump, 0):
        s.fault(lambda step=step: clock.jump(step))
        for tool in s.node("A").tools.values():
            assert abs(clock_of(tool) - step) < 5, "the fake clock does not work"
        time.sleep(5)
    s.silence()
    v = s.judge(again=s.replayed(span=REPLAY + 10))  # the stamps in Kafka are of no use here
    moved = changes_of_owner(s, before)
    assert v.duplicates <= (s.replayed(span=REPLAY + 10) if moved else 0)
    for node in s.cluster.nodes.values():
        assert not node.arbiter.state()["solo"]
    s.no_order_violations()


@pytest.mark.parametrize("jump", [pytest.param(+HOUR, id="forward"), pytest.param(-HOUR, id="back", marks=pytest.mark.long)])
def test_17_the_clock_of_the_redis_host_jumps(lab, jump):
    """Forward, every key of a node expires at once; back, a dead node's key would stay for an hour."""
    clock = HostClock(lab, "redis")
    redis = lab.private_redis(env=clock.env)
    s = Stage(lab, redis_url=redis.url).settle()
    before = claims(s)
    s.fault(lambda: clock.jump(jump))
    assert abs(redis.client().time()[0] - time.time() - jump) < 5, "the fake clock does not work"
    time.sleep(6)
    for node in s.cluster.nodes.values():
        skew, = (int(SKEW.search(line).group(1)) for line in node.arbiter.events("clock of redis differs from this node's"))
        assert abs(skew / 1000 - jump) < 5
    moved = changes_of_owner(s, before)
    # A node that dies now is dead by its tick, whatever the clock of Redis makes of its key.
    homes = s.owners_now()
    mine = [r for r, n in homes.items() if n == "A"]
    s.fault(s.node("A").kill).silence()
    s.wait_owner("B")
    v = s.judge()
    s.switched(CRASH, "B", mine)
    assert v.duplicates <= s.replayed(mine) + (s.replayed(span=REPLAY + 10) if moved else 0)
    s.no_order_violations()


@pytest.mark.long
def test_17_a_broker_refuses_the_stamps_of_a_node(lab):
    """The topic has a limit for stamps, as Kafka 4 has by default, and a node's clock is beyond it: that node cannot write, so it
    gives way."""
    clock = HostClock(lab, "A")
    s = Stage(lab, node_env={"A": clock.env})
    limit = ConfigResource(ConfigResource.Type.TOPIC, s.cluster.topic,
                           set_config={"message.timestamp.after.max.ms": str(HOUR * 1000)})
    admin = AdminClient({"bootstrap.servers": s.cluster.brokers})
    for answer in admin.alter_configs([limit]).values():
        answer.result(10)
    s.settle()
    s.fault(lambda: clock.jump(2 * HOUR))
    s.wait_owner("B", s.of("A"), seconds=15)
    assert s.node("A").gate.log_lines("kafka producer lost", "Invalid timestamp")
    s.silence()
    clock.jump(0)
    s.judge(quiet=5, again=s.replayed(s.of("A"), span=RETAIN))  # nothing that it read later has been stored
    s.no_order_violations()


@pytest.mark.long
def test_29_the_redis_clock_was_an_hour_ahead_and_redis_forgets(lab):
    """A switch makes epochs of the future; then the clock is right again, Redis is empty and no arbiter remembers: what the
    state files hold keeps the epochs rising, so that no sink takes the living owner for an old one."""
    clock = HostClock(lab, "redis")
    redis = lab.private_redis(env=clock.env)
    s = Stage(lab, redis_url=redis.url).settle()
    first = epochs(s)
    clock.jump(HOUR)
    time.sleep(3)
    s.fault(lambda: s.node("A").arbiter.signal(34))
    s.wait_owner("B")
    time.sleep(1)
    s.switched(PLANNED, "B", s.of("A"))
    ahead = epochs(s)
    moved = [r for r in first if ahead[r] > first[r]]
    assert len(moved) >= len(s.of("A")) and all(ahead[r] > (time.time() + HOUR - 60) * 1000 for r in moved), (first, ahead)
    time.sleep(3)
    clock.jump(0)
    time.sleep(2)
    s.fault()
    arbiters = [node.arbiter for node in s.cluster.nodes.values()]
    for arbiter in arbiters:
        arbiter.kill()
    redis.kill()
    redis.start()
    assert abs(redis.client().time()[0] - time.time()) < 5 and redis.client().dbsize() == 0
    for arbiter in arbiters:
        arbiter.start()
    verdict.wait_for_owners(s.cluster, s.generator, seconds=20)
    s.silence()
    s.generator.settle_all()
    # Redis knows no owner and nobody's watermark: everything held is replayed.
    v = s.judge(quiet=5, span=RETAIN + 2 * REPLAY)
    after = epochs(s)
    assert after.keys() == ahead.keys() and all(after[r] > ahead[r] for r in ahead), (ahead, after)
    assert v.fenced == 0 and s.sink.state()["fenced"] == 0
    s.no_order_violations()
